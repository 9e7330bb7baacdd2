//+ summary: the intentions in which no concept was found
//+ parameter: limit, integer, default 100, how many rows at most
//+ column: intention, string
//+ column: text, string
MATCH (i:Intention)
WHERE NOT EXISTS { MATCH (i)-[:HAS_CONCEPT]->(:Concept) }
RETURN i.id AS intention, i.text AS text
ORDER BY intention
LIMIT $limit;
