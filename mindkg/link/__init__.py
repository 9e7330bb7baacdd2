"""Intentions to concepts: noun phrases, an isA table, ranking, hypernyms (docs/linking.md)."""

from pathlib import Path
from typing import Final

VERSION: Final = 6
"""Raised whenever the same input would give other tables."""

_HERE: Final = Path(__file__).parent

DATA_FILES: Final = tuple(
    _HERE / name
    for name in (
        "vague.tsv",
        "stops.tsv",
        "closed.tsv",
        "concepts.tsv",
        "domains.tsv",
        "relations.tsv",
        "wordnet/words.tsv.gz",
        "wordnet/classes.tsv.gz",
        "wordnet/isa.tsv.gz",
    )
)
"""What the tables depend on besides: a build hashes them."""
