//+ summary: the assertions with the highest plausibility, then typicality, then support; those that have no score come last, so where the filter gives none, support decides
//+ parameter: relation, relation, default "", only assertions of this relation; "" for all
//+ parameter: limit, integer, default 50, how many rows at most
//+ column: assertion, string
//+ column: cobuy, string
//+ column: relation, string
//+ column: text, string
//+ column: plausibility, float
//+ column: typicality, float
//+ column: support, integer
MATCH (b:CoBuy)-[r]->(i:Intention)
WHERE $relation = "" OR r.relation = $relation
WITH r.id AS assertion, b.id AS cobuy, r.relation AS relation, i.id AS intention, r.plausibility AS plausibility,
  r.typicality AS typicality, r.support AS support, coalesce(r.plausibility, -1.0) AS first,
  coalesce(r.typicality, -1.0) AS second
ORDER BY first DESC, second DESC, support DESC, assertion
LIMIT $limit
// texts of those alone
MATCH (i:Intention {id: intention})
RETURN assertion, cobuy, relation, i.text AS text, plausibility, typicality, support
ORDER BY first DESC, second DESC, support DESC, assertion;
