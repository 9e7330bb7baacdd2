//+ summary: sanity check, no row on a sound graph: assertions whose plausibility or typicality is not within 0 and 1
//+ column: assertion, string
//+ column: plausibility, float
//+ column: typicality, float
MATCH (:CoBuy)-[r]->(:Intention)
WHERE r.plausibility < 0 OR r.plausibility > 1 OR r.typicality < 0 OR r.typicality > 1
RETURN r.id AS assertion, r.plausibility AS plausibility, r.typicality AS typicality
ORDER BY assertion;
