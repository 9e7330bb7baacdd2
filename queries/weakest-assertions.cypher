//+ summary: the assertions that the filter finds least plausible
//+ parameter: relation, relation, default "", only assertions of this relation; "" for all
//+ parameter: limit, integer, default 50, how many rows at most
//+ column: assertion, string
//+ column: cobuy, string
//+ column: relation, string
//+ column: text, string
//+ column: plausibility, float
//+ column: support, integer
MATCH (b:CoBuy)-[r]->(i:Intention)
WHERE r.plausibility IS NOT NULL AND ($relation = "" OR r.relation = $relation)
RETURN r.id AS assertion, b.id AS cobuy, r.relation AS relation, i.text AS text, r.plausibility AS plausibility,
  r.support AS support
ORDER BY plausibility, assertion
LIMIT $limit;
