// What the pairs of an abstraction are bought for.
UNWIND range(0, size($start) - 1) AS i
MATCH (s:Abstraction {id: $start[i]})
MATCH (e:Concept {id: $end[i]})
MERGE (s)-[r:OF_CONCEPT]->(e)
SET r.mindkg_load = $load
RETURN count(*) AS n;
