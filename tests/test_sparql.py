"""The graph in real SPARQL servers: loaded by parts, gone on with, replaced whole, and asked like the embedded one."""

from __future__ import annotations

import http.server
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pyarrow.parquet as pq
import pytest
from graph_maker import make_graph

from mindkg.errors import MindKGError, QueryError, StoreError
from mindkg.graph.ntriples import write_ntriples
from mindkg.graph.property_graph import expected_counts
from mindkg.serving import serving
from mindkg.stores import load_store, open_store, sparql, sparql_http
from mindkg.stores.base import Store, another_graph, counts, open_remote
from mindkg.stores.sparql import GRAPH, SparqlStore, load_sparql

if TYPE_CHECKING:
    from sparql_servers import Server

pytest_plugins = ("sparql_servers",)
pytestmark = pytest.mark.xdist_group("sparql")
TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_graph(tmp_path_factory.mktemp("graph") / "old", seed=3, n=15)


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_graph(tmp_path_factory.mktemp("graph") / "new", seed=4, n=15)


@pytest.fixture(params=["graph store", "update"])
def small_parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Parts of 4 KB, added through the Graph Store Protocol and where there is none."""
    monkeypatch.setattr(sparql, "_PART", 4096)
    if request.param == "update":
        monkeypatch.setattr(sparql_http, "GRAPHS", ())
    return str(request.param)


def triples(store: Store) -> set[tuple[object, ...]]:
    """What a graph holds, beside what it says of itself; doubles as numbers, since engines write them in their way."""
    rows = store.query("SELECT ?s ?p (STR(?o) AS ?text) (STR(DATATYPE(?o)) AS ?type) (LANG(?o) AS ?lang) { ?s ?p ?o }")
    return {
        (row["s"], row["p"], row["type"], row["lang"] or "", _number(row["text"], str(row["type"])))
        for row in rows.to_pylist()
        if not row["s"].startswith("https://example.org/test")
    }


def _number(text: str, type_: str) -> object:
    return float(text) if type_.endswith("#double") else text


def test_it_holds_every_triple_in_every_way_of_loading(
    sparql_server: str, graph_name: str, folder: Path, tmp_path: Path, small_parts: str
) -> None:
    lines: list[str] = []
    assert load_sparql(folder, sparql_server, graph=graph_name, progress=lines.append) == expected_counts(folder)
    assert any("parts; checking" in line and int(line.split(" in ")[1].split()[0]) > 20 for line in lines)
    load_store("oxigraph", folder, tmp_path / "kb")
    embedded, served = open_store("oxigraph", tmp_path / "kb"), open_remote(sparql_server, graph=graph_name)
    assert triples(served) == triples(embedded)
    lines.clear()
    load_sparql(folder, sparql_server, graph=graph_name, progress=lines.append)
    assert [line.rpartition(" holds ")[2] for line in lines] == ["this graph already"]


def test_a_graph_that_was_changed_since_is_loaded_anew(sparql_server: str, graph_name: str, folder: Path) -> None:
    load_sparql(folder, sparql_server, graph=graph_name)
    before = triples(open_remote(sparql_server, graph=graph_name))
    endpoint = sparql_http.Endpoint.writing(sparql_server)
    endpoint.update(f"DELETE WHERE {{ GRAPH <{graph_name}> {{ ?x a <https://w3id.org/mindkg/ontology#Product> }} }}")
    lines: list[str] = []
    assert load_sparql(folder, sparql_server, graph=graph_name, progress=lines.append) == expected_counts(folder)
    assert "changed since" in lines[0]
    assert triples(open_remote(sparql_server, graph=graph_name)) == before


def test_there_are_no_blank_nodes_that_parts_could_split(folder: Path, tmp_path: Path) -> None:
    write_ntriples(folder, tmp_path / "kb.nt")
    for line in (tmp_path / "kb.nt").read_bytes().splitlines():
        subject, _, rest = line.split(b" ", 2)
        assert subject.startswith(b"<") and rest[:1] in (b"<", b'"')
    pieces = list(sparql._pieces(folder))
    assert b"".join(lines for lines, _ in pieces) == (tmp_path / "kb.nt").read_bytes()


def test_an_older_graph_is_replaced_whole(
    sparql_server: str, graph_name: str, folder: Path, newer: Path, tmp_path: Path
) -> None:
    load_sparql(folder, sparql_server, graph=graph_name)
    before = triples(SparqlStore.connect(sparql_server, graph_name))
    # while the newer one is loaded, readers have the older one
    seen = list[bool]()

    def look(line: str) -> None:
        seen.append(triples(SparqlStore.connect(sparql_server, graph_name)) == before)

    load_sparql(newer, sparql_server, graph=graph_name, progress=look)
    assert seen and all(seen)
    store = SparqlStore.connect(sparql_server, graph_name)
    load_store("oxigraph", newer, tmp_path / "kb")
    assert triples(store) == triples(open_store("oxigraph", tmp_path / "kb"))
    with pytest.raises(StoreError, match="no graph"):
        SparqlStore.connect(sparql_server, f"{graph_name}/loading")


def test_the_environment_names_the_graph(
    sparql_server: str, graph_name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARQL_GRAPH", graph_name)
    load_sparql(folder, sparql_server)
    assert SparqlStore.connect(sparql_server).graph == graph_name
    monkeypatch.setenv("SPARQL_GRAPH", "no iri")
    with pytest.raises(StoreError, match="no IRI of a graph"):
        load_sparql(folder, sparql_server)


def test_a_server_says_which_graph_it_holds(
    sparql_server: str, graph_name: str, folder: Path, newer: Path, tmp_path: Path
) -> None:
    load_sparql(folder, sparql_server, graph=graph_name)
    load_store("oxigraph", folder, tmp_path / "kb")
    with serving(tmp_path / "kb", port=0) as (address, _):
        for store in open_remote(sparql_server, graph=graph_name), open_remote(address):
            assert store.holds(folder) is True and store.holds(newer) is False
            assert another_graph(store, [newer, folder]) == ""
            assert f"mindkg load KB sparql --endpoint {store.address}" in another_graph(store, [newer])
    endpoint = sparql_http.Endpoint.writing(sparql_server)
    endpoint.add(b"<https://example.org/s> <https://example.org/p> <https://example.org/o> .\n", f"{graph_name}-other")
    other = open_remote(sparql_server, graph=f"{graph_name}-other")
    assert other.holds(folder) is None and another_graph(other, [folder]) == ""


def test_the_default_graph_is_loaded_and_found(start: Callable[..., Server], folder: Path, newer: Path) -> None:
    server = start("oxigraph")
    with pytest.raises(StoreError, match=f"There is no graph {GRAPH}"):
        open_remote(server.address)
    for graph, made in (("default", folder), ("default", newer), (None, folder)):
        assert load_sparql(made, server.address, graph=graph) == expected_counts(made)
        # without a name: the graph that mindkg loads into, or else the default graph
        store = open_remote(server.address)
        assert counts(store) == expected_counts(made)
    httpx.post(f"{server.address}/store?graph=urn:own", content="<urn:a> <urn:b> <urn:c> .", headers=NT)
    with pytest.raises(StoreError, match="urn:own holds what mindkg did not write"):
        load_sparql(folder, server.address, graph="urn:own")


NT = {"Content-Type": "application/n-triples"}
LOAD = """
import sys
from pathlib import Path
from mindkg.stores import sparql
sparql._PART = 1024
sparql._EVERY = 0.0
sparql.load_sparql(Path(sys.argv[1]), sys.argv[2], graph=sys.argv[3], progress=lambda line: print(line, flush=True))
"""


def loader(folder: Path, address: str, graph: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", LOAD, str(folder), address, graph]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=TESTS.parent)


def test_a_killed_load_goes_on_where_it_was(
    sparql_server: str, graph_name: str, folder: Path, newer: Path, tmp_path: Path
) -> None:
    load_store("oxigraph", newer, tmp_path / "kb")
    expected = triples(open_store("oxigraph", tmp_path / "kb"))
    r, resumed = random.Random(5), 0
    for first in (True, False):
        graph = f"{graph_name}-{first}"
        if not first:
            load_sparql(folder, sparql_server, graph=graph)
        for _ in range(2):
            process = loader(newer, sparql_server, graph)
            assert process.stdout is not None
            for _ in range(r.randint(1, 25)):
                line = process.stdout.readline()
                resumed += line.startswith("going on: ")
            os.kill(process.pid, signal.SIGKILL)
            process.wait(timeout=30)
            if first:
                with pytest.raises(MindKGError, match=r"its load was interrupted|no graph"):
                    counts(SparqlStore.connect(sparql_server, graph))
            else:
                assert counts(SparqlStore.connect(sparql_server, graph)) == expected_counts(folder)
        process = loader(newer, sparql_server, graph)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0, out
        assert triples(SparqlStore.connect(sparql_server, graph)) == expected
    assert resumed


def test_a_load_outlives_a_restart_of_the_server(
    start: Callable[..., Server], newer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparql, "_PART", 1024)
    monkeypatch.setattr(sparql, "_EVERY", 0.0)
    monkeypatch.setattr(sparql_http, "_PAUSES", (0.1,) * 100)
    server, lines = start("oxigraph"), list[str]()

    def report(line: str) -> None:
        lines.append(line)
        if len(lines) == 10:
            server.stop()
            threading.Timer(0.5, server.start).start()

    assert load_sparql(newer, server.address, progress=report) == expected_counts(newer)
    assert any("trying again" in line for line in lines)


def test_a_count_that_differs_is_an_error_and_leaves_nothing(
    sparql_server: str, graph_name: str, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "graph"
    other.mkdir()
    for file in folder.iterdir():
        table = pq.read_table(file)
        if file.stem == "hypernyms":
            table = table.take([0, *range(table.num_rows)])  # a set of triples cannot hold one twice
        pq.write_table(table, other / file.name)
    with pytest.raises(StoreError, match="Hypernymy"):
        load_sparql(other, sparql_server, graph=graph_name)
    with pytest.raises(StoreError, match="no graph"):
        SparqlStore.connect(sparql_server, graph_name)


def test_rows_have_the_types_of_the_embedded_engine(
    sparql_server: str, graph_name: str, folder: Path, tmp_path: Path
) -> None:
    load_sparql(folder, sparql_server, graph=graph_name)
    load_store("oxigraph", folder, tmp_path / "kb")
    stores = open_remote(sparql_server, graph=graph_name), open_store("oxigraph", tmp_path / "kb")
    for text in (
        "SELECT (1 AS ?i) (1.5 AS ?d) (2e0 AS ?f) (true AS ?b) ('x' AS ?s) ?none {}",
        "SELECT ?p ?plausibility { ?p a mind:Assertion OPTIONAL { ?p mind:plausibility ?plausibility } } ORDER BY ?p",
        "SELECT ?x { ?x a mind:Nothing }",
        "SELECT (COUNT(*) AS ?n) WHERE { { ?x a mind:Product } UNION { ?x a mind:CoBuy FILTER(STR(?x) != '} {') } }",
        "SELECT ?x WHERE { ?x a ?y } ORDER BY ?x LIMIT 3 VALUES ?y { mind:Product }",
        "SELECT ?x (EXISTS { ?x a mind:CoBuy } AS ?is) WHERE { ?x mind:support ?n } ORDER BY ?x LIMIT 9",
        "ASK { ?x a mind:Product }",
        "CONSTRUCT { ?p schema:name ?name } { { SELECT * { ?p schema:name ?name } ORDER BY ?p LIMIT 1 } }",
    ):
        served, embedded = (store.query(text) for store in stores)
        assert served.select(embedded.column_names).to_pylist() == embedded.to_pylist(), text
        assert {f.name: f.type for f in served.schema} == {f.name: f.type for f in embedded.schema}, text
    for wrong in ("this is no query", "SELECT ?x WHERE {", "DELETE WHERE { ?s ?p ?o }", ""):
        with pytest.raises(QueryError, match="refuses the query") as error:
            stores[0].query(wrong)
        assert "\n" not in str(error.value) and len(str(error.value)) < 400
    assert counts(stores[0]) == expected_counts(folder)
    stores[0].close()
    with pytest.raises(QueryError, match="closed"):
        stores[0].query("ASK {}")


def test_mistakes_are_one_line(sparql_server: str, folder: Path) -> None:
    root = sparql_server.removesuffix("/kb")
    for address, message in (
        ("http://127.0.0.1:9/kb", "cannot be reached"),
        ("http://", "No address of a SPARQL endpoint"),
        (f"{root}/nothing", "Nothing there takes SPARQL queries"),
        (sparql_server.replace("http://", "http://me:secret@"), "no user and no password in it"),
        ("http://127.0.0.1:x/kb", "No address of a SPARQL endpoint"),
        ("http://[::1/kb", "No address of a SPARQL endpoint"),
        ("ftp://me:secret@127.0.0.1/kb", "No address of a SPARQL endpoint"),
    ):
        with pytest.raises(StoreError, match=message) as error:
            load_sparql(folder, address)
        assert "\n" not in str(error.value) and "secret" not in str(error.value)
    with pytest.raises(StoreError, match="no IRI of a graph"):
        load_sparql(folder, sparql_server, graph="x> } ; DROP ALL #")
    for graph in ("http://[x", "http://x/\udcff"):  # the first is one only for the server to refuse
        with pytest.raises(
            StoreError, match=r"endpoint answers 400|does not answer about the graph http|no IRI of a graph|Bad URI"
        ) as error:
            load_sparql(folder, sparql_server, graph=graph)
        assert "\n" not in str(error.value)
    with pytest.raises(StoreError, match="takes no user"):
        open_remote(sparql_server, user="me")


def test_a_password_is_asked_for_and_given(
    tmp_path: Path, folder: Path, start: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "passwd").write_text("me: right\n")
    address = start("fuseki", "--auth=basic", "--passwd=passwd", "--update", "--mem").address
    for user, password, message in ((None, None, "asks who you are"), ("me", "wrong", "refuses this user")):
        if user and password:
            monkeypatch.setenv("SPARQL_USER", user)
            monkeypatch.setenv("SPARQL_PASSWORD", password)
        with pytest.raises(StoreError, match=message) as error:
            load_sparql(folder, address)
        assert "SPARQL_PASSWORD" in str(error.value) and "wrong" not in str(error.value)
    monkeypatch.setenv("SPARQL_PASSWORD", "right")
    assert load_sparql(folder, f"{address}/query") == expected_counts(folder)
    assert counts(open_remote(address)) == expected_counts(folder)


@pytest.mark.parametrize("kind", ["fuseki", "oxigraph"])
def test_a_server_that_is_read_only_says_so(
    kind: str, tmp_path: Path, folder: Path, start: Callable[..., Server]
) -> None:
    load_store("oxigraph", folder, tmp_path / "store")
    (tmp_path / "db").mkdir()
    server = start(kind, *(("--tdb2", "--loc=db") if kind == "fuseki" else ("serve-read-only",)))
    with pytest.raises(StoreError, match=r"read-only|takes updates"):
        load_sparql(folder, server.address)
    if kind == "oxigraph":
        assert counts(open_remote(server.address)) == expected_counts(folder)


class _Tired(http.server.BaseHTTPRequestHandler):
    """A server that is busy twice, wants a token, and takes no gzip."""

    seen: list[str]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append(f"{self.path} {self.headers.get('Content-Encoding', 'plain')}")
        if self.headers.get("Authorization") != "Bearer s3cret":
            self.answer(401, b"")
        elif "Content-Encoding" in self.headers:
            self.answer(415, b"")
        elif len(self.seen) < 6:
            self.answer(503, b"busy")
        else:
            self.answer(200, b'{"head": {}, "boolean": true}')

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/sparql-results+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_token_is_sent_gzip_is_left_out_and_a_busy_server_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    handler = type("Handler", (_Tired,), {"seen": seen})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/kb"
        try:
            with pytest.raises(StoreError, match="asks who you are"):
                sparql_http.Endpoint.reading(address)
            monkeypatch.setenv("SPARQL_TOKEN", "s3cret")
            with pytest.raises(sparql_http.TransientError, match="cannot answer now: busy") as error:
                sparql_http.Endpoint.reading(address)
            assert error.value.retryable
            monkeypatch.setattr(sparql_http, "_PAUSES", (0.0,) * 5)
            endpoint = sparql_http.Endpoint(address)
            endpoint._updates = f"{address}/update"
            lines: list[str] = []
            endpoint.persist(lambda: endpoint.update("INSERT DATA {}"), lines.append)
            assert lines and all("trying again" in line for line in lines)
            assert seen[-2:] == ["/kb/update gzip", "/kb/update plain"]
        finally:
            server.shutdown()


class _Silent(http.server.BaseHTTPRequestHandler):
    """A server that begins an answer, and says no more until its client is gone."""

    status: int
    length: bool

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        if self.length:
            self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"one part")
        self.rfile.read()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("length", [True, False])
@pytest.mark.parametrize(
    ("status", "words"), [(200, r"not read on: it takes more than 0\.3 s"), (500, "answers 500: one part")]
)
def test_a_server_that_falls_silent_is_left_at_the_deadline(length: bool, status: int, words: str) -> None:
    handler = type("Handler", (_Silent,), {"status": status, "length": length})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = sparql_http.Endpoint(f"http://127.0.0.1:{server.server_address[1]}/kb", seconds=0.3)
        try:
            endpoint._queries = endpoint.address
            with pytest.raises(StoreError, match=words):
                endpoint.query("ASK {}")
        finally:
            endpoint.close()
            server.shutdown()


class _Odd(http.server.BaseHTTPRequestHandler):
    """A server in front of another: ``fault`` says of a request what it does instead of passing it on, or nothing."""

    behind: str
    fault: Callable[[str, bytes, bool], tuple[int, str, bytes] | None]

    def do_POST(self) -> None:
        body, packed = self.rfile.read(int(self.headers["Content-Length"])), "Content-Encoding" in self.headers
        answer = type(self).fault(self.path, body, packed)
        if answer is None:
            headers = {name: self.headers[name] for name in ("Content-Type", "Accept") if name in self.headers}
            headers |= {"Content-Encoding": "gzip"} if packed else {}
            given = httpx.post(self.behind + self.path, content=body, headers=headers, trust_env=False)
            answer = given.status_code, given.headers.get("content-type", "text/plain"), given.content
        status, media, content = answer
        self.send_response(status)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def odd(oxigraph_server: str) -> Iterator[Callable[..., str]]:
    """Gives the address of an Oxigraph server whose answers a function changes; without a Graph Store Protocol."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def begin(fault: Callable[[str, bytes, bool], tuple[int, str, bytes] | None]) -> str:
        handler = type("Handler", (_Odd,), {"behind": oxigraph_server, "fault": staticmethod(fault)})
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_address[1]}"

    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


