//+ summary: what is bought together with a product, the most intentions in common first
//+ parameter: product, product, required, the product's id
//+ parameter: limit, integer, default 50, how many rows at most
//+ column: product, string
//+ column: title, string
//+ column: intentions, integer
//+ column: support, integer
MATCH (p:Product {id: $product})<-[:HAS_PRODUCT]-(b:CoBuy)-[:HAS_PRODUCT]->(o:Product)
WHERE o.id <> p.id
OPTIONAL MATCH (b)-[r]->(i:Intention)
RETURN o.id AS product, o.title AS title, count(DISTINCT i.id) AS intentions, b.support AS support
ORDER BY intentions DESC, support DESC, product
LIMIT $limit;
