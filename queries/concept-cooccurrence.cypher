//+ summary: the concepts that stand in the same intentions as a concept
//+ parameter: concept, concept, required, the concept's label
//+ parameter: limit, integer, default 50, how many rows at most
//+ column: concept, string
//+ column: intentions, integer
MATCH (c:Concept {id: $concept})<-[:HAS_CONCEPT]-(i:Intention)-[:HAS_CONCEPT]->(o:Concept)
WHERE o.id <> c.id
RETURN o.id AS concept, count(DISTINCT i.id) AS intentions
ORDER BY intentions DESC, concept
LIMIT $limit;
