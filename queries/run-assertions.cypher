//+ summary: how many assertions and generations come from each run
//+ column: run, string
//+ column: assertions, integer
MATCH (:CoBuy)-[r]->(:Intention)
UNWIND r.runs AS run
RETURN run, count(*) AS assertions
ORDER BY assertions DESC, run;
