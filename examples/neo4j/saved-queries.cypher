// Why are these bought together?
MATCH (p:Product)<-[h:HAS_PRODUCT]-(b:CoBuy)-[k:HAS_PRODUCT]->(q:Product)
WHERE p.id < q.id
MATCH (b)-[r]->(i:Intention)
RETURN * LIMIT 40;

// Products by words of their title
CALL db.index.fulltext.queryNodes("product_titles", "backpack~") YIELD node, score
RETURN node.id AS product, node.title AS title, score
ORDER BY score DESC LIMIT 20;

// Intentions by words
CALL db.index.fulltext.queryNodes("intention_texts", "hiking OR camping") YIELD node, score
MATCH (b:CoBuy)-[r]->(node)
RETURN node.text AS intention, count(r) AS pairs, score
ORDER BY score DESC, pairs DESC LIMIT 20;

// The concepts around the most frequent one
MATCH (:Intention)-[:HAS_CONCEPT]->(c:Concept)
WHERE NOT c.vague
WITH c, count(*) AS n ORDER BY n DESC LIMIT 1
MATCH path = (i:Intention)-[:HAS_CONCEPT]->(c)-[:BROADER*0..2]->(:Concept)
RETURN path LIMIT 60;

// What is said most often
MATCH (b:CoBuy)-[r]->(i:Intention)
RETURN r.relation AS relation, i.text AS intention, r.support AS support, r.plausibility AS plausibility
ORDER BY support DESC, intention LIMIT 25;

// What mindkg wrote last
MATCH (m:MindKG)
RETURN m.load AS load, m.graph AS graph, m.rows AS rows, m.finished AS finished;
