"""Scores of (concept, instance) pairs: typicality both ways and the basic-level score.

Zhongyuan Wang, Haixun Wang, Ji-Rong Wen and Yanghua Xiao: An Inference Approach to Basic Level of Categorization
(CIKM 2015), equations for P(c|e), P(e|c) with smoothing, and Rep.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from mindkg.link.isa import IsaTable

EPSILON: Final = 1e-4
"""Every pair is taken to have been seen this often besides."""

Floats = npt.NDArray[np.float64]


def p_concept(count: Any, instance_total: Any) -> Any:
    """Return P(c|e) = n(c, e) / sum over all concepts of n(., e), the typicality of a concept for an instance.

    >>> p_concept(3, 12)
    0.25
    """
    return count / instance_total


def p_instance(count: Any, concept_total: Any, instances: int) -> Any:
    """Return P(e|c) = (n(c, e) + EPSILON) / (sum over all instances of n(c, .) + EPSILON * instances).

    >>> round(p_instance(3, 9, 10_000), 6)
    0.30001
    """
    return (count + EPSILON) / (concept_total + EPSILON * instances)


def rep(p_concept_given_instance: Any, p_instance_given_concept: Any) -> Any:
    """Return Rep(e, c) = P(c|e) * P(e|c): high for concepts that are neither too broad nor too narrow.

    >>> rep(0.25, 0.5)
    0.125
    """
    return p_concept_given_instance * p_instance_given_concept


def scored(rows: pa.Table, isa: IsaTable, vague: Collection[str]) -> pa.Table:
    """Return ``rows`` of the isA table with typicality, p_instance, rep and vague, best first.

    Total order: concepts that are not vague first, then by falling rep, then by label, then by instance.
    """
    labels = pc.unique(rows.column("concept"))
    totals = isa.concept_totals(labels)
    place = pc.index_in(rows.column("concept"), totals.column("concept").combine_chunks())
    concept_total = totals.column("total").take(place).to_numpy()
    count = rows.column("count").to_numpy()
    typicality = p_concept(count, rows.column("total").to_numpy())
    p_inst = p_instance(count, concept_total, isa.instances)
    marked = pc.is_in(rows.column("concept"), pa.array(sorted(vague), pa.string()))
    table = rows.append_column("typicality", pa.array(typicality)).append_column("p_instance", pa.array(p_inst))
    table = table.append_column("rep", pa.array(rep(typicality, p_inst))).append_column("vague", marked)
    order = pc.sort_indices(
        table, [("vague", "ascending"), ("rep", "descending"), ("concept", "ascending"), ("instance", "ascending")]
    )
    return table.take(order)


def first_of_each(groups: npt.NDArray[Any], most: int) -> npt.NDArray[np.int64]:
    """Return the places of the first ``most`` rows of each group, in the order they have.

    >>> first_of_each(np.array([7, 5, 7, 7]), 2).tolist()
    [0, 1, 2]
    """
    order = np.argsort(groups, kind="stable")
    start = np.flatnonzero(np.diff(groups[order], prepend=groups[order[:1]] - 1)) if len(groups) else order
    within = np.arange(len(groups)) - np.repeat(start, np.diff(start, append=len(groups)))
    return np.sort(order[within < most])
