//+ summary: the products that are bought for an intention
//+ parameter: intention, intention, required, the intention's id
//+ parameter: limit, integer, default 100, how many rows at most
//+ column: product, string
//+ column: title, string
//+ column: cobuys, integer
MATCH (:Intention {id: $intention})<-[r]-(b:CoBuy)-[:HAS_PRODUCT]->(p:Product)
RETURN p.id AS product, p.title AS title, count(DISTINCT b.id) AS cobuys
ORDER BY cobuys DESC, product
LIMIT $limit;
