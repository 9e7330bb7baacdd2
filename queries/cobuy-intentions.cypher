//+ summary: why the two products of a pair are bought together
//+ parameter: cobuy, cobuy, required, the id of the pair
//+ column: relation, string
//+ column: intention, string
//+ column: text, string
//+ column: stated, string
//+ column: support, integer
//+ column: plausibility, float
//+ column: typicality, float
//+ column: assertion, string
MATCH (:CoBuy {id: $cobuy})-[r]->(i:Intention)
RETURN r.relation AS relation, i.id AS intention, i.text AS text, r.stated AS stated, r.support AS support,
  r.plausibility AS plausibility, r.typicality AS typicality, r.id AS assertion
ORDER BY relation, text, assertion;
