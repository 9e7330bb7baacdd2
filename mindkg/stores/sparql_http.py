"""A SPARQL endpoint over HTTP: which addresses it has, who asks, what is tried again, and what its answers mean."""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx

from mindkg.errors import MindKGError, StoreError
from mindkg.http_body import (
    BodyEncodingError,
    BodyTimeoutError,
    BodyTooLargeError,
    read_beginning_within,
    read_body_within,
)
from mindkg.key_mask import masked

QUERIES: Final = ("/query", "", "/sparql")
UPDATES: Final = ("/update", "", "/statements")
GRAPHS: Final = ("/data", "/store", "/rdf-graphs/service")
"""What follows an endpoint's address for queries, updates and the Graph Store Protocol; the first to answer is taken.

Fuseki ``/kb``: /kb/query, /kb/update, /kb/data. Oxigraph: /query, /update, /store. RDF4J and GraphDB
``/repositories/kb``: the address itself, /statements, /rdf-graphs/service.
"""

DEFAULT: Final = "default"
"""The name of the endpoint's default graph, where a graph is asked for."""

ACCEPT: Final = "application/sparql-results+json, application/n-triples;q=0.9"
_UPDATE: Final = "application/sparql-update"
_NTRIPLES: Final = "application/n-triples"
_SECONDS: Final = 3600.0
"""For a whole answer: a query or a move of a large graph may take long."""
_PROBE: Final = 30.0
"""Seconds for the answer to a look at an address, which asks for nothing."""
_ANSWER: Final = 1 << 30
"""Bytes of an answer, unpacked."""
_ERROR: Final = 1 << 16
"""Bytes that are read of what a server says in an error."""
_OF_BODY: Final = ("content-encoding", "content-length", "transfer-encoding")

_TRANSIENT: Final = frozenset({408, 429, 502, 503, 504})
_PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each new try: a server that is started again meanwhile is back within half a minute."""

_UNPACKED: Final = frozenset({400, 415})
"""What servers that take no gzip answer: the right status, or that the body is no update."""

_LONGEST: Final = 200
T = TypeVar("T")


class TransientError(StoreError):
    """The endpoint did not answer now; the same request may succeed later."""

    retryable = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query gave: the bytes and their media type."""

    data: bytes
    media: str


