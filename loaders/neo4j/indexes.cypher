// The indexes that are there, those of constraints among them.
SHOW INDEXES YIELD name, labelsOrTypes, properties
WHERE labelsOrTypes IS NOT NULL
RETURN name, labelsOrTypes, properties;
