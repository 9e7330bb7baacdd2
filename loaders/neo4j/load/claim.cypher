// A load claims the graph; while another claim stands, only where that is $instead and its beat is still $beat.
MERGE (m:MindKG {id: "load"})
ON CREATE SET m.load = 0, m.rows = 0, m.finished = false
SET m.load = m.load  // takes the lock
WITH m, m.token IS NULL OR (m.token = $instead AND m.beat = $beat) AS free
SET m.holder = CASE WHEN free THEN $holder ELSE m.holder END,
  m.beat = CASE WHEN free THEN 0 ELSE m.beat END,
  m.token = CASE WHEN free THEN $token ELSE m.token END
RETURN m.token AS token, m.holder AS holder, m.beat AS beat;
