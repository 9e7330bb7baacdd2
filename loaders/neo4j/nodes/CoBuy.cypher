// Pairs of products bought together.
UNWIND range(0, size($id) - 1) AS i
MERGE (n:CoBuy {id: $id[i]})
SET n.title = $title[i], n.support = $support[i], n.mindkg_load = $load
RETURN count(*) AS n;
