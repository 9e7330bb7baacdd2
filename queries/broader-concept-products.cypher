//+ summary: the products that are bought for something to do with concepts below a concept
//+ parameter: concept, concept, required, the concept's label
//+ parameter: limit, integer, default 100, how many rows at most
//+ column: product, string
//+ column: title, string
//+ column: intentions, integer
MATCH (:Concept {id: $concept})<-[:HAS_ANCESTOR]-(:Concept)<-[:HAS_CONCEPT]-(i:Intention)
// an intention has many concepts below one: go on from each intention once
WITH DISTINCT i
MATCH (i)<-[r]-(b:CoBuy)
WITH DISTINCT b, i
MATCH (b)-[:HAS_PRODUCT]->(p:Product)
WITH p.id AS product, count(DISTINCT i.id) AS intentions
ORDER BY intentions DESC, product
LIMIT $limit
// titles of those alone
MATCH (p:Product {id: product})
RETURN product, p.title AS title, intentions
ORDER BY intentions DESC, product;
