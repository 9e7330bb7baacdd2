-- The pairs sorted by id. CROSS JOIN keeps the order of the loops, so that nothing is sorted.
SELECT * FROM described ORDER BY cobuy_id;
