"""How concepts are spread over assertions: counts, coverage, Gini and entropy, by relation, by category, by the filter.

Each function takes tables of a KB as Daft frames and gives an Arrow table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.engine import daft, to_arrow, when
from mindkg.errors import InputError

if TYPE_CHECKING:
    import numpy.typing as npt

Tables = Mapping[str, daft.DataFrame]
By = Literal["all", "relation", "category", "filter"]

BY: Final[tuple[By, ...]] = ("all", "relation", "category", "filter")
ALL: Final = "all"
BEFORE, AFTER = "before the filter", "after the filter"
NO_CATEGORY: Final = "(no category)"

DISTRIBUTION: Final = pa.schema(
    [
        ("group", pa.string()),
        ("concept", pa.string()),
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

col, lit = daft.col, daft.lit


def assertion_groups(tables: Tables, by: By) -> daft.DataFrame:
    """Return the columns group, assertion_id, intention_id: each assertion in the groups that it falls into.

    ``all`` is one group; ``relation`` the assertion's; ``category`` the broadest category of each of its two products;
    ``filter`` one group of all assertions and one of those that the filter did not refuse. Without ``filter`` the
    refused ones are left out, as they are in the graph. Raises InputError for another ``by``.
    """
    if by not in BY:
        raise InputError(f"cannot group by {by!r}", hint=f"Groups: {', '.join(BY)}")
    every = tables["assertions"].select("assertion_id", "intention_id", "relation", "cobuy_id", "accepted")
    kept = every.where(col("accepted").is_null() | col("accepted"))
    if by == "filter":
        grouped = every.with_column("group", lit(BEFORE)).concat(kept.with_column("group", lit(AFTER)))
    elif by == "relation":
        grouped = kept.with_column("group", col("relation"))
    elif by == "category":
        grouped = kept.join(_categories(tables), on="cobuy_id")
    else:
        grouped = kept.with_column("group", lit(ALL))
    return grouped.select("group", "assertion_id", "intention_id")


def _categories(tables: Tables) -> daft.DataFrame:
    """Return each pair with the broadest categories of its two products, one row for each different one."""
    named = when(col("category").list_count() > lit(0), col("category").get(0)).otherwise(lit(NO_CATEGORY))
    products = tables["products"].select("product_id", named.alias("group"))
    sides = [tables["cobuys"].select("cobuy_id", col(f"product_{side}").alias("product_id")) for side in "ab"]
    return sides[0].concat(sides[1]).join(products, on="product_id").select("cobuy_id", "group").distinct()


def concept_distribution(tables: Tables, *, by: By = "all", top: int | None = None) -> pa.Table:
    """Return how many assertions of each group have each concept: ``DISTRIBUTION``, the most frequent first.

    ``share`` is that of the group's assertions; an assertion has as many concepts as its intention, so shares add up to
    more than 1. ``top`` keeps the first concepts of each group.
    """
    groups = assertion_groups(tables, by)
    sizes = groups.groupby("group").agg(col("assertion_id").count().alias("size"))
    pairs = groups.join(tables["mentions"].select("intention_id", "concept"), on="intention_id")
    counted = pairs.groupby("group", "concept").agg(col("assertion_id").count().alias("assertions"))
    shared = counted.join(sizes, on="group").with_column("share", col("assertions") / col("size"))
    window = daft.Window().partition_by("group").order_by("assertions", "concept", desc=[True, False])
    ranked = shared.with_column("rank", daft.functions.row_number().over(window).cast(daft.DataType.int64()))
    if top is not None:
        ranked = ranked.where(col("rank") <= lit(top))
    return to_arrow(ranked, DISTRIBUTION).sort_by([("group", "ascending"), ("rank", "ascending")])


def coverage(tables: Tables, *, by: By = "all", points: int = 200) -> pa.Table:
    """Return which share of each group's assertions has one of its n most frequent concepts: ``COVERAGE``.

    n runs over at most ``points`` values on a logarithmic scale.
    """
    groups = assertion_groups(tables, by).collect()
    ranks = daft.from_arrow(concept_distribution(tables, by=by).select(["group", "concept", "rank"]))
    pairs = groups.join(tables["mentions"].select("intention_id", "concept"), on="intention_id")
    first = pairs.join(ranks, on=["group", "concept"]).groupby("group", "assertion_id").agg(col("rank").min())
    sizes = groups.groupby("group").agg(col("assertion_id").count().alias("size")).to_pydict()
    reached = first.groupby("group", "rank").agg(col("assertion_id").count().alias("n")).to_arrow()
    size_of = dict(zip(sizes["group"], sizes["size"], strict=True))
    tables_out = [_curve(group, reached, size_of[group], points) for group in sorted(size_of)]
    return pa.concat_tables(tables_out) if tables_out else COVERAGE.empty_table()


def _curve(group: str, reached: pa.Table, size: int, points: int) -> pa.Table:
    rows = reached.filter(pc.equal(reached["group"], group)).sort_by("rank")
    ranks, counts = rows["rank"].to_numpy(), rows["n"].to_numpy()
    last = int(ranks[-1]) if len(ranks) else 1
    steps = np.unique(np.geomspace(1, last, num=points).round().astype(np.int64))
    covered = np.concatenate([[0], np.cumsum(counts)])[np.searchsorted(ranks, steps, side="right")]
    return pa.table([pa.array([group] * len(steps)), steps, covered / size], schema=COVERAGE)


def spread(tables: Tables, *, by: By = "all") -> pa.Table:
    """Return how evenly each group's assertions are spread over concepts: ``SPREAD``.

    ``linked`` assertions have a concept. ``gini`` is 0 where all concepts are equally frequent and near 1 where one
    has nearly all; ``entropy`` is in bits, ``evenness`` is it over its maximum, log2 of the number of concepts.
    """
    groups = assertion_groups(tables, by).collect()
    linked = groups.join(tables["mentions"].select("intention_id").distinct(), on="intention_id", how="semi")
    sizes, those = (
        f.groupby("group").agg(col("assertion_id").count().alias("n")).to_pydict() for f in (groups, linked)
    )
    linked_of = dict(zip(those["group"], those["n"], strict=True))
    found = concept_distribution(tables, by=by)
    rows = []
    for group, size in sorted(zip(sizes["group"], sizes["n"], strict=True)):
        counts = found.filter(pc.equal(found["group"], group))["assertions"].to_numpy()
        rows.append((group, size, linked_of.get(group, 0), len(counts), int(counts.sum()), *_measures(counts)))
    return (
        pa.table([pa.array(c, f.type) for c, f in zip(zip(*rows, strict=True), SPREAD, strict=True)], schema=SPREAD)
        if rows
        else SPREAD.empty_table()
    )


def _measures(counts: npt.NDArray[np.int64]) -> tuple[float, float, float]:
    bits = entropy(counts)
    most = float(np.log2(len(counts))) if len(counts) > 1 else 0.0
    return gini(counts), bits, bits / most if most else 0.0


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
