// The assertions of one relation: TYPE is its mind:lpgType of ontology/relations.ttl.
UNWIND range(0, size($start) - 1) AS i
MATCH (s:CoBuy {id: $start[i]})
MATCH (e:Intention {id: $end[i]})
MERGE (s)-[r:TYPE]->(e)
SET r.relation = $relation[i], r.id = $id[i], r.stated = $stated[i], r.plausibility = $plausibility[i],
  r.typicality = $typicality[i], r.support = $support[i], r.generations = $generations[i], r.runs = $runs[i],
  r.mindkg_load = $load
RETURN count(*) AS n;
