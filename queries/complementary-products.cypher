//+ summary: the pairs with most intentions in common
//+ parameter: limit, integer, default 50, how many rows at most
//+ column: cobuy, string
//+ column: product_a, string
//+ column: product_b, string
//+ column: intentions, integer
//+ column: support, integer
MATCH (b:CoBuy)-[r]->(i:Intention)
WITH b, count(DISTINCT i.id) AS intentions
ORDER BY intentions DESC, b.id
LIMIT $limit
MATCH (p:Product)<-[:HAS_PRODUCT]-(b)-[:HAS_PRODUCT]->(q:Product)
WHERE p.id < q.id
RETURN b.id AS cobuy, p.id AS product_a, q.id AS product_b, intentions, b.support AS support
ORDER BY intentions DESC, cobuy;
