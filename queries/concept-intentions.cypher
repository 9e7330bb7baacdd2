//+ summary: the intentions that mention a concept, the best fitting first
//+ parameter: concept, concept, required, the concept's label
//+ parameter: limit, integer, default 100, how many rows at most
//+ column: intention, string
//+ column: text, string
//+ column: surface, string
//+ column: rep, float
//+ column: best, boolean
MATCH (:Concept {id: $concept})<-[m:HAS_CONCEPT]-(i:Intention)
RETURN i.id AS intention, i.text AS text, m.surface AS surface, m.rep AS rep, m.rank = 1 AS best
ORDER BY rep DESC, intention
LIMIT $limit;
