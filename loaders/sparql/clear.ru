# A graph that is of no use, or of none any more.
CLEAR SILENT GRAPH <PLACE>
