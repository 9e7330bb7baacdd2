// The relationship table of one relation: TYPE is its mind:lpgType of ontology/relations.ttl.
CREATE REL TABLE TYPE (
    FROM CoBuy TO Intention,
    relation STRING, id STRING, stated STRING, plausibility DOUBLE, typicality DOUBLE, support INT64,
    generations STRING[], runs STRING[]
);
