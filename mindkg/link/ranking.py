"""Which concepts of an instance are sound, and which come first before the text is looked at."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.link.scores import p_concept, p_instance, rep
from mindkg.link.senses import class_rows, log_factors

if TYPE_CHECKING:
    from mindkg.link.isa import IsaTable
    from mindkg.link.steps import Steps

SPREAD: Final = 10
"""Instances of a concept that is more than a slip of the pen."""

SHARE: Final = 0.2
"""Share of an instance's best count below which a concept of it is taken for noise, vague concepts left aside."""

FAINT: Final = 0.05
"""The same share with vague concepts: an instance that is nearly always called an item is that, not something rare."""


WITNESS: Final = 2.0
"""What the score gains where the shipped WordNet table has the pair as well."""

_UNKNOWN: Final = 0.3
"""Agreement of classes where WordNet knows one of both labels only, or none."""


def judged(rows: pa.Table, isa: IsaTable, vague: Collection[str]) -> pa.Table:
    """Return the sound ``rows`` of the isA table with vague, concept_total and concept_instances."""
    table = _counted(rows, isa, vague)
    return table.filter(pa.array(_sound(table)))


def _counted(rows: pa.Table, isa: IsaTable, vague: Collection[str]) -> pa.Table:
    coded = rows.column("concept").combine_chunks().dictionary_encode()
    labels, which = coded.dictionary, coded.indices
    totals = isa.concept_totals(labels)
    place = pc.index_in(labels, totals.column("concept").combine_chunks()).take(which)
    table = rows.append_column("vague", is_vague(labels, vague).take(which))
    for name in ("total", "instances"):
        table = table.append_column(f"concept_{name}", totals.column(name).take(place))
    return table


def preferred(rows: pa.Table, isa: IsaTable, vague: Collection[str], steps: Steps) -> pa.Table:
    """Return the ``rows`` of the isA table that may be linked, with typicality, p_instance, rep and score, best first.

    score = ln P(c|e) + ln P(e|c) / 3 (PMI^4 as far as one instance goes), and as far as ``steps`` say so

    - ln(a + 0.03) with the agreement a of the classes of e and c in WordNet (cosine, 0 to 1; 0.3 where unknown),
    - WITNESS where the shipped table has the pair as well,
    - ln of the concept's factor in concepts.tsv.

    Total order: by falling score, then by label, then by instance.
    """
    table = _counted(rows, isa, vague)
    table = table.filter(pa.array(_linkable(table, steps)))
    count = table.column("count").to_numpy()
    typicality = p_concept(count, table.column("total").to_numpy())
    p_inst = p_instance(count, table.column("concept_total").to_numpy(), isa.instances)
    score = np.log(typicality) + np.log(p_inst) / 3 + _evidence(table, isa, steps)
    columns = {"typicality": typicality, "p_instance": p_inst, "rep": rep(typicality, p_inst), "score": score}
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values, pa.float64()))
    order = pc.sort_indices(table, [("score", "descending"), ("concept", "ascending"), ("instance", "ascending")])
    return table.take(order)


def _linkable(table: pa.Table, steps: Steps) -> npt.NDArray[np.bool_]:
    """Return which rows are neither noise nor vague (see _sound for noise)."""
    plain = ~table.column("vague").to_numpy()
    if not steps.noise:
        return plain if steps.vague else np.ones(len(plain), bool)
    instance = table.column("instance").combine_chunks().dictionary_encode().indices.to_numpy()
    count = table.column("count").to_numpy()
    wide = (table.column("concept_instances").to_numpy() >= SPREAD) & (count > 1)
    most = _best(instance, count, wide)
    clear = np.where(most > 0, wide & (count >= FAINT * most), True)
    return clear & plain if steps.vague else clear


def _evidence(table: pa.Table, isa: IsaTable, steps: Steps) -> npt.NDArray[np.float64]:
    """Return what WordNet and concepts.tsv add to the score of each row."""
    concepts, concept = _distinct(table.column("concept"))
    instances, instance = _distinct(table.column("instance"))
    found = np.zeros(table.num_rows)
    if steps.classes and table.num_rows:
        low, high = class_rows(instances), class_rows(concepts)
        agreement = np.einsum("ij,ij->i", low[instance], high[concept]).astype(np.float64)
        known = np.asarray(low.any(axis=1))[instance] & np.asarray(high.any(axis=1))[concept]
        found += np.log(np.where(known, agreement, _UNKNOWN) + 0.03)
    if steps.witness and table.num_rows:
        found += WITNESS * _witnessed(table, isa)
    if steps.factors:
        found += log_factors(concepts)[concept]
    return found


def _witnessed(table: pa.Table, isa: IsaTable) -> npt.NDArray[np.bool_]:
    """Return whether the shipped table has each row's pair; never where it is the table itself."""
    from mindkg.link.isa import open_isa

    shipped = open_isa()
    if shipped.fingerprint == isa.fingerprint:
        return np.zeros(table.num_rows, bool)
    pairs = shipped.lookup(pc.unique(table.column("instance")))
    return np.asarray(pc.is_in(_pair(table), _pair(pairs).combine_chunks()))


def _pair(table: pa.Table) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(table.column("instance"), table.column("concept"), "\t")


def _distinct(column: pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.int64]]:
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)


def _best(instance: npt.NDArray[Any], count: npt.NDArray[np.int64], of: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return for each row the best count among its instance's rows ``of``, 0 for none."""
    most = np.zeros(instance.max(initial=-1) + 1, np.int64)
    np.maximum.at(most, instance, np.where(of, count, 0))
    found: npt.NDArray[np.int64] = most[instance]
    return found


def is_vague(concepts: Any, vague: Collection[str]) -> Any:
    """Return whether each label stands in ``vague``, or begins (ends) as one of its entries that end (begin) in ``*``.

    >>> is_vague(pa.array(["item", "type of shoe", "small item", "shoe"]), {"item", "type of *", "* item"}).to_pylist()
    [True, True, True, False]
    """
    marked = pc.is_in(concepts, pa.array(sorted(vague), pa.string()))
    for label in sorted(vague):
        if label.endswith("*"):
            marked = pc.or_(marked, pc.starts_with(concepts, label[:-1]))
        elif label.startswith("*"):
            marked = pc.or_(marked, pc.ends_with(concepts, label[1:]))
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
    any_wide = _best(instance, count, wide)
    plain = _best(instance, count, wide & ~table.column("vague").to_numpy())
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
