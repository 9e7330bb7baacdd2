// A concept somewhere above another.
UNWIND range(0, size($start) - 1) AS i
MATCH (s:Concept {id: $start[i]})
MATCH (e:Concept {id: $end[i]})
MERGE (s)-[r:HAS_ANCESTOR]->(e)
SET r.distance = $distance[i], r.mindkg_load = $load
RETURN count(*) AS n;
