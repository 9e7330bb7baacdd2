"""Turtle, JSON-LD and tab-separated triples: the same graph as the N-Triples, and as a person would write it."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from graph_maker import make_graph, read_graph, write_graph

from mindkg.graph import folder as graph_folder
from mindkg.graph.jsonld import write_jsonld
from mindkg.graph.ntriples import write_ntriples
from mindkg.graph.triples import write_triples
from mindkg.graph.turtle import write_turtle
from mindkg.graph.validate import validate_rdf

CASES = Path(__file__).parent / "cases" / "graph"
WRITERS: dict[str, Callable[[Path, Path], int]] = {
    "graph.ttl": write_turtle,
    "graph.jsonld": write_jsonld,
    "triples.tsv": write_triples,
}


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
@pytest.mark.parametrize("name", WRITERS)
def test_the_text_is_the_expected_one(tmp_path: Path, case: str, name: str) -> None:
    write_graph(tmp_path, json.loads((CASES / case / "tables.json").read_text(encoding="utf-8")))
    WRITERS[name](tmp_path, tmp_path / name)
    assert (tmp_path / name).read_text(encoding="utf-8") == (CASES / case / "expected" / name).read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_the_expected_turtle_is_sound(case: str) -> None:
    assert validate_rdf(CASES / case / "expected" / "graph.ttl") == []


@pytest.mark.parametrize("base", ["https://w3id.org/mindkg/data/", "http://example.org/kb#"])
@pytest.mark.parametrize("rows", [2, 32_768])
@pytest.mark.parametrize("seed", [1, 2])
def test_all_formats_say_the_same(
    tmp_path: Path, seed: int, rows: int, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rdflib import Graph

    monkeypatch.setattr(graph_folder.batches, "__defaults__", (rows,))
    folder = make_graph(tmp_path / "graph", seed=seed, n=12)
    triples = write_ntriples(folder, tmp_path / "graph.nt", base=base)
    assert write_turtle(folder, tmp_path / "graph.ttl", base=base) == triples
    assert write_jsonld(folder, tmp_path / "graph.jsonld", base=base) == triples
    graph, turtle, jsonld = (set(Graph().parse(tmp_path / f"graph.{end}")) for end in ("nt", "ttl", "jsonld"))
    assert len(graph) == triples
    assert turtle == graph
    assert jsonld == graph


def test_oxigraph_reads_all_formats_alike(tmp_path: Path) -> None:
    from pyoxigraph import RdfFormat, Store

    folder = make_graph(tmp_path / "graph", seed=7, n=12)
    triples = write_ntriples(folder, tmp_path / "graph.nt")
    write_turtle(folder, tmp_path / "graph.ttl")
    write_jsonld(folder, tmp_path / "graph.jsonld")
    for name in ("nt", "ttl", "jsonld"):
        store = Store()
        store.load(path=str(tmp_path / f"graph.{name}"), format=RdfFormat.from_extension(name))
        assert len(store) == triples


@pytest.mark.parametrize("name", WRITERS)
def test_an_empty_graph_is_a_whole_document(tmp_path: Path, name: str) -> None:
    from rdflib import Graph

    write_graph(tmp_path, {})
    assert WRITERS[name](tmp_path, tmp_path / name) == 0
    if name != "triples.tsv":
        assert len(Graph().parse(tmp_path / name)) == 0


@pytest.mark.parametrize("name", WRITERS)
def test_a_gz_path_is_gzipped(tmp_path: Path, name: str) -> None:
    folder = make_graph(tmp_path / "graph", seed=1, n=5)
    WRITERS[name](folder, tmp_path / name)
    WRITERS[name](folder, tmp_path / f"{name}.gz")
    assert gzip.decompress((tmp_path / f"{name}.gz").read_bytes()) == (tmp_path / name).read_bytes()


@pytest.mark.parametrize("name", WRITERS)
def test_progress_ends_at_all_rows(tmp_path: Path, name: str) -> None:
    calls: list[tuple[int, int]] = []
    folder = make_graph(tmp_path / "graph", seed=1, n=5)
    WRITERS[name](folder, tmp_path / name, progress=lambda *call: calls.append(call))  # type: ignore[call-arg]
    assert calls[-1][0] == calls[-1][1] > 0


def test_triples_read_back_with_any_csv_reader(tmp_path: Path) -> None:
    folder = make_graph(tmp_path / "graph", seed=9, n=25)
    count = write_triples(folder, tmp_path / "triples.tsv")
    graph = read_graph(folder)
    with (tmp_path / "triples.tsv").open(encoding="utf-8", newline="\n") as stream:
        rows = list(csv.reader(stream, delimiter="\t"))
    assert (
        count
        == len(rows)
        == 2 * len(graph["cobuys"]) + sum(len(graph[name]) for name in ("assertions", "mentions", "hypernyms"))
    )
    assert all(len(row) == 3 for row in rows)
    texts = {row["intention_id"]: row["text"] for row in graph["intentions"]}
    stated = {
        ("cobuy:" + row["cobuy_id"], row["relation"], "intention:" + texts[row["intention_id"]])
        for row in graph["assertions"]
    }
    assert stated <= {(head, relation, unescape(tail)) for head, relation, tail in rows}


def unescape(field: str) -> str:
    parts = field.split("\\\\")
    for written, character in (("\\t", "\t"), ("\\n", "\n"), ("\\r", "\r")):
        parts = [part.replace(written, character) for part in parts]
    return "\\".join(parts)
