// Nodes of whatever label that mindkg did not write.
MATCH (n)
WHERE n.mindkg_load IS NULL AND NOT n:MindKG
RETURN count(n) AS n;
