//+ summary: the pairs that are bought for something to do with a concept
//+ parameter: concept, concept, required, the concept's label
//+ parameter: limit, integer, default 100, how many rows at most
//+ column: cobuy, string
//+ column: product_a, string
//+ column: product_b, string
//+ column: intentions, integer
MATCH (:Concept {id: $concept})<-[:HAS_CONCEPT]-(i:Intention)
MATCH (i)<-[r]-(b:CoBuy)
WITH b, count(DISTINCT i.id) AS intentions
MATCH (p:Product)<-[:HAS_PRODUCT]-(b)-[:HAS_PRODUCT]->(q:Product)
WHERE p.id < q.id
RETURN b.id AS cobuy, p.id AS product_a, q.id AS product_b, intentions
ORDER BY intentions DESC, cobuy
LIMIT $limit;
