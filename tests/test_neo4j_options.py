"""What ``load`` and ``export`` take for Neo4j, and what ``--explain`` says: no server is needed."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kb_equality import SAMPLE

from mindkg import build
from mindkg.errors import InputError, StoreError
from mindkg.graph.property_graph import expected_counts
from mindkg.knowledge_base import KnowledgeBase


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeBase]:
    place = tmp_path_factory.mktemp("options") / "kb"
    build([SAMPLE], place)
    with KnowledgeBase.open(place) as kb:
        yield kb


@pytest.fixture(autouse=True)
def no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEO4J_URI", raising=False)


@pytest.mark.parametrize(
    ("engine", "options", "message"),
    [
        ("ladybug", {"uri": "bolt://127.0.0.1:1"}, "the option uri is one of neo4j, not of ladybug"),
        ("sparql", {"user": "x"}, "the option user is one of neo4j, not of sparql"),
        ("neo4j", {"endpoint": "http://127.0.0.1:1"}, "the option endpoint is one of sparql, not of neo4j"),
        ("neo4j", {}, "--uri bolt://"),
        ("sparql", {}, "--endpoint http://"),
        ("neo4j", {"offline": True}, "--neo4j-home DIR"),
        ("neo4j", {"neo4j_home": "x"}, "Add --offline"),
        ("neo4j", {"offline": True, "neo4j_home": "x", "uri": "bolt://127.0.0.1:1"}, "reaches no server"),
    ],
)
def test_an_option_belongs_to_its_engine(kb: KnowledgeBase, engine: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        kb.load(engine, **options)  # type: ignore[arg-type]


def test_explain_does_nothing(kb: KnowledgeBase, tmp_path: Path) -> None:
    expected, lines = expected_counts(kb.graph()), list[str]()
    assert kb.load("neo4j", uri="bolt://127.0.0.1:1", explain=True, progress=lines.append) == expected
    assert f"{expected['Product']} Product, {expected['CoBuy']} CoBuy" in "\n".join(lines)
    with pytest.raises(StoreError, match="no address of a Neo4j server"):
        kb.load("neo4j", uri="http://127.0.0.1:1", explain=True)
    with pytest.raises(StoreError, match="There is no Neo4j in this folder"):
        kb.load("neo4j", offline=True, neo4j_home=tmp_path, explain=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "neo4j-admin").touch()
    assert kb.load("neo4j", offline=True, neo4j_home=tmp_path, explain=True, progress=lines.append) == expected
    assert any(line.startswith("would run neo4j-admin database import full neo4j --id-type") for line in lines)
    assert [p.name for p in tmp_path.iterdir()] == ["bin"]
    assert kb.load("oxigraph", explain=True, progress=lines.append) == expected
    assert lines[-1].startswith("would load the graph into oxigraph")
    assert not (kb.path / "stores" / "oxigraph").exists()
    assert kb.load("sparql", endpoint="http://127.0.0.1:1/kb", explain=True, progress=lines.append) == expected


def test_explain_of_a_sparql_server_looks_at_what_it_is_given(kb: KnowledgeBase) -> None:
    expected, lines = expected_counts(kb.graph()), list[str]()
    given: dict[str, Any] = {"explain": True, "progress": lines.append}
    assert kb.load("sparql", endpoint="http://127.0.0.1:1/kb/query", **given) == expected
    assert "http://127.0.0.1:1/kb/query, into the graph https://w3id.org/mindkg/graph" in lines[0]
    for endpoint, graph in [
        ("http://me:secret@127.0.0.1/kb", None),
        ("bolt://127.0.0.1", None),
        ("http://x", "no iri"),
    ]:
        with pytest.raises(StoreError) as error:
            kb.load("sparql", endpoint=endpoint, graph=graph, **given)
        assert "secret" not in str(error.value)


def test_the_files_go_into_a_folder(kb: KnowledgeBase) -> None:
    place = kb.export("neo4j-import")
    assert place == kb.path / "exports" / "neo4j-import" and (place / "import.sh").stat().st_mode & 0o100
    with pytest.raises(InputError, match="neo4j-import is a folder of files"):
        kb.write("neo4j-import", io.BytesIO())
    with pytest.raises(InputError, match="takes no base"):
        kb.export("neo4j-import", base="https://example.org/")


def test_a_server_holds_what_was_loaded(kb: KnowledgeBase) -> None:
    with pytest.raises(InputError, match="Load it again with --include-filtered"):
        kb.query("graph-counts", engine="bolt://127.0.0.1:1", include_filtered=True)
    with pytest.raises(StoreError, match="Neo4j cannot be reached"):
        kb.query("graph-counts", engine="bolt://127.0.0.1:1")
    command = [sys.executable, "-m", "mindkg", "query", str(kb.path), "graph-counts", "--engine", "neo4j://127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 1  # the driver's log says no word beside it
