//+ summary: what pairs of two kinds of products are bought for, in terms of concepts: the best supported first, overall or for one relation
//+ parameter: relation, relation, default "", only abstractions of this relation; "" for all
//+ parameter: limit, integer, default 20, how many rows at most
//+ column: abstraction, string
//+ column: kind_a, string
//+ column: kind_b, string
//+ column: relation, string
//+ column: concept, string
//+ column: support, integer
//+ column: pairs, integer
//+ column: plausibility, float
MATCH (x:Abstraction)
WHERE $relation = "" OR x.relation = $relation
RETURN x.id AS abstraction, x.kind_a AS kind_a, x.kind_b AS kind_b, x.relation AS relation, x.concept AS concept,
  x.support AS support, x.pairs AS pairs, x.plausibility AS plausibility
ORDER BY support DESC, pairs DESC, abstraction
LIMIT $limit;