class Endpoint:
    """One SPARQL endpoint, its addresses found from the one that a user gives; threads may share it.

    A whole answer takes at most ``seconds``.
    """

    def __init__(self, address: str, *, seconds: float = _SECONDS) -> None:
        self._seconds = seconds
        self.address, self._base = split_address(address)
        self._client = httpx.Client(timeout=_PROBE, auth=_user(), headers={"Accept-Encoding": "gzip", **_token()})
        self._queries = ""
        self._updates = ""
        self._graphs: str | None = None
        self._gzip = True

    @classmethod
    def reading(cls, address: str) -> Endpoint:
        """Return the endpoint at ``address`` for queries; raises StoreError, one line, where none answers."""
        endpoint = cls(address)
        try:
            endpoint._queries = endpoint._found(QUERIES, endpoint._answers_queries, "SPARQL queries")
        except StoreError:
            endpoint.close()
            raise
        return endpoint

    @classmethod
    def writing(cls, address: str) -> Endpoint:
        """Return the endpoint at ``address`` for updates too; raises StoreError, one line, where it takes none."""
        endpoint = cls.reading(address)
        try:
            endpoint._updates = endpoint._found(UPDATES, endpoint._takes_updates, "updates")
            endpoint._graphs = next((a for a in endpoint._places(GRAPHS) if endpoint._is_graph_store(a)), None)
        except StoreError:
            endpoint.close()
            raise
        return endpoint

    @property
    def has_graph_store(self) -> bool:
        """Whether triples go in through the Graph Store Protocol; else they go in as SPARQL Update."""
        return self._graphs is not None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def query(self, text: str, graph: str = DEFAULT) -> Answer:
        """Return the answer to a query with ``graph`` as its default graph; raises StoreError, or ValueError."""
        form = {"query": text} if graph == DEFAULT else {"query": text, "default-graph-uri": graph}
        answer = self._send("POST", self._queries, data=form, headers={"Accept": ACCEPT})
        if answer.status_code == 400:
            raise ValueError(said(answer))
        self._check(answer)
        return Answer(answer.content, answer.headers.get("content-type", "").partition(";")[0])

    def update(self, text: str) -> None:
        """Send a SPARQL update; raises StoreError."""
        self._check(self._packed("POST", self._updates, text.encode(), _UPDATE))

    def add(self, lines: bytes, graph: str) -> None:
        """Add N-Triples, without blank nodes, to ``graph``; raises StoreError."""
        if self._graphs is None:
            body = lines if graph == DEFAULT else b"GRAPH <%s> {\n%s}" % (graph.encode(), lines)
            self._check(self._packed("POST", self._updates, b"INSERT DATA {\n%s}" % body, _UPDATE))
            return
        named = {"default": ""} if graph == DEFAULT else {"graph": graph}
        self._check(self._packed("POST", self._graphs, lines, _NTRIPLES, named))

    def persist(self, work: Callable[[], T], report: Callable[[str], None]) -> T:
        """Return what ``work`` does, tried again after a pause while the endpoint does not answer."""
        for pause in _PAUSES:
            try:
                return work()
            except MindKGError as error:
                if not error.retryable:
                    raise
                report(f"{error}; trying again in {pause:.0f} s")
                time.sleep(pause)
        return work()

    def _packed(
        self, method: str, address: str, body: bytes, media: str, named: dict[str, str] | None = None
    ) -> httpx.Response:
        if self._gzip:
            headers = {"Content-Type": media, "Content-Encoding": "gzip"}
            answer = self._send(method, address, params=named, content=gzip.compress(body, 1), headers=headers)
            if answer.status_code not in _UNPACKED:
                return answer
        plain = self._send(method, address, params=named, content=body, headers={"Content-Type": media})
        self._gzip = self._gzip and not plain.is_success
        return plain

    def _send(self, method: str, address: str, *, seconds: float = _SECONDS, **options: Any) -> httpx.Response:
        """Return the response with its whole body, which is bounded: what an error says is cut to a few lines."""
        seconds = min(seconds, self._seconds)
        until = time.monotonic() + seconds
        timeout = httpx.Timeout(10.0, read=seconds, write=600.0)
        try:
            with self._client.stream(method, address, timeout=timeout, **options) as answer:
                if answer.is_success:
                    body = read_body_within(answer, _ANSWER, until)
                else:
                    body = read_beginning_within(answer, _ERROR, until)
                kept = [(k, v) for k, v in answer.headers.items() if k.lower() not in _OF_BODY]
                return httpx.Response(answer.status_code, headers=kept, content=body, request=answer.request)
        except BodyEncodingError as error:
            if error.broken:
                raise StoreError("The endpoint's answer does not unpack", record=self.address) from error
            raise StoreError(f"The endpoint's answer is {error}", record=self.address) from error
        except (BodyTooLargeError, BodyTimeoutError) as error:
            hint = "Is this the SPARQL endpoint? A LIMIT in the query makes its answer smaller"
            large = isinstance(error, BodyTooLargeError)
            why = f"more than {_ANSWER:,} bytes" if large else f"it takes more than {seconds:,g} s"
            raise StoreError(f"The endpoint's answer is not read on: {why}", record=self.address, hint=hint) from error
        except httpx.TimeoutException as error:
            hint = self._tls_hint() or "Is this the SPARQL endpoint, and is the server busy?"
            raise TransientError("The endpoint does not answer in time", record=self.address, hint=hint) from error
        except httpx.TransportError as error:
            hint = self._tls_hint() if "SSL" in str(error) else "Is the server running, and is the address right?"
            raise TransientError(f"The endpoint cannot be reached: {error}", record=self.address, hint=hint) from error

    def _tls_hint(self) -> str:
        """Return what to try where the server may not speak TLS; empty where it is not asked to."""
        return "Give http:// if the server speaks no TLS" if self.address.startswith("https:") else ""

    def _places(self, ends: tuple[str, ...]) -> list[str]:
        """Return the addresses to look at, the one given first where it is more than the others' beginning."""
        given = [self.address] if self.address != self._base else []
        return [*given, *(self._base + end for end in ends)]

    def _found(self, ends: tuple[str, ...], suits: Callable[[str], bool], what: str) -> str:
        for address in self._places(ends):
            if suits(address):
                return address
        tried = ", ".join(end or "the address itself" for end in ends)
        hint = f"Looked at {tried}; give the address of the dataset, such as http://localhost:3030/kb"
        raise StoreError(f"Nothing there takes {what}", record=self.address, hint=hint)

    def _answers_queries(self, address: str) -> bool:
        answer = self._send("POST", address, data={"query": "ASK {}"}, headers={"Accept": ACCEPT}, seconds=_PROBE)
        self._check_access(answer)
        return answer.is_success and "sparql-results+json" in answer.headers.get("content-type", "")

    def _takes_updates(self, address: str) -> bool:
        # adds nothing, and shows whether it may add
        answer = self._packed("POST", address, b"INSERT DATA {}", _UPDATE)
        self._check_access(answer)
        return answer.is_success

    def _is_graph_store(self, address: str) -> bool:
        # not HEAD, to which some servers answer with a body; a large graph is not read on
        headers, named = {"Accept": _NTRIPLES}, {"default": ""}
        try:
            with self._client.stream("GET", address, params=named, headers=headers) as answer:
                return answer.is_success and "html" not in answer.headers.get("content-type", "")
        except httpx.TransportError:
            return False

    def _check_access(self, answer: httpx.Response) -> None:
        status = answer.status_code
        if status == 401:
            given = "authorization" in answer.request.headers
            message = "The endpoint refuses this user, password or token" if given else "The endpoint asks who you are"
            hint = "Set SPARQL_USER and SPARQL_PASSWORD, or SPARQL_TOKEN"
            raise StoreError(message, record=self.address, hint=hint)
        if status == 403:
            hint = "It is read-only, or this user may not do that"
            raise StoreError(f"The endpoint forbids it: {said(answer)}", record=self.address, hint=hint)
        if answer.is_redirect:
            hint = f"Give {answer.headers.get('location', 'its new address')}"
            raise StoreError("The endpoint has moved", record=self.address, hint=hint)
        if status in _TRANSIENT:
            raise TransientError(f"The endpoint cannot answer now: {said(answer)}", record=self.address)

    def _check(self, answer: httpx.Response) -> None:
        self._check_access(answer)
        if not answer.is_success:
            raise StoreError(f"The endpoint answers {answer.status_code}: {said(answer)}", record=self.address)


