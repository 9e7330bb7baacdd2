-- What the requests of one pass are made of: on disk, so that a plan of any size holds a few rows in memory.
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -32000;

CREATE TABLE bought (product_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE products (product_id TEXT PRIMARY KEY, title TEXT NOT NULL);
CREATE TABLE features (product_id TEXT PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE pictures (product_id TEXT PRIMARY KEY, sha256 TEXT NOT NULL, path TEXT NOT NULL);
CREATE TABLE waiting (product_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE pairs (cobuy_id TEXT PRIMARY KEY, product_a TEXT NOT NULL, product_b TEXT NOT NULL);
CREATE TABLE judged (generation_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE generations (
  cobuy_id TEXT NOT NULL, generation_id TEXT NOT NULL, relation TEXT NOT NULL, sample INTEGER NOT NULL,
  text TEXT
);

-- What was drawn, and what the ledger says of it, by key.
CREATE TABLE planned (
  key TEXT NOT NULL, product_id TEXT NOT NULL, cobuy_id TEXT NOT NULL, relation TEXT NOT NULL,
  generation_id TEXT NOT NULL, sample INTEGER NOT NULL, pictures INTEGER NOT NULL, characters INTEGER NOT NULL
);
CREATE TABLE told (key TEXT PRIMARY KEY, failed INTEGER NOT NULL, place INTEGER NOT NULL) WITHOUT ROWID;

-- The pairs that can be asked about; both products need a title.
CREATE VIEW described AS
SELECT c.cobuy_id,
       c.product_a, a.title AS title_a, fa.text AS features_a, pa.sha256 AS sha256_a, pa.path AS path_a,
       c.product_b, b.title AS title_b, fb.text AS features_b, pb.sha256 AS sha256_b, pb.path AS path_b
FROM pairs c
CROSS JOIN products a ON a.product_id = c.product_a
CROSS JOIN products b ON b.product_id = c.product_b
LEFT JOIN features fa ON fa.product_id = c.product_a
LEFT JOIN features fb ON fb.product_id = c.product_b
LEFT JOIN pictures pa ON pa.product_id = c.product_a
LEFT JOIN pictures pb ON pb.product_id = c.product_b;
