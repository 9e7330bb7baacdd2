// What pairs of two kinds are bought for.
UNWIND range(0, size($id) - 1) AS i
MERGE (n:Abstraction {id: $id[i]})
SET n.kind_a = $kind_a[i], n.kind_b = $kind_b[i], n.relation = $relation[i], n.concept = $concept[i],
  n.support = $support[i], n.pairs = $pairs[i], n.plausibility = $plausibility[i], n.mindkg_load = $load
RETURN count(*) AS n;
