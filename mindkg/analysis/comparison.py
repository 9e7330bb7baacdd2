"""Two KBs side by side: relation-wise measures with confidence intervals and tests, concepts gained and lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.analysis.distribution import ALL, concept_distribution
from mindkg.analysis.facts import Facts, Floats, Ints

Histogram = tuple[Ints, Floats]
"""Number and sum of the values in each hundredth from 0 to 1."""

MEASURES: Final = ("plausibility", "acceptance", "typicality", "linked", "concept typicality")
"""What is compared: the filter's mean score; the share of the judged assertions that it accepted; the typicality that
the source gives; the share of the graph's assertions with a concept; P(concept given instance) of their best one."""

COMPARISON: Final = pa.schema(
    [
        ("measure", pa.string()),
        ("relation", pa.string()),
        *(
            (f"{name}_{side}", pa.int64() if name == "n" else pa.float64())
            for side in "ab"
            for name in ("n", "mean", "low", "high")
        ),
        ("difference", pa.float64()),
        ("difference_low", pa.float64()),
        ("difference_high", pa.float64()),
        ("p", pa.float64()),
        ("p_corrected", pa.float64()),
    ]
)
CHANGE: Final = pa.schema(
    [
        ("concept", pa.string()),
        ("assertions_a", pa.int64()),
        ("share_a", pa.float64()),
        ("assertions_b", pa.int64()),
        ("share_b", pa.float64()),
        ("difference", pa.float64()),
        ("change", pa.string()),
    ]
)

_BINS: Final = 100


def compare_relations(a: Facts, b: Facts, *, draws: int = 10_000, seed: int = 0, level: float = 0.95) -> pa.Table:
    """Return each measure of each relation (and of all together) in the KBs ``a`` and ``b``: ``COMPARISON``.

    The intervals are percentiles of ``draws`` bootstrap means (Efron 1979), values drawn as the mean of their
    hundredth; ``p`` is the probability of so great a difference by ``permuted`` (a bootstrap of three like values never
    differs, and would find all else significant), ``p_corrected`` is it after Holm's correction (1979) over all rows.
    Where a KB has no value, its mean and the difference are null. Assertions count as independent, though those of one
    pair are not quite: intervals are somewhat too narrow.
    """
    sides = [_histograms(facts) for facts in (a, b)]
    random = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = [
        _row(name, sides[0].get(name), sides[1].get(name), random, draws, level)
        for name in sorted({*sides[0], *sides[1]}, key=lambda n: (MEASURES.index(n[0]), n[1] != ALL, n[1]))
    ]
    corrected = holm([row["p"] for row in rows if row["p"] is not None])
    for row in rows:
        row["p_corrected"] = None if row["p"] is None else corrected.pop(0)
    return pa.Table.from_pylist(rows, schema=COMPARISON)


def _histograms(facts: Facts) -> dict[tuple[str, str], Histogram]:
    """Return a histogram of each measure's values for each relation that has some, and for all together."""
    found: dict[tuple[str, str], Histogram] = {}
    for measure, (rows, values) in _values(facts).items():
        known = ~np.isnan(values)
        rows, values = rows[known], values[known]
        place = facts.relation.codes[rows] * (_BINS + 1) + (values * _BINS).round().astype(np.int64)
        shape = len(facts.relation.labels), _BINS + 1
        counts = np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape)
        sums = np.bincount(place, values, minlength=shape[0] * shape[1]).reshape(shape)
        for n, name in enumerate(facts.relation.labels):
            if counts[n].any():
                found[measure, name] = counts[n], sums[n]
        if len(values):
            found[measure, ALL] = counts.sum(axis=0), sums.sum(axis=0)
    return found


def _values(facts: Facts) -> dict[str, tuple[Ints, Floats]]:
    """Return the assertions that each measure is taken of, and its value for each, NaN where unknown."""
    every, kept, linked = np.arange(len(facts)), np.flatnonzero(facts.kept), facts.linked
    best = kept[linked[kept]]
    return {
        "plausibility": (every, facts.plausibility),
        "acceptance": (every, np.where(facts.judged, facts.kept, np.nan)),
        "typicality": (every, facts.typicality),
        "linked": (kept, linked[kept].astype(np.float64)),
        "concept typicality": (best, facts.p_concept[facts.starts[facts.intention[best]]]),
    }


