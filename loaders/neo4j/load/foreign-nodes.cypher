// Nodes labelled LABEL that mindkg did not write.
MATCH (n:LABEL)
WHERE n.mindkg_load IS NULL
RETURN count(n) AS n;
