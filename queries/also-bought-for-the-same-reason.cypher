//+ summary: what else is bought for the reasons for which a product is bought, in pairs without it
//+ parameter: product, string, required, the product's id
//+ parameter: limit, integer, default 50, how many rows at most
//+ column: product, string
//+ column: title, string
//+ column: reasons, integer
MATCH (:Product {id: $product})<-[:HAS_PRODUCT]-(:CoBuy)-[r]->(i:Intention)
WITH DISTINCT i, r.relation AS relation
MATCH (i)<-[s]-(d:CoBuy)
WHERE s.relation = relation AND NOT EXISTS { MATCH (d)-[:HAS_PRODUCT]->(:Product {id: $product}) }
MATCH (d)-[:HAS_PRODUCT]->(o:Product)
WITH DISTINCT o, i, relation
RETURN o.id AS product, o.title AS title, count(*) AS reasons
ORDER BY reasons DESC, product
LIMIT $limit;
