//+ summary: the products that are bought for something to do with a concept
//+ parameter: concept, concept, required, the concept's label
//+ parameter: limit, integer, default 100, how many rows at most
//+ column: product, string
//+ column: title, string
//+ column: intentions, integer
MATCH (:Concept {id: $concept})<-[:HAS_CONCEPT]-(i:Intention)
MATCH (i)<-[r]-(:CoBuy)-[:HAS_PRODUCT]->(p:Product)
RETURN p.id AS product, p.title AS title, count(DISTINCT i.id) AS intentions
ORDER BY intentions DESC, product
LIMIT $limit;
