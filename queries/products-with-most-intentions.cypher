//+ summary: the products that are bought for most intentions
//+ parameter: limit, integer, default 50, how many rows at most
//+ column: product, string
//+ column: title, string
//+ column: intentions, integer
MATCH (p:Product)<-[:HAS_PRODUCT]-(:CoBuy)-[r]->(i:Intention)
WITH p, count(DISTINCT i.id) AS intentions
RETURN p.id AS product, p.title AS title, intentions
ORDER BY intentions DESC, product
LIMIT $limit;
