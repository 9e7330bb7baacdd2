// In the transaction of each batch: the rows done so far. No row comes back where another load has taken over.
MATCH (m:MindKG {id: "load"})
SET m.load = m.load  // takes the lock
WITH m
WHERE m.load = $load AND m.rows = $from
SET m.rows = $to
RETURN m.rows AS rows;
