"""The hypernym graph: cycles, levels, roots, central concepts and communities."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import networkx as nx
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.analysis.distribution import concept_distribution
from mindkg.analysis.facts import Facts, Tables

if TYPE_CHECKING:
    Graph = nx.DiGraph[str]
else:
    Graph = nx.DiGraph  # it takes no parameters when the program runs

NODES: Final = pa.schema(
    [
        ("concept", pa.string()),
        ("assertions", pa.int64()),
        ("vague", pa.bool_()),
        ("level", pa.int64()),
        ("depth", pa.int64()),
        ("pagerank", pa.float64()),
        ("betweenness", pa.float64()),
        ("community", pa.string()),
    ]
)
_SAMPLED: Final = 400


class Cycles(NamedTuple):
    """How many edges of the isA table the build left out since they closed cycles, and the weakest of them.

    These are (narrower, broader, count, p).
    """

    edges: int
    weakest: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Hierarchy:
    """A hypernym graph without cycles, its edges from the narrower to the broader concept.

    Nodes have ``assertions`` (how many have the concept) and ``vague``, edges ``count`` and ``p``. ``broken`` are the
    edges (narrower, broader, count) that closed cycles here and were taken out, ``built`` those that
    the build left out, None where the KB does not say; ``concepts`` is how many the KB has,
    ``frequent`` how many of the ``used`` ones that assertions have are here (the others stand above them).
    """

    graph: Graph
    broken: list[tuple[str, str, int]]
    concepts: int
    frequent: int
    used: int
    built: Cycles | None = None


def hypernym_graph(
    facts: Facts, tables: Tables, *, limit: int = 2000, also: Sequence[str] = (), built: Cycles | None = None
) -> Hierarchy:
    """Return the graph of the ``limit`` most frequent concepts of assertions, ``also``, and all that is above them.

    ``built`` is what the notes of the stage link say of cycles.
    """
    used = concept_distribution(facts)
    frequent = pa.concat_arrays([used["concept"].slice(0, limit).combine_chunks(), pa.array(also, pa.string())])
    closure = tables["ancestors"]
    above = closure.filter(pc.is_in(closure["concept"], frequent))["ancestor"].combine_chunks()
    names = pc.unique(pa.concat_arrays([frequent, above]))
    edges = tables["hypernyms"]
    edges = edges.filter(pc.and_(pc.is_in(edges["concept"], names), pc.is_in(edges["hypernym"], names)))
    nodes = tables["concepts"].filter(pc.is_in(tables["concepts"]["concept"], names)).sort_by("concept")
    place = pc.index_in(nodes["concept"], used["concept"].combine_chunks())
    assertions = pc.fill_null(used["assertions"].take(place), 0)

    graph: Graph = nx.DiGraph()
    for concept, vague, n in zip(*(c.to_pylist() for c in (nodes["concept"], nodes["vague"], assertions)), strict=True):
        graph.add_node(concept, assertions=n, vague=vague)
    edges = edges.sort_by([("concept", "ascending"), ("hypernym", "ascending")])
    for row in edges.to_pylist():
        graph.add_edge(row["concept"], row["hypernym"], count=row["count"], p=row["p"])
    broken = break_cycles(graph)
    return Hierarchy(graph, broken, tables["concepts"].num_rows, min(limit, used.num_rows), used.num_rows, built)


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
    knots = _knots(graph, graph)
    while knots:
        knot: Graph = nx.DiGraph()  # in the order of names, which a subgraph has not
        members = knots.pop()
        knot.add_edges_from((n, b) for n in sorted(members) for b in sorted(graph.successors(n)) if b in members)
        cycle = [(edge[0], edge[1]) for edge in nx.find_cycle(knot, source=min(members))]
        count, _, narrow, broad = min((graph.edges[e]["count"], graph.edges[e]["p"], *e) for e in cycle)
        graph.remove_edge(narrow, broad)
        broken.append((narrow, broad, int(count)))
        knots += _knots(graph, members)
    return broken


def _knots(graph: Graph, nodes: Iterable[str]) -> list[set[str]]:
    """Return the strongly connected parts of more than one node among ``nodes``, in the order of names."""
    parts = nx.strongly_connected_components(graph.subgraph(nodes))
    return sorted((set(part) for part in parts if len(part) > 1), key=min)


def reduced(graph: Graph) -> Graph:
    """Return the transitive reduction of a graph without cycles: no edge that a longer way says too."""
    kept = nx.transitive_reduction(graph)
    small: Graph = nx.DiGraph()
    small.add_nodes_from(graph.nodes(data=True))
    small.add_edges_from((*edge, graph.edges[edge]) for edge in graph.edges if kept.has_edge(*edge))
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
    are Leiden's where leidenalg is installed, else Louvain's (Blondel et al. 2008), edges weighted by ``count``, and
    have the name of their concept of the highest PageRank.
    """
    if not graph:
        return NODES.empty_table()
    weights = {node: data["assertions"] + 1 for node, data in graph.nodes(data=True)}
    rank = nx.pagerank(graph, weight="p", personalization=weights)
    plain = graph.to_undirected()
    sample = min(_SAMPLED, len(plain))
    between = nx.betweenness_centrality(plain, k=sample if sample < len(plain) else None, seed=seed)
    group = {
        node: max(nodes, key=lambda name: (rank[name], name))
        for nodes in communities(plain, seed=seed)
        for node in nodes
    }
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
