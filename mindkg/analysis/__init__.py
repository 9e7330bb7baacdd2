"""The analysis of a KB: how hypernyms are spread, two KBs side by side, the hypernym graph, and the report."""
