"""Pictures of the hypernym graph as points and lines: the top of the hierarchy, a neighbourhood, the whole on rings.

The first two are trees from left to right, one row a concept, so that no two labels can overlap.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import networkx as nx
import pyarrow as pa

from mindkg.errors import InputError, nearest

if TYPE_CHECKING:
    from mindkg.analysis.hierarchy import Graph

STRONGEST, OTHER_WAY = "strongest", "other"
BROADER, NARROWER, FOCUS = "broader", "narrower", "the concept"
SIDES: Final = (FOCUS, BROADER, NARROWER)
OTHERS: Final = 20
REST: Final = "other communities"

POINTS: Final = pa.schema(
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
LETTER: Final = 5.8
"""Pixels that a letter of a label takes."""

_GAP: Final = 46.0
ROW: Final = 17.0
"""Pixels between two rows of labels."""


def forest(graph: Graph) -> nx.DiGraph[str]:
    """Return the forest in which each concept hangs under its strongest parent (by ``count``), edges downwards.

    Nodes have the data of ``graph`` and ``weight``, the assertions at or below them. Vague concepts are left out.
    """
    trees: nx.DiGraph[str] = nx.DiGraph()
    trees.add_nodes_from((node, data) for node, data in graph.nodes(data=True) if not data["vague"])
    for node in list(trees):
        above = [(-data["count"], broad) for _, broad, data in graph.out_edges(node, data=True) if broad in trees]
        if above:
            trees.add_edge(min(above)[1], node)
    weight = {node: graph.nodes[node]["assertions"] for node in trees}
    for node in reversed(list(nx.topological_sort(trees))):
        for parent in trees.predecessors(node):
            weight[parent] += weight[node]
    nx.set_node_attributes(trees, weight, "weight")
    return trees


def hierarchy_tree(graph: Graph, *, limit: int = 60, levels: int = 4, roots: int = 14) -> nx.DiGraph[str]:
    """Return the part of the hierarchy worth drawing, of ``forest``.

    It has the concepts with the most assertions at or below them, at most ``limit`` in ``levels`` levels under the
    heaviest ``roots`` roots, never one without its parent, and no root without a child.
    """
    trees = forest(graph)
    front = [(-_weight(trees, n), n, 1) for n in trees if not trees.in_degree(n) and trees.out_degree(n)]
    front = sorted(front)[:roots]
    kept: list[str] = []
    while front and len(kept) < limit:
        _, node, level = heapq.heappop(front)
        kept.append(node)
        children = [(-_weight(trees, child), child, level + 1) for child in trees.successors(node)]
        if level == 1 and children:
            # a root comes with its heaviest child: alone it says nothing of the hierarchy
            first = min(children)
            children += [(-_weight(trees, n), n, 3) for n in trees.successors(first[1])]
            children.remove(first)
            kept.append(first[1])
        for child in children if level < levels else ():
            heapq.heappush(front, child)
    chosen: nx.DiGraph[str] = nx.DiGraph()  # not a subgraph, whose order is that of a set
    chosen.add_nodes_from((node, trees.nodes[node]) for node in kept)
    chosen.add_edges_from((parent, node) for node in kept for parent in trees.predecessors(node))
    return chosen


def neighbourhood_tree(graph: Graph, concept: str, *, limit: int = 30) -> tuple[nx.DiGraph[str], nx.DiGraph[str]]:
    """Return what stands above ``concept`` and what below it, two trees with it as their root.

    Above: its hypernyms and theirs; below: its heaviest hyponyms and theirs, at most ``limit`` in each tree. Raises
    InputError where the graph has no such concept.
    """
    if concept not in graph:
        hint = nearest(concept, graph) or "Give a concept of the KB that its assertions have"
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
    column, row = _columns(tree), _rows(tree)
    widths = [0.0] * (max(column.values(), default=0) + 2)
    for node, n in column.items():
        widths[n + 1] = max(widths[n + 1], LETTER * len(node) + _GAP)
    starts = [sum(widths[: n + 1]) for n in range(len(widths))]
    sign = -1.0 if leftwards else 1.0
    return {node: (sign * starts[column[node]], row[node] * ROW) for node in tree}


def ring_places(tree: nx.DiGraph[str]) -> dict[str, tuple[float, float]]:
    """Return a place (x, y) for each node of a forest: roots on the inner ring, each level on a ring further out."""
    column, row = _columns(tree), _rows(tree)
    turn = 2 * math.pi / (max(row.values(), default=0.0) + 1)
    return {
        node: ((column[node] + 2) * math.cos(row[node] * turn), (column[node] + 2) * math.sin(row[node] * turn))
        for node in tree
    }


def labelled(points: pa.Table, size: float) -> list[str]:
    """Return the concepts of a picture that can be labelled without overlaps, those of the most assertions first.

    ``points`` lie in a square around (0, 0) that is drawn ``size`` pixels wide.
    """
    reach = max(map(abs, [*points["x"].to_pylist(), *points["y"].to_pylist()]), default=1.0)
    taken: list[tuple[float, float, float]] = []
    found = []
    for row in points.sort_by([("assertions", "descending"), ("concept", "ascending")]).to_pylist():
        x, y = (row[axis] * size / 2 / reach for axis in "xy")
        end = x + LETTER * len(row["concept"]) + 12
        if all(end < left or x > right or abs(y - height) > ROW for left, right, height in taken):
            taken.append((x, end, y))
            found.append(row["concept"])
    return found


def _tops(tree: nx.DiGraph[str]) -> list[str]:
    return sorted((n for n in tree if not tree.in_degree(n)), key=lambda n: (-_weight(tree, n), n))


def _columns(tree: nx.DiGraph[str]) -> dict[str, int]:
    """Return the level of each node, 0 for a root."""
    return {node: n for n, nodes in enumerate(nx.bfs_layers(tree, _tops(tree))) for node in nodes}


def _rows(tree: nx.DiGraph[str]) -> dict[str, float]:
    """Return a row for each node: leaves one after the other, a parent the middle of its children."""
    rows: dict[str, float] = {}
    taken = 0
    for top in _tops(tree):
        for node in nx.dfs_postorder_nodes(
            tree, top, sort_neighbors=lambda c: sorted(c, key=lambda n: (-_weight(tree, n), n))
        ):
            children = [rows[child] for child in tree.successors(node)]
            if children:
                rows[node] = sum(children) / len(children)
            else:
                rows[node], taken = float(taken), taken + 1
    return rows


def _weight(tree: nx.DiGraph[str], node: str) -> int:
    return int(tree.nodes[node].get("weight", tree.nodes[node]["assertions"]))


def hierarchy_picture(graph: Graph, tree: nx.DiGraph[str], kinds: Mapping[str, str]) -> tuple[pa.Table, pa.Table]:
    """Return points and lines of the picture of a forest; a point's kind is that of ``kinds``, such as its community.

    Of the hypernyms among its concepts that the forest leaves out, the ``OTHERS`` most counted are lines of the kind
    ``OTHER_WAY``.
    """
    ways = [(child, parent, STRONGEST) for parent, child in tree.edges]
    other = [
        (-data["count"], narrow, broad)
        for narrow, broad, data in graph.edges(data=True)
        if narrow in tree and broad in tree and not tree.has_edge(broad, narrow)
    ]
    ways += [(narrow, broad, OTHER_WAY) for _, narrow, broad in sorted(other)[:OTHERS]]
    return _picture(graph, tree_places(tree), ways, kinds)


def neighbourhood_picture(graph: Graph, concept: str, *, limit: int = 30) -> tuple[pa.Table, pa.Table]:
    """Return points and lines of the picture of a concept: what is broader on its left, what is narrower on its right.

    At most ``limit`` concepts on each side; raises InputError where the graph has no such concept.
    """
    above, below = neighbourhood_tree(graph, concept, limit=limit)
    left, right = tree_places(above, leftwards=True), tree_places(below)
    shift = right[concept][1] - left[concept][1]
    places = {node: (x, y + shift) for node, (x, y) in left.items()} | right
    kinds = dict.fromkeys(above, BROADER) | dict.fromkeys(below, NARROWER) | {concept: FOCUS}
    ways = [(n, b, STRONGEST) for n, b in above.edges] + [(n, b, STRONGEST) for b, n in below.edges]
    return _picture(graph, places, ways, kinds)


def ring_picture(graph: Graph, kinds: Mapping[str, str]) -> tuple[pa.Table, pa.Table]:
    """Return points and lines of the whole hierarchy on rings; concepts without a hypernym or hyponym are left out."""
    trees = forest(graph)
    # one may be the broader concept of others and yet the strongest of none
    alone = [node for node in trees if not any(other in trees for other in nx.all_neighbors(graph, node))]
    trees.remove_nodes_from(alone)
    ways = [(n, b, STRONGEST if trees.has_edge(b, n) else OTHER_WAY) for n, b in graph.edges if {n, b} <= set(trees)]
    return _picture(graph, ring_places(trees), ways, kinds)


def _picture(
    graph: Graph,
    places: Mapping[str, tuple[float, float]],
    ways: list[tuple[str, str, str]],
    kinds: Mapping[str, str],
) -> tuple[pa.Table, pa.Table]:
    points = [
        {"concept": n, "x": x, "y": y, "assertions": graph.nodes[n]["assertions"], "kind": kinds[n]}
        for n, (x, y) in places.items()
    ]
    lines = [
        {"narrower": n, "broader": b, "count": graph.edges[n, b]["count"], "kind": kind,
         **dict(zip(("x", "y", "x2", "y2"), (*places[n], *places[b]), strict=True))}
        for n, b, kind in ways
    ]  # fmt: skip
    return pa.Table.from_pylist(points, schema=POINTS), pa.Table.from_pylist(lines, schema=LINES)
