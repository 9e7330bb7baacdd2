// A load of the graph $graph begins, or goes on where it was interrupted; $again begins it anew even so.
MATCH (m:MindKG {id: "load"})
WITH m, NOT $again AND m.graph = $graph AS goes_on
SET m.load = CASE WHEN goes_on THEN m.load ELSE m.load + 1 END,
  m.rows = CASE WHEN goes_on THEN m.rows ELSE 0 END,
  m.graph = $graph,
  m.finished = false
RETURN m.load AS load, m.rows AS rows;
