// The load is whole.
MATCH (m:MindKG {id: "load"})
WHERE m.load = $load
SET m.finished = true;
