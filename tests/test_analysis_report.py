"""The report on hypernyms of the bundled sample, by the commands of docs/hypernyms.md: its files, page and figures."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import networkx as nx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, blocks
from test_analysis import made

from mindkg.analysis import comparison, drawing, hierarchy, pictures, plots
from mindkg.analysis.comparison_section import comparison_section
from mindkg.analysis.distribution import coverage
from mindkg.analysis.facts import Facts, Tables, facts_of, read_tables
from mindkg.analysis.figures import Figure, Listing, Section
from mindkg.analysis.hierarchy_section import hierarchy_section
from mindkg.analysis.page import page
from mindkg.analysis.report import hypernym_report
from mindkg.analysis.spread_section import spread_section
from mindkg.errors import InputError
from mindkg.knowledge_base import KnowledgeBase

PAGE = (ROOT / "docs" / "hypernyms.md").read_text("utf-8")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the commands of docs/hypernyms.md were run."""
    folder = tmp_path_factory.mktemp("analysis")
    (folder / "examples").symlink_to(ROOT / "examples")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for command in "".join(blocks("sh", PAGE)).splitlines():
        done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        if command.startswith("mindkg hypernyms"):
            output = command.split(" -o ")[1].split()[0]
            assert done.stdout == f"{output}/report.html\n" and "hypernym graph" in done.stderr
    return folder


@pytest.fixture(scope="module")
def kb(workplace: Path) -> KnowledgeBase:
    return KnowledgeBase.open(workplace / "kb")


@pytest.fixture(scope="module")
def tables(kb: KnowledgeBase) -> Tables:
    return read_tables(kb)


@pytest.fixture(scope="module")
def facts(tables: Tables) -> Facts:
    return facts_of(tables)


@pytest.fixture(scope="module")
def report(workplace: Path) -> Path:
    """The folder of the report that compares two KBs."""
    return workplace / "compared"


