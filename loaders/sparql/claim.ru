# A load claims a graph: the claim OTHER goes away if its beat is still BEAT, and ours is written where none stands then.
PREFIX dcterms: <http://purl.org/dc/terms/>

DELETE { GRAPH <LOCK> { <OTHER> ?p ?o } } WHERE { GRAPH <LOCK> { <OTHER> dcterms:extent "BEAT" ; ?p ?o } } ;
INSERT { GRAPH <LOCK> { <CLAIM> dcterms:creator HOLDER ; dcterms:extent "0" } }
WHERE { FILTER NOT EXISTS { GRAPH <LOCK> { ?any dcterms:extent ?beat } } }