JSON = "application/sparql-results+json"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((200, "text/html", b"<html>Log in</html>"), "its answer is text/html"),
        ((200, JSON, b'{"head": {"vars": ["a"'), "Parser error"),
        ((400, "text/plain", b"no default-graph-uri here\nplease"), "no default-graph-uri here please"),
    ],
)
def test_an_answer_that_is_none_is_one_line(
    odd: Callable[..., str], folder: Path, graph_name: str, answer: tuple[int, str, bytes], message: str
) -> None:
    address = odd(lambda path, body, packed: answer if b"default-graph-uri=" in body else None)
    for work in (
        lambda: load_sparql(folder, address, graph=graph_name),
        lambda: open_remote(address, graph=graph_name),
    ):
        with pytest.raises(StoreError, match=f"about the graph {graph_name}: .*{message}") as error:
            work()
        assert "\n" not in str(error.value)


def test_a_server_that_takes_packed_bodies_for_broken_ones_gets_others(
    odd: Callable[..., str], folder: Path, graph_name: str
) -> None:
    packed_ones = list[str]()

    def fault(path: str, body: bytes, packed: bool) -> tuple[int, str, bytes] | None:
        packed_ones.extend([path] * packed)
        return (400, "text/plain", b"Parse error") if packed else None

    assert load_sparql(folder, odd(fault), graph=graph_name) == expected_counts(folder)
    assert packed_ones == ["/update"]  # asked once, with nothing in it


