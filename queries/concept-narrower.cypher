//+ summary: the concepts directly below a concept, the likeliest first
//+ parameter: concept, concept, required, the concept's label
//+ parameter: limit, integer, default 100, how many rows at most
//+ column: narrower, string
//+ column: count, integer
//+ column: p, float
MATCH (:Concept {id: $concept})<-[h:BROADER]-(n:Concept)
RETURN n.id AS narrower, h.count AS count, h.p AS p
ORDER BY p DESC, narrower
LIMIT $limit;
