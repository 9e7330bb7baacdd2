"""The report on two KBs side by side."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.analysis import comparison, plots
from mindkg.analysis.facts import Facts
from mindkg.analysis.figures import NO_VAGUE, Figure, Listing, Section

CHANGES: Final = 30


def comparison_section(a: Facts, b: Facts, names: tuple[str, str]) -> Section:
    """Return how the KBs ``a`` and ``b`` differ by relation and by concept; ``names`` are those of the two."""
    section = Section(f"{names[0]} and {names[1]}")
    compared = comparison.compare_relations(a, b)
    sizes = " and ".join(f"{len(side):,} in {name}" for side, name in zip((a, b), names, strict=True))
    section.lines.append(f"Assertions: {sizes}.")
    section.lines += [f"Not compared: {line}." for line in comparison.missing_measures(compared, names)]
    rows = plots.compared(compared, names)
    if len(rows):
        section.items += _compared(compared, rows, names, sizes)
    changes = comparison.concept_changes(a, b)
    if len(changes):
        section.items += _changes(changes, {*_vague(a), *_vague(b)}, names)
    else:
        section.lines.append("Neither KB has a concept that an assertion is linked to.")
    return section


def _vague(facts: Facts) -> list[str]:
    return [facts.concept.labels[n] for n in np.flatnonzero(facts.vague)]


def _compared(compared: pa.Table, rows: pa.Table, names: tuple[str, str], sizes: str) -> list[Figure | Listing]:
    tests = len(compared) - compared["p"].null_count
    differ = pc.sum(pc.less(compared["p_corrected"], plots.SIGNIFICANT)).as_py() or 0
    return [
        Figure(
            "comparison-relations", "Measures by relation",
            f"Means with 95 % bootstrap intervals, assertions: {sizes}. A star: the difference has a probability below "
            f"{plots.SIGNIFICANT} after Holm's correction over {tests} tests ({differ} have one). Assertions count as "
            "independent, so that intervals are somewhat too narrow; one of a point has values that are all the same.",
            plots.relation_comparison(rows, names), {"comparison-relations": rows},
        ),
        Listing(
            "comparison", "Differences, with tests",
            f"a is {names[0]}, b is {names[1]}; difference is b less a. plausibility: the filter's mean score; "
            "acceptance: share of judged assertions accepted; typicality: as the source gives it; linked: share of the "
            "graph's assertions with a concept; concept typicality: P(concept given instance) of the best one.",
            compared.sort_by([("p_corrected", "ascending"), ("measure", "ascending"), ("relation", "ascending")]),
            ("measure", "relation", "n_a", "mean_a", "n_b", "mean_b", "difference", "difference_low",
             "difference_high", "p_corrected"), 25,
        ),
    ]  # fmt: skip


def _changes(changes: pa.Table, vague: set[str], names: tuple[str, str]) -> list[Figure | Listing]:
    plain = changes.filter(pc.invert(pc.is_in(changes["concept"], pa.array(sorted(vague), pa.string()))))
    shown = plain.slice(0, CHANGES)
    items: list[Figure | Listing] = []
    if len(shown):
        items.append(Figure(
            "comparison-concepts", "Concepts with the greatest difference of share",
            f"The {len(shown)} concepts of {len(plain):,} whose shares of the assertions in the graph differ most. "
            f"{NO_VAGUE}.",
            plots.concept_change(shown, names), {"comparison-concepts": shown},
        ))  # fmt: skip
    for change, title, side in (("gained", f"Only in {names[1]}", "b"), ("lost", f"Only in {names[0]}", "a")):
        own = plain.filter(pc.equal(plain["change"], change))
        says = f"{len(own):,} concepts that only this KB's assertions have; vague ones are left out."
        items.append(
            Listing(f"concepts-{change}", title, says, own, ("concept", f"assertions_{side}", f"share_{side}"))
        )
    return items
