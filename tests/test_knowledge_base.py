"""KnowledgeBase as Python users meet it: tables, frames, queries, rdflib, networkx."""

from __future__ import annotations

import io
import shutil
from collections import Counter
from pathlib import Path

import pytest
import rdflib
from kb_equality import SAMPLE

import mindkg
from mindkg.errors import InputError, UsageError
from mindkg.knowledge_base import KnowledgeBase


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    """The bundled sample as a KB."""
    path = tmp_path_factory.mktemp("python") / "kb"
    mindkg.build([SAMPLE], path)
    return KnowledgeBase.open(path)


def test_a_table_is_arrow_and_a_scan_is_a_lazy_frame_of_the_same_rows(kb: KnowledgeBase) -> None:
    assertions = kb.table("assertions")
    counted = kb.scan("assertions").groupby("relation").agg(mindkg_count(kb)).sort("relation").to_pydict()
    expected = Counter(assertions["relation"].to_pylist())
    assert dict(zip(counted["relation"], counted["n"], strict=True)) == dict(sorted(expected.items()))


def mindkg_count(kb: KnowledgeBase) -> object:
    from mindkg.engine import daft

    return daft.col("assertion_id").count().alias("n")


def test_a_query_gives_arrow_that_pandas_takes(kb: KnowledgeBase) -> None:
    frame = kb.query("relation-counts").to_pandas()
    accepted = [row for row in kb.table("assertions").to_pylist() if row["accepted"] is not False]
    assert dict(zip(frame["relation"], frame["assertions"], strict=True)) == Counter(r["relation"] for r in accepted)
    for engine in ("ladybug", "oxigraph"):
        rows = kb.query("top-hypernyms", relation="usedFor", limit=5, engine=engine).to_pylist()
        assert len(rows) == 5
        assert rows == kb.query("top-hypernyms", relation="usedFor", limit=5).to_pylist()


def test_rdflib_sees_every_triple_and_answers_sparql(kb: KnowledgeBase, tmp_path: Path) -> None:
    graph = kb.to_rdflib()
    lines = kb.export("ntriples", tmp_path / "kb.nt").read_bytes().count(b"\n")
    assert len(graph) == lines
    answer = graph.query(
        "PREFIX mind: <https://w3id.org/mindkg/ontology#> SELECT (COUNT(?p) AS ?n) { ?p a mind:Product }"
    )
    assert [int(row[0]) for row in answer] == [60]
    assert dict(graph.namespaces())["mind"] == rdflib.URIRef("https://w3id.org/mindkg/ontology#")
    assert "skos:Concept" in {graph.qname(type_) for type_ in graph.objects(None, rdflib.RDF.type)}
    assert len(kb.to_rdflib(include_filtered=True)) > len(graph)


def test_networkx_has_the_nodes_and_edges_that_the_graph_counts_say(kb: KnowledgeBase) -> None:
    graph = kb.to_networkx()
    counts = {row["class"]: row["n"] for row in kb.query("graph-counts").to_pylist()}
    labels = Counter(label for label, _ in graph.nodes)
    assert labels == {name: counts[name] for name in ("Product", "CoBuy", "Intention", "Concept", "Abstraction")}
    pairs = 2 * counts["CoBuy"]
    # an abstraction leads to its concept, and to its two kinds or the one that both products are
    made = [data for (label, _), data in graph.nodes(data=True) if label == "Abstraction"]
    kinds = Counter(data["kind_a"] == data["kind_b"] for data in made)
    abstracted = counts["Abstraction"] + 2 * kinds[False] + kinds[True]
    edges = sum(counts[name] for name in ("Assertion", "Mention", "Hypernymy", "Ancestry", "Kind"))
    assert graph.number_of_edges() == edges + pairs + abstracted


def test_every_catalogue_query_that_needs_nothing_runs_and_checks_find_nothing(kb: KnowledgeBase) -> None:
    answered = []
    for name, query in mindkg.catalogue().items():
        if any(p.required for p in query.parameters):
            continue
        rows = kb.query(name)
        assert rows.column_names == [column.name for column in query.columns]
        if rows.num_rows:
            answered.append(name)
    assert len(answered) >= 6
    assert not [name for name in answered if name.startswith("check-")]


