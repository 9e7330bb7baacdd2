-- The pairs sorted by id, without those that wait. CROSS JOIN keeps the order of the loops, so that nothing is sorted.
SELECT * FROM described
WHERE product_a NOT IN waiting AND product_b NOT IN waiting
ORDER BY cobuy_id;
