"""Knowledge about concepts: what pairs of two kinds are bought for, over all assertions that say so.

An assertion "these two are used for charging a phone" becomes (cable and charger, usedFor, phone): the kinds of its two
products, its relation and the best concept of its intention, as AbstractATOMIC and FolkScope abstract theirs.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mindkg import identity
from mindkg.errors import ConservationError
from mindkg.schema import SCORE_UNIT, TABLES

ASSERTED: Final = pa.schema(
    [TABLES["assertions"].field(name) for name in ("cobuy_id", "relation", "intention_id", "plausibility", "accepted")]
)
PAIRS: Final = pa.schema([TABLES["cobuys"].field(name) for name in ("cobuy_id", "product_a", "product_b")])
"""The columns that ``abstract`` reads of assertions and co-buys."""

_GROUP: Final = ("kind_a", "kind_b", "relation", "concept")

Ints = npt.NDArray[np.int64]


class Abstracted(NamedTuple):
    """The table abstractions, and where the other assertions went: how many for each reason, the first that holds."""

    table: pa.Table
    left_out: dict[str, int]


def abstract(assertions: pa.Table, cobuys: pa.Table, kinds: pa.Table, mentions: pa.Table) -> Abstracted:
    """Return what ``assertions`` say of kinds and concepts.

    ``assertions`` has the columns of ASSERTED, ``cobuys`` those of PAIRS; ``kinds`` are those of their products,
    ``mentions`` those of the intentions. An assertion is left out where it is
    ``refused`` by the filter, ``without_kind`` for a product, or its intention ``without_concept``. Raises
    ConservationError where the supports do not add up to the others.
    """
    rows = _rows(assertions, cobuys, kinds, mentions)
    refused = pc.fill_null(pc.invert(assertions["accepted"]), False)
    no_kind = pc.or_(pc.is_null(rows["kind_a"]), pc.is_null(rows["kind_b"]))
    left_out, stays = {}, pa.chunked_array([pa.repeat(True, len(rows))], pa.bool_())
    for reason, holds in (
        ("refused", refused),
        ("without_kind", no_kind),
        ("without_concept", pc.is_null(rows["concept"])),
    ):
        left_out[reason] = pc.sum(pc.and_(stays, holds), min_count=0).as_py()
        stays = pc.and_(stays, pc.invert(holds))
    table = _grouped(rows.filter(stays))
    supported = pc.sum(table["support"], min_count=0).as_py()
    if supported + sum(left_out.values()) != len(assertions):
        raise ConservationError(f"abstractions stand for {supported} assertions; left out: {left_out}")
    return Abstracted(table, left_out)


def _rows(assertions: pa.Table, cobuys: pa.Table, kinds: pa.Table, mentions: pa.Table) -> pa.Table:
    """Return kind_a, kind_b (sorted), relation, concept, pair (a number) and score of each assertion."""
    best = mentions.filter(pc.equal(mentions["rank"], 1))
    concept = best["concept"].take(_places(assertions["intention_id"], best["intention_id"]))
    pair = _places(assertions["cobuy_id"], cobuys["cobuy_id"])
    one, other = (_kinds(cobuys[side], kinds).take(pair) for side in ("product_a", "product_b"))
    swapped = pc.fill_null(pc.greater(one, other), False)
    score = pc.cast(pc.round(pc.multiply(assertions["plausibility"], SCORE_UNIT)), pa.int64())
    return pa.table(
        {
            "kind_a": pc.if_else(swapped, other, one),
            "kind_b": pc.if_else(swapped, one, other),
            "relation": assertions["relation"],
            "concept": concept,
            "pair": pair,
            "score": score,
        }
    )


def _kinds(products: pa.ChunkedArray, kinds: pa.Table) -> pa.ChunkedArray:
    return kinds["concept"].take(_places(products, kinds["product_id"]))


def _places(keys: pa.ChunkedArray, known: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.index_in(keys, known.combine_chunks())


def _grouped(rows: pa.Table) -> pa.Table:
    found = rows.group_by([*_GROUP]).aggregate(
        [([], "count_all"), ("pair", "count_distinct"), ("score", "sum"), ("score", "count")]
    )
    mean = pc.divide(pc.divide(pc.cast(found["score_sum"], pa.float64()), SCORE_UNIT), found["score_count"])
    columns = [
        identity.keys([found[name] for name in _GROUP]),
        *(found[name] for name in _GROUP),
        found["count_all"],
        found["pair_count_distinct"],
        pc.if_else(pc.equal(found["score_count"], 0), pa.scalar(None, pa.float64()), mean),
    ]
    return pa.table(columns, schema=TABLES["abstractions"]).sort_by("abstraction_id")
