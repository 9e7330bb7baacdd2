// Concepts.
UNWIND range(0, size($id) - 1) AS i
MERGE (n:Concept {id: $id[i]})
SET n.label = $label[i], n.vague = $vague[i], n.mindkg_load = $load
RETURN count(*) AS n;
