//+ summary: sanity check, no row on a sound graph: concepts that are their own ancestors
//+ column: concept, string
MATCH (c:Concept)-[:HAS_ANCESTOR]->(u:Concept)
WHERE c.id = u.id
RETURN c.id AS concept
ORDER BY concept;
