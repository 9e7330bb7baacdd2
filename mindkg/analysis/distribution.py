"""How concepts are spread over assertions: counts, coverage, Gini and entropy, by relation, by category, by the filter.

Each function takes the facts of a KB (``mindkg.analysis.facts``) and gives an Arrow table.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.analysis.facts import Facts, Ints, ranges
from mindkg.errors import UsageError

By = Literal["all", "relation", "category", "filter"]

BY: Final[tuple[By, ...]] = ("all", "relation", "category", "filter")
ALL: Final = "all"
BEFORE, AFTER = "before the filter", "after the filter"

DISTRIBUTION: Final = pa.schema(
    [
        ("group", pa.string()),
        ("concept", pa.string()),
        ("vague", pa.bool_()),
        ("assertions", pa.int64()),
        ("share", pa.float64()),
        ("rank", pa.int64()),
    ]
)
COVERAGE: Final = pa.schema([("group", pa.string()), ("concepts", pa.int64()), ("share", pa.float64())])
SPREAD: Final = pa.schema(
    [
        ("group", pa.string()),
        ("assertions", pa.int64()),
        ("linked", pa.int64()),
        ("concepts", pa.int64()),
        ("mentions", pa.int64()),
        ("gini", pa.float64()),
        ("entropy", pa.float64()),
        ("evenness", pa.float64()),
    ]
)
FILTERED: Final = pa.schema([("relation", pa.string()), ("group", pa.string()), ("assertions", pa.int64())])


def assertion_groups(facts: Facts, by: By) -> tuple[list[str], Ints, Ints]:
    """Return the names of groups, and behind them the group and the assertion of each membership (n,), (n,).

    ``all`` is one group; ``relation`` the assertion's; ``category`` the broadest category of each of its two products;
    ``filter`` one group of all assertions and one of those that the filter did not refuse. Without ``filter`` the
    refused ones are left out, as they are in the graph. Raises InputError for another ``by``.
    """
    if by not in BY:
        raise UsageError(f"cannot group by {by!r}", hint=f"Groups: {', '.join(BY)}")
    kept = np.flatnonzero(facts.kept)
    if by == "filter":
        both = np.concatenate([np.arange(len(facts)), kept])
        return [BEFORE, AFTER], np.repeat([0, 1], [len(facts), len(kept)]), both
    if by == "relation":
        return facts.relation.labels, facts.relation.codes[kept], kept
    if by == "category":
        # the rows of a pair's categories stand together, sorted by pair
        starts = np.searchsorted(facts.category_pair, np.arange(len(facts.pair.labels) + 1))
        owner, row = ranges(starts, facts.pair.codes[kept])
        return facts.categories.labels, facts.categories.codes[row], kept[owner]
    return [ALL], np.zeros(len(kept), np.int64), kept


def concept_distribution(facts: Facts, *, by: By = "all", top: int | None = None) -> pa.Table:
    """Return how many assertions of each group have each concept: ``DISTRIBUTION``, the most frequent first.

    ``share`` is that of the group's assertions; an assertion has as many concepts as its intention, so shares add up to
    more than 1. ``top`` keeps the first concepts of each group.
    """
    names, group, assertion = assertion_groups(facts, by)
    owner, mention = facts.mentions_of(facts.intention[assertion])
    keys, counts = np.unique(_keys(facts, group[owner], mention), return_counts=True)
    found, concept = np.divmod(keys, max(1, len(facts.concept.labels)))
    order = np.lexsort((concept, -counts, found))
    found, concept, counts = found[order], concept[order], counts[order]
    rank = np.arange(len(found)) - np.searchsorted(found, found) + 1
    sizes = np.bincount(group, minlength=len(names))
    if top is not None:
        found, concept, counts, rank = (part[rank <= top] for part in (found, concept, counts, rank))
    labels = pa.array(names, pa.string()), pa.array(facts.concept.labels, pa.string())
    columns = [labels[0].take(pa.array(found)), labels[1].take(pa.array(concept)), facts.vague[concept]]
    return pa.table([*columns, counts, counts / sizes[found], rank], schema=DISTRIBUTION)


def _keys(facts: Facts, group: Ints, mention: Ints) -> Ints:
    """Return one number for each group and concept."""
    return group * len(facts.concept.labels) + facts.concept.codes[mention]


def coverage(facts: Facts, *, by: By = "all", points: int = 200) -> pa.Table:
    """Return which share of each group's assertions has one of its n most frequent concepts: ``COVERAGE``.

    n runs over at most ``points`` values on a logarithmic scale.
    """
    names, group, assertion = assertion_groups(facts, by)
    owner, mention = facts.mentions_of(facts.intention[assertion])
    keys, inverse, counts = np.unique(_keys(facts, group[owner], mention), return_inverse=True, return_counts=True)
    found = keys // max(1, len(facts.concept.labels))
    order = np.lexsort((keys, -counts, found))
    rank = np.empty(len(keys), np.int64)
    rank[order] = np.arange(len(keys)) - np.searchsorted(found, found)[order] + 1
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    best = np.minimum.reduceat(rank[inverse], first) if len(first) else first
    reached = group[owner[first]]
    sizes = np.bincount(group, minlength=len(names))
    curves = [_curve(name, best[reached == n], int(sizes[n]), points) for n, name in enumerate(names) if sizes[n]]
    return pa.concat_tables(curves) if curves else COVERAGE.empty_table()


def _curve(group: str, best: Ints, size: int, points: int) -> pa.Table:
    """Return the curve of a group of ``size`` assertions, the ranks of whose best concepts are ``best``."""
    steps = np.unique(np.geomspace(1, max(1, best.max(initial=1)), num=points).round().astype(np.int64))
    covered = np.searchsorted(np.sort(best), steps, side="right")
    return pa.table([pa.array([group] * len(steps), pa.string()), steps, covered / size], schema=COVERAGE)


def spread(facts: Facts, *, by: By = "all") -> pa.Table:
    """Return how evenly each group's assertions are spread over concepts: ``SPREAD``, sorted by group.

    ``linked`` assertions have a concept. ``gini`` is 0 where all concepts are equally frequent and near 1 where one
    has nearly all; ``entropy`` is in bits, ``evenness`` is it over its maximum, log2 of the number of concepts.
    """
    names, group, assertion = assertion_groups(facts, by)
    sizes = np.bincount(group, minlength=len(names))
    linked = np.bincount(group[facts.linked[assertion]], minlength=len(names))
    owner, mention = facts.mentions_of(facts.intention[assertion])
    keys, counts = np.unique(_keys(facts, group[owner], mention), return_counts=True)
    found = keys // max(1, len(facts.concept.labels))
    rows = []
    for n in sorted(np.flatnonzero(sizes), key=names.__getitem__):
        own = counts[found == n]
        rows.append([names[n], int(sizes[n]), int(linked[n]), len(own), int(own.sum()), *_measures(own)])
    return pa.Table.from_pylist([dict(zip(SPREAD.names, row, strict=True)) for row in rows], schema=SPREAD)


def _measures(counts: Ints) -> tuple[float, float, float]:
    bits = entropy(counts)
    most = float(np.log2(len(counts))) if len(counts) > 1 else 0.0
    return gini(counts), bits, bits / most if most else 0.0


def filter_effect(facts: Facts) -> pa.Table:
    """Return how many assertions each relation has before and after the filter: ``FILTERED``, the most first."""
    before = np.bincount(facts.relation.codes, minlength=len(facts.relation.labels))
    after = np.bincount(facts.relation.codes[facts.kept], minlength=len(facts.relation.labels))
    labels = pa.array(facts.relation.labels, pa.string()).take(pa.array(np.argsort(-before, kind="stable")))
    counts = [part[np.argsort(-before, kind="stable")] for part in (before, after)]
    tables = [
        pa.table([labels, pa.array([name] * len(labels), pa.string()), count], schema=FILTERED)
        for name, count in zip((BEFORE, AFTER), counts, strict=True)
    ]
    return pa.concat_tables(tables)


def distinguished(distribution: pa.Table, n: int) -> list[str]:
    """Return the ``n`` most frequent concepts, vague ones left out, of the first group of a distribution."""
    first = (
        distribution.filter(pc.equal(distribution["group"], distribution["group"][0])) if len(distribution) else None
    )
    if first is None:
        return []
    names: list[str] = first.filter(pc.invert(first["vague"]))["concept"].slice(0, n).to_pylist()
    return names


def gini(counts: npt.ArrayLike) -> float:
    """Return the Gini coefficient of ``counts`` (n,): 0 where all are equal, (n - 1) / n where one has all.

    G = sum((2i - n - 1) x_i) / (n sum(x)) over x sorted upwards (Gini 1912, in the form of Sen 1973).

    >>> gini([1, 1, 1, 1]), gini([0, 0, 0, 4])
    (0.0, 0.75)
    """
    sorted_ = np.sort(np.asarray(counts, dtype=np.float64))
    n, total = len(sorted_), sorted_.sum()
    if not n or not total:
        return 0.0
    return float(((2 * np.arange(1, n + 1) - n - 1) * sorted_).sum() / (n * total))


def entropy(counts: npt.ArrayLike) -> float:
    """Return Shannon's entropy of ``counts`` (n,) in bits.

    >>> entropy([1, 1, 1, 1]), entropy([4])
    (2.0, 0.0)
    """
    array = np.asarray(counts, dtype=np.float64)
    p = array[array > 0] / array.sum() if array.sum() else array[:0]
    return float(-(p * np.log2(p)).sum()) + 0.0