def test_a_store_is_made_once_and_made_again_when_it_is_gone(kb: KnowledgeBase) -> None:
    said: list[str] = []
    with KnowledgeBase.open(kb.path) as first:
        first.query("graph-counts", include_filtered=True, progress=said.append)
    assert said
    again: list[str] = []
    with KnowledgeBase.open(kb.path) as second:
        second.query("graph-counts", include_filtered=True, progress=again.append)
    assert again == []


@pytest.fixture
def copy(kb: KnowledgeBase, tmp_path: Path) -> Path:
    """The sample's KB with its stores, to be broken."""
    kb.load("ladybug")
    kb.load("oxigraph")
    return Path(shutil.copytree(kb.path, tmp_path / "kb"))


def test_a_store_that_does_not_open_is_made_once_more(copy: Path) -> None:
    def asked() -> list[str]:
        said: list[str] = []
        with KnowledgeBase.open(copy) as kb:
            for engine in ("ladybug", "oxigraph"):
                assert kb.query("relation-counts", engine=engine, progress=said.append).num_rows
        return said

    assert asked() == []
    for pattern in ("ladybug/*/graph.lbug", "oxigraph/*/*.sst", "graph/*/concepts.parquet"):
        for file in copy.glob(f"stores/{pattern}"):
            file.unlink()
    said = asked()
    assert [line for line in said if "loading the graph" in line] == [
        "loading the graph into ladybug",
        "loading the graph into oxigraph",
    ]
    assert said[0].startswith("selecting")
    assert asked() == []


def test_a_store_of_another_engine_is_stale_and_cleaned(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(copy / "stores")
    with KnowledgeBase.open(copy) as kb:
        for engine in ("ladybug", "oxigraph"):
            kb.load(engine)
    before = {p.parent.name: p for p in copy.glob("stores/*/*-*")}
    monkeypatch.setattr("mindkg.stores.base.version", lambda package: f"{package} 99")
    gone = KnowledgeBase.open(copy).clean()
    assert [p for p in gone if p.parent.parent.name == "stores"] == [before["ladybug"], before["oxigraph"]]
    assert before["graph"].is_dir() and not before["ladybug"].exists()


@pytest.mark.parametrize(
    "base", ["x", "https://example.org", "https://e.org/<a>/", "https://e.org/a b/", "urn:", "/a/"]
)
def test_a_base_that_makes_no_iris_is_refused(kb: KnowledgeBase, tmp_path: Path, base: str) -> None:
    with pytest.raises(InputError, match="base"):
        kb.export("ntriples", tmp_path / "kb.nt", base=base)


def test_exports_go_into_streams_and_csv_does_not(kb: KnowledgeBase, tmp_path: Path) -> None:
    for to in ("turtle", "ntriples", "jsonld", "graphml", "triples"):
        stream = io.BytesIO()
        kb.write(to, stream)
        assert stream.getvalue() == kb.export(to, tmp_path / to).read_bytes()
    assert b"<urn:own:product/" in kb.export("ntriples", tmp_path / "own.nt", base="urn:own:").read_bytes()
    with pytest.raises(InputError, match="folder"):
        kb.write("csv", io.BytesIO())
    with pytest.raises(InputError, match="gzipped"):
        kb.export("csv", tmp_path / "kb.csv.gz")
    for to in ("graphml", "csv", "triples"):
        with pytest.raises(InputError, match="no base"):
            kb.export(to, tmp_path / to, base="https://example.org/")


def test_an_unknown_engine_is_refused_before_anything_is_made(kb: KnowledgeBase, tmp_path: Path) -> None:
    path = Path(shutil.copytree(kb.path, tmp_path / "kb", ignore=shutil.ignore_patterns("stores")))
    with KnowledgeBase.open(path) as bare:
        for ask in (bare.store, bare.load, lambda engine: bare.query("relation-counts", engine=engine)):
            with pytest.raises(UsageError, match="access"):
                ask("access")
    assert not (path / "stores").exists()


def test_mistakes_are_named(kb: KnowledgeBase) -> None:
    with pytest.raises(UsageError, match="top-hypernyms"):
        kb.query("top-hypernym")
    with pytest.raises(UsageError, match="product"):
        kb.query("product-intentions")
    with pytest.raises(UsageError, match="ladybug"):
        kb.query("relation-counts", engine="access")
    with pytest.raises(InputError, match="turtle"):
        kb.export("pdf")
    with pytest.raises(InputError, match="assertions"):
        kb.scan("assertion")
    assert "352 assertions" in repr(kb)
