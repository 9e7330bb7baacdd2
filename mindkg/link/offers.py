"""What may be linked of an instance: rows of the user's table, of the shipped one, or its own name."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.link.isa import open_isa
from mindkg.link.ranking import is_vague, preferred
from mindkg.link.scores import p_instance
from mindkg.link.senses import log_factors

if TYPE_CHECKING:
    from mindkg.link.isa import IsaTable
    from mindkg.link.steps import Steps

LARGE: Final = 100_000
_EVIDENCE: Final = 3
"""Times an instance must be counted in a table of LARGE pairs or more: one or two are mostly a slip."""

LEAST: Final = -5.0
"""Concepts with a lower score are not linked from a table of LARGE pairs or more, where a text has any better one."""

FAINT: Final = -6.5
"""Those with a score lower than this are not linked in any case; in the shipped table, which was not counted, LEAST."""

_WEAK: Final = -4.0
_SURE: Final = -3.0
"""Where the best score of an instance is below the first, the shipped table speaks if its best is not below the second:
counts from texts have a case as a suit of law, and nothing better."""

_LENT: Final = 5
"""Instances that a concept must have in the user's table to be lent by the shipped one."""

_WIDE: Final = 100
"""Instances of a concept that a phrase of its name is linked to where nothing better is known: a gift is a gift."""

HEAD: Final = 4.0
"""Score of the class that a phrase names itself: an extension cable is a cable before it is anything else."""

_COUNTED: Final = 0.5
"""What such a class gains where the table has the pair as well."""

Ints = npt.NDArray[np.int64]

COLUMNS: Final = ["instance", "concept", "typicality", "p_instance", "rep", "score"]


class Bounds(NamedTuple):
    """Scores from which on a concept is linked: ``least`` always, ``faint`` where a text has no better one."""

    least: float
    faint: float


def bounds(isa: IsaTable) -> Bounds:
    """Return the bounds of a table; in one of less than LARGE pairs there are none."""
    if isa.pairs < LARGE:
        return Bounds(-math.inf, -math.inf)
    return Bounds(LEAST, LEAST if isa.fingerprint == open_isa().fingerprint else FAINT)


def offers(labels: pa.Array, rows: pa.Table, isa: IsaTable, vague: Collection[str], steps: Steps) -> list[pa.Table]:
    """Return tables of COLUMNS for the instances ``labels``, in the order in which they are asked for a phrase.

    ``rows`` are those of ``isa``: first the clear ones; in a table of LARGE pairs or more then what the shipped one
    has (in concepts that ``isa`` knows too), then instances that are wide concepts themselves; then the faint ones too.
    """
    scored = _scored(rows, isa, vague, steps)
    clear = scored.filter(pc.greater_equal(scored["score"], bounds(isa).least))
    if not steps.witness or isa.pairs < LARGE or (shipped := open_isa()).fingerprint == isa.fingerprint:
        return [clear, scored]
    lent = _lent(labels, shipped, isa, vague, steps)
    served = pa.concat_arrays([table["instance"].combine_chunks() for table in (clear, lent)])
    bare = rows["instance"].filter(pc.invert(pc.is_in(rows["instance"], served)))
    own = [_own_names(pc.unique(bare), isa, vague)] if steps.heads else []
    return [_surer(clear, lent), lent, *own, scored]


def _scored(rows: pa.Table, isa: IsaTable, vague: Collection[str], steps: Steps) -> pa.Table:
    """Return the rows of ``isa`` that may be linked, with their scores."""
    least = _EVIDENCE if isa.pairs >= LARGE else 1
    scored = preferred(rows.filter(pc.greater_equal(rows["total"], least)), isa, vague, steps)
    scored = scored.filter(pc.greater_equal(scored["score"], bounds(isa).faint)).select(COLUMNS)
    return _favoured(scored) if steps.heads else scored


def _favoured(scored: pa.Table) -> pa.Table:
    """Return ``scored`` with the pairs in front that the instance itself names: an extension cable is a cable."""
    pairs = zip(scored["instance"].to_pylist(), scored["concept"].to_pylist(), strict=True)
    named = np.array([low.endswith(" " + high) for low, high in pairs], bool)
    own = HEAD + _COUNTED + log_factors(scored["concept"].to_pylist())
    score = np.where(named, own, scored["score"].to_numpy())
    return scored.set_column(scored.column_names.index("score"), "score", pa.array(score, pa.float64()))


def _lent(labels: pa.Array, shipped: IsaTable, isa: IsaTable, vague: Collection[str], steps: Steps) -> pa.Table:
    """Return rows of the shipped table with concepts that ``isa`` knows too, with their scores."""
    rows = shipped.lookup(labels)
    own = isa.concept_totals(pc.unique(rows["concept"]))
    wide = own.filter(pc.greater_equal(own["instances"], _LENT))["concept"].combine_chunks()
    return _scored(rows.filter(pc.is_in(rows["concept"], wide)), shipped, vague, steps)


def _surer(own: pa.Table, lent: pa.Table) -> pa.Table:
    """Return ``own`` with the rows that are ``lent`` for an instance in place of weak ones."""
    weak, sure = (rows.group_by("instance").aggregate([("score", "max")]) for rows in (own, lent))
    weak = weak.filter(pc.less(weak["score_max"], _WEAK))["instance"].combine_chunks()
    sure = sure.filter(pc.greater_equal(sure["score_max"], _SURE))["instance"]
    swapped = sure.filter(pc.is_in(sure, weak)).combine_chunks()
    kept = own.filter(pc.invert(pc.is_in(own["instance"], swapped)))
    return pa.concat_tables([kept, lent.filter(pc.is_in(lent["instance"], swapped))])


def _own_names(labels: pa.Array, isa: IsaTable, vague: Collection[str]) -> pa.Table:
    """Return a row for each label that is a wide concept itself, with the least score that is linked."""
    known = isa.concept_totals(labels)
    known = known.filter(pc.greater_equal(known["instances"], _WIDE))
    known = known.filter(pc.invert(is_vague(known["concept"], vague)))
    known = known.filter(pa.array(log_factors(known["concept"].to_pylist()) >= 0, pa.bool_()))
    named = once(known["concept"], known["total"].to_numpy(), isa)
    least = pa.array(np.full(known.num_rows, LEAST))
    return named.add_column(0, "instance", known["concept"]).append_column("score", least)


def once(concepts: pa.ChunkedArray, totals: Ints, isa: IsaTable) -> pa.Table:
    """Return concept, typicality, p_instance and rep of pairs that a text itself is the only sighting of.

    P(c|e) is 1 and P(e|c) that of a count of 1, with ``totals`` the counts of the concepts without it.
    """
    ones = np.ones(len(totals))
    seen = p_instance(ones, totals + 1, isa.instances)
    return pa.table({"concept": concepts, "typicality": ones, "p_instance": seen, "rep": seen})
