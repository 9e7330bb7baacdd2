"""Neo4j, a server: Cypher over Bolt.

The statements that load it stand in loaders/neo4j; ``statement`` reads them.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar

import pyarrow as pa

from mindkg.errors import QueryError, StoreError
from mindkg.graph.neo4j_import import definitions
from mindkg.graph.property_graph import graph_key
from mindkg.key_mask import masked
from mindkg.resources import data_folder
from mindkg.stores.base import SERVERS, Dialect, Progress, changed_meanwhile, one_line, partial_graph

if TYPE_CHECKING:
    import neo4j

T = TypeVar("T")

logging.getLogger("neo4j").addHandler(logging.NullHandler())  # else Python prints what the driver logs of an error

_PATIENCE: Final = 60.0
"""Seconds for which a transaction is tried again: a server that is started again is back by then."""
_INDEX_SECONDS: Final = 3600
_DEFINED: Final = re.compile(r"(\w+) IF NOT EXISTS FOR .*?:(\w+).*?\b[nr]\.(\w+)")
"""The name, the label or type and the property of a statement that makes a constraint or an index."""
_LARGEST: Final = 300
"""Characters of what a server says in an error."""

_HINTS: Final[Mapping[str, tuple[str, str]]] = {
    "Security.Unauthorized": ("Neo4j refuses the user or the password", "Set NEO4J_PASSWORD, and the user with --user"),
    "Security.CredentialsExpired": ("The password of Neo4j has to be changed first", "Change it in cypher-shell"),
    "Security.Forbidden": ("Neo4j does not allow the user to do this", "Give a user that may write with --user"),
    "Database.DatabaseNotFound": ("There is no such database in Neo4j", "Give another one with --database"),
    "OutOfMemory": ("Neo4j ran out of memory", "Give it more: server.memory.heap.max_size in conf/neo4j.conf"),
    "ReadOnly": ("The database is read-only", "Make it writable: server.databases.read_only in conf/neo4j.conf"),
    "AccessMode": ("A query reads and never writes", "Load with: mindkg load KB neo4j"),
}
"""What is said, and advised, for a part of an error's code."""


