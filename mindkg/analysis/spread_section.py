"""The report on how concepts are spread over assertions; under each figure stands what was cut, and of how many."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from mindkg.analysis import distribution, plots
from mindkg.analysis.distribution import BEFORE
from mindkg.analysis.facts import NO_CATEGORY, Facts
from mindkg.analysis.figures import NO_VAGUE, Figure, Listing, Section, rows_of

TOP: Final = 25
GROUPS: Final = 20
LEAST: Final = 5
"""Assertions that a group has at least to be shown."""


def spread_section(facts: Facts) -> Section:
    """Return how concepts are spread over the assertions of a KB, before and after the filter."""
    section = Section("Distribution of hypernyms")
    found = distribution.concept_distribution(facts, by="filter")
    if not len(found):
        section.lines.append("No intention is linked to a concept: there is no distribution.")
        return section
    if not facts.judged.any():
        section.lines.append("The KB has no verdicts: nothing was filtered, and all assertions count.")
        found = found.filter(pc.equal(found["group"], BEFORE))
    section.items += _top_concepts(facts, found)
    if facts.judged.any():
        section.items.append(_filter_effect(facts))
    section.items += _groups(facts, "relation", "relations")
    names = set(facts.categories.labels) - {NO_CATEGORY}
    if names:
        section.items += _groups(facts, "category", "product categories")
    else:
        section.lines.append("The KB's products have no categories: nothing is shown by category.")
    return section


def _top_concepts(facts: Facts, found: pa.Table) -> list[Figure | Listing]:
    concepts = distribution.distinguished(found, TOP)
    shown = rows_of(found, "concept", concepts)
    curve = distribution.coverage(facts, by="filter" if facts.judged.any() else "all")
    every = distribution.concept_distribution(facts)
    n, kept = f"{len(facts):,} assertions", f"{int(facts.kept.sum()):,}"
    linked = int(facts.linked[facts.kept].sum())
    return [
        Figure(
            "top-concepts", "Most frequent concepts",
            f"Share of assertions that have each concept: the {len(concepts)} most frequent of "
            f"{len(facts.concept.labels):,} concepts among {n} before the filter; {kept} remain after it. {NO_VAGUE}.",
            plots.before_after(shown, "concept", "share", "share of assertions", concepts), {"top-concepts": shown},
        ),
        Figure(
            "coverage", "Coverage by the most frequent concepts",
            f"Share of assertions that have at least one of the n most frequent concepts, vague ones included, of {n} "
            f"before and {kept} after the filter; those without a concept are never covered.",
            plots.coverage_curve(curve), {"coverage": curve},
        ),
        Listing(
            "spread", "How even the distribution is",
            "Gini is 0 where all concepts are equally frequent and near 1 where one has nearly all; entropy is in "
            "bits, evenness is it over log2 of the number of concepts. Mentions are pairs of assertion and concept.",
            distribution.spread(facts, by="filter"),
        ),
        Listing(
            "concepts", "Concepts in the graph",
            f"All concepts of the {kept} assertions that the graph holds ({linked:,} have one), vague ones marked.",
            every, ("rank", "concept", "vague", "assertions", "share"),
        ),
    ]  # fmt: skip


def _filter_effect(facts: Facts) -> Figure:
    rows = distribution.filter_effect(facts)
    order = pc.unique(rows["relation"]).to_pylist()
    return Figure(
        "filter-relations", "What the filter leaves of each relation",
        f"Assertions by relation, {len(facts):,} before and {int(facts.kept.sum()):,} after the filter "
        f"({int(facts.judged.sum()):,} have a verdict; those without one stay).",
        plots.before_after(rows, "relation", "assertions", "assertions", order), {"filter-relations": rows},
    )  # fmt: skip


def _groups(facts: Facts, by: distribution.By, plural: str) -> list[Figure | Listing]:
    """Return how even the groups are, and which concepts they have; at most the ``GROUPS`` largest ones."""
    spread = distribution.spread(facts, by=by)
    order = spread.sort_by([("assertions", "descending"), ("group", "ascending")])
    largest = order.filter(pc.greater_equal(order["assertions"], LEAST))["group"].slice(0, GROUPS).to_pylist()
    even = rows_of(spread, "group", largest)
    even = even.filter(pc.greater(even["linked"], 0))
    concepts = distribution.distinguished(distribution.concept_distribution(facts), TOP)
    found = distribution.concept_distribution(facts, by=by)
    cells = rows_of(rows_of(found, "group", largest), "concept", concepts)
    cut = f"{len(largest)} of {len(spread)} {plural} (the largest, of {LEAST} assertions or more)"
    if not len(cells):
        return []
    n = f"{int(facts.kept.sum()):,} assertions after the filter"
    twice = " An assertion counts in the categories of both products." if by == "category" else ""
    return [
        Figure(
            f"evenness-{by}", f"How even the concepts of {plural} are",
            f"Gini coefficient and entropy of the concepts of {cut}, {n}.{twice} A group of few assertions repeats few "
            "concepts, and so has a low Gini coefficient and a low entropy.",
            plots.evenness(even), {f"evenness-{by}": even},
        ),
        Figure(
            f"heat-{by}", f"Concepts of {plural}",
            f"Share of a group's assertions that have each of the {len(concepts)} most frequent concepts, {cut}, {n}; "
            f"blank: none, and shades by the square root.{twice} {NO_VAGUE}.",
            plots.heat(cells, concepts, largest), {f"heat-{by}": cells},
        ),
    ]  # fmt: skip
