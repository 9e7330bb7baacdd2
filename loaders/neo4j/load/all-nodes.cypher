// Nodes labelled LABEL, whoever wrote them: the server knows their number.
MATCH (n:LABEL)
RETURN count(n) AS n;
