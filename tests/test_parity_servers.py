"""The catalogue gives the same rows on real servers as in the embedded engines, for graphs as users have them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from graph_maker import make_graph
from kb_equality import SAMPLE
from neo4j_server import Server, emptied

import mindkg
from benchmarks.parity import same_rows
from benchmarks.queries import busiest, values_for
from mindkg.knowledge_base import KnowledgeBase
from mindkg.queries import catalogue, run
from mindkg.stores import load_store, open_remote, open_store
from mindkg.stores.base import ENGINES, Store
from mindkg.stores.neo4j_load import load_online
from mindkg.stores.neo4j_offline import load_offline
from mindkg.stores.sparql import load_sparql

pytest_plugins = ["neo4j_server", "sparql_servers"]
pytestmark = pytest.mark.xdist_group("neo4j")


@dataclass
class World:
    """A graph folder and the stores that hold it, the embedded ones first."""

    folder: Path
    stores: dict[str, Store]


def _graph(name: str, place: Path, request: pytest.FixtureRequest) -> Path:
    """Return the graph folder called ``name``: random and full of odd characters, or of a KB."""
    if name == "odd":
        return make_graph(place / "graph", seed=11, n=40)
    if name == "large":
        return make_graph(place / "graph", seed=12, n=1_000, nasty=False)
    source, isa = SAMPLE, None
    if name == "intentionqa":
        data: Path = request.getfixturevalue("real_data")
        source, isa = data / "intentionqa" / "QA_fullInfo_task1_byRelation.jsonl.gz", data / "isa" / "hearst_isa.tsv.gz"
    mindkg.build([source], place / "kb", isa=isa)
    return KnowledgeBase.open(place / "kb").graph()


@pytest.fixture(scope="module", params=["odd", "sample", "intentionqa", "large"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    place = tmp_path_factory.mktemp("world")
    folder = _graph(str(request.param), place, request)
    stores: dict[str, Store] = {}
    for engine in ENGINES:
        load_store(engine, folder, place / engine)
        stores[engine] = open_store(engine, place / engine)
    for address in request.getfixturevalue("sparql_addresses"):
        load_sparql(folder, address, graph="https://example.org/parity")
        stores[address] = open_remote(address, graph="https://example.org/parity")
    # the server is shared with tests that want its database empty
    with emptied(request.getfixturevalue("neo4j_server")) as address:
        load_online(folder, address)
        stores[address] = open_remote(address)
        yield World(folder, stores)
        for store in stores.values():
            store.close()


def test_every_query_gives_the_same_rows(world: World) -> None:
    assert len(world.stores) >= 4
    assert same_rows(world.folder, world.stores, busiest(world.folder)) == []


@pytest.mark.parametrize("world", ["sample"], indirect=True)
def test_a_limit_of_nothing_gives_nothing(world: World) -> None:
    known = busiest(world.folder)
    limited = [query for query in catalogue().values() if any(p.name == "limit" for p in query.parameters)]
    for store in world.stores.values():
        for query in limited:
            none = run(store, query, {**values_for(query, known), "limit": "0"})
            assert none.num_rows == 0 and none.column_names == [column.name for column in query.columns]


def test_an_offline_load_of_neo4j_gives_the_same_rows(neo4j_home: Server, tmp_path: Path) -> None:
    folder = make_graph(tmp_path / "graph", seed=13, n=30)
    load_store("oxigraph", folder, tmp_path / "oxigraph")
    load_offline(folder, neo4j_home.home)
    neo4j_home.start()
    stores = {"oxigraph": open_store("oxigraph", tmp_path / "oxigraph"), "neo4j": open_remote(neo4j_home.uri)}
    assert same_rows(folder, stores, busiest(folder)) == []
    for store in stores.values():
        store.close()
