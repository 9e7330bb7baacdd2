"""What concepts are about, from tables: WordNet's classes, domains of goods, how readily a reader signs a concept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mindkg.link.phrases import chunker
from mindkg.link.words import table

_HERE: Final = Path(__file__).parent

CLASSES: Final = 30
"""WordNet's lexicographer files, by number."""

ACT, ARTIFACT, ATTRIBUTE, EVENT, FEELING, FOOD, PERSON, SUBSTANCE = 4, 6, 7, 11, 12, 13, 18, 27

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
_T = TypeVar("_T")


@cache
def _classes() -> tuple[dict[str, int], Floats]:
    """Return the row of each noun and the rows: shares of its senses by class, of length 1; row 0 is of no class."""
    rows: dict[str, int] = {}
    places, numbers, shares = [], [], []
    for word, *pairs in table(_HERE / "wordnet" / "classes.tsv.gz"):
        rows[word] = len(rows) + 1
        for number, share in (pair.split(":") for pair in pairs):
            places.append(rows[word])
            numbers.append(int(number))
            shares.append(int(share))
    matrix = np.zeros((len(rows) + 1, CLASSES), np.float32)
    matrix[places, numbers] = shares
    return rows, matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1)


def class_rows(labels: Sequence[str]) -> Floats:
    """Return for each label the shares of its senses by class, length 1, or 0 where nothing is known; (n, CLASSES).

    A label of several words that WordNet lacks is of the class of its end ("gaming keyboard": keyboard).
    """
    rows, matrix = _classes()
    found: Floats = matrix[[_ending(label, rows) or 0 for label in labels]]
    return found


def main_class(labels: Sequence[str]) -> Ints:
    """Return the class of most of each label's senses, 0 where nothing is known."""
    found: Ints = class_rows(labels).argmax(axis=1).astype(np.int64)
    return found


def is_noun(word: str) -> bool:
    """Return whether WordNet has ``word`` as a noun."""
    return word in _classes()[0]


def log_factors(concepts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return ln of the factor of each concept in concepts.tsv; one of several words takes that of its end, else 0."""
    known = _factors()
    return np.array([_ending(concept, known) or 0.0 for concept in concepts], np.float64)


@cache
def _factors() -> dict[str, float]:
    return {label: math.log(float(factor)) for label, factor, _ in table(_HERE / "concepts.tsv")}


@cache
def domains() -> dict[str, int]:
    """Return the number of the domain of each concept of domains.tsv."""
    names: dict[str, int] = {}
    return {concept: names.setdefault(name, len(names)) for name, concept in table(_HERE / "domains.tsv")}


def domain_of(concepts: pa.Array) -> Ints:
    """Return the number of each concept's domain, -1 for none."""
    known = domains()
    return np.array([known.get(concept, -1) for concept in concepts.to_pylist()], np.int64)


def _ending(label: str, known: dict[str, _T]) -> _T | None:
    """Return what is known of ``label``, of its last words or of its last word in the singular, longest first."""
    rest = label
    while True:
        if rest in known:
            return known[rest]
        _, space, shorter = rest.partition(" ")
        if not space:
            return known.get(chunker().noun_lemma(rest))
        rest = shorter
