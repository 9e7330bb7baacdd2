"""The report on a KB's hypernyms: one HTML page, each figure and its data as files, and the graph in three forms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import networkx as nx
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.analysis import drawing, hierarchy, pictures
from mindkg.analysis.comparison_section import comparison_section
from mindkg.analysis.facts import Facts, facts_of, read_tables
from mindkg.analysis.figures import Figure, Section, write_figure, write_rows
from mindkg.analysis.hierarchy import Hierarchy
from mindkg.analysis.hierarchy_section import hierarchy_section, named_communities
from mindkg.analysis.page import chart_page, page
from mindkg.analysis.plots import altair
from mindkg.analysis.spread_section import spread_section
from mindkg.errors import InputError, UsageError, nearest
from mindkg.outputs import check_folder, new_folder
from mindkg.xml_text import FORBIDDEN, xml_id, xml_text

if TYPE_CHECKING:
    from mindkg.knowledge_base import KnowledgeBase

Progress = Callable[[str], None]

KIND: Final = "hypernyms"
"""The kind of output that a report is."""


@dataclass(frozen=True)
class Report:
    """What was written: the page, the names of figures and tables, and what could not be shown, in lines."""

    page: Path
    figures: tuple[str, ...]
    tables: tuple[str, ...]
    lines: tuple[str, ...]


def hypernym_report(
    kb: KnowledgeBase,
    output: str | Path,
    *,
    compare: KnowledgeBase | None = None,
    focus: str | None = None,
    limit: int = 2000,
    names: tuple[str, str] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Write the report on ``kb`` into the folder ``output`` and return what is there.

    The folder appears when the report is complete. An earlier report there is replaced, other files only with
    ``overwrite``.

    ``compare`` is a KB to set beside it, ``names`` what the two are called (else the names of their folders), ``focus``
    the concept whose neighbourhood is drawn (else the most frequent with concepts on both sides), ``limit`` how many of
    the most frequent concepts the graph has. Raises InputError where altair is missing, ``focus`` is no concept of the
    KB, or the folder cannot be written.
    """
    altair()
    check_folder(output, KIND, overwrite=overwrite)
    if limit < 1:
        raise UsageError(f"the graph cannot have {limit} concepts", hint="Give a --limit of 1 or more")
    if names and compare is None:
        raise UsageError("two names need two KBs", hint="Say which other one with --compare")
    if focus is not None and pc.index(known := kb.table("concepts")["concept"], focus).as_py() < 0:
        hint = nearest(focus, known.to_pylist()) or "Give a label of its table concepts as it stands there"
        raise InputError(f"the KB has no concept {focus!r}", hint=hint)
    say = progress or (lambda line: None)
    say(f"reading {kb.address}")
    tables = read_tables(kb)
    facts = facts_of(tables)
    say("spread of concepts")
    parts = [spread_section(facts)]
    if compare is not None:
        say(f"comparing with {compare.address}")
        one, other = names or _names(kb.path, compare.path)
        called = xml_text(one), xml_text(other)
        parts.append(comparison_section(facts, facts_of(read_tables(compare)), called))
    say("hypernym graph")
    noted = kb.manifest.stages["link"].notes.get("cycles_broken")
    built = hierarchy.Cycles(**noted) if noted else None
    found = hierarchy.hypernym_graph(facts, tables, limit=limit, also=[focus] if focus else [], built=built)
    nodes = hierarchy.concept_measures(found.graph)
    parts.append(hierarchy_section(facts, tables, found, nodes, focus))
    odd = sum(bool(FORBIDDEN.search(concept)) for concept in nodes["concept"].to_pylist())
    if odd:
        say(f"{odd:,} concepts have characters that XML cannot hold: U+FFFD in figures and pages, %XX in graph files")
    with new_folder(output, KIND, overwrite=overwrite) as folder:
        written = _write(folder, kb.path.resolve().name, facts, found, nodes, parts, say)
    return replace(written, page=Path(output) / written.page.name)


def _names(a: Path, b: Path) -> tuple[str, str]:
    """Return what two KBs are called: their folders' names, or where these are the same the ends of their paths."""
    one, other = a.resolve(), b.resolve()
    if one.name != other.name:
        return one.name, other.name
    pair = "/".join(one.parts[-2:]), "/".join(other.parts[-2:])
    return pair if pair[0] != pair[1] else (f"{one.name} (a)", f"{other.name} (b)")


def _write(
    folder: Path,
    name: str,
    facts: Facts,
    found: Hierarchy,
    nodes: pa.Table,
    parts: list[Section],
    say: Progress,
) -> Report:
    drawn, tables = {}, []
    for item in (item for part in parts for item in part.items):
        say(f"writing {item.name}")
        if isinstance(item, Figure):
            drawn[item.name] = write_figure(item, folder)
            tables += list(item.data)
        else:
            write_rows(item.rows, item.name, folder)
            tables.append(item.name)
    if found.graph:
        say("writing the graph")
        write_graph(found, nodes, folder)
    written = folder / "report.html"
    written.write_text(page(f"Hypernyms of {name}", _about(facts), parts, drawn), "utf-8")
    return Report(written, tuple(drawn), tuple(tables), tuple(line for part in parts for line in part.lines))


def _xml_ids(concepts: list[str]) -> dict[str, str]:
    """Return the node id of each concept in files that are XML: itself, or percent-encoded where one needs it."""
    odd = any(map(FORBIDDEN.search, concepts))
    return {concept: xml_id(concept) if odd else concept for concept in concepts}


def _about(facts: Facts) -> list[str]:
    kept, linked = int(facts.kept.sum()), int(facts.linked[facts.kept].sum())
    share = f" ({linked / kept:.1%})" if kept else ""
    return [
        f"{len(facts):,} assertions about {len(facts.pair.labels):,} pairs; the filter refused {len(facts) - kept:,}, "
        f"and {kept:,} are in the graph, {linked:,} of them{share} with a concept.",
        "Each figure is in the folder figures as SVG and PNG, its rows and all tables are in data as CSV and Parquet; "
        "the hypernym graph is in hypernyms.graphml, hypernyms.gexf and, to be zoomed and searched, hypernyms.html.",
    ]


def write_graph(found: Hierarchy, nodes: pa.Table, folder: Path) -> None:
    """Write a hypernym graph as GraphML, as GEXF and as a page to be moved, zoomed and searched, into ``folder``.

    Nodes have the measures in ``nodes`` (``concept_measures``), edges count, p and ``direct``: whether the transitive
    reduction has them.
    """
    direct = hierarchy.reduced(found.graph)
    graph: hierarchy.Graph = nx.DiGraph()
    names = _xml_ids(nodes["concept"].to_pylist())
    for row in nodes.to_pylist():
        graph.add_node(names[row.pop("concept")], **{**row, "community": names[row["community"]]})
    for narrow, broad, data in found.graph.edges(data=True):
        graph.add_edge(names[narrow], names[broad], **data, direct=direct.has_edge(narrow, broad))
    nx.write_graphml(graph, folder / "hypernyms.graphml")
    nx.write_gexf(graph, folder / "hypernyms.gexf")
    community = dict(zip(nodes["concept"].to_pylist(), nodes["community"].to_pylist(), strict=True))
    kinds, order = named_communities(community, direct)
    points, lines = pictures.ring_picture(direct, kinds)
    if len(points):
        chart = drawing.draw_rings(points, lines, order).properties(title="Hypernyms")
        (folder / "hypernyms.html").write_text(chart_page("Hypernyms", chart), "utf-8")
