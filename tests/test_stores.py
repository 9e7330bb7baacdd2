"""One contract for every embedded engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from graph_maker import make_graph

import mindkg.stores
from mindkg.errors import QueryError, StoreError, UsageError
from mindkg.graph.property_graph import expected_counts
from mindkg.stores.base import ENGINES, SERVERS, check_counts, counts, engine_class, load_store, open_store

ASK = {
    "sparql": "PREFIX mind: <https://w3id.org/mindkg/ontology#> SELECT (COUNT(*) AS ?n) WHERE { ?x a mind:Product }",
    "cypher": "MATCH (p:Product) RETURN count(p) AS n",
}
TESTS = Path(__file__).parent


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_graph(tmp_path / "graph", seed=3, n=15)


def test_no_implementation_is_left_out() -> None:
    parts = {"__init__", "base", "build_process", "guard", "load_lock", "neo4j_home", "neo4j_load", "neo4j_offline"}
    parts |= {"service_clause", "sparql_http", "sparql_lock"}
    modules = {p.stem for p in Path(mindkg.stores.__file__).parent.glob("*.py")} - parts
    assert {path.split(":")[0].rpartition(".")[2] for path in (*ENGINES.values(), *SERVERS.values())} == modules
    for name in ENGINES:
        found = engine_class(name)
        assert found.engine == name and found.dialect in ASK


def test_it_holds_what_the_tables_say_and_opens_again(engine: str, folder: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    target = tmp_path / "stores" / "kb"
    found = load_store(engine, folder, target, lines.append)
    assert found == expected_counts(folder) and lines
    for _ in range(2):
        store = open_store(engine, target)
        assert counts(store) == found
        assert store.query(ASK[store.dialect]).to_pylist() == [{"n": found["Product"]}]
        store.close()
    assert [p.name for p in target.parent.iterdir()] == ["kb"]
    with pytest.raises(QueryError, match="closed"):
        store.query(ASK[store.dialect])


def test_it_replaces_an_older_store(engine: str, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "kb"
    load_store(engine, folder, target)
    other = make_graph(tmp_path / "other", seed=4, n=6)
    assert load_store(engine, other, target) == expected_counts(other)


def test_a_graph_of_nothing_is_loaded(engine: str, folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        pq.write_table(pq.read_table(file).slice(0, 0), file)
    assert set(load_store(engine, folder, tmp_path / "kb").values()) == {0}


@pytest.mark.parametrize("name", ["a 'quoted' [1] \"name\"", "ünïcode * {x}"])
def test_it_lies_in_a_folder_of_any_name(engine: str, folder: Path, tmp_path: Path, name: str) -> None:
    target = tmp_path / name / "kb"
    assert load_store(engine, folder, target) == expected_counts(folder)
    open_store(engine, target).close()


def test_a_wrong_query_is_one_line(engine: str, folder: Path, tmp_path: Path) -> None:
    load_store(engine, folder, tmp_path / "kb")
    store = open_store(engine, tmp_path / "kb")
    for wrong in ("this is no query", "SELECT ?x WHERE {", "MATCH (n:Product\nRETURN n", ""):
        with pytest.raises(QueryError) as error:
            store.query(wrong)
        assert "\n" not in str(error.value) and len(str(error.value)) < 400
    store.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SELECT ?x { ?x a skoss:Concept }", "the prefix skoss: is not declared. Did you mean skos?"),
        ("SELECT ?x { ?x a foo:Concept }", "the prefix foo: is not declared. Declared are "),
        ("INSERT DATA { <a:b> <a:c> 1 }", "a query only reads: it begins with SELECT"),
        ("PREFIX x: <urn:x> DELETE WHERE { ?s ?p ?o }", "not with DELETE"),
        ("  # nothing", "this one is empty"),
        ("SELECT ?x { ?x a skos:Concept", "line 1, column 30, at the end: something is missing"),
        ("SELECT ?x {\n ?x a skos:Concept } LIMIT many", "line 2, column 28, before 'many'"),
    ],
)
def test_a_refused_sparql_query_says_why(folder: Path, tmp_path: Path, text: str, words: str) -> None:
    load_store("oxigraph", folder, tmp_path / "kb")
    oxigraph = open_store("oxigraph", tmp_path / "kb")
    with pytest.raises(QueryError) as error:
        oxigraph.query(text)
    assert words in str(error.value) and len(str(error.value)) < 300 and "0300" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * { SERVICE <http://127.0.0.1:9/> { ?s ?p ?o } }",
        "SELECT * { ?s ?p ?o.service SILENT <http://127.0.0.1:9/> { ?s ?p ?o } }",
        "SELECT * { ?s ?p 1SERVICE#'\n<http://127.0.0.1:9/> { ?s ?p ?o } } # '",
        "SELECT * { BIND('a\\u005C' AS ?x) SERVICE <http://127.0.0.1:9/> { ?s ?p ?o } BIND('b' AS ?y) }",
        "SELECT * { ?s ?p ?o FILTER(?o<'&&?o>' ') SERVICE ?x { ?s ?p ?o } FILTER(?o != ' ') }",
    ],
)
def test_no_query_opens_a_connection(folder: Path, tmp_path: Path, text: str) -> None:
    load_store("oxigraph", folder, tmp_path / "kb")
    store = open_store("oxigraph", tmp_path / "kb")
    with pytest.raises(QueryError, match="SERVICE is refused"):
        store.query(text)
    named = "SELECT ?service { ?service a mind:Service FILTER(?service != 'SERVICE <x>' && ?service != <urn:service>) }"
    assert store.query(f"{named} # service").num_rows == 0
    store.close()


def test_a_parameter_that_is_not_given_or_cannot_be_bound_is_an_error(folder: Path, tmp_path: Path) -> None:
    load_store("ladybug", folder, tmp_path / "kb")
    store = open_store("ladybug", tmp_path / "kb")
    with pytest.raises(QueryError, match="The query needs values for: name"):
        store.query("MATCH (p:Product) WHERE p.id = $name RETURN p.id")
    for text, near in (
        ("MATCH (c:Concpt) RETURN c.label", "Did you mean Concept"),
        ("MATCH (:Concept)-[r:CAPABLE_OFF]->() RETURN r", "CAPABLE_OF"),
        ("MATCH (c:Concept) RETURN c.lable", "Did you mean label"),
        ("MATCH (c:Xyz) RETURN c.label", "The labels are Product"),
    ):
        with pytest.raises(QueryError, match=near):
            store.query(text)
    for wrong in ([1, "a"], object(), 2**70, "\ud800", [[]]):
        with pytest.raises(QueryError, match="refuses"):
            store.query("RETURN $x AS x", {"x": wrong})
    assert store.query("RETURN '$x' AS x // $y\n/* $z */").to_pylist() == [{"x": "$x"}]
    store.close()


def test_no_cypher_writes_a_file_or_asks_the_network(folder: Path, tmp_path: Path) -> None:
    load_store("ladybug", folder, tmp_path / "kb")
    store = open_store("ladybug", tmp_path / "kb")
    leak = tmp_path / "leak.csv"
    for text, message in (
        (f"COPY (MATCH (c:Concept) RETURN c.id) TO '{leak}'", "begins with COPY"),
        (f"// c\nprofile copy (MATCH (c:Concept) RETURN c.id) TO '{leak}'", "begins with profile"),
        (f"RETURN 1 AS x; COPY (MATCH (c:Concept) RETURN c.id) TO '{leak}'", "More than one statement"),
        (f"EXPORT DATABASE '{leak}'", "begins with EXPORT"),
        ("INSTALL httpfs", "begins with INSTALL"),
        ("LOAD EXTENSION httpfs", "begins with LOAD"),
        ("CHECKPOINT;", "begins with CHECKPOINT"),
        ("RETURN 1 AS a, 2 AS a", "Two columns have one name"),
        ("RETURN '\udcff' AS a", "surrogates not allowed"),
        (";", "LadybugDB refuses"),
    ):
        with pytest.raises(QueryError, match=message) as error:
            store.query(text)
        assert "\n" not in str(error.value)
    assert not leak.exists()
    assert store.query("/* a */ match(p:Product) RETURN count(p) > 0 AS a; // ; b").to_pylist() == [{"a": True}]
    assert (
        store.query("EXPLAIN MATCH (p:Product) RETURN p.id").num_rows and not store.query("CALL threads = 1").num_rows
    )
    store.close()
    assert counts(open_store("ladybug", tmp_path / "kb")) == expected_counts(folder)


def test_numbers_that_are_none_are_text(folder: Path, tmp_path: Path) -> None:
    load_store("oxigraph", folder, tmp_path / "kb")
    store = open_store("oxigraph", tmp_path / "kb")
    for value, found in (
        ("99999999999999999999", "99999999999999999999"),
        ("'x'^^xsd:integer", "x"),
        ("'-3'^^xsd:negativeInteger", -3),
        ("'7'^^xsd:unsignedByte", 7),
        ("'x'^^xsd:double", "x"),
    ):
        assert store.query(f"SELECT ({value} AS ?x) {{}}").to_pylist() == [{"x": found}]
    store.close()


def test_a_store_that_is_half_there_does_not_open(engine: str, folder: Path, tmp_path: Path) -> None:
    load_store(engine, folder, tmp_path / "kb")
    for file in (tmp_path / "kb").iterdir():
        if file.suffix in (".sst", ".lbug"):
            file.write_bytes(b"")
    with pytest.raises(StoreError):
        open_store(engine, tmp_path / "kb")


def test_it_cannot_be_written_to(engine: str, folder: Path, tmp_path: Path) -> None:
    load_store(engine, folder, tmp_path / "kb")
    store = open_store(engine, tmp_path / "kb")
    write = {"sparql": "DELETE WHERE { ?s ?p ?o }", "cypher": "MATCH (n) DETACH DELETE n"}[store.dialect]
    with pytest.raises(QueryError):
        store.query(write)
    assert counts(store) == expected_counts(folder)
    store.close()


def test_no_store_is_a_clear_error(engine: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="There is no store"):
        open_store(engine, tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError):
        open_store(engine, tmp_path / "empty")
    with pytest.raises(UsageError, match="Embedded engines"):
        open_store("excel", tmp_path)


def test_a_count_that_differs_is_an_error(engine: str, folder: Path, tmp_path: Path) -> None:
    table = pq.read_table(folder / "hypernyms.parquet")
    pq.write_table(table.take([0, *range(table.num_rows)]), folder / "hypernyms.parquet")
    if engine == "oxigraph":  # a set of triples cannot hold one twice, a property graph can
        with pytest.raises(StoreError, match="Hypernymy"):
            load_store(engine, folder, tmp_path / "kb")
        assert not (tmp_path / "kb").exists()
    with pytest.raises(StoreError, match="Product 1 instead of 2"):
        check_counts(engine, {"Product": 2}, {"Product": 1})


def test_threads_read_at_once(engine: str, folder: Path, tmp_path: Path) -> None:
    expected = load_store(engine, folder, tmp_path / "kb")
    store = open_store(engine, tmp_path / "kb")
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: store.query(ASK[store.dialect]).to_pylist(), range(40)):
            assert found == [{"n": expected["Product"]}]
    store.close()


READ = """
import json, sys
from pathlib import Path
from mindkg.stores.base import counts, open_store
store = open_store(sys.argv[1], Path(sys.argv[2]))
print("open", flush=True)
sys.stdin.readline()
print(json.dumps(counts(store)), flush=True)
"""


def test_processes_read_at_once(engine: str, folder: Path, tmp_path: Path) -> None:
    expected = load_store(engine, folder, tmp_path / "kb")
    command = [sys.executable, "-c", READ, engine, str(tmp_path / "kb")]
    readers = [subprocess.Popen(command, stdin=-1, stdout=-1, text=True, cwd=TESTS.parent) for _ in range(2)]
    for reader in readers:  # both are open before one of them asks
        assert reader.stdout is not None and reader.stdout.readline() == "open\n"
    for reader in readers:
        out, _ = reader.communicate("\n", timeout=60)
        assert json.loads(out) == expected


LOAD = """
import sys, time
from pathlib import Path
from mindkg.stores.base import load_store
def slow(line):
    print(line, flush=True)
    time.sleep(0.2)
load_store(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), slow)
"""


def test_a_killed_load_leaves_nothing_under_the_name(engine: str, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "stores" / "kb"
    command = [sys.executable, "-c", LOAD, engine, str(folder), str(target)]
    loader = subprocess.Popen(command, stdout=-1, text=True, cwd=TESTS.parent)
    assert loader.stdout is not None
    loader.stdout.readline()
    loader.stdout.readline()
    time.sleep(0.05)
    os.kill(loader.pid, signal.SIGKILL)
    loader.wait(timeout=30)
    assert not target.exists()
    assert [p.name.startswith(".building-") for p in target.parent.iterdir()] == [True]
    # a KB that has changed since is loaded under another name
    other = target.with_name("changed")
    assert load_store(engine, folder, other) == expected_counts(folder)
    assert [p.name for p in target.parent.iterdir()] == ["changed"]
