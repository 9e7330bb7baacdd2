"""The server of `mindkg serve`: the SPARQL protocol, its limits, and what attacks of clients and pages achieve."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from subprocess import Popen
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import httpx
import pyoxigraph
import pytest
from browser import visiting
from graph_maker import make_graph
from hostile_texts import ATTACKS
from hypothesis import given
from hypothesis import strategies as st

from mindkg.errors import QueryError, StoreError
from mindkg.serving import Limits, serving
from mindkg.stores import load_store, open_remote, open_store
from mindkg.stores.oxigraph import GRAPH, HELD, check_query
from mindkg.stores.sparql import load_sparql

pytest_plugins = ["browser"]
pytestmark = pytest.mark.xdist_group("browser")

CROSS = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l . ?m ?n0 ?o }"
LABELS = "SELECT ?c ?l { ?c skos:prefLabel ?l } ORDER BY ?l"
ROWS = {
    "application/sparql-results+json": pyoxigraph.QueryResultsFormat.JSON,
    "application/sparql-results+xml": pyoxigraph.QueryResultsFormat.XML,
    "text/tab-separated-values": pyoxigraph.QueryResultsFormat.TSV,
}
TRIPLES = {
    "text/turtle": pyoxigraph.RdfFormat.TURTLE,
    "application/n-triples": pyoxigraph.RdfFormat.N_TRIPLES,
    "application/rdf+xml": pyoxigraph.RdfFormat.RDF_XML,
    "application/ld+json": pyoxigraph.RdfFormat.JSON_LD,
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store full of odd characters."""
    folder = tmp_path_factory.mktemp("serving")
    load_store("oxigraph", make_graph(folder / "graph", seed=11, n=60), folder / "store")
    return folder / "store"


@pytest.fixture(scope="module")
def address(place: Path) -> Iterator[str]:
    with serving(place, port=0) as (found, _):
        yield found


@pytest.fixture
def serve(place: Path) -> Iterator[Callable[..., str]]:
    """Starts servers with limits of the test's own; they end with it."""
    with ExitStack() as stack:
        yield lambda **limits: stack.enter_context(serving(place, port=0, limits=Limits(**limits)))[0]


def ask(address: str, query: str, accept: str | None = None, **options: Any) -> httpx.Response:
    headers = {"Accept": accept} if accept else {}
    return httpx.post(
        f"{address}/query", data={"query": query}, headers=headers, timeout=60, trust_env=False, **options
    )


def test_rows_are_the_same_in_each_form_and_by_each_way_of_asking(place: Path, address: str) -> None:
    store = open_store("oxigraph", place)
    expected = [tuple(row.values()) for row in store.query(LABELS).to_pylist()]
    assert len(expected) > 20
    text = quote(LABELS)
    for media, form in ROWS.items():
        headers = {"Accept": media}
        direct = {**headers, "Content-Type": "application/sparql-query; charset=utf-8"}
        answers = [
            ask(address, LABELS, media),
            httpx.get(f"{address}/query?query={text}", headers=headers),
            httpx.post(f"{address}/query", content=LABELS, headers=direct),
        ]
        for answer in answers:
            assert answer.status_code == 200 and answer.headers["content-type"].partition(";")[0] == media
            rows = [tuple(t.value for t in row) for row in pyoxigraph.parse_query_results(answer.content, format=form)]
            if "xml" in media:
                assert [len(row[1]) for row in rows] == [len(row[1]) for row in expected]
                ElementTree.fromstring(answer.content)
            else:
                assert rows == expected
    assert ask(address, LABELS, "text/csv").text.count(",") >= len(expected)
    store.close()


def test_triples_are_the_same_in_each_form(place: Path, address: str) -> None:
    query = "CONSTRUCT { ?s ?p ?o } { ?s ?p ?o }"
    store = open_store("oxigraph", place)
    expected = store.query(query).num_rows
    for media, form in TRIPLES.items():
        answer = ask(address, query, media)
        assert answer.status_code == 200 and answer.headers["content-type"].partition(";")[0] == media
        assert len(set(pyoxigraph.parse(answer.content, format=form))) == expected
        if "xml" in media:
            ElementTree.fromstring(answer.content)
    assert ask(address, "DESCRIBE ?s { ?s a skos:Concept }").headers["content-type"].startswith("text/turtle")
    store.close()


