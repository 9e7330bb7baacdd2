"""The report on what the hierarchy ties together: the intentions of a pair, and product categories."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from mindkg.analysis import distribution, plots, ties
from mindkg.analysis.facts import Facts, Tables
from mindkg.analysis.figures import NO_VAGUE, Figure, Listing, rows_of

TOP: Final = 25
GROUPS: Final = 20


def tie_items(facts: Facts, tables: Tables) -> list[Figure | Listing]:
    """Return what the intentions of pairs share, and which concepts cross product categories."""
    lowest = ties.lowest_common_hypernyms(facts, tables)
    shared = lowest.group_by("concept").aggregate([([], "count_all"), ("distance", "mean")])
    shared = shared.rename_columns({"count_all": "pairs", "distance_mean": "mean_distance"})
    shared = shared.sort_by([("pairs", "descending"), ("concept", "ascending")])
    says = (f"The concept that the intentions of a pair share lowest in the hierarchy: {len(lowest):,} of "
            f"{len(facts.pair.labels):,} pairs have one over two intentions or more (data/lowest-common.csv has them). "
            "Vague concepts are left out.")  # fmt: skip
    items: list[Figure | Listing] = [
        Listing(
            "shared",
            "What the intentions of a pair have in common",
            says,
            shared,
            ("concept", "pairs", "mean_distance"),
        ),
        Listing("lowest-common", "Lowest common hypernyms of pairs", "One row a pair.", lowest, shown=5),
    ]
    bridges = ties.category_bridges(facts)
    if len(bridges):
        items += _bridges(facts, bridges)
    return items


def _bridges(facts: Facts, bridges: pa.Table) -> list[Figure | Listing]:
    found = distribution.concept_distribution(facts, by="category")
    concepts = bridges["concept"].slice(0, TOP).to_pylist()
    cells = rows_of(found, "concept", concepts)
    counted = cells.group_by("group").aggregate([("assertions", "sum")])
    groups = (
        counted.sort_by([("assertions_sum", "descending"), ("group", "ascending")])["group"]
        .slice(0, GROUPS)
        .to_pylist()
    )
    cells = rows_of(cells, "group", groups)
    return [
        Figure(
            "bridges", "Bridges between product categories",
            f"The {len(concepts)} concepts most evenly spread over categories, the most even first, with their shares "
            f"of each category's assertions (at most {GROUPS} categories). {NO_VAGUE}.",
            plots.heat(cells, concepts, groups), {"bridges-cells": cells},
        ),
        Listing(
            "bridges", "Concepts that cross categories",
            "Entropy in bits of a concept's assertions over the broadest categories of their products; a category "
            "counts from two assertions on, vague concepts are left out.",
            bridges,
        ),
    ]  # fmt: skip
