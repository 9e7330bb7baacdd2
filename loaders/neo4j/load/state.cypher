// What the last load did: the node MindKG keeps it.
MATCH (m:MindKG {id: "load"})
WHERE m.graph IS NOT NULL
RETURN m.load AS load, m.graph AS graph, m.rows AS rows, m.finished AS finished,
  CASE WHEN NOT m.finished THEN m.holder END AS holder;
