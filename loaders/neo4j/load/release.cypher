// The claim $token goes away, and the node with it where nothing was loaded.
MATCH (m:MindKG {id: "load"})
SET m.load = m.load  // takes the lock
WITH m
WHERE m.token = $token
REMOVE m.token, m.holder, m.beat
WITH m
WHERE m.graph IS NULL
DELETE m;
