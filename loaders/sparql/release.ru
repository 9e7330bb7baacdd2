# A claim goes away.
DELETE WHERE { GRAPH <LOCK> { <CLAIM> ?p ?o } }
