// After an import from Parquet: Neo4j's importer reads no lists from it, so they come as texts joined by a control
// character, and are taken apart here.
MATCH (n:Product)
WHERE n.category IS :: STRING
CALL (n) {
  SET n.category = split(n.category, "DELIMITER")
} IN TRANSACTIONS OF 10000 ROWS;
MATCH (:CoBuy)-[r]->(:Intention)
WHERE r.generations IS :: STRING
CALL (r) {
  SET r.generations = split(r.generations, "DELIMITER"), r.runs = split(r.runs, "DELIMITER")
} IN TRANSACTIONS OF 10000 ROWS;
