// Relationships of the type TYPE, whoever wrote them: the server knows their number.
MATCH ()-[r:TYPE]->()
RETURN count(r) AS n;
