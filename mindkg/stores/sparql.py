"""SPARQL servers: the graph loaded into a named graph of an endpoint, and queries asked there."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import pyarrow as pa

from mindkg.errors import QueryError, StoreError
from mindkg.graph.folder import fingerprint
from mindkg.graph.ntriples import ntriples_chunks
from mindkg.graph.property_graph import expected_counts
from mindkg.graph.rdf_model import prefixes
from mindkg.resources import data_folder
from mindkg.stores.base import Dialect, Progress, changed_meanwhile, check_counts, counts, one_line, partial_graph
from mindkg.stores.load_lock import Claim, load_lock, lost
from mindkg.stores.oxigraph import GRAPH, HELD, UNREAD, explain, result_table, triple_table
from mindkg.stores.sparql_http import DEFAULT, Answer, Endpoint, split_address
from mindkg.stores.sparql_lock import SparqlBoard

_BESIDE: Final = "/loading"
"""What follows the name of a graph while a newer one is loaded beside it."""

_PART: Final = 8 << 20
"""Bytes of N-Triples that one request adds: large enough to be quick, small enough to be sent again."""

_EVERY: Final = 5.0
"""Seconds between two lines of progress."""

_IRI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20<>\"{}|^`\\\ud800-\udfff]+")


class SparqlStore:
    """A graph behind a SPARQL endpoint, for reading; see ``Store``."""

    engine: ClassVar[str] = "sparql"
    dialect: ClassVar[Dialect] = "sparql"

    def __init__(self, endpoint: Endpoint, graph: str, partial: bool = False) -> None:
        self._endpoint: Endpoint | None = endpoint
        self.address = endpoint.address
        self.graph = graph
        self.partial = partial

    @classmethod
    def connect(cls, address: str, graph: str | None = None, *, partial: bool = False) -> Self:
        """Return the graph behind the endpoint ``address``; raises StoreError, one line, where there is none.

        ``graph`` (else SPARQL_GRAPH) is the IRI of a named graph or "default"; without it the one that mindkg loads
        into, or else the endpoint's default graph, whichever has triples. With ``partial`` a graph is queried while it
        is loaded too.
        """
        named = _named(graph)
        wanted = [named] if named else [GRAPH, DEFAULT]
        endpoint = Endpoint.reading(address)
        try:
            found = next((name for name in wanted if _ask(endpoint, "ASK { ?s ?p ?o }", name)), None)
            if found is None:
                hint = f"Load it with: mindkg load KB sparql --endpoint {endpoint.address}"
                raise StoreError(f"There is no graph {wanted[0]}", record=endpoint.address, hint=hint)
        except StoreError:
            endpoint.close()
            raise
        return cls(endpoint, found, partial)

    def query(self, text: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Return the rows of the SPARQL query ``text``, typed as the embedded Oxigraph does; raises QueryError.

        The prefixes of ontology/prefixes.ttl are declared. The default graph is the one that was opened; while it is
        being loaded, or where its load was interrupted, it is refused unless ``partial``.
        """
        if parameters:
            raise QueryError("SPARQL takes no parameters beside its text")
        if self._endpoint is None:
            raise QueryError("The store is closed")
        try:
            before = self._state()
            table = self._table(self._endpoint, text)
            if before != self._state():
                raise changed_meanwhile(self.address)
            return table
        except (ValueError, SyntaxError) as error:
            raise QueryError(f"The endpoint refuses the query: {explain(text) or one_line(error)}") from error
        except StoreError as error:
            why = "" if error.retryable else explain(text)
            refused = QueryError(f"The endpoint refuses the query: {why}" if why else str(error))
            refused.retryable = error.retryable
            raise refused from error

    def check_whole(self) -> None:
        """Raise QueryError where the graph is being loaded, or its load was interrupted."""
        self._state()

    def _state(self) -> _State | None:
        """Return what the graph says of itself, None with ``partial``; raises QueryError where it is not whole."""
        if self.partial or self._endpoint is None:
            return None
        state = _state(self._endpoint, self.graph, self.graph)
        if state.parts:
            raise partial_graph(f"The graph {self.graph}", f"{len(state.parts)} parts are there", self.address)
        return state

    def _table(self, endpoint: Endpoint, text: str) -> pa.Table:
        inside = _inside(text, self.graph)
        if inside is None:
            return _rows(endpoint.query(_with_prefixes(text), self.graph))
        return _rows(endpoint.query(_with_prefixes(inside)))

    def holds(self, folder: Path) -> bool | None:
        """Return whether the graph folder ``folder`` was loaded into it; None where another program loaded it."""
        if self._endpoint is None:
            raise QueryError("The store is closed")
        rows = _own_rows(self._endpoint, _statement("held.rq", place=HELD, target=self.graph), self.graph)
        said = [str(identity).partition("-")[0] for identity in rows["identity"].to_pylist()]
        if not said:
            return None
        return fingerprint(folder) in said and not _state(self._endpoint, self.graph, self.graph).parts

    def close(self) -> None:
        """Close the connections; the store answers no more."""
        if self._endpoint is not None:
            self._endpoint.close()
            self._endpoint = None


