//+ summary: the assertions that more than one generation says, the most often said first
//+ parameter: relation, relation, default "", only assertions of this relation; "" for all
//+ parameter: limit, integer, default 50, how many rows at most
//+ column: assertion, string
//+ column: cobuy, string
//+ column: relation, string
//+ column: text, string
//+ column: support, integer
MATCH (b:CoBuy)-[r]->(i:Intention)
WHERE r.support > 1 AND ($relation = "" OR r.relation = $relation)
RETURN r.id AS assertion, b.id AS cobuy, r.relation AS relation, i.text AS text, r.support AS support
ORDER BY support DESC, assertion
LIMIT $limit;
