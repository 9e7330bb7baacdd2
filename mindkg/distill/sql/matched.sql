-- What was planned under the keys of one part of the ledger, with each key's place in it.
SELECT t.place, p.*
FROM told t
CROSS JOIN planned p ON p.key = t.key
WHERE t.key BETWEEN ? AND ?;
