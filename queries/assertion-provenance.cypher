//+ summary: the generations and the runs that an assertion comes from
//+ parameter: assertion, assertion, required, the assertion's id
//+ column: relation, string
//+ column: cobuy, string
//+ column: text, string
//+ column: kind, string
//+ column: id, string
// an index on relationships is used where their types are named
MATCH (b:CoBuy)-[r:CAN|EFFECT|USED_FOR|CREATED_BY|IS_A|CAPABLE_OF|OPEN|CAUSE|CAUSE_DESIRE|MANNER_OF|PROPERTY_OF|DEFINED_AS|PART_OF|
  SYMBOL_OF|SIMILAR_TO|DERIVE_FROM|MADE_OF|DISTINCT_FROM|RELATED_TO|OTHER]->(i:Intention)
WHERE r.id = $assertion
UNWIND ["generation", "run"] AS kind
UNWIND CASE kind WHEN "generation" THEN r.generations ELSE r.runs END AS id
RETURN r.relation AS relation, b.id AS cobuy, i.text AS text, kind, id
ORDER BY kind, id;
