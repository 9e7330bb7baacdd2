// Intentions.
UNWIND range(0, size($id) - 1) AS i
MERGE (n:Intention {id: $id[i]})
SET n.text = $text[i], n.mindkg_load = $load
RETURN count(*) AS n;
