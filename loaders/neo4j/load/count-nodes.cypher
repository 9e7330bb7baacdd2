// Nodes labelled LABEL that the load $load wrote.
MATCH (n:LABEL)
WHERE n.mindkg_load = $load
RETURN count(n) AS n;
