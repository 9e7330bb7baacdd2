// What an intention is about.
UNWIND range(0, size($start) - 1) AS i
MATCH (s:Intention {id: $start[i]})
MATCH (e:Concept {id: $end[i]})
MERGE (s)-[r:HAS_CONCEPT]->(e)
SET r.rep = $rep[i], r.surface = $surface[i], r.rank = $rank[i], r.mindkg_load = $load
RETURN count(*) AS n;
