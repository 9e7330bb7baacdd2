//+ summary: the assertions behind an abstraction, with their pairs
//+ parameter: abstraction, abstraction, required, the id of the abstraction
//+ parameter: limit, integer, default 100, how many rows at most
//+ column: assertion, string
//+ column: cobuy, string
//+ column: product_a, string
//+ column: product_b, string
//+ column: intention, string
//+ column: text, string
//+ column: plausibility, float
MATCH (x:Abstraction {id: $abstraction})-[:OF_CONCEPT]->(:Concept)<-[h:HAS_CONCEPT]-(i:Intention)
WHERE h.rank = 1
MATCH (i)<-[r]-(b:CoBuy)
WHERE r.relation = x.relation
MATCH (p:Product)<-[:HAS_PRODUCT]-(b)-[:HAS_PRODUCT]->(q:Product)
WHERE p.id < q.id
MATCH (p)-[:HAS_KIND]->(k:Concept), (q)-[:HAS_KIND]->(l:Concept)
WHERE (k.id = x.kind_a AND l.id = x.kind_b) OR (k.id = x.kind_b AND l.id = x.kind_a)
RETURN r.id AS assertion, b.id AS cobuy, p.id AS product_a, q.id AS product_b, i.id AS intention, i.text AS text,
  r.plausibility AS plausibility
ORDER BY cobuy, assertion
LIMIT $limit;
