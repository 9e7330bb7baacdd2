//+ summary: the abstractions that a concept stands in, as a kind of product or as what pairs are bought for, the best supported first
//+ parameter: concept, concept, required, the concept's label
//+ parameter: limit, integer, default 100, how many rows at most
//+ column: abstraction, string
//+ column: kind_a, string
//+ column: kind_b, string
//+ column: relation, string
//+ column: concept, string
//+ column: support, integer
//+ column: pairs, integer
//+ column: plausibility, float
MATCH (c:Concept {id: $concept})<-[]-(a:Abstraction)
WITH DISTINCT a.id AS found
MATCH (x:Abstraction {id: found})
RETURN x.id AS abstraction, x.kind_a AS kind_a, x.kind_b AS kind_b, x.relation AS relation, x.concept AS concept,
  x.support AS support, x.pairs AS pairs, x.plausibility AS plausibility
ORDER BY support DESC, pairs DESC, abstraction
LIMIT $limit;
