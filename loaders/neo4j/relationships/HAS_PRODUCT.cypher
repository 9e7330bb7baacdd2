// The two products of a pair.
UNWIND range(0, size($start) - 1) AS i
MATCH (s:CoBuy {id: $start[i]})
MATCH (e:Product {id: $end[i]})
MERGE (s)-[r:HAS_PRODUCT]->(e)
SET r.mindkg_load = $load
RETURN count(*) AS n;
