// The load with the claim $token is still at work: first in each of its transactions. No row comes back where the claim
// does not stand any more.
MATCH (m:MindKG {id: "load"})
SET m.load = m.load  // takes the lock
WITH m
WHERE m.token = $token
SET m.beat = m.beat + 1
RETURN m.beat AS beat;
