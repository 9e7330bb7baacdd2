"""What mindkg derives from Princeton WordNet 3.1: the default isA table and how often a word is which part of speech.

``python -m mindkg.link.wordnet DICT OUT`` makes both from WordNet's database files; see docs/linking.md.
"""