def test_the_dataset_is_what_the_parameters_name(address: str) -> None:
    def n(where: str, **graphs: str | list[str]) -> int:
        form = {"query": f"SELECT * {where}", **{name.replace("_", "-"): iri for name, iri in graphs.items()}}
        answer = httpx.post(f"{address}/query", data=form)
        assert answer.status_code == 200, answer.text
        return len(answer.json()["results"]["bindings"])

    default, inside = "{ ?s ?p ?o }", "{ GRAPH ?g { ?s ?p ?o } }"
    assert n(default) > 100 and n(inside) == 1
    assert n(default, default_graph_uri=HELD) == 1 and n(inside, default_graph_uri=HELD) == 0
    assert n(default, named_graph_uri=HELD) == 0 and n(inside, named_graph_uri=HELD) == 1
    assert n(default, default_graph_uri=[HELD, GRAPH], named_graph_uri=GRAPH) == 1
    assert n(f"FROM <{GRAPH}> {default}") == 0 and n(f"FROM <{GRAPH}> {default}", default_graph_uri=HELD) == 1
    assert ask(address, "ASK {}").json()["boolean"] is True
    wrong = httpx.post(f"{address}/query", data={"query": "ASK {}", "default-graph-uri": "no iri"})
    assert wrong.status_code == 400