def explain_sparql(endpoint: str, graph: str | None = None) -> list[str]:
    """Return what ``load_sparql`` would do, a line each; raises StoreError for an address or a graph that cannot be."""
    address, _ = split_address(endpoint)
    return [
        f"would write the graph as RDF by parts into {address}, into the graph {_named(graph) or GRAPH}",
        "would load it beside a graph of an older KB, and put it in that one's place when it is whole",
        "would compare the number of triples, and the counts with the tables",
    ]


def load_sparql(
    folder: Path, endpoint: str, *, graph: str | None = None, progress: Progress | None = None
) -> dict[str, int]:
    """Load the graph folder ``folder`` into ``graph`` of the SPARQL server ``endpoint`` and return its counts by class.

    ``graph`` (else SPARQL_GRAPH) is an IRI or "default"; without it https://w3id.org/mindkg/graph. The triples go in by
    parts, and a load that was cut off goes on with the part that lacks. An older graph stays as it is until the new
    one, loaded beside it, holds what the tables say, and is then replaced in one update. Loading the same again changes
    nothing.

    Raises StoreError, one line: no endpoint, one that takes no updates, a graph that something else wrote, a count
    that differs from the tables (what was loaded is removed then).
    """
    report = progress or (lambda line: None)
    server = Endpoint.writing(endpoint)
    try:
        target = _named(graph) or GRAPH
        board = SparqlBoard(
            server, _subject(target), lambda text: _own_rows(server, text, DEFAULT, about=target), report
        )
        with load_lock(board, report) as claim:
            _Load(server, folder, target, report, board, claim).run()
            return counts(SparqlStore(server, target, partial=True))
    finally:
        server.close()


@dataclass(frozen=True, slots=True)
class _State:
    """What a graph says of itself: which KB it holds, and the parts that a load which is not done has put into it."""

    identity: str | None
    parts: frozenset[int]


