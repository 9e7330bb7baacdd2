//+ summary: sanity check, no row on a sound graph: intentions that no pair has
//+ column: intention, string
MATCH (i:Intention)
WHERE NOT EXISTS { MATCH (:CoBuy)-[]->(i) }
RETURN i.id AS intention
ORDER BY intention;
