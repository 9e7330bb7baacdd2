//+ summary: how many of each class the graph holds
//+ column: class, string
//+ column: n, integer
OPTIONAL MATCH (:CoBuy)-[r]->(:Intention)
WITH coalesce(sum(size(r.generations)), 0) AS evidence
UNWIND ["Abstraction", "Ancestry", "Assertion", "CoBuy", "Concept", "Evidence", "Hypernymy", "Intention", "Kind", "Mention",
  "Product"] AS class
RETURN class, CASE class
  WHEN "Abstraction" THEN COUNT { MATCH (:Abstraction) }
  WHEN "Ancestry" THEN COUNT { MATCH (:Concept)-[:HAS_ANCESTOR]->(:Concept) }
  WHEN "Assertion" THEN COUNT { MATCH (:CoBuy)-[]->(:Intention) }
  WHEN "CoBuy" THEN COUNT { MATCH (:CoBuy) }
  WHEN "Concept" THEN COUNT { MATCH (:Concept) }
  WHEN "Evidence" THEN evidence
  WHEN "Hypernymy" THEN COUNT { MATCH (:Concept)-[:BROADER]->(:Concept) }
  WHEN "Intention" THEN COUNT { MATCH (:Intention) }
  WHEN "Kind" THEN COUNT { MATCH (:Product)-[:HAS_KIND]->(:Concept) }
  WHEN "Mention" THEN COUNT { MATCH (:Intention)-[:HAS_CONCEPT]->(:Concept) }
  ELSE COUNT { MATCH (:Product) }
  END AS n
ORDER BY class;
