"""The report on the hypernym graph: pictures of it, its roots and levels, central concepts and communities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import networkx as nx
import pyarrow as pa

from mindkg.analysis import drawing, hierarchy, pictures
from mindkg.analysis.facts import Facts, Tables
from mindkg.analysis.figures import NO_VAGUE, Figure, Listing, Section
from mindkg.analysis.hierarchy import Graph, Hierarchy
from mindkg.analysis.tie_section import tie_items
from mindkg.errors import InputError, nearest

COMMUNITIES: Final = 7


def hierarchy_section(
    facts: Facts, tables: Tables, found: Hierarchy, nodes: pa.Table, focus: str | None = None
) -> Section:
    """Return what the hypernym graph ``found`` looks like; ``focus`` is the concept whose neighbourhood is drawn.

    ``nodes`` are the measures of its concepts (``concept_measures``).
    Raises InputError where the graph has no concept ``focus``.
    """
    section = Section("Hypernym graph")
    graph = found.graph
    if focus is not None and focus not in graph:
        hint = nearest(focus, graph) or "Give a concept of its assertions, or one above such a concept"
        raise InputError(f"the hypernym graph has no concept {focus!r}", hint=hint)
    if not graph:
        section.lines.append("No assertion has a concept: there is no hypernym graph.")
        return section
    direct = hierarchy.reduced(graph)
    section.lines += _facts_of_graph(found, direct)
    community = dict(zip(nodes["concept"].to_pylist(), nodes["community"].to_pylist(), strict=True))
    if focus or graph.number_of_edges():
        section.items += _pictures(direct, community, focus or _focus(direct))
    section.items += _cycles(found)
    section.items += [_roots(graph), _levels(nodes), *_central(nodes), _communities(nodes)]
    section.items += tie_items(facts, tables)
    return section


def _facts_of_graph(found: Hierarchy, direct: Graph) -> list[str]:
    graph = found.graph
    above = len(graph) - sum(1 for _, n in graph.nodes(data="assertions") if n)
    alone = nx.number_of_isolates(graph)
    cut = found.frequent < found.used
    most = f"the {found.frequent:,} most frequent (--limit) of " if cut else ""
    return [
        f"The graph has {len(graph):,} of the KB's {found.concepts:,} concepts: {most}the {found.used:,} that "
        f"assertions have, and what stands above them; {above:,} are of no assertion. {alone:,} "
        "have neither hypernym nor hyponym here.",
        f"{_built(found)}; in what it left {len(found.broken):,} were found and broken here.",
        f"{graph.number_of_edges():,} hypernym edges, {direct.number_of_edges():,} of them in the transitive "
        "reduction, which is what the pictures show; the others say what a longer way says too.",
        f"{len(hierarchy.roots(graph)):,} roots; the longest way down has "
        f"{max(hierarchy.depths(graph).values())} steps.",
    ]


def _focus(graph: Graph) -> str:
    """Return the concept with the most assertions among those with both hypernyms and hyponyms, or else of all."""

    def weight(node: str) -> tuple[bool, bool, int, str]:
        between = bool(graph.out_degree(node) and graph.in_degree(node))
        return not graph.nodes[node]["vague"], between, graph.nodes[node]["assertions"], node

    return max(graph, key=weight)


def _pictures(graph: Graph, community: dict[str, str], focus: str) -> list[Figure | Listing]:
    tree = pictures.hierarchy_tree(graph)
    kinds, order = named_communities(community, tree)
    items: list[Figure | Listing] = []
    if tree:
        points, lines = pictures.hierarchy_picture(graph, tree, kinds)
        items.append(Figure(
            "hierarchy", "Top of the hierarchy",
            f"{len(tree)} concepts with the most assertions at or below them, under the heaviest roots, broader ones "
            "on the left, each behind its most counted hypernym (drawn through; the "
            f"{pictures.OTHERS} most counted others dotted). Colour and shape: community, named by its concept of the "
            f"highest PageRank; the smaller ones are grey. {NO_VAGUE}.",
            drawing.draw_tree(points, lines, order), {"hierarchy": points, "hierarchy-edges": lines},
        ))  # fmt: skip
    points, lines = pictures.neighbourhood_picture(graph, focus)
    n = graph.nodes[focus]["assertions"]
    items.append(Figure(
        "neighbourhood", f"Neighbourhood of {focus!r}",
        f"What in the graph is broader than {focus!r} ({n:,} assertions) on its left and what is narrower on its "
        "right, at most 30 concepts on each side, those of the greatest counts first.",
        drawing.draw_tree(points, lines, [k for k in pictures.SIDES if k in points["kind"].to_pylist()]),
        {"neighbourhood": points, "neighbourhood-edges": lines},
    ))  # fmt: skip
    return items


def named_communities(community: dict[str, str], concepts: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Return the kind of each of ``concepts``, and the kinds in their order: the largest communities, then the rest."""
    concepts = list(concepts)
    sizes = Counter(community[concept] for concept in concepts)
    largest = [name for name, n in sorted(sizes.items(), key=lambda i: (-i[1], i[0])) if n > 1][:COMMUNITIES]
    kinds = {c: community[c] if community[c] in largest else pictures.REST for c in concepts}
    return kinds, [*largest, pictures.REST] if len(largest) < len(sizes) else largest


