//+ summary: what a product is, and how many products are the same
//+ parameter: product, product, required, the product's id
//+ column: kind, string
//+ column: products, integer
MATCH (:Product {id: $product})-[:HAS_KIND]->(k:Concept)
MATCH (k)<-[:HAS_KIND]-(other:Product)
RETURN k.id AS kind, count(other.id) AS products
ORDER BY kind;
