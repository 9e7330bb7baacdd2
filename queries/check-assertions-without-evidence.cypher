//+ summary: sanity check, no row on a sound graph: assertions whose support is not the number of their generations
//+ column: assertion, string
//+ column: support, integer
//+ column: generations, integer
MATCH (:CoBuy)-[r]->(:Intention)
WHERE r.support <> size(r.generations)
RETURN r.id AS assertion, r.support AS support, size(r.generations) AS generations
ORDER BY assertion;
