// Removes relationships of the type TYPE of earlier loads, $limit at most.
MATCH ()-[r:TYPE]->()
WHERE r.mindkg_load <> $load
WITH r LIMIT $limit
DELETE r
RETURN count(*) AS n;
