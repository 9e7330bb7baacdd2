//+ summary: the generations and the runs that an assertion comes from
//+ parameter: assertion, string, required, the assertion's id
//+ column: relation, string
//+ column: cobuy, string
//+ column: text, string
//+ column: kind, string
//+ column: id, string
MATCH (b:CoBuy)-[r]->(i:Intention)
WHERE r.id = $assertion
UNWIND ["generation", "run"] AS kind
UNWIND CASE kind WHEN "generation" THEN r.generations ELSE r.runs END AS id
RETURN r.relation AS relation, b.id AS cobuy, i.text AS text, kind, id
ORDER BY kind, id;
