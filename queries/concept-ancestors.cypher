//+ summary: the concepts above a concept, the nearest first
//+ parameter: concept, concept, required, the concept's label
//+ column: ancestor, string
//+ column: distance, integer
//+ column: vague, boolean
MATCH (:Concept {id: $concept})-[x:HAS_ANCESTOR]->(u:Concept)
RETURN u.id AS ancestor, x.distance AS distance, u.vague AS vague
ORDER BY distance, ancestor;
