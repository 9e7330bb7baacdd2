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

SPREAD: Final = 10
"""Instances of a concept that is more than a slip of the pen."""

SHARE: Final = 0.2
"""Share of an instance's best count below which a concept of it is taken for noise, vague concepts left aside."""

FAINT: Final = 0.05
"""The same share with vague concepts: an instance that is nearly always called an item is that, not something rare."""


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


def judged(rows: pa.Table, isa: IsaTable, vague: Collection[str]) -> pa.Table:
    """Return the sound ``rows`` of the isA table with vague, concept_total and concept_instances."""
    totals = isa.concept_totals(pc.unique(rows.column("concept")))
    place = pc.index_in(rows.column("concept"), totals.column("concept").combine_chunks())
    table = rows.append_column("vague", is_vague(rows.column("concept"), vague))
    for name in ("total", "instances"):
        table = table.append_column(f"concept_{name}", totals.column(name).take(place))
    return table.filter(pa.array(_sound(table)))


def scored(rows: pa.Table, isa: IsaTable, vague: Collection[str]) -> pa.Table:
    """Return the sound ``rows`` of the isA table with vague, typicality, p_instance and rep, best first.

    Total order: concepts that are not vague first, then by falling rep, then by label, then by instance.
    """
    table = judged(rows, isa, vague)
    count = table.column("count").to_numpy()
    typicality = p_concept(count, table.column("total").to_numpy())
    p_inst = p_instance(count, table.column("concept_total").to_numpy(), isa.instances)
    for name, values in {"typicality": typicality, "p_instance": p_inst, "rep": rep(typicality, p_inst)}.items():
        table = table.append_column(name, pa.array(values))
    order = pc.sort_indices(
        table, [("vague", "ascending"), ("rep", "descending"), ("concept", "ascending"), ("instance", "ascending")]
    )
    return table.take(order)


def is_vague(concepts: Any, vague: Collection[str]) -> Any:
    """Return whether each label stands in ``vague``, or begins as one of its entries that end in ``*`` does.

    >>> is_vague(pa.array(["item", "type of shoe", "shoe"]), {"item", "type of *"}).to_pylist()
    [True, True, False]
    """
    marked = pc.is_in(concepts, pa.array(sorted(vague), pa.string()))
    for prefix in sorted(label[:-1] for label in vague if label.endswith("*")):
        marked = pc.or_(marked, pc.starts_with(concepts, prefix))
    return marked


def _sound(table: pa.Table) -> npt.NDArray[np.bool_]:
    """Return which rows are not noise.

    Rep favours a concept that was seen with one instance only, be it a slip of the pen; so where an instance has
    concepts with SPREAD instances or more, vague or not, the others go, and so do concepts counted less than SHARE of
    its best count among those that are not vague, or less than FAINT of its best count.
    """
    instance = table.column("instance").combine_chunks().dictionary_encode().indices.to_numpy()
    count = table.column("count").to_numpy()
    wide = (table.column("concept_instances").to_numpy() >= SPREAD) & (count > 1)

    def best(of: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        most = np.zeros(instance.max(initial=-1) + 1, np.int64)
        np.maximum.at(most, instance, np.where(of, count, 0))
        of_row: npt.NDArray[np.int64] = most[instance]
        return of_row

    any_wide = best(wide)
    plain = best(wide & ~table.column("vague").to_numpy())
    clear = wide & (count >= SHARE * plain) & (count >= FAINT * any_wide)
    sound: npt.NDArray[np.bool_] = np.where(any_wide > 0, clear, True)
    return sound


def first_of_each(groups: npt.NDArray[Any], most: int) -> npt.NDArray[np.int64]:
    """Return the places of the first ``most`` rows of each group, in the order they have.

    >>> first_of_each(np.array([7, 5, 7, 7]), 2).tolist()
    [0, 1, 2]
    """
    order = np.argsort(groups, kind="stable")
    start = np.flatnonzero(np.diff(groups[order], prepend=groups[order[:1]] - 1)) if len(groups) else order
    within = np.arange(len(groups)) - np.repeat(start, np.diff(start, append=len(groups)))
    return np.sort(order[within < most])
