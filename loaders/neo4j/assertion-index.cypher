// An assertion is found by its id: TYPE is the relation's mind:lpgType of ontology/relations.ttl.
CREATE INDEX assertion_id_TYPE IF NOT EXISTS FOR ()-[r:TYPE]-() ON (r.id);
