# The graph that was loaded beside an older one takes its place.
MOVE <PLACE> TO <TARGET> ;
