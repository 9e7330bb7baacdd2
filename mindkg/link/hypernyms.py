"""The hierarchy above the concepts that are mentioned: likeliest parents, no cycles, and its closure."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.link.ranking import first_of_each, judged
from mindkg.schema import TABLES

if TYPE_CHECKING:
    from mindkg.link.isa import IsaTable

Ints = npt.NDArray[np.int64]


BROAD: Final = 20
"""Instances from which on a concept is known well enough to say which concepts are broader than it."""


class Edges(NamedTuple):
    """The table hypernyms, sorted, and in its form the edges that closed cycles and were left out, weakest first."""

    kept: pa.Table
    broken: pa.Table


def hypernyms(
    concepts: pa.Array, isa: IsaTable, vague: Collection[str], *, parents: int = 5, levels: int = 3, least: int = 1
) -> Edges:
    """Return the table hypernyms for ``concepts`` and upwards ``levels`` steps, and what was left out of it.

    A concept has its ``parents`` likeliest hypernyms that are not in ``vague``, were counted ``least`` times or more
    and are no noise (ranking.judged); a concept with BROAD instances or more has only those with still more instances.
    p is the count over the counts of all its hypernyms. Cycles are broken at their weakest edge (without_cycles).
    """
    seen = front = pc.unique(concepts)
    parts = [TABLES["hypernyms"].empty_table()]
    for _ in range(levels):
        edges = _likeliest(front, isa, vague, parents, least)
        parts.append(edges)
        found = pc.unique(edges["hypernym"])
        front = found.filter(pc.invert(pc.is_in(found, seen)))
        seen = pa.concat_arrays([seen, front])
    edges = without_cycles(pa.concat_tables(parts))
    return edges._replace(kept=edges.kept.sort_by([("concept", "ascending"), ("hypernym", "ascending")]))


def _likeliest(front: pa.Array, isa: IsaTable, vague: Collection[str], parents: int, least: int) -> pa.Table:
    rows = judged(isa.lookup(front), isa, vague)
    own = isa.concept_totals(front)
    spread = own["instances"].take(pc.index_in(rows["instance"], own["concept"].combine_chunks()))
    narrower = pc.or_kleene(
        pc.is_null(spread), pc.or_(pc.less(spread, BROAD), pc.less(spread, rows["concept_instances"]))
    )
    counted = pc.and_(pc.greater_equal(rows["count"], least), pc.invert(rows["vague"]))
    rows = rows.filter(pc.and_(counted, narrower))
    rows = rows.sort_by([("instance", "ascending"), ("count", "descending"), ("concept", "ascending")])
    codes = rows["instance"].combine_chunks().dictionary_encode().indices.to_numpy()
    rows = rows.take(pa.array(first_of_each(codes, parents)))
    p = pc.divide(rows["count"].cast(pa.float64()), rows["total"].cast(pa.float64()))
    return pa.table([rows["instance"], rows["concept"], rows["count"], p], schema=TABLES["hypernyms"])


def without_cycles(edges: pa.Table) -> Edges:
    """Return the table hypernyms without the weakest edge of each cycle, and these edges.

    Edges are taken from strong to weak and one that would close a cycle is left out, so a lost edge is the weakest of a
    cycle whose other edges all stay. The order of nodes is kept topological while edges come in (Pearce and Kelly
    2006), beginning with broad concepts behind narrow ones, so that few edges need work.
    """
    nodes = _nodes(edges)
    low = pc.index_in(edges["concept"], nodes).to_numpy()
    high = pc.index_in(edges["hypernym"], nodes).to_numpy()
    order = pc.sort_indices(
        edges, [("p", "descending"), ("count", "descending"), ("concept", "ascending"), ("hypernym", "ascending")]
    ).to_numpy()
    inside = _in_cycles(low, high, len(nodes))
    broad = np.bincount(high, minlength=len(nodes)) if len(high) else np.zeros(len(nodes))
    dag = _Dag(np.argsort(np.argsort(broad, kind="stable"), kind="stable").tolist())
    lost = [
        int(i) for i in order if inside[low[i]] and inside[low[i]] == inside[high[i]] and not dag.add(low[i], high[i])
    ]
    keep = np.ones(edges.num_rows, bool)
    keep[lost] = False
    return Edges(edges.filter(pa.array(keep)), edges.take(pa.array(lost[::-1], pa.int64())))


def _nodes(edges: pa.Table) -> pa.Array:
    columns = pa.chunked_array([*edges["concept"].chunks, *edges["hypernym"].chunks], pa.string())
    return pc.unique(columns)


def _in_cycles(low: Ints, high: Ints, size: int) -> Ints:
    """Return for each node the number of its strongly connected component, 0 for one that is alone."""
    import networkx as nx

    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_edges_from(zip(low.tolist(), high.tolist(), strict=True))
    component = np.zeros(size, np.int64)
    for number, members in enumerate(nx.strongly_connected_components(graph), 1):
        if len(members) > 1:
            component[list(members)] = number
    return component


class _Dag:
    """A graph without cycles that refuses an edge that would close one."""

    def __init__(self, place: list[int]) -> None:
        self._place = place
        self._up: dict[int, list[int]] = {}
        self._down: dict[int, list[int]] = {}

    def add(self, low: int, high: int) -> bool:
        """Add the edge and return True, or return False where it would close a cycle."""
        place = self._place
        if place[low] > place[high]:
            above = self._reach(high, self._up, place[low], up=True)
            if low in above:
                return False
            below = self._reach(low, self._down, place[high], up=False)
            moved = sorted(below, key=place.__getitem__) + sorted(above, key=place.__getitem__)
            for node, spot in zip(moved, sorted(place[node] for node in moved), strict=True):
                place[node] = spot
        self._up.setdefault(low, []).append(high)
        self._down.setdefault(high, []).append(low)
        return True

    def _reach(self, start: int, edges: dict[int, list[int]], bound: int, *, up: bool) -> set[int]:
        place = self._place
        found, stack = {start}, [start]
        while stack:
            for node in edges.get(stack.pop(), ()):
                if node not in found and (place[node] <= bound if up else place[node] >= bound):
                    found.add(node)
                    stack.append(node)
        return found


def ancestors(edges: pa.Table) -> pa.Table:
    """Return the table ancestors: the closure of ``edges`` (the table hypernyms, without cycles), by shortest way."""
    if not edges.num_rows:
        return TABLES["ancestors"].empty_table()
    nodes = _nodes(edges).sort()
    low = pc.index_in(edges["concept"], nodes).to_numpy().astype(np.int64)
    high = pc.index_in(edges["hypernym"], nodes).to_numpy().astype(np.int64)
    order = np.argsort(low, kind="stable")
    low, high = low[order], high[order]
    first = np.searchsorted(low, np.arange(len(nodes) + 1))
    size = len(nodes)
    known = front = np.unique(low * size + high)
    distance = np.ones(len(known), np.int64)
    hops = 1
    while len(front):
        hops += 1
        start, end = first[front % size], first[front % size + 1]
        width = end - start
        step = np.repeat(start - np.concatenate(([0], np.cumsum(width)[:-1])), width) + np.arange(width.sum())
        front = np.setdiff1d(np.repeat(front // size, width) * size + high[step], known)
        order = np.argsort(np.concatenate((known, front)), kind="stable")
        known = np.concatenate((known, front))[order]
        distance = np.concatenate((distance, np.full(len(front), hops)))[order]
    return pa.table(
        [nodes.take(pa.array(known // size)), nodes.take(pa.array(known % size)), distance], schema=TABLES["ancestors"]
    )
