"""Oxigraph, embedded: SPARQL over RDF."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import pyarrow as pa

from mindkg.errors import QueryError, StoreError, nearest
from mindkg.graph.folder import fingerprint
from mindkg.graph.ntriples import write_ntriples
from mindkg.graph.rdf_model import prefixes
from mindkg.stores.base import Dialect, Progress, one_line
from mindkg.stores.service_clause import has_service

if TYPE_CHECKING:
    import pyoxigraph

GRAPH: Final = "https://w3id.org/mindkg/graph"
"""The node that says which graph a server holds."""

HELD: Final = f"{GRAPH}/held"
"""The named graph in which a store of this engine says it: its default graph has nothing but the KB's triples."""

_IDENTIFIER: Final = "http://purl.org/dc/terms/identifier"
_XSD: Final = "http://www.w3.org/2001/XMLSchema#"
_SIZES: Final = ("long", "int", "short", "byte", "unsignedLong", "unsignedInt", "unsignedShort", "unsignedByte")
_SIGNS: Final = ("nonNegativeInteger", "positiveInteger", "nonPositiveInteger", "negativeInteger")
_INTEGERS: Final = {_XSD + name for name in ("integer", *_SIZES, *_SIGNS)}
_FLOATS: Final = {_XSD + name for name in ("double", "float", "decimal")}

_STRINGS: Final = r"""\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|"(?:\\.|[^"\\\n\r])*"|'(?:\\.|[^'\\\n\r])*'"""
UNREAD: Final = tuple(
    re.compile(rf"<[^<>\"{{}}|^`\\\s{more}]*>|{_STRINGS}|#[^\n\r]*|[?$]\w+|:(?:[\w.%:-]|\\.)*", re.DOTALL)
    for more in ("", "'")
)
"""IRIs, strings, comments, variables and local names of SPARQL: what they say is no keyword."""
_LONGEST: Final = 200
_EXPLAINED: Final = 20_000
"""Characters of a query in which a reason is looked for: the time may grow with their square."""

_BEGINNINGS: Final = ("SELECT", "ASK", "CONSTRUCT", "DESCRIBE")


