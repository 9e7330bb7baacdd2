-- The products that stand in a pair and have neither a title nor a picture.
SELECT s.product_id, 0
FROM bought s
LEFT JOIN products p USING (product_id)
LEFT JOIN pictures i USING (product_id)
WHERE p.title IS NULL AND i.path IS NULL;
