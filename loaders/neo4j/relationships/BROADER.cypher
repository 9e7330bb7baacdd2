// A concept directly above another.
UNWIND range(0, size($start) - 1) AS i
MATCH (s:Concept {id: $start[i]})
MATCH (e:Concept {id: $end[i]})
MERGE (s)-[r:BROADER]->(e)
SET r.count = $count[i], r.p = $p[i], r.mindkg_load = $load
RETURN count(*) AS n;
