"""SPARQL endpoints that answer without end, with bombs, or with our own password: one line, and little memory."""

from __future__ import annotations

import gzip
import http.server
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindkg.errors import MindKGError
from mindkg.key_mask import masked
from mindkg.stores import open_remote

JSON = "application/sparql-results+json"
ANSWER = b'{"head": {}, "boolean": true}'


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Starts a server that answers the first request as an endpoint does and each later one with ``answer``."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def begin(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if body == b"query=ASK+%7B%7D":
                    send(self, 200, JSON, ANSWER)
                    return
                try:
                    answer(self)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_address[1]}"

    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


def send(handler: http.server.BaseHTTPRequestHandler, status: int, media: str, body: bytes, packing: str = "") -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", media)
    if packing:
        handler.send_header("Content-Encoding", packing)
    handler.end_headers()
    handler.wfile.write(body)


def endless(handler: http.server.BaseHTTPRequestHandler) -> None:
    send(handler, 500, "text/plain", b"it broke ")
    while True:
        handler.wfile.write(b"again " * 10_000)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (endless, "answers 500: it broke again"),
        (lambda h: send(h, 500, "text/plain", b"x" * 50_000_000), "answers 500: xxx"),
        (lambda h: send(h, 200, JSON, gzip.compress(gzip.compress(b"0")), "gzip, gzip"), "packed more than once"),
        (lambda h: send(h, 200, JSON, b"not packed", "gzip"), "does not unpack"),
        (lambda h: send(h, 200, JSON, b'{"head":' + b"[" * 200_000), "does not answer about the graph"),
        (
            lambda h: send(h, 500, "text/plain", f"no {h.headers['Authorization']}".upper().encode()),
            r"NO BEARER \*\*\*",
        ),
        (lambda h: send(h, 500, "text/plain", b"bad token S3cret-Token-12"), r"bad token \*\*\*"),
    ],
)
def test_an_endpoint_out_of_bounds_is_one_line(
    serve: Callable[..., str],
    answer: Callable[[http.server.BaseHTTPRequestHandler], None],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SPARQL_TOKEN", "s3cret-token-1234")
    address = serve(answer)
    with pytest.raises(MindKGError, match=message) as error:
        open_remote(address, graph="urn:g")
    assert "\n" not in str(error.value) and len(str(error.value)) < 600 and address in str(error.value)
    assert "s3cret" not in str(error.value).lower()


@given(st.text("abcXYZ0123-_.", min_size=8, max_size=60), st.integers(0, 3), st.integers(0, 3), st.booleans())
def test_no_part_of_a_secret_is_said(secret: str, front: int, back: int, upper: bool) -> None:
    echoed = secret[min(front, 2) : len(secret) - min(back, 2)] if not (front and back) else secret[: len(secret) - 2]
    found = masked(f"<{echoed.upper() if upper else echoed}>", [secret])
    assert found.startswith("<***") and found.endswith(">")
