//+ summary: why a product is bought together with others
//+ parameter: product, product, required, the product's id
//+ column: cobuy, string
//+ column: other, string
//+ column: title, string
//+ column: relation, string
//+ column: intention, string
//+ column: text, string
//+ column: plausibility, float
//+ column: assertion, string
MATCH (p:Product {id: $product})<-[:HAS_PRODUCT]-(b:CoBuy)-[:HAS_PRODUCT]->(o:Product)
WHERE o.id <> p.id
MATCH (b)-[r]->(i:Intention)
RETURN b.id AS cobuy, o.id AS other, o.title AS title, r.relation AS relation, i.id AS intention, i.text AS text,
  r.plausibility AS plausibility, r.id AS assertion
ORDER BY text, other, relation, assertion;
