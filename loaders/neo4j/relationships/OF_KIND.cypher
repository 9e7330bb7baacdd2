// The kinds of an abstraction: one where both are the same.
UNWIND range(0, size($start) - 1) AS i
MATCH (s:Abstraction {id: $start[i]})
MATCH (e:Concept {id: $end[i]})
MERGE (s)-[r:OF_KIND]->(e)
SET r.mindkg_load = $load
RETURN count(*) AS n;
