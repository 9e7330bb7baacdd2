// The node tables and what Neo4j's Cypher has and LadybugDB's lacks; each statement ends in a semicolon.
CREATE NODE TABLE Product (id STRING PRIMARY KEY, title STRING, brand STRING, category STRING[], image STRING);
CREATE NODE TABLE CoBuy (id STRING PRIMARY KEY, title STRING, support INT64);
CREATE NODE TABLE Intention (id STRING PRIMARY KEY, text STRING);
CREATE NODE TABLE Concept (id STRING PRIMARY KEY, label STRING, vague BOOLEAN);
CREATE NODE TABLE Abstraction (
    id STRING PRIMARY KEY, kind_a STRING, kind_b STRING, relation STRING, concept STRING,
    support INT64, pairs INT64, plausibility DOUBLE
);
CREATE MACRO type(r) AS label(r);
