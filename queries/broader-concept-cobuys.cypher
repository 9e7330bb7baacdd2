//+ summary: the pairs that are bought for something to do with concepts below a concept
//+ parameter: concept, concept, required, the concept's label
//+ parameter: limit, integer, default 100, how many rows at most
//+ column: cobuy, string
//+ column: product_a, string
//+ column: product_b, string
//+ column: intentions, integer
MATCH (:Concept {id: $concept})<-[:HAS_ANCESTOR]-(:Concept)<-[:HAS_CONCEPT]-(i:Intention)
// an intention has many concepts below one: go on from each intention once
WITH DISTINCT i
MATCH (i)<-[r]-(b:CoBuy)
WITH DISTINCT b, i
WITH b.id AS cobuy, count(*) AS intentions
ORDER BY intentions DESC, cobuy
LIMIT $limit
// products of those alone
MATCH (p:Product)<-[:HAS_PRODUCT]-(:CoBuy {id: cobuy})-[:HAS_PRODUCT]->(q:Product)
WHERE p.id < q.id
RETURN cobuy, p.id AS product_a, q.id AS product_b, intentions
ORDER BY intentions DESC, cobuy;
