"""What is said of a phrase's sense besides the phrase: by the relation, other words, the titles of the products."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.link.phrases import chunker
from mindkg.link.senses import CLASSES, domain_of, domains
from mindkg.link.words import table

if TYPE_CHECKING:
    from mindkg.link.isa import IsaTable

_HERE: Final = Path(__file__).parent

PULL: Final = 3.0
"""What a concept's score gains where all that its context speaks of is its domain."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@cache
def _relations() -> tuple[dict[str, int], Floats]:
    """Return the row of each relation of relations.tsv, and what is added by (row, class); row 0 adds nothing."""
    rows: dict[str, int] = {}
    entries = [(rows.setdefault(name, len(rows) + 1), int(c), float(x)) for name, c, x, _ in table(_FILE)]
    added = np.zeros((len(rows) + 1, CLASSES))
    for row, number, value in entries:
        added[row, number] = value
    return rows, added


_FILE: Final = _HERE / "relations.tsv"


def relation_rows(relations: pa.Array) -> Ints:
    """Return the row of relations.tsv's matrix for each relation, 0 for one that says nothing."""
    coded = relations.dictionary_encode()
    rows = np.array([_relations()[0].get(name, 0) for name in coded.dictionary.to_pylist()] + [0], np.int64)
    found: Ints = rows[pc.fill_null(coded.indices, len(rows) - 1).to_numpy()]
    return found


def by_relation(rows: Ints, classes: Ints) -> Floats:
    """Return what a relation adds to a concept of a class, for each pair of row and class."""
    found: Floats = _relations()[1][rows, classes]
    return found


def spoken(texts: pa.Array, isa: IsaTable) -> Floats:
    """Return how often the words of each text speak of each domain; (texts, domains).

    A word speaks of a domain as likely as its concepts are of it: the sum of P(c|e) over the domain's concepts in the
    table, or 1 where it is such a concept itself.
    """
    parts, widths = [], [np.empty(0, np.int64)]
    for begin in range(0, len(texts), _BLOCK):
        part = pc.utf8_lower(pc.fill_null(texts.slice(begin, _BLOCK), ""))
        words = pc.split_pattern_regex(part, r"[^\p{L}\p{N}-]+")
        parts.append(pc.list_flatten(words).dictionary_encode())
        widths.append(pc.list_value_length(words).to_numpy())
    said, word = _said(pa.chunked_array(parts, _CODED), isa)
    row = np.repeat(np.arange(len(texts)), np.concatenate(widths))
    kept = np.flatnonzero(np.asarray(said.any(axis=1))[word])
    word, row = word[kept], row[kept]
    return np.stack([np.bincount(row, column[word], len(texts)) for column in said.T], axis=1)


def subjects(told: Floats) -> Floats:
    """Return what ``spoken`` gives as shares of a text, at most 1."""
    shares: Floats = told / np.maximum(told.sum(axis=1, keepdims=True), 1)
    return shares


_BLOCK: Final = 100_000
"""Texts whose words are looked at a time."""


def _named() -> int:
    return len(set(domains().values()))


_CODED: Final = pa.dictionary(pa.int32(), pa.string())


def _said(words: pa.ChunkedArray, isa: IsaTable) -> tuple[Floats, Ints]:
    """Return how much each distinct word of ``words``, which are coded, speaks of each domain, and the codes."""
    words = words.unify_dictionaries()
    distinct = words.chunk(0).dictionary if words.num_chunks else pa.array([], pa.string())
    lemma = chunker().noun_lemma
    forms = pa.array([lemma(word) for word in distinct.to_pylist()], pa.string())
    rows = isa.lookup(forms, pa.array(domains()))
    domain = domain_of(rows["concept"].combine_chunks())
    coded = forms.dictionary_encode()
    place = pc.index_in(rows["instance"], coded.dictionary).to_numpy()
    share = rows["count"].to_numpy() / rows["total"].to_numpy()
    found = np.zeros((len(coded.dictionary), _named()))
    np.add.at(found, (place, domain), share)
    for row, form in enumerate(coded.dictionary.to_pylist()):
        if form in domains():
            found[row, domains()[form]] = 1.0
    codes = np.concatenate([np.empty(0, np.int64), *(chunk.indices.to_numpy() for chunk in words.chunks)])
    return found[coded.indices.to_numpy()], codes.astype(np.int64)
