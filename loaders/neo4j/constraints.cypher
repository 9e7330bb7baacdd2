// One node for each id; made before anything is loaded. Each statement ends in a semicolon.
CREATE CONSTRAINT mindkg_load IF NOT EXISTS FOR (n:MindKG) REQUIRE n.id IS UNIQUE;
CREATE CONSTRAINT product_id IF NOT EXISTS FOR (n:Product) REQUIRE n.id IS UNIQUE;
CREATE CONSTRAINT cobuy_id IF NOT EXISTS FOR (n:CoBuy) REQUIRE n.id IS UNIQUE;
CREATE CONSTRAINT intention_id IF NOT EXISTS FOR (n:Intention) REQUIRE n.id IS UNIQUE;
CREATE CONSTRAINT concept_id IF NOT EXISTS FOR (n:Concept) REQUIRE n.id IS UNIQUE;
CREATE CONSTRAINT abstraction_id IF NOT EXISTS FOR (n:Abstraction) REQUIRE n.id IS UNIQUE;
CREATE FULLTEXT INDEX product_titles IF NOT EXISTS FOR (n:Product) ON EACH [n.title];
CREATE FULLTEXT INDEX intention_texts IF NOT EXISTS FOR (n:Intention) ON EACH [n.text];
