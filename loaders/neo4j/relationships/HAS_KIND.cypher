// What a product is.
UNWIND range(0, size($start) - 1) AS i
MATCH (s:Product {id: $start[i]})
MATCH (e:Concept {id: $end[i]})
MERGE (s)-[r:HAS_KIND]->(e)
SET r.mindkg_load = $load
RETURN count(*) AS n;
