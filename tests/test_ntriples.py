"""Tables to N-Triples: every string survives, and what is counted is what is there."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from graph_maker import NASTY, graph_rows, make_graph, read_graph, write_graph
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mindkg.errors import InputError, StoreError
from mindkg.graph.ntriples import ntriples_chunks, write_ntriples
from mindkg.graph.rdf_model import expand
from mindkg.graph.rdf_terms import as_text, contents, escape, percent_encode

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
"""Every string of Unicode; lone surrogates are none."""


def parsed(path: Path) -> set[tuple[str, str, str]]:
    import pyoxigraph

    quads = pyoxigraph.parse(path=str(path), format=pyoxigraph.RdfFormat.N_TRIPLES)
    return {(quad.subject.value, quad.predicate.value, quad.object.value) for quad in quads}


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=8))
@example(list(NASTY))
@example(
    ["", ".", "..", "\x00", "\x7f\x85\u2028", "\ufeff", "\ufdd0\ufffe\uffff\U0010ffff", '\\"', "\\u0041", "%", "%2F"]
)
def test_texts_and_ids_survive_both_parsers(texts: list[str]) -> None:
    import pyoxigraph
    import rdflib

    columns = [escape(pa.array(texts)).to_pylist(), percent_encode(pa.array(texts)).to_pylist()]
    lines = "".join(f'<http://a/b/{id_}> <http://a/p> "{text}" .\n' for text, id_ in zip(*columns, strict=True))
    wanted = set(texts)
    graph = rdflib.Graph().parse(data=lines.encode(), format="nt")
    quads = list(pyoxigraph.parse(lines.encode(), format=pyoxigraph.RdfFormat.N_TRIPLES))
    assert {str(o) for o in graph.objects()} == {quad.object.value for quad in quads} == wanted
    for subjects in ({str(s) for s in graph.subjects()}, {quad.subject.value for quad in quads}):
        assert {unquote(iri.removeprefix("http://a/b/")) for iri in subjects} == wanted


@settings(deadline=None)
@given(st.lists(st.floats(), max_size=5))
def test_a_double_reads_back_as_itself(values: list[float]) -> None:
    texts = as_text(pa.array(values, pa.float64())).to_pylist()
    assert [repr(float(text)) for text in texts] == [repr(value) for value in values]
    assert all(text in ("NaN", "INF", "-INF") or "." in text or "e" in text for text in texts)


@settings(deadline=None)
@given(st.lists(TEXTS, max_size=5), st.integers(0, 3), st.integers(0, 3))
def test_contents_are_those_of_a_slice_too(texts: list[str], start: int, length: int) -> None:
    column = pa.array(texts, pa.large_string())
    assert bytes(contents(column.slice(start, length))) == "".join(texts[start : start + length]).encode()


@pytest.mark.parametrize("seed", range(3))
def test_what_is_counted_is_what_is_written(tmp_path: Path, seed: int) -> None:
    folder = make_graph(tmp_path / "graph", seed=seed)
    triples = write_ntriples(folder, tmp_path / "graph.nt")
    assert triples == len(parsed(tmp_path / "graph.nt")) == (tmp_path / "graph.nt").read_bytes().count(b"\n")


def test_every_row_is_in_the_triples(tmp_path: Path) -> None:
    folder = make_graph(tmp_path / "graph", seed=4)
    write_ntriples(folder, tmp_path / "graph.nt")
    graph, found = read_graph(folder), parsed(tmp_path / "graph.nt")

    def objects(predicate: str, kind: str) -> list[str]:
        return sorted(o for s, p, o in found if p == expand(predicate) and f"/{kind}/" in s)

    def texts(table: str, column: str) -> list[str]:
        return sorted(row[column] for row in graph[table] if row[column] is not None)

    assert objects("schema:name", "product") == texts("products", "title")
    assert objects("dcterms:identifier", "product") == texts("products", "product_id")
    assert objects("rdfs:label", "intention") == texts("intentions", "text")
    assert objects("skos:prefLabel", "concept") == texts("concepts", "concept")
    assert objects("mind:surface", "mention") == texts("senses", "surface")
    assert objects("rdf:type", "mention") == [expand("mind:Mention")] * len(graph["senses"])
    assert len(objects("mind:intention", "mention")) == len(graph["mentions"]) > len(graph["senses"])
    best = [row for row in graph["mentions"] if row["rank"] == 1]
    assert len(objects("mind:bestConcept", "intention")) == len(best) < len(objects("mind:concept", "intention"))
    refused = [row for row in graph["assertions"] if row["accepted"] is False]
    assert objects("mind:accepted", "assertion") == ["false"] * len(refused) != []
    assert len(objects("prov:wasDerivedFrom", "assertion")) == len(graph["evidence"])
    assert (
        len(objects("mind:ancestor", "concept")) == len(objects("mind:distance", "ancestry")) == len(graph["ancestors"])
    )
    runs = {(row["assertion_id"], row["run_id"]) for row in graph["evidence"]}
    assert len(objects("prov:wasGeneratedBy", "assertion")) == len(runs)
    stated = {(row["cobuy_id"], row["relation"], row["intention_id"]) for row in graph["assertions"]}
    names = {(s.rsplit("/")[-1], p.rsplit("#")[-1], o.rsplit("/")[-1]) for s, p, o in found if "/cobuy/" in s}
    assert stated <= names


def test_batches_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mindkg.graph import folder as graph_folder

    folder = make_graph(tmp_path / "graph", seed=6)
    write_ntriples(folder, tmp_path / "large.nt")
    monkeypatch.setattr(graph_folder.batches, "__defaults__", (3,))
    write_ntriples(folder, tmp_path / "small.nt")
    large, small = ((tmp_path / name).read_bytes().splitlines() for name in ("large.nt", "small.nt"))
    assert sorted(large) == sorted(small)


def test_a_gz_path_is_gzipped_and_always_the_same(tmp_path: Path) -> None:
    folder = make_graph(tmp_path / "graph", seed=3)
    for name in ("graph.nt", "a.nt.gz", "b.nt.gz"):
        write_ntriples(folder, tmp_path / name)
    assert gzip.decompress((tmp_path / "a.nt.gz").read_bytes()) == (tmp_path / "graph.nt").read_bytes()
    assert (tmp_path / "a.nt.gz").read_bytes() == (tmp_path / "b.nt.gz").read_bytes()


def test_a_stream_gets_what_a_file_gets_and_progress_ends_at_all_rows(tmp_path: Path) -> None:
    folder = make_graph(tmp_path / "graph", seed=3)
    stream, calls = io.BytesIO(), list[tuple[int, int]]()
    triples = write_ntriples(folder, stream, progress=lambda done, total: calls.append((done, total)))
    assert stream.getvalue() == b"".join(chunk.data for chunk in ntriples_chunks(folder))
    assert triples == stream.getvalue().count(b"\n")
    assert calls[-1][0] == calls[-1][1] > 0


def test_another_base_moves_the_data_and_not_the_vocabulary(tmp_path: Path) -> None:
    folder = make_graph(tmp_path / "graph", seed=3, nasty=False)
    write_ntriples(folder, tmp_path / "graph.nt", base="https://example.org/kb/")
    found = parsed(tmp_path / "graph.nt")
    assert not any("w3id.org/mindkg/data" in term for triple in found for term in triple)
    assert any(s.startswith("https://example.org/kb/cobuy/") and p == expand("mind:product") for s, p, _ in found)


def test_an_empty_graph_has_no_triples(tmp_path: Path) -> None:
    write_graph(tmp_path, {})
    assert write_ntriples(tmp_path, tmp_path / "graph.nt") == 0
    assert (tmp_path / "graph.nt").read_bytes() == b""


def test_a_missing_table_is_named_and_leaves_no_file(tmp_path: Path) -> None:
    folder = make_graph(tmp_path / "graph", seed=3)
    (folder / "mentions.parquet").unlink()
    with pytest.raises(InputError, match="mentions"):
        write_ntriples(folder, tmp_path / "graph.nt")
    assert [path.name for path in tmp_path.iterdir()] == ["graph"]


def test_a_row_without_key_is_refused(tmp_path: Path) -> None:
    write_graph(tmp_path, graph_rows(seed=3))
    products = pq.read_table(tmp_path / "products.parquet").to_pylist()
    products[0]["product_id"] = None
    pq.write_table(pa.Table.from_pylist(products), tmp_path / "products.parquet")
    with pytest.raises(StoreError, match="products"):
        write_ntriples(tmp_path, tmp_path / "graph.nt")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS.filter(bool), TEXTS.filter(bool), TEXTS.filter(bool))
def test_any_text_goes_through_a_whole_graph(tmp_path: Path, title: str, concept: str, product: str) -> None:
    graph = graph_rows(seed=3, n=3, nasty=False)
    graph["products"].append({**graph["products"][0], "product_id": product, "title": title})
    graph["concepts"].append({**graph["concepts"][0], "concept": concept})
    write_graph(tmp_path, graph)
    triples = write_ntriples(tmp_path, tmp_path / "graph.nt")
    found = parsed(tmp_path / "graph.nt")
    assert triples >= len(found)
    assert {title, concept, product} <= {
        o for _, p, o in found if p in map(expand, ("schema:name", "dcterms:identifier"))
    }
