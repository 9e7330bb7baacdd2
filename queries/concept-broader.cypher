//+ summary: the concepts directly above a concept, the likeliest first
//+ parameter: concept, concept, required, the concept's label
//+ column: broader, string
//+ column: count, integer
//+ column: p, float
MATCH (:Concept {id: $concept})-[h:BROADER]->(u:Concept)
RETURN u.id AS broader, h.count AS count, h.p AS p
ORDER BY p DESC, broader;
