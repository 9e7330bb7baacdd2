//+ summary: the pairs that are bought for an intention
//+ parameter: intention, intention, required, the intention's id
//+ parameter: limit, integer, default 100, how many rows at most
//+ column: cobuy, string
//+ column: product_a, string
//+ column: product_b, string
//+ column: relation, string
//+ column: assertion, string
MATCH (:Intention {id: $intention})<-[r]-(b:CoBuy)
MATCH (p:Product)<-[:HAS_PRODUCT]-(b)-[:HAS_PRODUCT]->(q:Product)
WHERE p.id < q.id
RETURN b.id AS cobuy, p.id AS product_a, q.id AS product_b, r.relation AS relation, r.id AS assertion
ORDER BY cobuy, relation, assertion
LIMIT $limit;
