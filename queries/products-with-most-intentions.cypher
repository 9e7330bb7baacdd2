//+ summary: the products that are bought for most intentions
//+ parameter: limit, integer, default 50, how many rows at most
//+ column: product, string
//+ column: title, string
//+ column: intentions, integer
MATCH (b:CoBuy)-[r]->(i:Intention)
WITH DISTINCT b, i
MATCH (b)-[:HAS_PRODUCT]->(p:Product)
WITH p.id AS product, count(DISTINCT i.id) AS intentions
ORDER BY intentions DESC, product
LIMIT $limit
// titles of those alone
MATCH (p:Product {id: product})
RETURN product, p.title AS title, intentions
ORDER BY intentions DESC, product;