def test_a_server_that_is_away_while_the_counts_are_checked_is_waited_for(
    odd: Callable[..., str], folder: Path, graph_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparql_http, "_PAUSES", (0.0,) * 3)
    away, lines = [2, 2], list[str]()

    def fault(path: str, body: bytes, packed: bool) -> tuple[int, str, bytes] | None:
        which = b"COUNT" in body
        if path != "/query" or body == b"query=ASK+%7B%7D" or not away[which]:
            return None
        away[which] -= 1
        return 503, "text/plain", b"starting"

    assert load_sparql(folder, odd(fault), graph=graph_name, progress=lines.append) == expected_counts(folder)
    assert sum("starting" in line and "trying again" in line for line in lines) == 4


def test_a_graph_of_others_beside_ours_is_left_alone(
    sparql_server: str, graph_name: str, folder: Path, newer: Path
) -> None:
    endpoint, beside = sparql_http.Endpoint.writing(sparql_server), f"{graph_name}/loading"
    endpoint.add(b"<https://example.org/s> <https://example.org/p> <https://example.org/o> .\n", beside)
    for _ in range(2):
        load_sparql(folder, sparql_server, graph=graph_name)
    with pytest.raises(StoreError, match=f"The graph {beside} holds what mindkg did not write"):
        load_sparql(newer, sparql_server, graph=graph_name)
    assert open_remote(sparql_server, graph=beside).query("SELECT * { ?s ?p ?o }").num_rows == 1


def test_a_token_that_cannot_be_sent_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for token in ("s3cret\nline", "s3crét"):
        monkeypatch.setenv("SPARQL_TOKEN", token)
        with pytest.raises(StoreError, match="SPARQL_TOKEN is no token") as error:
            open_remote("http://127.0.0.1:9/kb")
        assert "s3cr" not in str(error.value)
    monkeypatch.setenv("SPARQL_TOKEN", "s3cret\n")  # as a file gives it
    assert sparql_http._token() == {"Authorization": "Bearer s3cret"}


def test_addresses_of_known_servers_are_found() -> None:
    for given, base in (
        ("http://h:3030/kb", "http://h:3030/kb"),
        ("http://h:3030/kb/", "http://h:3030/kb"),
        ("http://h:3030/kb/query", "http://h:3030/kb"),
        ("http://h:7878/update", "http://h:7878"),
        ("https://h/repositories/kb/statements", "https://h/repositories/kb"),
        ("http://h/sparql", "http://h"),
    ):
        assert sparql_http.split_address(given)[1] == base
