"""Two KBs side by side: relation-wise measures with confidence intervals and tests, concepts gained and lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.analysis.distribution import ALL, Tables, concept_distribution
from mindkg.engine import daft, to_arrow, when

if TYPE_CHECKING:
    import numpy.typing as npt

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

_BINS: Final = 1000
_VALUES: Final = pa.schema(
    [("measure", pa.string()), ("relation", pa.string()), ("bin", pa.int64()), ("n", pa.int64())]
)

col, lit = daft.col, daft.lit


def compare_relations(a: Tables, b: Tables, *, draws: int = 10_000, seed: int = 0, level: float = 0.95) -> pa.Table:
    """Return each measure of each relation (and of all together) in the KBs ``a`` and ``b``: ``COMPARISON``.

    The intervals are percentiles of ``draws`` bootstrap means (Efron 1979), values rounded to thousandths; ``p`` is the
    two-sided bootstrap probability that the difference b - a has the other sign, ``p_corrected`` is it after Holm's
    correction (1979) over all rows. Where a KB has no value, its mean and the difference are null. Assertions count as
    independent, though those of one pair are not quite: intervals are somewhat too narrow.
    """
    sides = [_histograms(_values(tables)) for tables in (a, b)]
    random = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = [
        _row(name, sides[0].get(name), sides[1].get(name), random, draws, level)
        for name in sorted({*sides[0], *sides[1]}, key=lambda n: (MEASURES.index(n[0]), n[1] != ALL, n[1]))
    ]
    corrected = holm([row["p"] for row in rows if row["p"] is not None])
    for row in rows:
        row["p_corrected"] = None if row["p"] is None else corrected.pop(0)
    return pa.Table.from_pylist(rows, schema=COMPARISON)


def _values(tables: Tables) -> daft.DataFrame:
    """Return how many assertions of each relation have each value of each measure, in thousandths."""
    judged = tables["assertions"].select("relation", "plausibility", "typicality", "accepted", "intention_id")
    best = tables["mentions"].where(col("rank") == lit(1))
    best = best.select("intention_id", col("typicality").alias("of_concept"))
    facts = judged.join(best, on="intention_id", how="left")
    graph = facts.where(col("accepted").is_null() | col("accepted"))
    values = {
        "plausibility": facts.select("relation", col("plausibility").alias("value")),
        "acceptance": facts.select("relation", col("accepted").cast(daft.DataType.float64()).alias("value")),
        "typicality": facts.select("relation", col("typicality").alias("value")),
        "linked": graph.select("relation", when(col("of_concept").is_null(), 0.0).otherwise(1.0).alias("value")),
        "concept typicality": graph.select("relation", col("of_concept").alias("value")),
    }
    parts = [frame.with_column("measure", lit(name)) for name, frame in values.items()]
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.concat(part)
    known = whole.where(col("value").not_null())
    binned = known.with_column("bin", (col("value") * lit(float(_BINS))).round().cast(daft.DataType.int64()))
    return binned.groupby("measure", "relation", "bin").agg(col("value").count().cast(daft.DataType.int64()).alias("n"))


def _histograms(values: daft.DataFrame) -> dict[tuple[str, str], npt.NDArray[np.int64]]:
    """Return a histogram of ``_BINS`` + 1 counts for each (measure, relation), and for all relations together."""
    found: dict[tuple[str, str], npt.NDArray[np.int64]] = {}
    for row in to_arrow(values, _VALUES).to_pylist():
        for relation in (row["relation"], ALL):
            counts = found.setdefault((row["measure"], relation), np.zeros(_BINS + 1, np.int64))
            counts[min(max(row["bin"], 0), _BINS)] += row["n"]
    return found


def _row(
    name: tuple[str, str],
    a: npt.NDArray[np.int64] | None,
    b: npt.NDArray[np.int64] | None,
    random: np.random.Generator,
    draws: int,
    level: float,
) -> dict[str, Any]:
    row: dict[str, Any] = {"measure": name[0], "relation": name[1], "p": None}
    drawn = []
    for side, counts in (("a", a), ("b", b)):
        if counts is None:
            row[f"n_{side}"] = 0
            continue
        means = bootstrap_means(counts, random, draws)
        drawn.append(means)
        low, high = _interval(means, level)
        row |= {f"n_{side}": int(counts.sum()), f"mean_{side}": _mean(counts), f"low_{side}": low, f"high_{side}": high}
    if a is not None and b is not None:
        differences = drawn[1] - drawn[0]
        low, high = _interval(differences, level)
        row |= {"difference": _mean(b) - _mean(a), "difference_low": low, "difference_high": high}
        below, above = int((differences <= 0).sum()), int((differences >= 0).sum())
        row["p"] = min(1.0, 2 * (min(below, above) + 1) / (draws + 1))
    return row


def bootstrap_means(counts: npt.NDArray[np.int64], random: np.random.Generator, draws: int) -> npt.NDArray[np.float64]:
    """Return the means (draws,) of samples drawn with replacement from values in 0..1 given as a histogram.

    ``counts`` (bins + 1,) says how often the values 0, 1 / bins … 1 stand; drawing them as a multinomial costs the same
    for any number of values.
    """
    places = np.flatnonzero(counts)
    n = int(counts.sum())
    drawn = random.multinomial(n, counts[places] / n, size=draws)
    means: npt.NDArray[np.float64] = drawn @ (places / (len(counts) - 1)) / n
    return means


def _mean(counts: npt.NDArray[np.int64]) -> float:
    return float(counts @ np.arange(len(counts)) / (len(counts) - 1) / counts.sum())


def _interval(means: npt.NDArray[np.float64], level: float) -> tuple[float, float]:
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


def concept_changes(a: Tables, b: Tables) -> pa.Table:
    """Return how the share of each concept differs between the KBs ``a`` and ``b``: ``CHANGE``.

    ``change`` is ``gained`` (only in b), ``lost`` (only in a) or ``both``; the greatest differences stand first.
    """
    sides = [_shares(tables, side) for tables, side in ((a, "a"), (b, "b"))]
    both = sides[0].join(sides[1], keys="concept", join_type="full outer")
    present = [pc.is_valid(both[f"share_{side}"]) for side in "ab"]
    filled = {name: pc.fill_null(both[name], 0) for name in both.column_names if name != "concept"}
    change = pc.if_else(pc.and_(*present), "both", pc.if_else(present[1], "gained", "lost"))
    columns = {"concept": both["concept"], **filled}
    columns |= {"difference": pc.subtract(filled["share_b"], filled["share_a"]), "change": change}
    table = pa.table(columns).select(CHANGE.names).cast(CHANGE)
    order = table.append_column("size", pc.abs(table["difference"]))
    return order.sort_by([("size", "descending"), ("concept", "ascending")]).drop_columns("size")


def _shares(tables: Tables, side: str) -> pa.Table:
    found = concept_distribution(tables).select(["concept", "assertions", "share"])
    return found.rename_columns(["concept", f"assertions_{side}", f"share_{side}"])


def missing_measures(comparison: pa.Table) -> Iterator[str]:
    """Yield a line for each measure of a comparison that one of the KBs has no value of."""
    for measure in MEASURES:
        rows = comparison.filter(
            pc.and_(pc.equal(comparison["measure"], measure), pc.equal(comparison["relation"], ALL))
        )
        sides = [side for side in "ab" if not rows.num_rows or not rows[f"n_{side}"][0].as_py()]
        if sides:
            yield f"{measure}: no value in {' and '.join(sides)}"
