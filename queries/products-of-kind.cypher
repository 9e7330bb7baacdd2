//+ summary: the products of a kind
//+ parameter: concept, concept, required, the label of the kind
//+ parameter: limit, integer, default 100, how many rows at most
//+ column: product, string
//+ column: title, string
MATCH (:Concept {id: $concept})<-[:HAS_KIND]-(p:Product)
RETURN p.id AS product, p.title AS title
ORDER BY product
LIMIT $limit;