def _built(found: Hierarchy) -> str:
    told = "cycles" if found.built is None else f"{found.built.edges:,} cycles"
    return f"The build broke {told} of the isA table at their weakest edge before it published the table hypernyms"


def _cycles(found: Hierarchy) -> list[Listing]:
    columns = [("concept", pa.string()), ("hypernym", pa.string()), ("count", pa.int64()), ("p", pa.float64())]
    listings = []
    if found.built and found.built.edges:
        table = _rows(found.built.weakest, columns)
        says = f"The {len(table):,} weakest of the {found.built.edges:,} edges of the isA table that closed a cycle: "
        says += "each was the weakest edge of its cycle, and is not in the KB. p is P(hypernym given concept)."
        listings.append(Listing("cycles", "Edges that closed cycles", says, table))
    if found.broken:
        says = "Each was the weakest of a cycle of the KB, and was taken out here."
        listings.append(
            Listing("cycles-left", "Edges that still closed cycles", says, _rows(found.broken, columns[:3]))
        )
    return listings


def _rows(rows: Sequence[Sequence[Any]], columns: Sequence[tuple[str, pa.DataType]]) -> pa.Table:
    names = [name for name, _ in columns]
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=pa.schema(columns))


def _roots(graph: Graph) -> Listing:
    rows = [
        {"root": root, "concepts_below": len(nx.ancestors(graph, root)), "assertions": graph.nodes[root]["assertions"]}
        for root in hierarchy.roots(graph)
    ]
    schema = pa.schema([("root", pa.string()), ("concepts_below", pa.int64()), ("assertions", pa.int64())])
    says = "Concepts with nothing above and something below; assertions are those of the root itself."
    return Listing("roots", "Roots", says, pa.Table.from_pylist(rows, schema=schema), shown=10)


def _levels(nodes: pa.Table) -> Listing:
    rows = nodes.group_by("level").aggregate([([], "count_all"), ("assertions", "sum")]).sort_by("level")
    rows = rows.rename_columns({"count_all": "concepts", "assertions_sum": "assertions"})
    says = "Hops of the shortest way up to a root, which is at level 0; an assertion counts once for each concept."
    return Listing("levels", "Levels", says, rows.select(["level", "concepts", "assertions"]))


def _central(nodes: pa.Table) -> list[Listing]:
    broad = (
        "PageRank walks upwards from concepts by their assertions, edges weighted by P(hypernym given concept); vague "
    )
    broad += "concepts are marked."
    between = "Betweenness is of the undirected graph, from at most 400 sampled concepts."
    by_between = nodes.sort_by([("betweenness", "descending"), ("concept", "ascending")])
    columns = ("concept", "vague", "assertions", "level", "depth", "community")
    return [
        Listing("nodes", "Central concepts by PageRank", broad, nodes, (*columns, "pagerank")),
        Listing("between", "Concepts between others", between, by_between.slice(0, 100), (*columns, "betweenness")),
    ]


def _communities(nodes: pa.Table) -> Listing:
    rows: dict[str, dict[str, Any]] = {}
    for row in nodes.to_pylist():  # the highest PageRank first
        found = rows.setdefault(
            row["community"], {"community": row["community"], "concepts": 0, "assertions": 0, "such_as": []}
        )
        found["concepts"] += 1
        found["assertions"] += row["assertions"]
        if len(found["such_as"]) < 6:
            found["such_as"].append(row["concept"])
    schema = pa.schema([("community", pa.string()), ("concepts", pa.int64()), ("assertions", pa.int64()),
                        ("such_as", pa.list_(pa.string()))])  # fmt: skip
    table = pa.Table.from_pylist([row for row in rows.values() if row["concepts"] > 1], schema=schema)
    says = "Communities of two concepts and more, by Leiden's method where leidenalg is installed, else by Louvain's."
    return Listing(
        "communities", "Communities", says, table.sort_by([("concepts", "descending"), ("community", "ascending")])
    )
