//+ summary: the intentions that most pairs share, overall or for one relation
//+ parameter: relation, relation, default "", only assertions of this relation; "" for all
//+ parameter: limit, integer, default 50, how many rows at most
//+ column: intention, string
//+ column: text, string
//+ column: cobuys, integer
MATCH (b:CoBuy)-[r]->(i:Intention)
WHERE $relation = "" OR r.relation = $relation
RETURN i.id AS intention, i.text AS text, count(DISTINCT b.id) AS cobuys
ORDER BY cobuys DESC, intention
LIMIT $limit;