def said(answer: httpx.Response) -> str:
    """Return what an endpoint says of a request that it refuses, as one short line without our password or token."""
    media = answer.headers.get("content-type", "")
    text = " ".join(answer.text.split()) if "html" not in media else ""
    sent = answer.request.headers.get("authorization", "").partition(" ")[2]
    text = masked(text, [sent, os.environ.get("SPARQL_PASSWORD", "") if sent else ""])
    text = text or f"{answer.status_code} {answer.reason_phrase}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def split_address(address: str) -> tuple[str, str]:
    """Return ``address``, and what is left of it without the name of one service of several behind it.

    >>> split_address("http://localhost:3030/kb/query")
    ('http://localhost:3030/kb/query', 'http://localhost:3030/kb')
    """
    hint = "Give one such as http://localhost:3030/kb"
    try:
        httpx.URL(address.strip())
        parts = urlsplit(address.strip())
        known = parts.scheme in ("http", "https") and parts.hostname
    except (httpx.InvalidURL, ValueError):  # a port that is no number, a bracket that stays open
        known = None
    if not known:
        # without what may be a password
        raise StoreError("No address of a SPARQL endpoint", record=address.rpartition("@")[2], hint=hint)
    if parts.username or parts.password:
        hint = "Set SPARQL_USER and SPARQL_PASSWORD: others can read a command line"
        raise StoreError("An address has no user and no password in it", record=parts.hostname, hint=hint)
    path = parts.path.rstrip("/")
    shown = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
    base, _, last = shown.rpartition("/")
    return shown, base if path and f"/{last}" in (*QUERIES, *UPDATES, *GRAPHS) else shown


def _user() -> httpx.BasicAuth | None:
    name = os.environ.get("SPARQL_USER")
    return httpx.BasicAuth(name, os.environ.get("SPARQL_PASSWORD", "")) if name and not _token() else None


def _token() -> dict[str, str]:
    token = os.environ.get("SPARQL_TOKEN", "").strip()
    if any(not "!" <= character <= "~" for character in token):
        hint = "It is one word of ASCII characters, without a line break"
        raise StoreError("SPARQL_TOKEN is no token that can be sent", hint=hint)
    return {"Authorization": f"Bearer {token}"} if token else {}
