"""mindkg: a knowledge graph of why people buy things together."""

__version__ = "0.1.0"
