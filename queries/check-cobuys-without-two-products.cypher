//+ summary: sanity check, no row on a sound graph: pairs that have not two products
//+ column: cobuy, string
//+ column: products, integer
MATCH (b:CoBuy)
OPTIONAL MATCH (b)-[:HAS_PRODUCT]->(p:Product)
WITH b, count(DISTINCT p.id) AS products
WHERE products <> 2
RETURN b.id AS cobuy, products
ORDER BY cobuy;
