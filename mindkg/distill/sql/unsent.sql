-- The keys without an answer, each once, and the sizes of their requests.
SELECT count(*), total(characters), total(pictures > 0)
FROM (
  SELECT max(p.characters) AS characters, max(p.pictures) AS pictures
  FROM planned p
  LEFT JOIN told t ON t.key = p.key
  WHERE t.key IS NULL OR t.failed
  GROUP BY p.key
);
