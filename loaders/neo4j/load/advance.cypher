// In the transaction of each batch: the rows done so far.
MATCH (m:MindKG {id: "load"})
WHERE m.load = $load AND m.rows = $from
SET m.rows = $to
RETURN m.rows AS rows;