def test_methods_and_mistakes(address: str) -> None:
    head = httpx.head(f"{address}/query?query=ASK%7B%7D")
    assert head.status_code == 200 and not head.content and int(head.headers["content-length"]) > 0
    assert "POST" in httpx.request("OPTIONS", f"{address}/query").headers["allow"]
    assert httpx.delete(f"{address}/query").status_code == 405
    assert httpx.get(f"{address}/nothing").status_code == 404
    for answer, status, word in (
        (ask(address, "SELECT * { ?s foo:x ?o }"), 400, "refuses the query"),
        (ask(address, "SELECT"), 400, "syntax error"),
        (ask(address, "INSERT DATA { <a:b> <a:c> 1 }"), 400, "refuses the query"),
        (ask(address, "LOAD <http://127.0.0.1:9/>"), 400, "refuses the query"),
        (ask(address, "ASK {}", "image/png"), 406, "Accept"),
        (ask(address, "CONSTRUCT WHERE { ?s ?p ?o }", "text/csv"), 406, "triples"),
        (httpx.get(f"{address}/query"), 400, "exactly one query"),
        (httpx.get(f"{address}/query?query=ASK%7B%7D&query=ASK%7B%7D"), 400, "exactly one query"),
        (httpx.get(f"{address}/query?query=%ff"), 400, "UTF-8"),
        (httpx.post(f"{address}/query", content=b"ASK {} #\xff", headers={"Content-Type": "application/sparql-query"}),
         400, "UTF-8"),
        (httpx.post(f"{address}/query", content=b"ASK {}", headers={"Content-Type": "text/plain"}), 415, "Send"),
        (httpx.post(f"{address}/query", data={"query": "#" * 300_000}), 413, "bytes at most"),
        (httpx.post(f"{address}/update", data={"update": "CLEAR ALL"}), 403, "read-only"),
        (httpx.post(f"{address}/query", data={"update": "CLEAR ALL"}), 403, "read-only"),
        (httpx.post(f"{address}/query", content=b"CLEAR ALL", headers={"Content-Type": "application/sparql-update"}),
         403, "read-only"),
        (httpx.put(f"{address}/store?default", content=b""), 403, "read-only"),
    ):  # fmt: skip
        assert answer.status_code == status and word in answer.text and answer.text.count("\n") == 1, answer.text
        assert len(answer.text) < 400
    with sent(address, b"GET /query?query=" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") as connection:
        assert connection.recv(12) == b"HTTP/1.1 400"


def test_a_query_that_ends_its_process_is_refused_and_the_next_is_answered(address: str) -> None:
    deep = "SELECT * { FILTER(" + "(" * 20_000 + "1" + ")" * 20_000 + ") }"
    assert ask(address, deep).status_code == 400
    for _ in range(20):
        assert ask(address, "ASK {}").json()["boolean"] is True


def test_a_query_that_needs_too_much_memory_is_refused(serve: Callable[..., str]) -> None:
    address = serve(memory=1 << 29, timeout=600, workers=1)
    many = "SELECT (COUNT(*) AS ?n) { SELECT DISTINCT * { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i } }"
    answer = ask(address, many)
    assert answer.status_code == 400 and "too much memory" in answer.text
    assert ask(address, "ASK {}").status_code == 200


def test_a_load_into_it_is_refused_in_one_line(address: str, place: Path) -> None:
    with pytest.raises(StoreError, match="read-only") as error:
        load_sparql(place.parent / "graph", address)
    assert "\n" not in str(error.value)


CLAUSES = [
    "SELECT * { SERVICE <URL> { ?s ?p ?o } }",
    "SELECT * { SERVICE SILENT <URL> { ?s ?p ?o } }",
    "SELECT * { service#x\n silent # y\r<URL>#z\n{ ?s ?p ?o } }",
    "SELECT * { VALUES ?u { <URL> } SERVICE ?u { ?s ?p ?o } }",
    "SELECT * { VALUES ?u { <URL> } SERVICE $u{ ?s ?p ?o } }",
    "SELECT * { VALUES ?u\u0301 { <URL> } SERVICE SILENT ?u\u0301 { ?s ?p ?o } }",
    "PREFIX e: <URL> SELECT * { SERVICE e: { ?s ?p ?o } }",
    "PREFIX e: <URL> SELECT * { ?s e: e:.SERVICE e:{ ?s ?p ?o } }",
    "PREFIX ü: <URL> SELECT * { SERVICE ü:{ ?s ?p ?o } }",
    "BASE <URL> SELECT * { SERVICE <> { ?s ?p ?o } }",
    "SELECT * { { SELECT * { OPTIONAL { { SERVICE SILENT <URL> { ?s ?p ?o } } UNION { ?s ?p 1 } } } } }",
    "SELECT * { ?s ?p ?o FILTER EXISTS { SERVICE SILENT <URL> { ?s ?p ?o } } }",
    "SELECT * { ?s ?p ?o MINUS { GRAPH ?g { SERVICE SILENT <URL> { ?s ?p ?o } } } }",
    "SELECT (EXISTS { SERVICE SILENT <URL> { ?s ?p ?o } } AS ?x) {}",
    "ASK { SERVICE SILENT <URL> { ?s ?p ?o } }",
    "CONSTRUCT { ?s ?p ?o } { SERVICE SILENT <URL> { ?s ?p ?o } }",
    "DESCRIBE ?s { SERVICE SILENT <URL> { ?s ?p ?o } }",
    "SELECT * { BIND('a\\u005C' AS ?x) SERVICE SILENT <URL> { ?s ?p ?o } BIND('b' AS ?y) }",
    'SELECT * { BIND("""\\u005C""" AS ?x) SERVICE SILENT <URL> { ?s ?p ?o } BIND("""b""" AS ?y) }',
    "SELECT * { ?s ?p <http://x\\u0061#> . SERVICE SILENT <URL> { ?s ?p ?o } }",
    "SELECT * { ?s ?p ?o FILTER(1<2) SERVICE SILENT <U\\u0052L> { ?s ?p ?o } FILTER(3>2) }".replace("U\\u0052L", "URL"),
    "SELECT * { ?s ?p 1SERVICE SILENT <URL> { ?s ?p ?o } }",
    "SELECT * { ?s ?p trueSERVICE SILENT <URL> { ?s ?p ?o } }",
    "SELECT * { ?s ?p _:b.SERVICE SILENT <URL> { ?s ?p ?o } }",
    "SELECT * { ?s ?p 'x'@en.SERVICE SILENT <URL> { ?s ?p ?o } }",
]


@pytest.mark.parametrize("clause", CLAUSES)
def test_service_is_refused_wherever_it_stands(place: Path, address: str, clause: str) -> None:
    """Each is refused as such, or is no SPARQL for the engine; in no case is the address asked."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0)
        query = clause.replace("URL", f"http://127.0.0.1:{other.getsockname()[1]}/x")
        answer = ask(address, query)
        assert answer.status_code == 400 and ("SERVICE is refused" in answer.text or "syntax error" in answer.text)
        store = open_store("oxigraph", place)
        with pytest.raises(QueryError, match=r"SERVICE is refused|syntax error"):
            store.query(query)
        store.close()
        with pytest.raises(BlockingIOError):
            other.accept()


space = st.lists(st.sampled_from([" ", "\t", "\n", "\r", "# c {\n", "#\r", "#'\n"]), max_size=4).map("".join)
term = st.sampled_from(
    ["<urn:x>", "<http://x/\\u0061#>", "?u", "$u\u0301", "e:", "e:x", ":x", ":", "e-1.x:y\\-z", "ü:ß", "<>"]
)
before = st.sampled_from(
    ["", "1", "'a\\u005C' ", '"""\\u0022""" ', "<x#'> ", "?x<1 ", "# '\n", "e:. ", "_:b.", "}", "{", "true"]
)


@given(before, st.sampled_from(["SERVICE", "service", "SeRvIcE"]), space, st.booleans(), space, term, space)
def test_no_space_comment_or_name_hides_a_service(
    before: str, keyword: str, a: str, silent: bool, b: str, name: str, c: str
) -> None:
    word = f"{b}silent{a}" if silent else ""
    with pytest.raises(QueryError, match="SERVICE is refused"):
        check_query(f"PREFIX e: <urn:e> SELECT * {{ {before}{keyword}{a}{word}{name}{c}{{ ?s ?p ?o }} }}")


@pytest.mark.parametrize(
    "text",
    [
        *(f"service{c}" * 40_000 for c in "#:?< "),
        "service#" * 20_000 + "\n#" * 80_000,
        "service" * 40_000 + ":" * 40_000,
    ],
    ids=lambda text: text[:9],
)
def test_a_crafted_text_takes_no_longer_than_another(text: str) -> None:
    check_query(text)  # with a time that grows with the square it does not end


def test_a_name_with_service_in_it_is_no_service(address: str) -> None:
    for query in (
        "SELECT ?service { ?service a <urn:service> FILTER(?service != 'SERVICE <x>') } # service",
        "SELECT * { GRAPH <http://x/service> { ?s mind:service ?o } }",
        "PREFIX service: <urn:x> SELECT * { ?service service:service service:x . { ?s ?p ?o } }",
    ):
        assert ask(address, query).status_code == 200, query


def test_a_query_is_stopped_after_its_time(serve: Callable[..., str]) -> None:
    address = serve(timeout=1, workers=1)
    answer = ask(address, CROSS)
    assert answer.status_code == 504 and "stopped after 1 seconds" in answer.text
    with pytest.raises(QueryError, match="stopped after 1 seconds"):
        open_remote(address).query(CROSS)
    assert ask(address, "ASK {}").status_code == 200


def busy(address: str) -> bool:
    """Whether a small query waits for others."""
    with suppress(httpx.ReadTimeout):
        httpx.post(f"{address}/query", data={"query": "ASK {}"}, timeout=0.5)
        return False
    return True


def sent(address: str, text: bytes) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    connection.sendall(text)
    return connection


def test_cross_products_whose_clients_have_gone_free_their_cores(serve: Callable[..., str]) -> None:
    address = serve(timeout=600, workers=2)  # the time limit is not what frees them
    request = f"GET /query?query={quote(CROSS)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    clients = [sent(address, request) for _ in range(6)]
    wait_for(lambda: busy(address))
    for client in clients:
        client.close()
    assert ask(address, "ASK {}").status_code == 200
    for _ in range(4):
        assert not busy(address)


@pytest.mark.parametrize(
    "half",
    [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-",
        b"",
        b"POST /query HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n"
        b"Content-Type: application/sparql-query\r\n\r\nASK",
    ],
)
def test_half_sent_requests_block_nobody_and_are_dropped(address: str, half: bytes) -> None:
    connections = [sent(address, half) for _ in range(300)]
    for _ in range(10):
        assert ask(address, "ASK {}").status_code == 200
    for connection in connections[:100]:  # the oldest make room
        connection.settimeout(60)
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""
    for connection in connections:
        connection.close()


def test_a_half_sent_request_alone_is_dropped_too(address: str) -> None:
    with sent(address, b"GET / HTTP/1.1\r\nHost: 127") as connection:
        connection.settimeout(60)
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""


def test_a_client_that_does_not_read_holds_no_worker(serve: Callable[..., str]) -> None:
    address = serve(workers=1)
    query = "SELECT ?a ?b ?c ?d ?e { ?a ?b ?c . ?d ?e ?f } LIMIT 100000"
    request = f"GET /query?query={quote(query)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    with sent(address, request) as client:
        client.recv(1)
        assert ask(address, "ASK {}").status_code == 200


def test_a_hundred_clients_at_once_are_all_answered(address: str) -> None:
    async def everyone() -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=60, trust_env=False, limits=httpx.Limits(max_connections=None)) as client:
            queries = [{"query": f"SELECT ({n} AS ?n) {{}}"} for n in range(100)]
            return await asyncio.gather(*(client.post(f"{address}/query", data=query) for query in queries))

    with ThreadPoolExecutor(1) as pool:  # a browser of another test may have left its loop running in this thread
        answers = pool.submit(asyncio.run, everyone()).result()
    assert [int(a.json()["results"]["bindings"][0]["n"]["value"]) for a in answers] == list(range(100))


def test_an_answer_that_is_too_large_is_an_error_and_never_a_part(serve: Callable[..., str]) -> None:
    address = serve(max_rows=10)
    for media in (*ROWS, "text/csv"):
        assert ask(address, "SELECT * { ?s ?p ?o } LIMIT 10", media).status_code == 200
        answer = ask(address, "SELECT * { ?s ?p ?o } LIMIT 11", media)
        assert answer.status_code == 400 and "more than 10 rows" in answer.text and "LIMIT" in answer.text
    for media in TRIPLES:
        assert ask(address, "CONSTRUCT { ?s ?p ?o } { ?s ?p ?o } LIMIT 10", media).status_code == 200
        assert ask(address, "CONSTRUCT { ?s ?p ?o } { ?s ?p ?o } LIMIT 11", media).status_code == 400
    small = serve(max_bytes=1000)
    for media in (*ROWS, "text/csv"):
        assert "more than 1,000 bytes" in ask(small, "SELECT * { ?s ?p ?o }", media).text
        assert ask(small, "ASK {}", media).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "evil.example:80"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "127.0.0.1:80:80"}, 421),
        ({"Host": ""}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://127.0.0.1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Host": "localhost", "Origin": "http://localhost"}, 200),
        ({"Host": "[::1]:7878", "Origin": "http://[::1]:7878"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
def test_requests_of_other_sites_are_refused(address: str, headers: dict[str, str], status: int) -> None:
    assert ask(address, "ASK {}").status_code == 200
    answer = httpx.post(f"{address}/query", data={"query": "ASK {}"}, headers=headers, trust_env=False)
    assert answer.status_code == status, answer.text


def test_the_page_asks_only_this_server_and_shows_labels_as_text(
    chromium: Any, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store = pyoxigraph.Store(str(tmp_path / "store"))
    for n, attack in enumerate(ATTACKS):
        node = pyoxigraph.NamedNode(f"urn:{n}")
        store.add(pyoxigraph.Quad(node, pyoxigraph.NamedNode("urn:label"), pyoxigraph.Literal(attack)))
    store.flush()
    del store
    with serving(tmp_path / "store", port=0) as (address, _), visiting(chromium, f"{address}/") as visit:
        visit.page.fill("#query", "SELECT ?label { ?x <urn:label> ?label } ORDER BY ?x")
        visit.page.click("form button")
        visit.page.locator("#answer td").first.wait_for()
        assert set(visit.page.locator("#answer td").all_text_contents()) == set(ATTACKS)
        visit.page.fill("#query", "SELECT <b>")
        visit.page.click("form button")
        visit.page.locator("#answer pre").wait_for()
        visit.page.locator("details").first.click()
        visit.page.locator("button.use").first.click()
        visit.page.locator("#state", has_text="rows").wait_for()
        assert not visit.attacked and not visit.violations
        own = {f"{address}/query", f"{address}/favicon.ico"}
        assert set(visit.requests) <= own and f"{address}/query" in visit.requests
        assert all("400" in line or "404" in line for line in visit.complaints), visit.complaints


def workers(place: Path) -> list[int]:
    """The processes of this machine that serve the store in ``place``."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if json.dumps(str(place)).encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not what():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize("how", ["leave", "terminate", "kill"])
def test_no_process_outlives_the_server(place: Path, tmp_path: Path, how: str) -> None:
    link = tmp_path / "store"  # a name of its own in the command lines
    link.symlink_to(place)
    with serving(link, port=0, limits=Limits(timeout=600)) as (address, process):
        assert len(workers(link)) >= 3
        running = threading.Thread(target=lambda: suppress_errors(address))
        running.start()
        wait_for(lambda: any(seconds(pid) > 0.5 for pid in workers(link)))
        if how != "leave":
            end(process, how)
    wait_for(lambda: not workers(link))
    running.join()


def suppress_errors(address: str) -> None:
    with suppress(httpx.TransportError):
        ask(address, CROSS)


def seconds(pid: int) -> float:
    """The processor time that a process has used."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100
    return 0.0


def end(process: Popen[bytes], how: str) -> None:
    getattr(process, how)()
    process.wait(60)
