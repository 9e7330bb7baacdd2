# The graph is whole: what says which parts are there goes away.
WITH <TARGET>
DELETE { <WHO> <http://purl.org/dc/terms/hasPart> ?part } WHERE { <WHO> <http://purl.org/dc/terms/hasPart> ?part }
