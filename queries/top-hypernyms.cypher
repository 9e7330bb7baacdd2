//+ summary: the concepts that most assertions are about, overall or for one relation; vague ones are left out
//+ parameter: relation, relation, default "", only assertions of this relation; "" for all
//+ parameter: limit, integer, default 20, how many rows at most
//+ column: concept, string
//+ column: assertions, integer
MATCH (:CoBuy)-[r]->(i:Intention)
WHERE $relation = "" OR r.relation = $relation
WITH i, count(r) AS n
MATCH (i)-[:HAS_CONCEPT]->(c:Concept)
WHERE NOT c.vague
RETURN c.id AS concept, sum(n) AS assertions
ORDER BY assertions DESC, concept
LIMIT $limit;
