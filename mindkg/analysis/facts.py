"""A KB's assertions and their concepts as numbers, so that counting at full size is a matter of a few arrays.

Joins of the text keys would cost gigabytes; here each key is looked up once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.engine import to_arrow
from mindkg.schema import TABLES

if TYPE_CHECKING:
    from mindkg.knowledge_base import KnowledgeBase

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Tables = Mapping[str, pa.Table]

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "assertions": ("cobuy_id", "relation", "intention_id", "plausibility", "typicality", "accepted"),
    "mentions": ("intention_id", "concept", "typicality", "rank"),
    "concepts": ("concept", "vague"),
    "hypernyms": ("concept", "hypernym", "count", "p"),
    "ancestors": ("concept", "ancestor", "distance"),
    "cobuys": ("cobuy_id", "product_a", "product_b"),
    "products": ("product_id", "category"),
}
"""The tables of a KB, and their columns, that the analysis reads."""

NO_CATEGORY: Final = "(no category)"


@dataclass(frozen=True)
class Coded:
    """Values as places in ``labels``, which are sorted."""

    labels: list[str]
    codes: Ints


@dataclass(frozen=True)
class Facts:
    """What the analysis counts; an array of ``A`` items has one for each assertion, one of ``M`` one for each mention.

    ``relation`` and ``pair`` (A); ``intention`` (A) is the number of the assertion's intention. ``kept`` (A) is false
    where the filter refused it, ``judged`` (A) true where it has a verdict; ``plausibility`` and ``typicality`` (A) are
    NaN where unknown. The mentions of intention i are those from ``starts[i]`` to ``starts[i + 1]``, the best one
    first, each with its ``concept`` and P(concept given instance), ``p_concept`` (M). ``vague`` is true at vague
    concepts. The broadest categories of a pair's products are ``categories`` of the rows where ``category_pair`` is it.
    """

    relation: Coded
    pair: Coded
    intention: Ints
    kept: Bools
    judged: Bools
    plausibility: Floats
    typicality: Floats
    starts: Ints
    concept: Coded
    p_concept: Floats
    vague: Bools
    categories: Coded
    category_pair: Ints

    def __len__(self) -> int:
        return len(self.intention)

    @property
    def linked(self) -> Bools:
        """Which assertions have a concept (A)."""
        return np.diff(self.starts)[self.intention] > 0

    def mentions_of(self, intentions: Ints) -> tuple[Ints, Ints]:
        """Return for each mention of ``intentions`` (n,) the place in that array, rising, and its number in M."""
        return ranges(self.starts, intentions)


def read_tables(kb: KnowledgeBase) -> Tables:
    """Return the tables and columns of ``kb`` that the analysis reads."""
    wanted = {name: pa.schema([TABLES[name].field(column) for column in columns]) for name, columns in COLUMNS.items()}
    return {name: to_arrow(kb.scan(name), schema) for name, schema in wanted.items()}


def ranges(starts: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Return the numbers ``starts[r]`` … ``starts[r + 1]`` - 1 of each of ``rows``, behind the place of their row.

    >>> [part.tolist() for part in ranges(np.array([0, 2, 2, 5]), np.array([2, 1, 0]))]
    [[0, 0, 0, 2, 2], [2, 3, 4, 0, 1]]
    """
    lengths = starts[rows + 1] - starts[rows]
    owner = np.repeat(np.arange(len(rows)), lengths)
    before = np.cumsum(lengths) - lengths
    return owner, np.arange(len(owner)) - (before - starts[rows])[owner]


def facts_of(tables: Tables) -> Facts:
    """Return the facts of the tables of a KB, with the columns ``COLUMNS`` at least, as arrays."""
    assertions = tables["assertions"]
    intentions = pc.unique(assertions["intention_id"])
    pair = coded(assertions["cobuy_id"])
    starts, concept, p_concept = _mentions(tables["mentions"], intentions)
    vague = tables["concepts"].filter(tables["concepts"]["vague"])["concept"]
    categories, category_pair = _categories(tables, pair.labels)
    return Facts(
        relation=coded(assertions["relation"]),
        pair=pair,
        intention=_places(assertions["intention_id"], intentions),
        kept=pc.fill_null(assertions["accepted"], True).to_numpy(),
        judged=pc.is_valid(assertions["accepted"]).to_numpy(),
        plausibility=_floats(assertions["plausibility"]),
        typicality=_floats(assertions["typicality"]),
        starts=starts,
        concept=concept,
        p_concept=p_concept,
        vague=pc.is_in(pa.array(concept.labels, pa.string()), vague.combine_chunks()).to_numpy(zero_copy_only=False),
        categories=categories,
        category_pair=category_pair,
    )


def coded(values: pa.ChunkedArray) -> Coded:
    """Return ``values``, none of them null, as places in their sorted labels."""
    labels = pc.unique(values).sort()
    return Coded(labels.to_pylist(), _places(values, labels))


def _places(values: Any, labels: pa.Array) -> Ints:
    """Return where in ``labels`` each of ``values`` stands, -1 where it does not."""
    found = pc.fill_null(pc.index_in(values, labels), -1)
    places: Ints = found.to_numpy().astype(np.int64)
    return places


def _floats(values: pa.ChunkedArray) -> Floats:
    numbers: Floats = values.to_numpy().astype(np.float64)
    return numbers


def _mentions(mentions: pa.Table, intentions: pa.Array) -> tuple[Ints, Coded, Floats]:
    """Return the mentions of ``intentions`` in their order: where each one's begin, their concepts, and P(c|e)."""
    place = _places(mentions["intention_id"], intentions)
    order = np.lexsort((mentions["rank"].to_numpy(), place))
    order = order[np.searchsorted(place[order], 0) :]
    starts = np.searchsorted(place[order], np.arange(len(intentions) + 1))
    concept = coded(mentions["concept"])
    return starts, Coded(concept.labels, concept.codes[order]), _floats(mentions["typicality"])[order]


def _categories(tables: Tables, pairs: list[str]) -> tuple[Coded, Ints]:
    """Return the broadest category of each product of each of ``pairs``, once where they are the same."""
    products, cobuys = tables["products"], tables["cobuys"]
    lists = products["category"].combine_chunks()
    filled = pc.greater(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    first = np.full(len(lists), NO_CATEGORY, dtype=object)
    broadest = pc.fill_null(pc.list_element(lists.filter(pa.array(filled)), 0), NO_CATEGORY)
    first[filled] = broadest.to_numpy(zero_copy_only=False)
    category = coded(pa.chunked_array([pa.array(first, pa.string())]))
    pair = _places(cobuys["cobuy_id"], pa.array(pairs, pa.string()))
    ids = products["product_id"].combine_chunks()
    sides = [_places(cobuys[f"product_{side}"], ids) for side in "ab"]
    rows = np.concatenate([np.stack([pair, side], axis=1) for side in sides])
    rows = rows[(rows >= 0).all(axis=1)]
    distinct = np.unique(np.stack([rows[:, 0], category.codes[rows[:, 1]]], axis=1), axis=0)
    return Coded(category.labels, distinct[:, 1]), distinct[:, 0]
