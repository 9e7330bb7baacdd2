//+ summary: how a product is tied to a concept: product, pair, relation, intention, concept
//+ parameter: product, product, required, the product's id
//+ parameter: concept, concept, required, the concept's label
//+ column: cobuy, string
//+ column: relation, string
//+ column: intention, string
//+ column: text, string
//+ column: surface, string
//+ column: rep, float
//+ column: assertion, string
MATCH (:Product {id: $product})<-[:HAS_PRODUCT]-(b:CoBuy)-[r]->(i:Intention)-[m:HAS_CONCEPT]->(:Concept {id: $concept})
RETURN b.id AS cobuy, r.relation AS relation, i.id AS intention, i.text AS text, m.surface AS surface, m.rep AS rep,
  r.id AS assertion
ORDER BY rep DESC, assertion;
