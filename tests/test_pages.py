"""No page runs, requests or loses anything because of what titles, labels, categories or names of KBs are."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import networkx as nx
import pyarrow.parquet as pq
import pytest
from browser import visiting
from conftest import ROOT
from hostile_texts import ATTACKS, hostile_kb
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mindkg.analysis.report import hypernym_report
from mindkg.pages import policy, render
from mindkg.xml_text import FORBIDDEN, xml_column, xml_id, xml_text, xml_values

pytest_plugins = ["browser"]
pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report that compares a hostile KB with itself, under hostile names."""
    folder = tmp_path_factory.mktemp("hostile")
    kb = hostile_kb(folder, ROOT / "examples" / "sample.csv")
    lines: list[str] = []
    hypernym_report(
        kb, folder / "report", compare=kb, names=(ATTACKS[0], ATTACKS[-1]), limit=500, progress=lines.append
    )
    assert any(re.match(r"\d+ concepts have characters that XML cannot hold", line) for line in lines)
    return folder / "report"


def test_a_report_of_attacks_runs_and_requests_nothing_and_shows_them(chromium: Any, report: Path) -> None:
    with visiting(chromium, (report / "report.html").as_uri()) as visit:
        figures = visit.page.locator("figure > svg")
        assert figures.count() >= 10
        for n in range(figures.count()):
            box = figures.nth(n).bounding_box()
            assert box["width"] > 50 and box["height"] > 20
        text = visit.page.locator("body").inner_text()
        assert visit.page.title().startswith("Hypernyms of kb <img src=x onerror=window.pwned=1> ]]> &quot; \ufffd")
        assert ATTACKS[0] in text and ATTACKS[3] in text and "javascript:" in text
        assert not visit.attacked and not visit.requests and not visit.violations and not visit.complaints
        assert visit.page.locator("script, iframe, img, link, base, body form").count() == 0


def test_the_graph_s_page_of_attacks_draws_and_runs_only_our_script(chromium: Any, report: Path) -> None:
    with visiting(chromium, (report / "hypernyms.html").as_uri()) as visit:
        visit.page.wait_for_selector("#chart svg")
        labels = visit.page.locator("#chart svg text").all_text_contents()
        assert any("<script>" in label for label in labels)
        marks = visit.page.locator("#chart .mark-symbol path")
        assert marks.count() > 5
        visit.page.fill("input[type=search]", "script")
        visit.page.locator("#chart text[fill='#cc0000']").first.wait_for()
        marks.first.hover(force=True)
        visit.page.locator("#vg-tooltip-element.visible").wait_for()
        assert not visit.attacked and not visit.requests and not visit.violations and not visit.complaints


def test_the_policy_stops_what_is_not_ours(chromium: Any, tmp_path: Path) -> None:
    """What would run if a label were not escaped does not: no script, no handler, no style, no request."""
    page = render("report.html", style="p { color: red }", title="t", lines=[], sections=[])
    (tmp_path / "page.html").write_text(page.replace("<h1>", "".join(ATTACKS[:5]) + "<h1>"), "utf-8")
    with visiting(chromium, (tmp_path / "page.html").as_uri()) as visit:
        visit.page.wait_for_load_state()
        assert not visit.attacked and len(visit.violations) >= 3


def test_every_figure_and_graph_file_is_xml_and_data_is_lossless(report: Path) -> None:
    figures = list((report / "figures").glob("*.svg"))
    assert len(figures) >= 10
    for path in figures:
        ElementTree.parse(path)
        with Image.open(path.with_suffix(".png")) as image:
            image.load()
    concepts = set(pq.read_table(report / "data" / "nodes.parquet")["concept"].to_pylist())
    assert any("\ufffe" in concept for concept in concepts)
    for graph in nx.read_graphml(report / "hypernyms.graphml"), nx.read_gexf(report / "hypernyms.gexf"):
        assert set(graph) == {xml_id(concept) for concept in concepts}
    with (report / "data" / "nodes.csv").open(newline="", encoding="utf-8") as file:
        assert {row["concept"] for row in csv.DictReader(file)} == concepts


@given(st.text(), st.text())
def test_json_in_a_page_is_data_whatever_it_is(title: str, text: str) -> None:
    page = render("hypernyms.html", style="", scripts=["x()"], title=title, spec={"t": text, title: [text]})
    (found,) = re.findall(r'<script type="application/json" id="spec">(.*?)</script>', page, re.DOTALL)
    assert json.loads(found) == {"t": text, title: [text]} and not set("<>&'\u2028\u2029") & set(found)
    assert page.count("<script") == page.count("</script>") == 2
    assert not FORBIDDEN.search(page)


@given(st.text())
def test_a_script_of_ours_cannot_end_early(text: str) -> None:
    page = render("hypernyms.html", style="", scripts=[f"a</ScRiPt>b<!--{text}"], title="", spec={})
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1 and "<!--" not in scripts[0]


odd = st.text(st.one_of(st.characters(), st.sampled_from("\x00\x01\x0b\x1f\ufffe\uffff%")))


@given(odd)
def test_texts_are_xml_afterwards_and_sound_ones_are_unchanged(text: str) -> None:
    changed = xml_text(text)
    assert len(changed) == len(text)
    assert ElementTree.fromstring(f"<t>{changed.replace('&', '&amp;').replace('<', '&lt;')}</t>") is not None
    if not FORBIDDEN.search(text):
        assert changed == text
    assert xml_values({text: [text, 1, None]}) == {changed: [changed, 1, None]}
    ElementTree.fromstring(f"<t>{xml_id(text).replace('&', '&amp;').replace('<', '&lt;')}</t>")


@given(odd, odd)
def test_different_ids_stay_different(one: str, other: str) -> None:
    assert (one == other) == (xml_id(one) == xml_id(other))


@given(st.lists(st.one_of(st.none(), odd)))
def test_a_column_is_changed_as_its_texts_are(texts: list[str | None]) -> None:
    import pyarrow as pa

    texts = [text if text is None else re.sub("[\ud800-\udfff]", "", text) for text in texts]
    changed, replaced = xml_column(pa.array(texts, pa.large_string()))
    assert changed.to_pylist() == [None if text is None else xml_text(text) for text in texts]
    assert replaced == sum(len(FORBIDDEN.findall(text)) for text in texts if text)


def test_a_policy_names_the_hash_of_each_part() -> None:
    found = policy("a", ["b", "c"], "'self'")
    assert found.count("sha256-") == 3 and "unsafe" not in found and found.endswith("form-action 'self'")
