"""Graphs that are only partly loaded, and two loads at once: on real servers of Neo4j, Fuseki and Oxigraph."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import loading_process
import pytest
from graph_maker import make_graph
from kb_equality import SAMPLE
from neo4j_server import emptied
from typer.testing import CliRunner

import mindkg
from mindkg.cli.app import app
from mindkg.errors import QueryError, StoreError
from mindkg.graph.property_graph import expected_counts
from mindkg.knowledge_base import KnowledgeBase
from mindkg.stores import open_remote
from mindkg.stores.base import ServerStore, counts
from mindkg.stores.neo4j_load import load_online
from mindkg.stores.sparql import load_sparql

pytest_plugins = ["neo4j_server", "sparql_servers"]
pytestmark = pytest.mark.xdist_group("neo4j")


@dataclass
class Target:
    """A graph of a server that a test loads into."""

    address: str
    graph: str
    word: str
    """What the line of progress has at which a part of the graph is there and another part is not."""

    @property
    def is_neo4j(self) -> bool:
        return self.address.startswith("bolt")

    def load(self, folder: Path) -> dict[str, int]:
        if self.is_neo4j:
            return load_online(folder, self.address)
        return load_sparql(folder, self.address, graph=self.graph)

    def open(self, partial: bool = False) -> ServerStore:
        return open_remote(self.address, graph=None if self.is_neo4j else self.graph, partial=partial)


@pytest.fixture(params=["neo4j", "fuseki", "oxigraph"])
def target(request: pytest.FixtureRequest, graph_name: str) -> Iterator[Target]:
    address = request.getfixturevalue(f"{request.param}_server")
    with ExitStack() as stack:
        if request.param == "neo4j":
            stack.enter_context(emptied(address))
        yield Target(address, graph_name, "HAS_PRODUCT" if request.param == "neo4j" else "checking the counts")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_graph(tmp_path_factory.mktemp("graph") / "graph", seed=3, n=15)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_graph(tmp_path_factory.mktemp("graph") / "other", seed=4, n=12)


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sample") / "kb"
    mindkg.build([SAMPLE], place)
    return place


def test_a_part_of_a_graph_answers_only_when_asked_for(
    target: Target, kb: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARQL_GRAPH", target.graph)
    folder = KnowledgeBase.open(kb).graph()
    process = loading_process.start(folder, target.address, target.graph, "wait", target.word)
    loading_process.wait_for(process, target.word)
    with pytest.raises(StoreError, match=f"Another load writes into this graph: process {process.pid} on ") as refused:
        target.load(other)
    assert "\n" not in str(refused.value)
    for _ in ("while it is loaded", "after it was killed"):
        with pytest.raises(QueryError, match=r"is being loaded, or its load was interrupted: [\d,]+ (rows|parts) are"):
            counts(target.open())
        command = ["query", str(kb), "relation-counts", "--engine", target.address]
        run = CliRunner().invoke(app, command)
        assert isinstance(run.exception, QueryError) and "--partial" in str(run.exception)
        with KnowledgeBase.open(kb) as base, pytest.raises(QueryError, match="interrupted"):
            base.query("relation-counts", engine=target.address)
        assert CliRunner().invoke(app, [*command, "--partial"]).exit_code == 0
        assert counts(target.open(partial=True))["Product"] == expected_counts(folder)["Product"]
        process.kill()
        process.wait(30)
    # its claim is no obstacle: the process is known to be gone
    assert target.load(folder) == expected_counts(folder) == counts(target.open())


def test_a_load_that_begins_during_the_life_of_a_store_is_noticed(target: Target, folder: Path, other: Path) -> None:
    target.load(other)
    store = target.open()
    process = loading_process.start(folder, target.address, target.graph, "wait", target.word)
    loading_process.wait_for(process, target.word)
    if target.is_neo4j:
        with pytest.raises(QueryError, match="is being loaded"):
            counts(store)
    else:  # the older graph stays until the newer one, loaded beside it, takes its place
        assert counts(store) == expected_counts(other)
    process.kill()
    process.wait(30)
    assert target.load(folder) == expected_counts(folder) == counts(store)


def test_a_load_that_stood_still_does_not_write_into_that_which_took_its_place(
    target: Target, folder: Path, other: Path
) -> None:
    if "/kb" in target.address:
        pytest.skip("the claims of Fuseki are those of Oxigraph")
    process = loading_process.start(folder, target.address, target.graph, "stop", target.word)
    loading_process.wait_for(process, target.word)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    assert target.load(other) == expected_counts(other)
    process.send_signal(signal.SIGCONT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "another one has taken its place" in out and "Traceback" not in out
    assert counts(target.open()) == expected_counts(other)