class _Load:
    """One load of a graph folder into the graph ``target``."""

    def __init__(
        self, server: Endpoint, folder: Path, target: str, report: Progress, board: SparqlBoard, claim: Claim
    ) -> None:
        self.server, self.folder, self.target, self.report = server, folder, target, report
        self.board, self.claim = board, claim
        self.identity = _identity(folder)
        self.place = target

    def run(self) -> None:
        """Load what lacks, check it, and give it the name of the target."""
        now = self._state(self.target)
        beside = _subject(self.target) + _BESIDE
        if now.identity == self.identity and not now.parts:
            if counts(SparqlStore(self.server, self.target, partial=True)) == expected_counts(self.folder):
                self.report(f"{self.server.address} holds this graph already")
                if self._state(beside).identity is not None:
                    self._clear(beside)
                return
            self.report(f"{self.target} was changed since it was loaded; loading it anew")
            self._clear(self.target)
            now = _State(None, frozenset())
        if now.identity is not None and not now.parts:
            self.place = beside
        self._check(self._parts())
        self.server.persist(self._publish, self.report)
        if self.place != self.target:
            self.server.persist(partial(self._clear, self.place), self.report)

    def _parts(self) -> int:
        """Add the parts that are not there yet and return how many triples all of them are."""
        done = self._state(self.place)
        if done.identity is None and _ask(self.server, "ASK { ?s ?p ?o }", self.place):
            hint = "Give another one with --graph, or empty it first"
            message = f"The graph {self.place} holds what mindkg did not write"
            raise StoreError(message, record=self.server.address, hint=hint)
        if done.identity not in (None, self.identity):
            self._clear(self.place)
            done = _State(None, frozenset())
        if done.parts:
            self.report(f"going on: {len(done.parts)} parts are there")
        triples, number, told = 0, 0, time.monotonic()
        for number, (lines, n) in enumerate(_pieces(self.folder), start=1):
            triples += n
            if number not in done.parts:
                self.server.persist(partial(self._add, lines + self._mark(number)), self.report)
            if time.monotonic() - told > _EVERY:
                told = time.monotonic()
                self.report(f"{triples:,} triples")
        self.report(f"{triples:,} triples in {number} parts; checking the counts")
        return triples

    def _add(self, lines: bytes) -> None:
        self._hold()
        self.server.add(lines, self.place)

    def _hold(self) -> None:
        """Raise StoreError where this load has lost its claim: it stood still, and another took its place."""
        if self.claim.token not in [standing.token for standing in self.board.claims()]:
            raise lost(self.server.address)

    def _state(self, place: str) -> _State:
        return self.server.persist(partial(_state, self.server, place, self.target), self.report)

    def _mark(self, number: int) -> bytes:
        """Return the triples that say of a place whose it is and that it has this part: they go in with the part."""
        text = (data_folder("loaders") / "sparql" / "mark.nt").read_text("utf-8")
        text = text.replace("<WHO>", f"<{_subject(self.target)}>").replace("IDENTITY", self.identity)
        return text.replace("PART", str(number)).encode()

    def _clear(self, place: str) -> None:
        self._hold()
        self.server.update(_statement("clear.ru", place=place))

    def _check(self, triples: int) -> None:
        """Raise StoreError unless the place holds what the tables say; it is emptied then, to be loaded anew."""
        store = SparqlStore(self.server, self.place, partial=True)
        number = _statement("triples.rq", target=self.target)
        found = self.server.persist(partial(counts, store), self.report)
        rows = self.server.persist(partial(store.query, number), self.report)
        try:
            check_counts("The endpoint", expected_counts(self.folder), found)
            check_counts("The endpoint", {"triples": triples}, {"triples": rows["n"][0].as_py()})
        except StoreError:
            self._clear(self.place)
            raise

    def _publish(self) -> None:
        """Make the target what the place is and take the marks of its parts away, in one update: all or none is done.

        Looks first whether that is done already: the answer to an update that was done may have got lost.
        """
        now = _state(self.server, self.target, self.target)
        if now.identity == self.identity and not now.parts:
            return
        steps = _statement("done.ru", target=self.target)
        if self.place != self.target:
            self.report(f"replacing {self.target}")
            steps = _statement("replace.ru", place=self.place, target=self.target) + steps
        self._hold()
        self.server.update(steps)


def _pieces(folder: Path) -> Iterator[tuple[bytes, int]]:
    """Yield the graph as whole lines of N-Triples, about ``_PART`` bytes each, and how many triples they are.

    A graph of mindkg has no blank node, so that a piece means the same alone as among the others.
    """
    rest = b""
    for chunk in ntriples_chunks(folder):
        rest += chunk.data
        while len(rest) > _PART:
            end = rest.index(b"\n", _PART) + 1
            yield rest[:end], rest.count(b"\n", 0, end)
            rest = rest[end:]
    yield rest, rest.count(b"\n")


def _identity(folder: Path) -> str:
    """Return what tells a graph folder, and how it is cut into parts, from others.

    The version of mindkg is in it, since another one may write other triples.
    """
    return f"{fingerprint(folder)}-{version('mindkg')}-{_PART}"


def _state(server: Endpoint, place: str, target: str) -> _State:
    """Return what ``place`` says of itself, where ``target`` is the graph that it is or shall become."""
    rows = _own_rows(server, _statement("state.rq", target=target), place).to_pylist()
    identity = next((str(row["identity"]) for row in rows if row["identity"] is not None), None)
    return _State(identity, frozenset(int(row["part"]) for row in rows if row["part"] is not None))


