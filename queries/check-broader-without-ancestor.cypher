//+ summary: sanity check, no row on a sound graph: hypernyms that the closure lacks
//+ column: concept, string
//+ column: broader, string
MATCH (c:Concept)-[:BROADER]->(u:Concept)
WHERE NOT EXISTS { MATCH (c)-[:HAS_ANCESTOR]->(u) }
RETURN c.id AS concept, u.id AS broader
ORDER BY concept, broader;
