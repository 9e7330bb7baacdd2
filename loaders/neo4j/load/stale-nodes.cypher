// Removes nodes labelled LABEL of earlier loads, $limit at most; what mindkg did not write has no mindkg_load.
MATCH (n:LABEL)
WHERE n.mindkg_load <> $load
WITH n LIMIT $limit
DETACH DELETE n
RETURN count(*) AS n;