class OxigraphStore:
    """The graph as RDF in Oxigraph, opened read-only; see ``Store``."""

    engine: ClassVar[str] = "oxigraph"
    dialect: ClassVar[Dialect] = "sparql"
    package: ClassVar[str] = "pyoxigraph"

    def __init__(self, store: pyoxigraph.Store, place: Path) -> None:
        self._store: pyoxigraph.Store | None = store
        self.place = place

    @classmethod
    def build(cls, folder: Path, place: Path, progress: Progress) -> None:
        """Write the graph folder ``folder`` in bulk into the empty folder ``place``."""
        import pyoxigraph

        file = place.parent / f"{place.name}.nt"
        try:
            progress("writing N-Triples")
            triples = write_ntriples(folder, file)
            progress(f"loading {triples:,} triples")
            store = pyoxigraph.Store(str(place))
            store.bulk_load(path=str(file), format=pyoxigraph.RdfFormat.N_TRIPLES, lenient=True)
            # a bulk load leaves many overlapping files: without this a look-up takes five times as long
            progress("ordering the store for reading")
            store.optimize()
            says = [pyoxigraph.NamedNode(iri) for iri in (GRAPH, _IDENTIFIER, HELD)]
            store.add(pyoxigraph.Quad(says[0], says[1], pyoxigraph.Literal(fingerprint(folder)), says[2]))
            store.flush()
        except (OSError, SyntaxError, ValueError) as error:
            raise StoreError(f"Oxigraph refuses the graph: {one_line(error)}") from error
        finally:
            file.unlink(missing_ok=True)

    @classmethod
    def open(cls, place: Path) -> Self:
        """Return the store that ``build`` wrote into ``place``; raises StoreError where there is none."""
        import pyoxigraph

        if not (place / "CURRENT").is_file():
            raise StoreError("There is no Oxigraph store", record=str(place))
        try:
            return cls(pyoxigraph.Store.read_only(str(place)), place)
        except (OSError, RuntimeError, ValueError) as error:
            raise StoreError(f"Oxigraph cannot open the store: {one_line(error)}", record=str(place)) from error

    def query(self, text: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Return the rows of the SPARQL query ``text``; raises QueryError, one line.

        The prefixes of ontology/prefixes.ttl are declared. SPARQL has no parameters: values stand in the text
        (``mindkg.queries.bind``). ASK gives one row ``answer``, CONSTRUCT and DESCRIBE give subject, predicate, object.
        """
        if parameters:
            raise QueryError("SPARQL takes no parameters beside its text")
        store = self.store
        check_query(text)
        try:
            return result_table(store.query(text, prefixes=dict(prefixes())))
        except (SyntaxError, ValueError, OSError, RuntimeError) as error:
            raise refusal(error, text) from error

    @property
    def store(self) -> pyoxigraph.Store:
        """The store of pyoxigraph, for reading; raises QueryError where it is closed."""
        if self._store is None:
            raise QueryError("The store is closed")
        return self._store

    def close(self) -> None:
        """Let go of the files; the store answers no more."""
        self._store = None


def check_query(text: str) -> None:
    """Raise QueryError for a query with a SERVICE, which pyoxigraph cannot be told not to follow.

    A text that has a whole SERVICE clause in a string or a comment is refused too: where strings and comments begin
    cannot be seen without the engine's own parser.
    """
    if has_service(text):
        raise QueryError("SERVICE is refused: a query reads this KB only, and opens no connection")


def refusal(error: Exception, text: str) -> QueryError:
    """Return the error, one line, for what pyoxigraph raises of the query ``text``."""
    why = explain(text) or _shortened(_syntax(one_line(error), text))
    return QueryError(f"Oxigraph refuses the query: {why}")


def explain(text: str) -> str:
    """Return why a query that an engine refused is none, where that can be seen: an update, an undeclared prefix.

    >>> explain("SELECT ?x { ?x a skoss:Concept }")
    'the prefix skoss: is not declared. Did you mean skos?'
    >>> explain("ASK { ?s ?p ?o }")
    ''
    """
    if len(text) > _EXPLAINED:
        return ""
    plain = re.sub(rf"<[^<>\s]*>|{_STRINGS}|#[^\n\r]*", " ", text, flags=re.DOTALL)
    body = re.sub(r"\b(?:PREFIX\s+[\w.-]*:|BASE\b)", " ", plain, flags=re.IGNORECASE)
    first = re.match(r"\s*(\w+)", body)
    if not first or first[1].upper() not in _BEGINNINGS:
        said = f", not with {first[1][:20]}" if first else ": this one is empty"
        return f"a query only reads: it begins with {', '.join(_BEGINNINGS[:-1])} or {_BEGINNINGS[-1]}{said}"
    declared = {*prefixes(), *re.findall(r"\bPREFIX\s+([\w.-]*):", plain, re.IGNORECASE)}
    for name in re.findall(r"(?<![\w:.?$@-])([A-Za-z][\w.-]*):(?!:)", body):
        if name not in declared:
            known = nearest(name, declared) or f"Declared are {', '.join(sorted(filter(None, declared)))}"
            return f"the prefix {name}: is not declared. {known}"
    return ""


def _syntax(message: str, text: str) -> str:
    """Return a parser's message without the list of all that could have stood there: where it is, and before what."""
    place = re.match(r"error at (\d+):(\d+): expected", message)
    if not place:
        return message
    line, column = int(place[1]), int(place[2])
    lines = text.splitlines() or [""]
    rest = " ".join([lines[line - 1][column - 1 :], *lines[line:]]).strip() if line <= len(lines) else ""
    near = f"before {rest[:30]!r}" if rest else "at the end: something is missing"
    return f"a syntax error in line {line}, column {column}, {near}"


def result_table(answer: Any) -> pa.Table:
    """Return what pyoxigraph gives for a query, or parses of an endpoint's answer, as typed columns."""
    import pyoxigraph

    if isinstance(answer, pyoxigraph.QueryBoolean):
        return pa.table({"answer": [bool(answer)]})
    if isinstance(answer, pyoxigraph.QueryTriples):
        return triple_table(answer)
    return _columns([tuple(solution) for solution in answer], [variable.value for variable in answer.variables])


def triple_table(triples: Iterable[Any]) -> pa.Table:
    """Return the triples of CONSTRUCT and DESCRIBE as the columns subject, predicate, object."""
    return _columns([(t.subject, t.predicate, t.object) for t in triples], ["subject", "predicate", "object"])


def _columns(rows: list[tuple[Any, ...]], names: list[str]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [() for _ in names]
    return pa.table([_column(column) for column in columns], names=names)


def _column(terms: tuple[Any, ...]) -> pa.Array:
    """Return ``terms`` as integers, floats or truth values where all of them are, else as text; unbound is null."""
    types = {_datatype(term) for term in terms if term is not None}
    with suppress(ValueError, OverflowError):  # "x"^^xsd:integer, or one of more than 64 bits: as it is written
        if types and types <= _INTEGERS:
            return pa.array([None if term is None else int(term.value) for term in terms], pa.int64())
        if types and types <= _INTEGERS | _FLOATS:
            return pa.array([None if term is None else _float(term.value) for term in terms], pa.float64())
    if types == {_XSD + "boolean"}:
        return pa.array([None if term is None else term.value in ("true", "1") for term in terms], pa.bool_())
    return pa.array([None if term is None else getattr(term, "value", str(term)) for term in terms], pa.string())


def _datatype(term: Any) -> str | None:
    datatype = getattr(term, "datatype", None)
    return None if datatype is None else str(datatype.value)


def _float(text: str) -> float:
    return float(text.replace("INF", "inf"))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
