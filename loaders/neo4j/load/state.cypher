// What the last load did: the node MindKG keeps it.
MATCH (m:MindKG {id: "load"})
RETURN m.load AS load, m.graph AS graph, m.rows AS rows, m.finished AS finished;
