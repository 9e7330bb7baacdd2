"""Pictures of the hypernym graph that a person can read: the top of the hierarchy, and one concept's neighbourhood.

Both are drawn as trees from left to right, one line a concept, so that no two labels can overlap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import networkx as nx
import pyarrow as pa

from mindkg.analysis.plots import COLOURS, _altair
from mindkg.errors import InputError

if TYPE_CHECKING:
    import altair

    from mindkg.analysis.hierarchy import Graph

PLACES: Final = pa.schema(
    [
        ("concept", pa.string()),
        ("x", pa.float64()),
        ("y", pa.float64()),
        ("assertions", pa.int64()),
        ("kind", pa.string()),
    ]
)
LINES: Final = pa.schema(
    [
        ("narrower", pa.string()),
        ("broader", pa.string()),
        ("x", pa.float64()),
        ("y", pa.float64()),
        ("x2", pa.float64()),
        ("y2", pa.float64()),
        ("count", pa.int64()),
        ("kind", pa.string()),
    ]
)
_LETTER: Final = 6.6
_GAP: Final = 46.0
_ROW: Final = 17.0
_SHAPES: Final = (
    "circle",
    "square",
    "triangle-up",
    "diamond",
    "cross",
    "triangle-down",
    "triangle-right",
    "triangle-left",
)


def hierarchy_tree(graph: Graph, *, limit: int = 60, levels: int = 4) -> nx.DiGraph[str]:
    """Return the part of the hierarchy worth drawing as a forest, its edges from the broader to the narrower concept.

    Each concept hangs under its strongest parent (by ``count``); those with the most assertions at or below them are
    kept, at most ``limit`` concepts and ``levels`` levels, never one without its parent.
    """
    forest: nx.DiGraph[str] = nx.DiGraph()
    forest.add_nodes_from(graph.nodes(data=True))
    for node in graph:
        above = [(-data["count"], broad) for _, broad, data in graph.out_edges(node, data=True)]
        if above:
            forest.add_edge(min(above)[1], node)
    weight = {node: graph.nodes[node]["assertions"] for node in graph}
    for node in reversed(list(nx.topological_sort(forest))):
        for parent in forest.predecessors(node):
            weight[parent] += weight[node]
    return _heaviest(forest, weight, limit, levels)


def _heaviest(forest: nx.DiGraph[str], weight: Mapping[str, int], limit: int, levels: int) -> nx.DiGraph[str]:
    """Return the ``limit`` heaviest nodes that can be reached from roots with children in ``levels`` levels."""
    edge = [(-weight[n], n, 1) for n in forest if not forest.in_degree(n) and forest.out_degree(n)]
    kept: list[str] = []
    while edge and len(kept) < limit:
        edge.sort(reverse=True)
        _, node, level = edge.pop()
        kept.append(node)
        if level < levels:
            edge += [(-weight[child], child, level + 1) for child in forest.successors(node)]
    chosen: nx.DiGraph[str] = forest.subgraph(kept).copy()
    nx.set_node_attributes(chosen, {n: weight[n] for n in chosen}, "weight")
    return chosen


def neighbourhood_tree(graph: Graph, concept: str, *, limit: int = 30) -> tuple[nx.DiGraph[str], nx.DiGraph[str]]:
    """Return what stands above ``concept`` and what below it, two trees with it as their root.

    Above: its hypernyms and theirs; below: its heaviest hyponyms and theirs, at most ``limit`` in each tree. Raises
    InputError where the graph has no such concept.
    """
    if concept not in graph:
        hint = "Give one of the concepts in nodes.csv of the report"
        raise InputError(f"the analysed hypernym graph has no concept {concept!r}", hint=hint)
    return _reach(graph, concept, limit), _reach(graph.reverse(copy=False), concept, limit)


def _reach(graph: nx.DiGraph[str], concept: str, limit: int) -> nx.DiGraph[str]:
    """Return the tree of the first ways from ``concept`` along edges, those of the greatest count first."""
    tree: nx.DiGraph[str] = nx.DiGraph()
    tree.add_node(concept, **graph.nodes[concept])
    waiting = [concept]
    while waiting and len(tree) < limit:
        node = waiting.pop(0)
        for _, other, _data in sorted(graph.out_edges(node, data=True), key=lambda e: (-e[2]["count"], e[1])):
            if other not in tree and len(tree) < limit:
                tree.add_node(other, **graph.nodes[other])
                tree.add_edge(node, other)
                waiting.append(other)
    return tree


def tree_places(tree: nx.DiGraph[str], *, leftwards: bool = False) -> dict[str, tuple[float, float]]:
    """Return a place (x, y) in pixels for each node: a column for each level, a row for each leaf.

    A column begins where the longest label of the one before ends. ``leftwards`` turns the tree round.
    """
    tops = sorted((n for n in tree if not tree.in_degree(n)), key=lambda n: (-_weight(tree, n), n))
    column = {node: n for n, nodes in enumerate(nx.bfs_layers(tree, tops)) for node in nodes}
    widths = [0.0] * (max(column.values(), default=0) + 2)
    for node, n in column.items():
        widths[n + 1] = max(widths[n + 1], _LETTER * len(node) + _GAP)
    starts = [sum(widths[: n + 1]) for n in range(len(widths))]
    rows: dict[str, float] = {}
    for top in tops:
        _set_rows(tree, top, rows)
    sign = -1.0 if leftwards else 1.0
    return {node: (sign * starts[column[node]], rows[node] * _ROW) for node in tree}


def _set_rows(tree: nx.DiGraph[str], top: str, rows: dict[str, float]) -> None:
    """Give each node below ``top`` a row: leaves one after the other, a parent the middle of its children."""
    first = int(max(rows.values(), default=-1.0)) + 1
    below = {top, *nx.descendants(tree, top)}
    order = list(
        nx.dfs_postorder_nodes(tree, top, sort_neighbors=lambda c: sorted(c, key=lambda n: (-_weight(tree, n), n)))
    )
    taken = first
    for node in order:
        children = [rows[child] for child in tree.successors(node) if child in below]
        if children:
            rows[node] = sum(children) / len(children)
        else:
            rows[node], taken = float(taken), taken + 1


def _weight(tree: nx.DiGraph[str], node: str) -> int:
    return int(tree.nodes[node].get("weight", tree.nodes[node]["assertions"]))


def draw_hierarchy(graph: Graph, tree: nx.DiGraph[str], kinds: Mapping[str, str], title: str) -> altair.LayerChart:
    """Return the picture of a forest: size says assertions, colour and shape ``kinds`` (such as its community).

    Dashed lines are hypernyms that the forest leaves out.
    """
    places = tree_places(tree)
    solid = [(child, parent, "strongest hypernym") for parent, child in tree.edges]
    other = [e for e in graph.edges if e[0] in tree and e[1] in tree and not tree.has_edge(e[1], e[0])]
    return _draw(graph, places, solid + [(*e, "other hypernym") for e in other], kinds, title)


def draw_neighbourhood(graph: Graph, concept: str, title: str, *, limit: int = 30) -> altair.LayerChart:
    """Return the picture of a concept: what is broader on its left, what is narrower on its right."""
    above, below = neighbourhood_tree(graph, concept, limit=limit)
    left, right = tree_places(above, leftwards=True), tree_places(below)
    shift = right[concept][1] - left[concept][1]
    places = {node: (x, y + shift) for node, (x, y) in left.items()} | right
    kinds = dict.fromkeys(above, "broader") | dict.fromkeys(below, "narrower") | {concept: "the concept"}
    lines = [(n, b, "hypernym") for n, b in above.edges] + [(n, b, "hypernym") for b, n in below.edges]
    return _draw(graph, places, lines, kinds, title)


def _ends(narrow: str, broad: str, places: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Return the ends of a line: from where the label of the left concept ends to the point of the right one."""
    left, right = sorted((narrow, broad), key=lambda n: places[n][0])
    x, y = places[left]
    return {"x": x + _LETTER * len(left) + 14, "y": y, "x2": places[right][0] - 6, "y2": places[right][1]}


