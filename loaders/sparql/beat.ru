# The load with a claim is still at work.
PREFIX dcterms: <http://purl.org/dc/terms/>

DELETE { GRAPH <LOCK> { <CLAIM> dcterms:extent ?beat } } INSERT { GRAPH <LOCK> { <CLAIM> dcterms:extent "BEAT" } }
WHERE { GRAPH <LOCK> { <CLAIM> dcterms:extent ?beat } }