class Neo4jStore:
    """A property graph in a Neo4j server; see ``Store``."""

    engine: ClassVar[str] = "neo4j"
    dialect: ClassVar[Dialect] = "cypher"

    def __init__(self, driver: neo4j.Driver, address: str, database: str | None, partial: bool = False) -> None:
        self._driver: neo4j.Driver | None = driver
        self.address = address
        self.database = database
        self.partial = partial

    @classmethod
    def connect(
        cls, address: str, *, user: str | None = None, database: str | None = None, partial: bool = False
    ) -> Self:
        """Return the store behind ``address``; raises StoreError where nothing answers, or too old a server.

        ``user`` is NEO4J_USERNAME or neo4j unless given, ``database`` NEO4J_DATABASE or the user's home database. The
        password is NEO4J_PASSWORD; without one no credentials are sent. With ``partial`` a graph is queried while it is
        loaded too.
        """
        import neo4j

        address = checked(address)
        password = os.environ.get("NEO4J_PASSWORD")
        name = user or os.environ.get("NEO4J_USERNAME") or "neo4j"
        with _in_one_line(address):
            driver = neo4j.GraphDatabase.driver(
                address,
                auth=(name, password) if password else None,
                user_agent=f"mindkg/{version('mindkg')}",
                connection_timeout=10.0,
                connection_acquisition_timeout=20.0,
                max_transaction_retry_time=_PATIENCE,
                notifications_min_severity=neo4j.NotificationMinimumSeverity.OFF,
                telemetry_disabled=True,
            )
        try:
            with _in_one_line(address):
                driver.verify_connectivity()
        except StoreError:
            driver.close()
            raise
        return cls(driver, address, database or os.environ.get("NEO4J_DATABASE"), partial)

    def query(self, text: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Return the rows of the Cypher query ``text``, read only; raises QueryError, one line.

        A graph that is being loaded, or whose load was interrupted, is refused unless ``partial``.
        """
        before = self._whole()
        table = self._table(text, parameters)
        if before != self._whole():
            raise changed_meanwhile(self.address)
        return table

    def check_whole(self) -> None:
        """Raise QueryError where the graph is being loaded, or its load was interrupted."""
        self._whole()

    def _whole(self) -> list[dict[str, Any]] | None:
        """Return what the last load says, None with ``partial``; raises QueryError where the graph is not whole."""
        if self.partial:
            return None
        state = self._state(QueryError)
        if state and not state[0]["finished"]:
            rows, holder = state[0]["rows"], state[0]["holder"]
            there = f"{rows:,} rows are there" + (f", written by {holder}" if holder else "")
            raise partial_graph("The graph", there, self.address)
        return state

    def _table(self, text: str, parameters: Mapping[str, Any] | None) -> pa.Table:
        import neo4j

        driver = self._opened()
        with _in_one_line(self.address, QueryError):
            result = driver.execute_query(
                text, dict(parameters or {}), database_=self.database, routing_=neo4j.RoutingControl.READ
            )
        columns = zip(*(record.values() for record in result.records), strict=True)
        try:
            arrays = [pa.array([_plain(value) for value in column]) for column in columns] or [
                pa.nulls(0) for _ in result.keys
            ]
            return pa.table(arrays, names=result.keys)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            hint = "Return values of one type, such as n.id, and no nodes, relationships or paths"
            raise QueryError(f"A column is no column of a table: {one_line(error)}", hint=hint) from error

    def holds(self, folder: Path) -> bool | None:
        """Return whether the graph folder ``folder``, whole, was loaded into it; None where mindkg wrote nothing."""
        state = self._state(StoreError)
        return bool(state[0]["finished"]) and state[0]["graph"] == graph_key(folder) if state else None

    def _state(self, kind: type[StoreError] | type[QueryError]) -> list[dict[str, Any]]:
        """Return what the node MindKG says of the last load, no row where mindkg loaded nothing."""
        with _in_one_line(self.address, kind), self._opened().session(database=self.database) as session:
            return session.execute_read(lambda tx: [dict(record) for record in tx.run(statement("load/state"))])

    def run(self, text: str, **parameters: Any) -> list[dict[str, Any]]:
        """Return the rows of one statement, which may write; it is not tried again."""
        with _in_one_line(self.address), self._opened().session(database=self.database) as session:
            return [dict(record) for record in session.run(text, parameters)]

    def databases(self) -> list[dict[str, Any]]:
        """Return the databases that the user sees: name, aliases, access (read-only or not) and home."""
        with _in_one_line(self.address), self._opened().session(database="system") as session:
            return [dict(record) for record in session.run(statement("databases"))]

    def write(self, work: Callable[[neo4j.ManagedTransaction], T]) -> T:
        """Return what ``work`` does in a transaction that is tried again after errors that pass."""
        with _in_one_line(self.address), self._opened().session(database=self.database) as session:
            return session.execute_write(_stopped_by_memory(work))

    def close(self) -> None:
        """Let go of the connection; the store answers no more."""
        if self._driver is not None:
            self._driver.close()
            self._driver = None

    def _opened(self) -> neo4j.Driver:
        if self._driver is None:
            raise QueryError("The store is closed")
        return self._driver


def checked(address: str) -> str:
    """Return ``address`` with its scheme in lower case; raises StoreError where it is none of a Neo4j server.

    >>> checked("BOLT://localhost:7687")
    'bolt://localhost:7687'
    """
    scheme, mark, rest = address.partition("://")
    if not SERVERS.get(scheme.lower(), "").endswith("Neo4jStore"):
        hint = "Give bolt://HOST:7687, neo4j://HOST:7687, or one with +s"
        raise StoreError("this is no address of a Neo4j server", record=address.rpartition("@")[2], hint=hint)
    if "@" in rest:
        hint = "Set NEO4J_PASSWORD, and the user with --user: others can read a command line"
        raise StoreError("An address has no user and no password in it", record=rest.rpartition("@")[2], hint=hint)
    return scheme.lower() + mark + rest


@cache
def statement(name: str, **words: str) -> str:
    """Return the Cypher of loaders/neo4j/``name``.cypher with each of ``words`` in place of its upper-case name.

    >>> statement("load/count-nodes", label="Concept").splitlines()[1]
    'MATCH (n:Concept)'
    """
    text = (data_folder("loaders") / "neo4j" / f"{name}.cypher").read_text("utf-8")
    for word, value in words.items():
        text = re.sub(rf"(?<![A-Z]){word.upper()}(?![A-Z])", value, text)
    return text


def define(store: Neo4jStore, progress: Progress) -> None:
    """Make the constraints and indexes that are not there yet and wait until all are online.

    Raises StoreError where something else has the name of one: IF NOT EXISTS would take it for ours, and each row
    would then be looked for among all.
    """
    progress("making constraints and indexes")
    _check_names(store)
    for text in definitions():
        store.run(text)
    store.run(statement("await-indexes"), seconds=_INDEX_SECONDS)


def _check_names(store: Neo4jStore) -> None:
    """Raise StoreError where something else has the name of one of our constraints or indexes."""
    known = {row["name"]: (row["labelsOrTypes"], row["properties"]) for row in store.run(statement("indexes"))}
    for name, label, word in (found for text in definitions() for found in _DEFINED.findall(text)):
        ours = ([label], [word])
        if known.get(name, ours) != ours:
            hint = f"Drop it, or load into another database: mindkg needs the name for {label}.{word}"
            message = f"Neo4j has another index or constraint called {name}"
            raise StoreError(message, record=store.address, hint=hint)


def _stopped_by_memory(work: Callable[[neo4j.ManagedTransaction], T]) -> Callable[[neo4j.ManagedTransaction], T]:
    """Return ``work`` with a full heap as an error that is not tried again: it does not pass by itself."""
    import neo4j.exceptions

    def stopped(transaction: neo4j.ManagedTransaction) -> T:
        try:
            return work(transaction)
        except neo4j.exceptions.TransientError as error:
            if "OutOfMemory" in (error.code or ""):
                raise _explained(error, "", StoreError) from error
            raise

    return stopped


@contextmanager
def _in_one_line(address: str, kind: type[StoreError] | type[QueryError] = StoreError) -> Iterator[None]:
    """Turn what the driver raises into an error of ``kind`` that a user can read."""
    import neo4j.exceptions

    try:
        yield
    except (neo4j.exceptions.GqlError, ValueError, OSError, TypeError, OverflowError) as error:
        raise _explained(error, address, kind) from error


def _explained(error: Exception, address: str, kind: type[StoreError] | type[QueryError]) -> StoreError | QueryError:
    import neo4j.exceptions

    record = address or None
    if isinstance(error, neo4j.exceptions.Neo4jError):
        for part, (message, hint) in _HINTS.items():
            if part in (error.code or ""):
                return kind(message, record=record, hint=hint)
        return kind(f"Neo4j refuses: {_shortened(error.message or error.code)}", record=record)
    # what mindkg asks for in a connection is understood from Bolt 5.2 on, which came with Neo4j 5.7
    if isinstance(error, neo4j.exceptions.UnsupportedServerProduct) or "Bolt Protocol" in str(error):
        return kind(
            "The server is no Neo4j, or too old a one", record=record, hint="mindkg speaks to Neo4j 5.7 and newer"
        )
    if isinstance(error, neo4j.exceptions.IncompleteCommit | neo4j.exceptions.SessionExpired):
        return kind("The connection to Neo4j broke", record=record, hint="Run it again: it goes on where it stopped")
    if isinstance(error, neo4j.exceptions.ServiceUnavailable | OSError):
        # of several routers the driver says only that none helped
        each = getattr(error.__cause__, "exceptions", [error])
        said = _shortened(str(each[0]))
        over_tls = "+s" in address.partition(":")[0]
        if "handshake" in said or "looks like HTTP" in said or (over_tls and "encryption" in said):
            words = "the server answers no Bolt handshake" + (" over TLS" if over_tls else "")
            hint = (
                "Give its Bolt port (7687 as a rule), with bolt+s:// where it takes TLS and bolt:// where it does not"
            )
            return kind(f"Neo4j cannot be reached: {words}", record=record, hint=hint)
        return kind(f"Neo4j cannot be reached: {said}", record=record, hint="Start it, or give another address")
    return kind(f"Neo4j refuses: {_shortened(str(error))}", record=record)


def _plain(value: Any) -> Any:
    """Return ``value`` as Arrow takes it: what Neo4j says of time is text."""
    return value.iso_format() if hasattr(value, "iso_format") else value


def _shortened(text: str | None) -> str:
    line = masked(" ".join((text or "").split()), [os.environ.get("NEO4J_PASSWORD", "")])
    return line if len(line) <= _LARGEST else f"{line[:_LARGEST]}…"