def _row(
    name: tuple[str, str],
    a: Histogram | None,
    b: Histogram | None,
    random: np.random.Generator,
    draws: int,
    level: float,
) -> dict[str, Any]:
    row: dict[str, Any] = {"measure": name[0], "relation": name[1], "p": None}
    drawn = []
    for side, histogram in (("a", a), ("b", b)):
        if histogram is None:
            row[f"n_{side}"] = 0
            continue
        means = bootstrap_means(*histogram, random, draws)
        drawn.append(means)
        low, high = _interval(means, level)
        row |= {f"n_{side}": int(histogram[0].sum()), f"mean_{side}": _mean(histogram)}
        row |= {f"low_{side}": low, f"high_{side}": high}
    if a is not None and b is not None:
        differences = drawn[1] - drawn[0]
        low, high = _interval(differences, level)
        row |= {"difference": _mean(b) - _mean(a), "difference_low": low, "difference_high": high}
        row["p"] = permuted(a, b, random, draws)
    return row


def bootstrap_means(counts: Ints, sums: Floats, random: np.random.Generator, draws: int) -> Floats:
    """Return the means (draws,) of samples drawn with replacement from values given as a histogram.

    ``counts`` (bins,) and ``sums`` (bins,) are number and sum of the values in each bin; drawing them as a multinomial
    costs the same for any number of values.
    """
    filled = counts > 0
    n = int(counts.sum())
    drawn = random.multinomial(n, counts[filled] / n, size=draws)
    means: Floats = drawn @ (sums[filled] / counts[filled]) / n
    return means


def permuted(a: Histogram, b: Histogram, random: np.random.Generator, draws: int) -> float:
    """Return the two-sided probability that the means of ``a`` and ``b`` differ as they do if nothing parts them.

    That is the share of ``draws`` random divisions of all values, in groups as large as these, whose means differ at
    least as much, theirs counted in (permutation test, Fisher 1935); values count as the mean of their bin.

    >>> two, three = (np.array([0, 2]), np.array([0.0, 2.0])), (np.array([1, 2]), np.array([0.0, 2.0]))
    >>> permuted(two, three, np.random.default_rng(0), 100)
    1.0
    """
    counts, sums = a[0] + b[0], a[1] + b[1]
    filled = counts > 0
    counts, value = counts[filled], sums[filled] / counts[filled]
    size = int(a[0].sum())
    drawn = random.multivariate_hypergeometric(counts, size, size=draws, method="marginals")
    total = np.concatenate([[a[0][filled]], drawn]) @ value
    apart = np.abs(total / size - (sums.sum() - total) / (counts.sum() - size))
    return float((apart >= apart[0] - 1e-9).sum() / (draws + 1))


def _mean(histogram: Histogram) -> float:
    counts, sums = histogram
    return float(sums.sum() / counts.sum())


def _interval(means: Floats, level: float) -> tuple[float, float]:
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def holm(p: Sequence[float]) -> list[float]:
    """Return the probabilities ``p`` corrected for their number (Holm 1979), in their order.

    >>> [round(value, 9) for value in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    corrected = [0.0] * len(p)
    highest = 0.0
    for place, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        highest = max(highest, min(1.0, p[index] * (len(p) - place)))
        corrected[index] = highest
    return corrected


def concept_changes(a: Facts, b: Facts) -> pa.Table:
    """Return how the share of each concept differs between the KBs ``a`` and ``b``: ``CHANGE``.

    ``change`` is ``gained`` (only in b), ``lost`` (only in a) or ``both``; the greatest differences stand first.
    """
    sides = [_shares(facts, side) for facts, side in ((a, "a"), (b, "b"))]
    both = sides[0].join(sides[1], keys="concept", join_type="full outer")
    present = [pc.is_valid(both[f"share_{side}"]) for side in "ab"]
    filled = {name: pc.fill_null(both[name], 0) for name in both.column_names if name != "concept"}
    change = pc.if_else(pc.and_(*present), "both", pc.if_else(present[1], "gained", "lost"))
    columns = {"concept": both["concept"], **filled}
    columns |= {"difference": pc.subtract(filled["share_b"], filled["share_a"]), "change": change}
    table = pa.table(columns).select(CHANGE.names).cast(CHANGE)
    order = table.append_column("size", pc.abs(table["difference"]))
    return order.sort_by([("size", "descending"), ("concept", "ascending")]).drop_columns("size")


def _shares(facts: Facts, side: str) -> pa.Table:
    found = concept_distribution(facts).select(["concept", "assertions", "share"])
    return found.rename_columns(["concept", f"assertions_{side}", f"share_{side}"])


def missing_measures(comparison: pa.Table, names: tuple[str, str]) -> Iterator[str]:
    """Yield a line for each measure of a comparison that one of the KBs, called ``names``, has no value of."""
    for measure in MEASURES:
        of_all = pc.and_(pc.equal(comparison["measure"], measure), pc.equal(comparison["relation"], ALL))
        rows = comparison.filter(of_all)
        missing = [name for side, name in zip("ab", names, strict=True) if not pc.sum(rows[f"n_{side}"]).as_py()]
        if missing:
            yield f"{measure} (no value in {' and '.join(missing)})"