def _statement(file: str, *, place: str = "", target: str = DEFAULT) -> str:
    """Return a statement of loaders/sparql for the graphs ``place`` and ``target``."""
    text = (data_folder("loaders") / "sparql" / file).read_text("utf-8").replace("<WHO>", f"<{_subject(target)}>")
    if place == DEFAULT:
        text = text.replace("GRAPH <PLACE>", "DEFAULT")
    if target == DEFAULT:
        text = text.replace("WITH <TARGET>\n", "").replace("<TARGET>", "DEFAULT")
    return text.replace("<PLACE>", f"<{place}>").replace("<TARGET>", f"<{target}>")


def _ask(server: Endpoint, text: str, graph: str) -> bool:
    return bool(_own_rows(server, text, graph)["answer"][0].as_py())


def _rows(answer: Answer) -> pa.Table:
    """Return the rows of ``answer``; raises ValueError or SyntaxError where it is none, such as a page of a proxy."""
    import pyoxigraph

    if "json" in answer.media:
        return result_table(pyoxigraph.parse_query_results(answer.data, format=pyoxigraph.QueryResultsFormat.JSON))
    form = pyoxigraph.RdfFormat.from_media_type(answer.media)
    if form is None:
        raise ValueError(f"its answer is {answer.media or 'of no type'}, and neither rows nor triples")
    return triple_table(pyoxigraph.parse(answer.data, format=form))


def _own_rows(server: Endpoint, text: str, graph: str, *, about: str = "") -> pa.Table:
    """Return the rows of one of our own queries; raises StoreError, one line, where the endpoint does not answer it.

    ``about`` is the graph that the error names, where that is not the default graph of the query.
    """
    try:
        return _rows(server.query(text, graph))
    except (ValueError, SyntaxError) as error:
        message = f"The endpoint does not answer about the graph {about or graph}: {one_line(error)}"
        raise StoreError(message, record=server.address) from error


def _inside(text: str, graph: str) -> str | None:
    """Return the SELECT ``text`` with all its patterns in ``GRAPH <graph> { }``, None where it has another form.

    It means the same as ``graph`` for a default graph, from which Fuseki reads five times as slowly.

    >>> _inside("SELECT ?s WHERE { ?s ?p '}' } LIMIT 1", "urn:g")
    "SELECT ?s WHERE { GRAPH <urn:g> { ?s ?p '}' } } LIMIT 1"
    """
    plain, other = (unread.sub(lambda m: " " * len(m[0]), text) for unread in UNREAD)
    begin = re.fullmatch(r"[^{}]*\bSELECT\b[^{}]*\bWHERE\s*(\{.*\})[^{}]*", plain, re.DOTALL | re.IGNORECASE)
    if graph == DEFAULT or plain != other or begin is None or re.search(r"\b(FROM|GRAPH)\b", plain, re.IGNORECASE):
        return None
    start, end = begin.span(1)
    if not _is_one_group(plain[start:end]):
        return None
    return f"{text[:start]}{{ GRAPH <{graph}> {text[start:end]} }}{text[end:]}"


def _is_one_group(text: str) -> bool:
    """Return whether the brace that begins ``text`` is closed at its end and not before."""
    depth, closed = 0, 0
    for brace in re.finditer(r"[{}]", text):
        depth += 1 if brace[0] == "{" else -1
        closed += depth == 0
    return depth == 0 and closed == 1


def _with_prefixes(text: str) -> str:
    """Return ``text`` behind those prefixes of the ontology that it names, on its first line: errors name the line."""
    return "".join(f"PREFIX {name}: <{iri}> " for name, iri in prefixes().items() if f"{name}:" in text) + text


def _named(graph: str | None) -> str | None:
    """Return ``graph``, else what SPARQL_GRAPH names, None where neither does; raises StoreError for what is no IRI."""
    name = graph or os.environ.get("SPARQL_GRAPH") or None
    if name and name != DEFAULT and not _IRI.fullmatch(name):
        raise StoreError(f"{name!r} is no IRI of a graph", hint='Give one such as https://example.org/kb, or "default"')
    return name


def _subject(graph: str) -> str:
    """Return the node that says of ``graph`` what it holds."""
    return GRAPH if graph == DEFAULT else graph
