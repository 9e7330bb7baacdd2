"""Neo4j over Bolt, against a real server."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from graph_maker import graph_rows, make_graph, write_graph
from neo4j import Driver, GraphDatabase
from neo4j_graphs import held, loads, wanted

from mindkg.errors import QueryError, StoreError, UsageError
from mindkg.graph.property_graph import expected_counts
from mindkg.queries import catalogue
from mindkg.resources import data_folder
from mindkg.stores import open_remote
from mindkg.stores.base import ServerStore, another_graph, counts
from mindkg.stores.neo4j_load import batches, explain_online, load_online
from mindkg.vocabulary import relations

pytest_plugins = ["neo4j_server"]
pytestmark = pytest.mark.xdist_group("neo4j")
TESTS = Path(__file__).parent


@pytest.fixture
def driver(neo4j_uri: str) -> Iterator[Driver]:
    with GraphDatabase.driver(neo4j_uri, auth=None) as driver:
        yield driver


@pytest.fixture
def store(neo4j_uri: str) -> Iterator[ServerStore]:
    store = open_remote(neo4j_uri)
    yield store
    store.close()


def test_a_load_is_what_the_tables_say_and_the_next_one_changes_nothing(
    neo4j_uri: str, driver: Driver, store: ServerStore, tmp_path: Path
) -> None:
    folder = make_graph(tmp_path / "graph", seed=3, n=15)
    assert load_online(folder, neo4j_uri) == expected_counts(folder) == counts(store)
    assert held(driver) == wanted(folder)
    lines: list[str] = []
    assert load_online(folder, neo4j_uri, progress=lines.append) == expected_counts(folder)
    assert held(driver) == wanted(folder) and loads(driver) == {1}
    assert lines[-1] == "Neo4j holds this graph already"
    other = make_graph(tmp_path / "other", seed=4, n=5)
    assert another_graph(store, [other, folder]) == ""
    assert "does not hold the graph of this KB" in another_graph(store, [other])
    # what someone took away is made good
    driver.execute_query("MATCH (:CoBuy)-[r]->(:Product) WITH r LIMIT 3 DELETE r")
    load_online(folder, neo4j_uri)
    assert held(driver) == wanted(folder) and loads(driver) == {2}


def test_a_newer_graph_takes_the_place_of_an_older_one(neo4j_uri: str, driver: Driver, tmp_path: Path) -> None:
    old, new = make_graph(tmp_path / "old", seed=3, n=20), make_graph(tmp_path / "new", seed=4, n=20)
    rows = graph_rows(3, 20)
    for product in rows["products"][::2]:
        product.update(title=None, brand="changed", category=[])
    write_graph(tmp_path / "changed", rows)
    driver.execute_query("CREATE (c:Customer {id: 'mine'})-[:SAW {at: 1}]->(:Shop)")
    for folder in (old, tmp_path / "changed", new):
        load_online(folder, neo4j_uri)
        if folder != new:
            driver.execute_query(
                "MATCH (c:Customer) MATCH (p:Product) WITH c, p ORDER BY p.id LIMIT 1 SET p.seen = true "
                "MERGE (c)-[:BOUGHT]->(p)"
            )
        found = held(driver)
        marked = [id_ for id_, product in found[0]["Product"].items() if product.pop("seen", False)]
        assert found == wanted(folder) and len(marked) == (folder != new)
    mine = driver.execute_query("MATCH (c:Customer)-[r]->(x) RETURN properties(c) AS c, type(r) AS r, labels(x) AS x")
    assert [dict(row) for row in mine.records] == [{"c": {"id": "mine"}, "r": "SAW", "x": ["Shop"]}]


def test_nodes_of_others_are_not_taken_over(neo4j_uri: str, driver: Driver, tmp_path: Path) -> None:
    folder = make_graph(tmp_path / "graph", seed=3, n=6)
    id_ = pq.read_table(folder / "products.parquet")["product_id"][0].as_py()
    driver.execute_query("CREATE (:Product {id: $id, price: 3})", id=id_)
    with pytest.raises(StoreError, match="1 nodes labelled Product that mindkg did not write"):
        load_online(folder, neo4j_uri)
    assert driver.execute_query("MATCH (n) RETURN properties(n) AS p").records[0]["p"] == {"id": id_, "price": 3}


def test_what_others_made_in_the_database_is_told(neo4j_uri: str, driver: Driver, tmp_path: Path) -> None:
    folder = make_graph(tmp_path / "graph", seed=3, n=6)
    for made, name in (
        ("CREATE CONSTRAINT product_id FOR (n:Item) REQUIRE n.sku IS UNIQUE", "CONSTRAINT product_id"),
        ("CREATE FULLTEXT INDEX product_titles FOR (n:Item) ON EACH [n.title]", "INDEX product_titles"),
        ("CREATE INDEX concept_id FOR (n:Concept) ON (n.label)", "INDEX concept_id"),
    ):
        driver.execute_query(made)
        with pytest.raises(StoreError, match=f"another index or constraint called {name.split()[1]}.*Drop it"):
            load_online(folder, neo4j_uri)
        driver.execute_query(f"DROP {name}")
    # one of another name does the same
    driver.execute_query("CREATE CONSTRAINT mine FOR (n:Product) REQUIRE n.id IS UNIQUE")
    load_online(folder, neo4j_uri, database="Neo4J")
    driver.execute_query("MATCH (b:CoBuy), (i:Intention) WITH b, i LIMIT 1 CREATE (b)-[:SEEN]->(i)")
    with pytest.raises(StoreError, match=r"Assertion \d+ instead of .* that it did not write count too"):
        load_online(folder, neo4j_uri)


def test_a_missing_end_is_an_error(neo4j_uri: str, tmp_path: Path) -> None:
    rows = graph_rows(3, 10)
    gone = rows["mentions"][0]["concept"]
    rows["concepts"] = [c for c in rows["concepts"] if c["concept"] != gone]
    write_graph(tmp_path / "graph", rows)
    with pytest.raises(StoreError, match=r"rows of HAS_CONCEPT: nodes at their ends are missing"):
        load_online(tmp_path / "graph", neo4j_uri)


# the loader with batches of two rows or so, once for each line: forked, so that its imports cost nothing
LOADER = """
import os, sys
from pathlib import Path
from mindkg.stores import neo4j_load
import neo4j
neo4j_load._BATCH = 600
print("ready", flush=True)
for line in sys.stdin:
    if not (child := os.fork()):
        neo4j_load.load_online(Path(sys.argv[1]), sys.argv[2])
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Loader:
    """A process that loads, and can be killed after so many rows."""

    def __init__(self, folder: Path, uri: str, driver: Driver) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", LOADER, str(folder), uri], stdin=-1, stdout=-1, text=True, cwd=TESTS.parent
        )
        self.driver = driver
        assert self.says() == "ready"

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def load(self, kill_after: int | None = None) -> int:
        """Load once, killed as soon as the database has ``kill_after`` rows; return the exit status."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        child = int(self.says())
        while kill_after is not None:
            if self.rows() >= kill_after:
                os.kill(child, 9)
                break
        return int(self.says())

    def rows(self) -> int:
        found = self.driver.execute_query("MATCH (m:MindKG) RETURN m.rows AS rows").records
        return int(found[0]["rows"] or 0) if found else 0

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)


def test_a_killed_loader_goes_on(neo4j_uri: str, driver: Driver, tmp_path: Path) -> None:
    r = random.Random(6)
    old, folder = make_graph(tmp_path / "old", seed=8, n=8), make_graph(tmp_path / "graph", seed=7, n=8)
    total = sum(len(rows) for part in wanted(folder) for rows in part.values())
    loader = Loader(folder, neo4j_uri, driver)
    killed = 0
    for again in range(5):  # two moments each: a kill in the load, and one where it goes on
        driver.execute_query("MATCH (n) DETACH DELETE n")
        if again % 2:
            load_online(old, neo4j_uri)
        for moment in sorted(r.sample(range(1, total - 10), 2)):
            # the rows of the older graph are there until the new load has begun
            killed += loader.load(kill_after=moment) == -9
        if again == 0:
            assert held(driver) != wanted(folder)
        assert loader.load() == 0
        assert held(driver) == wanted(folder)
        assert len(loads(driver)) == 1
    loader.close()
    assert killed >= 8


def test_mistakes_are_one_line(neo4j_uri: str, store: ServerStore, tmp_path: Path) -> None:
    folder = make_graph(tmp_path / "graph", seed=3, n=6)
    for address, message in (
        ("bolt://127.0.0.1:1", "Neo4j cannot be reached"),
        ("bolt://no-such-host.invalid:7687", "Neo4j cannot be reached"),
        ("bolt://127.0.0.1:x", "Neo4j refuses"),
        ("gopher://127.0.0.1", "unknown scheme 'gopher'"),
        (neo4j_uri.replace("bolt", "bolt+s"), "Neo4j cannot be reached"),
        ("neo4j://127.0.0.1:1", "Neo4j cannot be reached: .*127.0.0.1:1.*refused"),
    ):
        with pytest.raises((StoreError, UsageError), match=message) as error:
            open_remote(address)
        assert "\n" not in str(error.value) and address in str(error.value)
    for wrong_address in (neo4j_uri.replace("bolt://", "bolt://neo4j:secret@"), "http://me:secret@127.0.0.1:7474"):
        for work in (load_online, explain_online):
            with pytest.raises(StoreError, match=r"no user and no password|no address of a Neo4j") as error:
                work(folder, wrong_address)
            assert "secret" not in str(error.value)
    with pytest.raises(StoreError, match=r"no database 'other'.*It has: neo4j, system"):
        load_online(folder, neo4j_uri, database="other")
    with pytest.raises(StoreError, match="takes no database"):
        open_remote("http://127.0.0.1:1", database="x")
    for text, message in (
        ("MATCH (n RETURN n", "Invalid input"),
        ("CREATE (n) RETURN n", "A query reads and never writes"),
        ("RETURN $x AS x", "Expected parameter"),
        ("RETURN [1, 'a'] AS x", "no column of a table"),
        ("MATCH (n", "Invalid input"),
    ):
        with pytest.raises(QueryError, match=message) as wrong:
            store.query(text)
        assert "\n" not in str(wrong.value)
    for value in (2**70, "\ud800", object()):
        with pytest.raises(QueryError, match="Neo4j refuses"):
            store.query("RETURN $x AS x", {"x": value})
    store.close()
    with pytest.raises(QueryError, match="closed"):
        store.query("RETURN 1")


@pytest.mark.parametrize(
    ("handshake", "message"),
    [
        (b"\0\0\4\4", "no Neo4j, or too old a one"),
        (b"\0\0\0\0", "no Neo4j, or too old a one"),
        (b"HTTP", "Neo4j cannot be reached: the server answers no Bolt handshake.*bolt\\+s://"),
    ],
)
def test_another_server_is_one_line(handshake: bytes, message: str) -> None:
    """A server that says of itself what an old one says, one that speaks no common Bolt, and one that speaks HTTP."""
    hello = b"\xb1\x70\xa2\x86server\x8bNeo4j/4.4.0\x8dconnection_id\x81x"
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(20)
                connection.sendall(handshake)
                if connection.recv(4096):
                    connection.sendall(len(hello).to_bytes(2, "big") + hello + b"\0\0")
                    connection.recv(4096)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(StoreError, match=message) as error:
            open_remote(f"bolt://127.0.0.1:{listening.getsockname()[1]}")
        assert "\n" not in str(error.value)
        thread.join()


def test_a_query_gives_columns_even_without_rows(store: ServerStore) -> None:
    assert store.query("UNWIND [] AS x RETURN x, 1 AS y").column_names == ["x", "y"]
    rows = store.query("UNWIND [1, 2] AS x RETURN x, x / 2.0 AS y, [toString(x)] AS z, null AS w")
    assert rows.to_pylist() == [{"x": x, "y": x / 2, "z": [str(x)], "w": None} for x in (1, 2)]
    rows = store.query("RETURN date('2026-11-21') AS day, duration('P1DT2H') AS long")
    assert rows.to_pylist() == [{"day": "2026-11-21", "long": "P1DT2H"}]
    assert "name" in store.query("SHOW INDEXES").column_names  # one of its columns is a time


def test_an_assertion_is_found_by_an_index(neo4j_uri: str, driver: Driver, tmp_path: Path) -> None:
    load_online(make_graph(tmp_path / "graph", seed=3, n=6), neo4j_uri)
    text = catalogue()["assertion-provenance"].cypher
    for relation in relations().values():
        assert relation.lpg_type in text.replace("]", "|").replace(":", "|").replace("\n  ", "").split("|")
    plan = driver.execute_query(f"EXPLAIN {text}", assertion="x").summary.plan
    assert "DirectedRelationshipIndexSeek" in str(plan) and "NodeByLabelScan" not in str(plan)
    words = driver.execute_query(
        "CALL db.index.fulltext.queryNodes('product_titles', 'product') YIELD node RETURN count(node) AS n"
    )
    assert words.records[0]["n"] > 0


def test_batches_are_cut_by_bytes() -> None:
    texts = ["x" * n for n in (10, 5_000_000, 10, 4_000_000, 100_000, 200_000)]
    assert list(batches(pa.table({"text": texts}))) == [(0, 1), (1, 2), (2, 5), (5, 6)]
    lists = pa.table({"list": [["ab"] * 1_000_000, None, [], ["c"]] * 2})
    assert list(batches(lists)) == [(0, 8)]
    assert list(batches(pa.table({"text": pa.array([], pa.string())}))) == []
    short = list(batches(pa.table({"id": ["abc"] * 60_000})))
    assert 2 <= len(short) <= 4 and short[-1][1] == 60_000


def test_each_label_and_type_has_a_statement(tmp_path: Path) -> None:
    folder = data_folder("loaders") / "neo4j"
    graph = make_graph(tmp_path / "graph", seed=3, n=6)
    nodes, relationships = wanted(graph)
    types = {relation.lpg_type for relation in relations().values()}
    assert {p.stem for p in (folder / "nodes").iterdir()} == set(nodes)
    assert {p.stem for p in (folder / "relationships").iterdir()} - {"assertion"} == set(relationships) - types
    for file in folder.glob("relationships/*"):
        text = file.read_text("utf-8")
        assert text.count("{id: $") == 2 and "(s:" in text and "(e:" in text  # both ends are labelled
    assert any("would write nodes" in line for line in explain_online(graph, "bolt://x"))
