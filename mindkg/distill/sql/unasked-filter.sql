-- The generations without a text, or of a pair with a product that has no title.
SELECT g.generation_id, 0
FROM generations g
LEFT JOIN pairs c ON c.cobuy_id = g.cobuy_id
LEFT JOIN products a ON a.product_id = c.product_a
LEFT JOIN products b ON b.product_id = c.product_b
WHERE g.text IS NULL OR a.title IS NULL OR b.title IS NULL;
