//+ summary: the concepts of an intention, the best first
//+ parameter: intention, intention, required, the intention's id
//+ column: concept, string
//+ column: surface, string
//+ column: rep, float
//+ column: best, boolean
//+ column: vague, boolean
MATCH (:Intention {id: $intention})-[m:HAS_CONCEPT]->(c:Concept)
RETURN c.id AS concept, m.surface AS surface, m.rep AS rep, m.rank = 1 AS best, c.vague AS vague
ORDER BY best DESC, rep DESC, concept;
