//+ summary: what else is bought for the reasons for which a product is bought, in pairs without it
//+ parameter: product, product, required, the product's id
//+ parameter: limit, integer, default 50, how many rows at most
//+ column: product, string
//+ column: title, string
//+ column: reasons, integer
MATCH (:Product {id: $product})<-[:HAS_PRODUCT]-(:CoBuy)-[r]->(i:Intention)
WITH DISTINCT i, r.relation AS relation
MATCH (i)<-[s]-(d:CoBuy)-[:HAS_PRODUCT]->(o:Product)
WHERE s.relation = relation
// LadybugDB answers NOT EXISTS for every pair there is
OPTIONAL MATCH (d)-[:HAS_PRODUCT]->(own:Product {id: $product})
WITH o, i, relation, own
WHERE own.id IS NULL
WITH DISTINCT o, i, relation
RETURN o.id AS product, o.title AS title, count(*) AS reasons
ORDER BY reasons DESC, product
LIMIT $limit;
