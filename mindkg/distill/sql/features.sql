-- The products that stand in a pair and have a title or a picture, sorted by id.
SELECT s.product_id, p.title, NULL AS features, i.sha256, i.path
FROM bought s
LEFT JOIN products p USING (product_id)
LEFT JOIN pictures i USING (product_id)
WHERE p.title IS NOT NULL OR i.path IS NOT NULL
ORDER BY s.product_id;
