"""KnowledgeBase as Python users meet it: tables, frames, queries, rdflib, networkx."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from kb_equality import SAMPLE

import mindkg
from mindkg.errors import InputError, QueryError, StoreError
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


def test_networkx_has_the_nodes_and_edges_that_the_graph_counts_say(kb: KnowledgeBase) -> None:
    graph = kb.to_networkx()
    counts = {row["class"]: row["n"] for row in kb.query("graph-counts").to_pylist()}
    labels = Counter(label for label, _ in graph.nodes)
    assert labels == {name: counts[name] for name in ("Product", "CoBuy", "Intention", "Concept")}
    pairs = 2 * counts["CoBuy"]
    edges = sum(counts[name] for name in ("Assertion", "Mention", "Hypernymy", "Ancestry")) + pairs
    assert graph.number_of_edges() == edges


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


def test_mistakes_are_named(kb: KnowledgeBase) -> None:
    with pytest.raises(QueryError, match="top-hypernyms"):
        kb.query("top-hypernym")
    with pytest.raises(QueryError, match="product"):
        kb.query("product-intentions")
    with pytest.raises(StoreError, match="ladybug"):
        kb.query("relation-counts", engine="access")
    with pytest.raises(InputError, match="turtle"):
        kb.export("pdf")
    with pytest.raises(InputError, match="assertions"):
        kb.scan("assertion")
    assert "352 assertions" in repr(kb)