def _draw(
    graph: Graph,
    places: Mapping[str, tuple[float, float]],
    lines: list[tuple[str, str, str]],
    kinds: Mapping[str, str],
    title: str,
) -> Any:
    alt = _altair()
    nodes = [
        {"concept": n, "x": x, "y": y, "assertions": graph.nodes[n]["assertions"], "kind": kinds[n]}
        for n, (x, y) in places.items()
    ]
    edges = [
        {"narrower": n, "broader": b, "kind": kind, "count": graph.edges[n, b]["count"],
         **_ends(n, b, places)}
        for n, b, kind in lines
    ]  # fmt: skip
    xs, ys = [x for x, _ in places.values()], [y for _, y in places.values()]
    last = max((x + _LETTER * len(n) for n, (x, _) in places.items()), default=0.0)
    x = alt.Scale(domain=[min(xs, default=0.0) - 12, last + 24], nice=False, zero=False)
    y = alt.Scale(domain=[max(ys, default=0.0) + _ROW, min(ys, default=0.0) - _ROW], nice=False, zero=False)
    size = {"width": x.domain[1] - x.domain[0], "height": y.domain[0] - y.domain[1]}
    named = sorted({kinds[n] for n in places})
    scales = {"color": list(COLOURS), "shape": list(_SHAPES)}
    told = {
        channel: getattr(alt, channel.title())(
            "kind:N", title=None, scale=alt.Scale(domain=named, range=[r[i % len(r)] for i in range(len(named))])
        )
        for channel, r in scales.items()
    }
    ways = ["strongest hypernym", "other hypernym", "hypernym"]
    rules = alt.Chart(alt.Data(values=edges)).mark_rule(color="#888").encode(
        x=alt.X("x:Q", scale=x, axis=None), y=alt.Y("y:Q", scale=y, axis=None), x2="x2:Q", y2="y2:Q",
        strokeDash=alt.StrokeDash("kind:N", legend=None, scale=alt.Scale(domain=ways, range=[[1, 0], [3, 3], [1, 0]])),
        opacity=alt.Opacity("kind:N", legend=None, scale=alt.Scale(domain=ways, range=[0.9, 0.35, 0.9])),
    )  # fmt: skip
    base = alt.Chart(alt.Data(values=nodes)).encode(
        x=alt.X("x:Q", scale=x, axis=None), y=alt.Y("y:Q", scale=y, axis=None)
    )
    tips = ["concept:N", "assertions:Q", "kind:N"]
    area = alt.Size("assertions:Q", scale=alt.Scale(range=[25, 260]), title="assertions")
    points = base.mark_point(filled=True, opacity=1).encode(size=area, tooltip=tips, **told)
    halo = base.mark_text(align="left", dx=9, fontSize=11, stroke="white", strokeWidth=3).encode(text="concept:N")
    text = base.mark_text(align="left", dx=9, fontSize=11).encode(text="concept:N")
    return (rules + points + halo + text).properties(title=title, **size).configure_view(stroke=None)
