-- The generations to judge, those of one pair next to each other.
SELECT d.*, g.generation_id, g.relation, g.sample, g.text
FROM generations g
CROSS JOIN described d ON d.cobuy_id = g.cobuy_id
WHERE g.text IS NOT NULL
ORDER BY g.cobuy_id, g.generation_id;
