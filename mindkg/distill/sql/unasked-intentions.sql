-- The pairs with a product that has no title, and whether they only wait.
SELECT c.cobuy_id, a.title IS NOT NULL AND b.title IS NOT NULL
FROM pairs c
LEFT JOIN products a ON a.product_id = c.product_a
LEFT JOIN products b ON b.product_id = c.product_b
WHERE a.title IS NULL OR b.title IS NULL OR c.product_a IN waiting OR c.product_b IN waiting;
