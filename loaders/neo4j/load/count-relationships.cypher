// Relationships of the type TYPE that the load $load wrote.
MATCH ()-[r:TYPE]->()
WHERE r.mindkg_load = $load
RETURN count(r) AS n;
