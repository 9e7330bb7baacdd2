//+ summary: how often each relation is asserted, for how many pairs and intentions
//+ column: relation, string
//+ column: assertions, integer
//+ column: cobuys, integer
//+ column: intentions, integer
MATCH (b:CoBuy)-[r]->(i:Intention)
RETURN r.relation AS relation, count(r) AS assertions, count(DISTINCT b.id) AS cobuys, count(DISTINCT i.id) AS intentions
ORDER BY assertions DESC, relation;