class Page(HTMLParser):
    """What a page loads, the words of its figures, and whether its elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href", "xlink:href", "data") and value]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


FIGURES = {
    *("top-concepts", "coverage", "filter-relations", "evenness-relation", "heat-relation", "evenness-category"),
    *("heat-category", "comparison-relations", "comparison-concepts", "hierarchy", "neighbourhood", "bridges"),
}


def test_the_page_loads_nothing_and_shows_every_figure(report: Path) -> None:
    text = (report / "report.html").read_text("utf-8")
    found = Page(text)
    assert not found.open and found.tags.count("svg") == len(FIGURES) == found.tags.count("figure")
    assert all(load.startswith("#") for load in found.loads)
    assert not {"script", "link", "img", "iframe"} & set(found.tags)
    assert not re.findall(r"url\((?!#)", text)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)
    for path in (report / "data").glob("*.csv"):
        assert f"data/{path.name}" in text


def test_each_figure_and_table_is_there_as_files(report: Path) -> None:
    assert {path.name for path in (report / "figures").iterdir()} == {
        f"{name}.{form}" for name in FIGURES for form in ("svg", "png")
    }
    for name in FIGURES:
        assert (report / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG\r\n"), name
        svg = (report / "figures" / f"{name}.svg").read_text("utf-8")
        assert svg.startswith("<svg") and svg.count("<path") > 5, name
    tables = sorted(path.stem for path in (report / "data").glob("*.csv"))
    assert len(tables) > len(FIGURES) and tables == sorted(p.stem for p in (report / "data").glob("*.parquet"))
    for name in tables:
        rows = pq.read_table(report / "data" / f"{name}.parquet")
        with (report / "data" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            header, *lines = csv.reader(file)
        assert header == rows.column_names and len(lines) == rows.num_rows, name


def shown(chart: Any) -> Iterator[list[dict[str, Any]]]:
    """The rows that a chart holds."""
    if isinstance(chart, dict):
        if "values" in chart and isinstance(chart["values"], list):
            yield chart["values"]
        chart = list(chart.values())
    for part in chart if isinstance(chart, list) else []:
        yield from shown(part)


def test_figures_show_exactly_the_rows_of_their_files(facts: Facts, tables: Tables) -> None:
    found = hierarchy.hypernym_graph(facts, tables)
    parts = [spread_section(facts), comparison_section(facts, facts, ("one", "other")),
             hierarchy_section(facts, tables, found, hierarchy.concept_measures(found.graph))]  # fmt: skip
    moved = {"x", "y", "x2", "y2", "change"}  # where a line begins, and the words of a legend
    for figure in (item for part in parts for item in part.items if isinstance(item, Figure)):
        held = [{key(row, moved) for row in rows} for rows in shown(figure.chart.to_dict())]
        for name, rows in figure.data.items():
            assert len(rows), name
            assert {key(row, moved) for row in rows.to_pylist()} in held, name


def key(row: dict[str, Any], without: set[str]) -> str:
    return json.dumps({name: value for name, value in row.items() if name not in without}, sort_keys=True)


def test_a_kb_beside_itself_does_not_differ(facts: Facts) -> None:
    rows = comparison.compare_relations(facts, facts)
    assert rows.num_rows > 20
    assert all(difference == 0 for difference in rows["difference"].to_pylist())
    assert min(rows["p_corrected"].to_pylist()) > plots.SIGNIFICANT
    assert set(comparison.concept_changes(facts, facts)["change"].to_pylist()) == {"both"}


def test_the_graph_s_three_forms_hold_the_same_concepts(report: Path) -> None:
    nodes = set(pq.read_table(report / "data" / "nodes.parquet")["concept"].to_pylist())
    graphml, gexf = nx.read_graphml(report / "hypernyms.graphml"), nx.read_gexf(report / "hypernyms.gexf")
    assert set(graphml) == set(gexf) == nodes
    assert set(graphml.edges) == set(gexf.edges)
    data = next(iter(graphml.edges(data=True)))[2]
    assert data["count"] >= 1 and 0 < data["p"] <= 1 and data["direct"] in (True, False)
    text = (report / "hypernyms.html").read_text("utf-8")
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']?http", text)
    vague = {node for node, data in graphml.nodes(data=True) if data["vague"]}
    drawn = {node for edge in graphml.edges if graphml.edges[edge]["direct"] and not vague & set(edge) for node in edge}
    assert len(drawn) > 50
    assert all(json.dumps(node) in text for node in drawn)


def test_the_focus_is_a_concept_of_the_kb_and_drawn(kb: KnowledgeBase, tables: Tables, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no concept 'no such thing'"):
        hypernym_report(kb, tmp_path / "none", focus="no such thing")
    assert not (tmp_path / "none").exists()
    facts = facts_of(tables)
    rare = facts.concept.labels[-1]
    found = hierarchy.hypernym_graph(facts, tables, limit=1, also=[rare])
    section = hierarchy_section(facts, tables, found, hierarchy.concept_measures(found.graph), rare)
    (figure,) = [item for item in section.items if item.name == "neighbourhood"]
    assert isinstance(figure, Figure) and rare in figure.data["neighbourhood"]["concept"].to_pylist()


def test_a_focus_without_neighbours_in_the_graph_is_drawn_too() -> None:
    tables = made([("p1", "isA", "c1", None)] * 3 + [("p2", "isA", "c2", None)], {"c1": ["cable"], "c2": ["toy"]})
    facts = facts_of(tables)
    found = hierarchy.hypernym_graph(facts, tables, limit=1, also=["toy"])
    section = hierarchy_section(facts, tables, found, hierarchy.concept_measures(found.graph), "toy")
    assert "the 1 most frequent (--limit) of the 2 that assertions have" in section.lines[0]
    (figure,) = [item for item in section.items if isinstance(item, Figure) and item.name == "neighbourhood"]
    assert figure.data["neighbourhood"]["concept"].to_pylist() == ["toy"]
    sizes = [layer["encoding"]["size"] for layer in figure.chart.to_dict()["layer"] if "size" in layer["encoding"]]
    assert [size["legend"]["values"] for size in sizes] == [[0, 1]]


def test_a_line_between_concepts_of_one_column_goes_round_the_labels() -> None:
    names = ["room", "a very long label between them", "kitchen"]
    points = pa.table({"concept": names, "x": [0.0] * 3, "y": [0.0, 17.0, 34.0], "assertions": [3, 2, 1],
                       "kind": ["k"] * 3})  # fmt: skip
    way = {"narrower": "kitchen", "broader": "room", "x": 0.0, "y": 34.0, "x2": 0.0, "y2": 0.0, "count": 2}
    lines = pa.Table.from_pylist([{**way, "kind": pictures.OTHER_WAY}], schema=pictures.LINES)
    rules = drawing.draw_tree(points, lines, ["k"]).to_dict()["layer"][0]["data"]["values"]
    (upright,) = [rule for rule in rules if rule["x"] == rule["x2"]]
    assert upright["x"] > pictures.LETTER * len(names[1]) + 9
    assert len(rules) == 3 and {rule["y"] for rule in rules if rule is not upright} == {0.0, 34.0}


def test_one_concept_s_coverage_is_a_point() -> None:
    curve = coverage(facts_of(made([("p1", "isA", "c1", None)], {"c1": ["cable"]})))
    assert plots.coverage_curve(curve).to_dict()["mark"]["point"] is True


def test_cycles_that_the_build_broke_are_listed_with_their_weakest_edges(kb: KnowledgeBase, tables: Tables) -> None:
    noted = hierarchy.Cycles(**kb.manifest.stages["link"].notes["cycles_broken"])
    assert noted.edges == len(noted.weakest)
    facts = facts_of(tables)
    built = hierarchy.Cycles(1234, [["music", "sound", 2, 0.01], ["sound", "noise", 3, 0.5]])
    found = hierarchy.hypernym_graph(facts, tables, limit=5, built=built)
    section = hierarchy_section(facts, tables, found, hierarchy.concept_measures(found.graph))
    assert any("broke 1,234 cycles" in line for line in section.lines)
    (listed,) = [item for item in section.items if item.name == "cycles"]
    assert isinstance(listed, Listing) and "2 weakest of the 1,234" in listed.says
    assert listed.rows.to_pylist()[0] == {"concept": "music", "hypernym": "sound", "count": 2, "p": 0.01}


def test_mistakes_of_the_call_are_said(kb: KnowledgeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="--compare"):
        hypernym_report(kb, tmp_path, names=("one", "other"))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        hypernym_report(kb, tmp_path / "file" / "report")
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(InputError, match=r'altair. Install it with: pip install "mindkg\[plot\]"'):
        hypernym_report(kb, tmp_path)


def sections_of(tables: Tables) -> list[Section]:
    facts = facts_of(tables)
    found = hierarchy.hypernym_graph(facts, tables)
    graph = hierarchy_section(facts, tables, found, hierarchy.concept_measures(found.graph))
    return [spread_section(facts), comparison_section(facts, facts, ("a", '<b> "')), graph]


def test_what_a_kb_lacks_is_said() -> None:
    no_verdict = made([("p1", "isA", "c1", None)] * 6)
    no_category = no_verdict | {"products": no_verdict["products"].slice(0, 0)}
    lines = " ".join(line for part in sections_of(no_category) for line in part.lines)
    assert "no verdicts" in lines and "no categories" in lines and 'acceptance (no value in a and <b> ")' in lines
    empty = sections_of(made([("p1", "isA", "c4", None)], concepts={}))
    lines = " ".join(line for part in empty for line in part.lines)
    assert "no distribution" in lines and "no hypernym graph" in lines and "Neither KB has a concept" in lines
    drawn = {item.name: "<svg></svg>" for part in empty for item in part.items if isinstance(item, Figure)}
    assert not Page(page("Empty", [], empty, drawn)).open


def test_a_label_is_text_wherever_it_stands() -> None:
    label = "<b>\"cat\" & 'dog'</b>"
    tables = made([("p1", "isA", "i", True)] * 6, {"i": [label]}, [(label, "pet <i>", 3)], [(label, "pet <i>", 1)])
    parts = sections_of(tables)
    drawn = {item.name: "<svg></svg>" for part in parts for item in part.items if isinstance(item, Figure)}
    text = page("Labels", [], parts, drawn)
    assert not Page(text).open and "<b>" not in text and "&lt;b&gt;" in text


def test_the_commands_of_the_page_write_what_it_says(workplace: Path) -> None:
    alone, compared = workplace / "report", workplace / "compared"
    for name in re.findall(r"`data/([a-z-]+)\.csv`", PAGE):
        assert (compared / "data" / f"{name}.csv").is_file(), name
    for name in ("report.html", "hypernyms.html", "hypernyms.graphml", "hypernyms.gexf"):
        assert (alone / name).is_file() and name.rpartition(".")[2] in PAGE
    assert not (alone / "figures" / "comparison-relations.svg").exists()
    focus = pq.read_table(alone / "data" / "neighbourhood.parquet").to_pylist()
    assert [row["concept"] for row in focus if row["kind"] == "the concept"] == ["clothing"]
    sides = pq.read_table(compared / "data" / "comparison-relations.parquet")["KB"].to_pylist()
    assert set(sides) == {"answers", "tails"}


def test_the_python_of_the_page_runs(workplace: Path) -> None:
    for code in blocks("python", PAGE):
        done = subprocess.run([sys.executable, "-c", code], cwd=workplace, capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.count("\n") > 4, f"{code}\n{done.stderr}"


def test_the_page_shows_the_figures_that_its_script_makes(workplace: Path) -> None:
    named = set(re.findall(r"\]\(figures/([a-z-]+)\.svg\)", PAGE))
    there = {path.stem: path for path in (ROOT / "docs" / "figures").glob("*.svg")}
    script = (ROOT / "docs" / "figures" / "make.sh").read_text("utf-8")
    assert named == set(there) and len(named) == 6
    assert sum(path.stat().st_size for path in there.values()) < 300_000
    for name in named:
        assert re.search(rf"\b{name}\b", script), name
        assert (workplace / "compared" / "figures" / f"{name}.svg").is_file()
    for command in "".join(blocks("sh", PAGE)).splitlines():
        assert command.split(" -o ")[0].split(" kb")[0] in script, command
