//+ summary: the concepts that the intentions of two products have in common
//+ parameter: product_a, product, required, the id of one product
//+ parameter: product_b, product, required, the id of the other product
//+ column: concept, string
//+ column: intentions_a, integer
//+ column: intentions_b, integer
MATCH (:Product {id: $product_a})<-[:HAS_PRODUCT]-(:CoBuy)-[r]->(i:Intention)-[:HAS_CONCEPT]->(c:Concept)
WITH c, count(DISTINCT i.id) AS intentions_a
MATCH (:Product {id: $product_b})<-[:HAS_PRODUCT]-(:CoBuy)-[s]->(j:Intention)-[:HAS_CONCEPT]->(c)
WITH c, intentions_a, count(DISTINCT j.id) AS intentions_b
RETURN c.id AS concept, intentions_a, intentions_b
ORDER BY intentions_a + intentions_b DESC, concept;
