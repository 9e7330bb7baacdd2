"""What the hierarchy ties together: the concepts that a pair's intentions share, and those that cross categories."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.analysis.distribution import concept_distribution
from mindkg.analysis.facts import Coded, Facts, Ints, Tables, coded, ranges

LOWEST: Final = pa.schema(
    [
        ("cobuy_id", pa.string()),
        ("concept", pa.string()),
        ("covered", pa.int64()),
        ("intentions", pa.int64()),
        ("distance", pa.int64()),
    ]
)
BRIDGES: Final = pa.schema(
    [
        ("concept", pa.string()),
        ("assertions", pa.int64()),
        ("categories", pa.int64()),
        ("entropy", pa.float64()),
        ("between", pa.list_(pa.string())),
    ]
)
_ROWS: Final = 200_000
"""Intentions whose ancestors are spread out at a time."""


def lowest_common_hypernyms(facts: Facts, tables: Tables) -> pa.Table:
    """Return for each pair the concept that its intentions share lowest in the hierarchy: ``LOWEST``.

    Of the concepts that are, or stand above, the best concept of an intention, it is the one over most of the pair's
    intentions (``covered`` of ``intentions``), then the one least far above the furthest (``distance`` hops), then
    first by name. Vague concepts and pairs of whose intentions fewer than two share one are left out.
    """
    chosen = facts.kept & facts.linked
    stated = np.unique(np.stack([facts.pair.codes[chosen], facts.intention[chosen]], axis=1), axis=0)
    pair, best = stated[:, 0], facts.concept.codes[facts.starts[stated[:, 1]]]
    labels, starts, hypernym, distance = _above(facts, tables)
    size = len(labels)
    parts = []
    for rows in _pieces(pair):
        owner, place = ranges(starts, best[rows])
        keys, inverse, covered = np.unique(
            pair[rows][owner] * size + hypernym[place], return_inverse=True, return_counts=True
        )
        furthest = np.zeros(len(keys), np.int64)
        np.maximum.at(furthest, inverse, distance[place])
        found, concept = np.divmod(keys, max(1, size))
        order = np.lexsort((concept, furthest, -covered, found))
        order = order[np.diff(found[order], prepend=-1) > 0]
        parts.append(np.stack([found, concept, covered, furthest], axis=1)[order])
    lowest = np.concatenate(parts) if parts else np.zeros((0, 4), np.int64)
    lowest = lowest[lowest[:, 2] > 1]
    intentions = np.bincount(pair, minlength=len(facts.pair.labels))[lowest[:, 0]]
    columns = [
        pa.array(facts.pair.labels, pa.string()).take(pa.array(lowest[:, 0])),
        labels.take(pa.array(lowest[:, 1])),
    ]
    return pa.table([*columns, lowest[:, 2], intentions, lowest[:, 3]], schema=LOWEST)


def _pieces(pair: Ints) -> Iterator[slice]:
    """Yield slices of ``pair``, which is sorted, of about ``_ROWS`` rows that part no pair."""
    start = 0
    while start < len(pair):
        last = min(start + _ROWS, len(pair)) - 1
        stop = int(np.searchsorted(pair, pair[last], side="right"))
        yield slice(start, stop)
        start = stop


def _above(facts: Facts, tables: Tables) -> tuple[pa.Array, Ints, Ints, Ints]:
    """Return labels, and where the concepts over each concept of the facts begin: their labels' places, and distances.

    A concept stands over itself, at distance 0; vague ones are left out.
    """
    own, closure = pa.array(facts.concept.labels, pa.string()), tables["ancestors"]
    closure = closure.filter(pc.is_in(closure["concept"], own))
    vague = tables["concepts"].filter(tables["concepts"]["vague"])["concept"].combine_chunks()
    up = pa.chunked_array([own, *closure["ancestor"].chunks], pa.string())
    below = np.concatenate([np.arange(len(own)), pc.index_in(closure["concept"], own).to_numpy().astype(np.int64)])
    distance = np.concatenate([np.zeros(len(own), np.int64), closure["distance"].to_numpy()])
    names: Coded = coded(up)
    order = np.argsort(below, kind="stable")
    order = order[pc.invert(pc.is_in(up, vague)).to_numpy()[order]]
    starts = np.searchsorted(below[order], np.arange(len(own) + 1))
    return pa.array(names.labels, pa.string()), starts, names.codes[order], distance[order]


def category_bridges(facts: Facts, *, top: int = 100, least: int = 2) -> pa.Table:
    """Return the concepts that tie product categories together: ``BRIDGES``, the most evenly spread first.

    ``entropy`` (bits) is that of a concept's assertions over the broadest categories of their products; ``between`` are
    its categories, the most frequent first. Categories in which a concept has fewer than ``least`` assertions do not
    count, and vague concepts are left out.
    """
    found = concept_distribution(facts, by="category")
    found = found.filter(pc.and_(pc.greater_equal(found["assertions"], least), pc.invert(found["vague"])))
    if not len(found):
        return BRIDGES.empty_table()
    concept, counts = coded(found["concept"]), found["assertions"].to_numpy()
    totals = np.bincount(concept.codes, counts)
    share = counts / totals[concept.codes]
    bits = np.bincount(concept.codes, -share * np.log2(share))
    categories = np.bincount(concept.codes)
    order = np.lexsort((np.arange(len(totals)), -totals, -bits))
    rows: list[dict[str, Any]] = []
    for n in order[categories[order] > 1][:top]:
        own = found.filter(pa.array(concept.codes == n)).sort_by([("assertions", "descending"), ("group", "ascending")])
        rows.append({"concept": concept.labels[n], "assertions": int(totals[n]), "categories": int(categories[n]),
                     "entropy": float(bits[n]), "between": own["group"].to_pylist()})  # fmt: skip
    return pa.Table.from_pylist(rows, schema=BRIDGES)
