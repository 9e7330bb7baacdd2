"""The hypernym graph: cycles, levels, roots, central concepts, communities, and what the reasons of a pair share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import networkx as nx
import pyarrow as pa

from mindkg.analysis.distribution import Tables, concept_distribution, entropy
from mindkg.engine import daft, to_arrow

if TYPE_CHECKING:
    Graph = nx.DiGraph[str]

NODES: Final = pa.schema(
    [
        ("concept", pa.string()),
        ("assertions", pa.int64()),
        ("vague", pa.bool_()),
        ("level", pa.int64()),
        ("depth", pa.int64()),
        ("pagerank", pa.float64()),
        ("betweenness", pa.float64()),
        ("community", pa.int64()),
    ]
)
LOWEST: Final = pa.schema(
    [
        ("cobuy_id", pa.string()),
        ("concept", pa.string()),
        ("covered", pa.int64()),
        ("intentions", pa.int64()),
        ("distance", pa.int64()),
    ]
)
BRIDGES: Final = pa.schema(
    [
        ("concept", pa.string()),
        ("assertions", pa.int64()),
        ("categories", pa.int64()),
        ("entropy", pa.float64()),
        ("between", pa.list_(pa.string())),
    ]
)
_SAMPLED: Final = 400

col, lit = daft.col, daft.lit


@dataclass(frozen=True)
class Hierarchy:
    """A hypernym graph without cycles, its edges from the narrower to the broader concept.

    Nodes have ``assertions`` (how many have the concept) and ``vague``, edges ``count`` and ``p``. ``broken`` are the
    edges (narrower, broader, count) that closed cycles and were taken out; ``concepts`` how many the KB has and
    ``kept`` how many are here.
    """

    graph: Graph
    broken: list[tuple[str, str, int]]
    concepts: int
    kept: int


def hypernym_graph(tables: Tables, *, limit: int = 2000) -> Hierarchy:
    """Return the graph of the ``limit`` most frequent concepts of assertions and all that stands above them."""
    used = concept_distribution(tables)
    frequent = daft.from_arrow(used.slice(0, limit).select(["concept"]))
    above = tables["ancestors"].join(frequent, on="concept", how="semi").select(col("ancestor").alias("concept"))
    names = frequent.concat(above).distinct().collect()
    kept = tables["hypernyms"].join(names, on="concept", how="semi")
    kept = kept.join(names.select(col("concept").alias("hypernym")), on="hypernym", how="semi")
    nodes = tables["concepts"].join(names, on="concept", how="semi").select("concept", "vague").to_pydict()
    assertions = dict(zip(used["concept"].to_pylist(), used["assertions"].to_pylist(), strict=True))

    graph: Graph = nx.DiGraph()
    for concept, vague in sorted(zip(nodes["concept"], nodes["vague"], strict=True)):
        graph.add_node(concept, assertions=assertions.get(concept, 0), vague=bool(vague))
    rows = kept.select("concept", "hypernym", "count", "p").sort(["concept", "hypernym"]).to_pydict()
    for narrow, broad, count, p in zip(*rows.values(), strict=True):
        graph.add_edge(narrow, broad, count=count, p=p)
    broken = break_cycles(graph)
    return Hierarchy(graph, broken, tables["concepts"].count_rows(), graph.number_of_nodes())


def break_cycles(graph: Graph) -> list[tuple[str, str, int]]:
    """Take the weakest edge (least ``count``, then least ``p``, then first by name) out of each cycle of ``graph``.

    Returns the edges that went: (narrower, broader, count).

    >>> g = nx.DiGraph()
    >>> g.add_edge("cable", "accessory", count=9, p=0.5)
    >>> g.add_edge("accessory", "cable", count=1, p=0.1)
    >>> break_cycles(g)
    [('accessory', 'cable', 1)]
    """
    broken = []
    knots = [knot for knot in nx.strongly_connected_components(graph) if len(knot) > 1]
    while knots:
        knot = graph.subgraph(knots.pop())
        edges = [(knot.edges[e]["count"], knot.edges[e]["p"], *e) for cycle in _one_cycle(knot) for e in cycle]
        count, _, narrow, broad = min(edges)
        graph.remove_edge(narrow, broad)
        broken.append((narrow, broad, int(count)))
        knots += [k for k in nx.strongly_connected_components(graph.subgraph(knot.nodes)) if len(k) > 1]
    return broken


def _one_cycle(knot: Graph) -> Iterable[list[tuple[str, str]]]:
    yield [(edge[0], edge[1]) for edge in nx.find_cycle(knot, source=min(knot.nodes))]


def reduced(graph: Graph) -> Graph:
    """Return the transitive reduction of a graph without cycles: no edge that a longer way says too."""
    small: Graph = nx.transitive_reduction(graph)
    small.add_nodes_from(graph.nodes(data=True))
    for narrow, broad in small.edges:
        small.edges[narrow, broad].update(graph.edges[narrow, broad])
    return small


def roots(graph: Graph) -> list[str]:
    """Return the concepts that have nothing above and something below, those with the most below first."""
    tops = [node for node in graph if not graph.out_degree(node) and graph.in_degree(node)]
    return sorted(tops, key=lambda node: (-len(nx.ancestors(graph, node)), node))


def levels(graph: Graph) -> dict[str, int]:
    """Return for each concept the hops of its shortest way up to a root; a root has 0."""
    tops = [node for node in graph if not graph.out_degree(node)]
    hops = nx.multi_source_dijkstra_path_length(graph.reverse(copy=False), tops, weight=None)
    return {node: int(n) for node, n in hops.items()}


def depths(graph: Graph) -> dict[str, int]:
    """Return for each concept the hops of the longest way down from it; a leaf has 0."""
    found: dict[str, int] = {}
    for node in nx.topological_sort(graph):
        found[node] = max((found[below] + 1 for below in graph.predecessors(node)), default=0)
    return found


def concept_measures(graph: Graph, *, seed: int = 0) -> pa.Table:
    """Return level, depth, PageRank, betweenness and community of each concept: ``NODES``, by PageRank.

    PageRank (Page et al. 1999) walks upwards, edges weighted by ``p`` and the walk starting at concepts by their
    assertions. Betweenness (Brandes 2001) is that of the undirected graph, from at most 400 sampled nodes. Communities
    are Leiden's where leidenalg is installed, else Louvain's (Blondel et al. 2008), edges weighted by ``count``.
    """
    if not graph:
        return NODES.empty_table()
    weights = {node: data["assertions"] + 1 for node, data in graph.nodes(data=True)}
    rank = nx.pagerank(graph, weight="p", personalization=weights)
    plain = graph.to_undirected()
    sample = min(_SAMPLED, len(plain))
    between = nx.betweenness_centrality(plain, k=sample if sample < len(plain) else None, seed=seed)
    group = {node: n for n, nodes in enumerate(communities(plain, seed=seed)) for node in nodes}
    level, depth = levels(graph), depths(graph)
    rows = [
        {
            "concept": node,
            **{name: data[name] for name in ("assertions", "vague")},
            "level": level[node],
            "depth": depth[node],
            "pagerank": rank[node],
            "betweenness": between[node],
            "community": group[node],
        }
        for node, data in graph.nodes(data=True)
    ]
    table = pa.Table.from_pylist(rows, schema=NODES)
    return table.sort_by([("pagerank", "descending"), ("concept", "ascending")])


def communities(graph: nx.Graph[str], *, seed: int = 0) -> list[set[str]]:
    """Return the communities of an undirected graph, the largest first."""
    try:
        import igraph
        import leidenalg
    except ImportError:
        found = nx.community.louvain_communities(graph, weight="count", seed=seed)
    else:
        other = igraph.Graph.from_networkx(graph)
        parts = leidenalg.find_partition(other, leidenalg.ModularityVertexPartition, weights="count", seed=seed)
        found = [{other.vs[i]["_nx_name"] for i in part} for part in parts]
    return sorted(found, key=lambda nodes: (-len(nodes), min(nodes)))


def lowest_common_hypernyms(tables: Tables) -> pa.Table:
    """Return for each pair the concept that its intentions share lowest in the hierarchy: ``LOWEST``.

    Of the concepts that are, or stand above, the best concept of an intention, it is the one over most of the pair's
    intentions (``covered`` of ``intentions``), then the one least far above the furthest (``distance`` hops), then
    first by name. Vague concepts and pairs with one linked intention are left out.
    """
    kept = tables["assertions"].where(col("accepted").is_null() | col("accepted"))
    pairs = kept.select("cobuy_id", "intention_id").distinct()
    best = tables["mentions"].where(col("rank") == lit(1)).select("intention_id", "concept")
    vague = tables["concepts"].where(col("vague")).select("concept")
    above = tables["ancestors"].select("concept", col("ancestor").alias("hypernym"), "distance")
    own = best.select("concept").distinct().with_columns(
        {"hypernym": col("concept"), "distance": lit(0).cast(daft.DataType.int64())}
    )  # fmt: skip
    up = own.concat(above).join(vague, left_on="hypernym", right_on="concept", how="anti")
    linked = pairs.join(best, on="intention_id").collect()
    sizes = linked.groupby("cobuy_id").agg(col("intention_id").count().alias("intentions"))
    reached = linked.join(up, on="concept").groupby("cobuy_id", "hypernym").agg(
        col("intention_id").count().alias("covered"), col("distance").max().alias("distance")
    )  # fmt: skip
    window = daft.Window().partition_by("cobuy_id").order_by(
        "covered", "distance", "hypernym", desc=[True, False, False]
    )  # fmt: skip
    shared = reached.join(sizes, on="cobuy_id").where((col("intentions") > lit(1)) & (col("covered") > lit(1)))
    ranked = shared.with_column("place", daft.functions.row_number().over(window)).where(col("place") == lit(1))
    return to_arrow(ranked.with_column("concept", col("hypernym")), LOWEST).sort_by("cobuy_id")


def category_bridges(tables: Tables, *, top: int = 100, least: int = 2) -> pa.Table:
    """Return the concepts that tie product categories together: ``BRIDGES``, the most evenly spread first.

    ``entropy`` (bits) is that of a concept's assertions over the broadest categories of their products; ``between`` are
    its categories, the most frequent first. Concepts with fewer than ``least`` assertions in two categories are left
    out.
    """
    found = concept_distribution(tables, by="category").to_pylist()
    by_concept: dict[str, list[tuple[int, str]]] = {}
    for row in found:
        if row["assertions"] >= least:
            by_concept.setdefault(row["concept"], []).append((row["assertions"], row["group"]))
    rows: list[dict[str, Any]] = []
    for concept, counts in by_concept.items():
        if len(counts) > 1:
            numbers = [n for n, _ in counts]
            names = [name for _, name in sorted(counts, key=lambda c: (-c[0], c[1]))]
            rows.append({"concept": concept, "assertions": sum(numbers), "categories": len(counts),
                         "entropy": entropy(numbers), "between": names})  # fmt: skip
    rows.sort(key=lambda r: (-r["entropy"], -r["assertions"], r["concept"]))
    return pa.Table.from_pylist(rows[:top], schema=BRIDGES)
