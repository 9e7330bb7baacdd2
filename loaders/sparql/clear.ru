# A graph that is not, or no longer, of use.
CLEAR SILENT GRAPH <PLACE>
