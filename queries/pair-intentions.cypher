//+ summary: why two products are bought together
//+ parameter: product_a, product, required, the id of one product
//+ parameter: product_b, product, required, the id of the other product
//+ column: cobuy, string
//+ column: relation, string
//+ column: intention, string
//+ column: text, string
//+ column: plausibility, float
//+ column: assertion, string
MATCH (p:Product {id: $product_a})<-[:HAS_PRODUCT]-(b:CoBuy)-[:HAS_PRODUCT]->(q:Product {id: $product_b})
WHERE p.id <> q.id
MATCH (b)-[r]->(i:Intention)
RETURN b.id AS cobuy, r.relation AS relation, i.id AS intention, i.text AS text, r.plausibility AS plausibility,
  r.id AS assertion
ORDER BY relation, text, assertion;
