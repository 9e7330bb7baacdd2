"""What every engine can do, and how a store gets its name only when it is whole."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, Protocol, Self, cast

import pyarrow as pa

from mindkg.checksums import seal
from mindkg.errors import QueryError, StoreError, UsageError, nearest
from mindkg.graph.property_graph import expected_counts
from mindkg.resources import data_folder

Dialect = Literal["sparql", "cypher"]
Progress = Callable[[str], None]
"""Called with a line that says what is being done now."""

ENGINES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ladybug": "mindkg.stores.ladybug:LadybugStore",
        "oxigraph": "mindkg.stores.oxigraph:OxigraphStore",
    }
)
"""The class behind each embedded engine; imported when it is used."""

SERVERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc"), "mindkg.stores.neo4j:Neo4jStore"
        ),
        **dict.fromkeys(("http", "https"), "mindkg.stores.sparql:SparqlStore"),
    }
)
"""The class behind each scheme of a server's address; imported when it is used."""

_SCRATCH: Final = ".building-"
"""How the name of an unfinished store begins: as those of unfinished tables, which a KB removes too."""


class Store(Protocol):
    """A graph in an engine, opened for reading; any number of threads may query it."""

    engine: ClassVar[str]
    dialect: ClassVar[Dialect]

    def query(self, text: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Return the rows of the query ``text`` in the store's dialect; raises QueryError, one line."""
        ...

    def close(self) -> None:
        """Let go of the files or the connection; the store answers no more."""
        ...


class EmbeddedStore(Store, Protocol):
    """A store in a folder of the KB, made anew when the KB has changed."""

    package: ClassVar[str]

    @classmethod
    def build(cls, folder: Path, place: Path, progress: Progress) -> None:
        """Write the graph folder ``folder`` in bulk into the empty folder ``place``; what is beside it goes away."""
        ...

    @classmethod
    def open(cls, place: Path) -> Self:
        """Return the store that ``build`` wrote into ``place``; raises StoreError where there is none."""
        ...


class ServerStore(Store, Protocol):
    """A store behind the address of a server, which holds what was loaded into it."""

    address: str

    def check_whole(self) -> None:
        """Raise QueryError where the graph is being loaded, or its load was interrupted, unless it is asked for so."""
        ...

    def holds(self, folder: Path) -> bool | None:
        """Return whether the graph folder ``folder``, whole, was loaded into it; None where the server does not say."""
        ...


def is_address(engine: str) -> bool:
    """Return whether ``engine`` is the address of a server and not the name of an embedded engine.

    >>> is_address("bolt://127.0.0.1:7687"), is_address("ladybug")
    (True, False)
    """
    return "://" in engine


def open_remote(
    address: str,
    *,
    user: str | None = None,
    database: str | None = None,
    graph: str | None = None,
    partial: bool = False,
) -> ServerStore:
    """Return the store behind ``address``: Neo4j for bolt and neo4j schemes, a SPARQL endpoint for http and https.

    ``user`` and ``database`` are Neo4j's, ``graph`` is the IRI of the named graph of an endpoint. A graph whose load is
    at work or was cut off is queried only with ``partial``. Raises StoreError for another scheme and where nothing
    answers.
    """
    scheme = address.partition("://")[0].lower()
    if scheme not in SERVERS:
        raise UsageError(f"unknown scheme {scheme!r}", record=address, hint=f"Known: {', '.join(SERVERS)}")
    foreign = {"user": user, "database": database} if scheme.startswith("http") else {"graph": graph}
    for option, value in foreign.items():
        if value:
            raise StoreError(f"A server behind {scheme}:// takes no {option}", record=address)
    module, name = SERVERS[scheme].split(":")
    options = {"graph": graph} if scheme.startswith("http") else {"user": user, "database": database}
    return cast("ServerStore", getattr(import_module(module), name).connect(address, **options, partial=partial))


def partial_graph(graph: str, there: str, address: str) -> QueryError:
    """Return the error of a query for ``graph``, of which only the part ``there`` has been loaded."""
    hint = "Wait for the load, or run it again: it goes on where it stopped. --partial queries what is there"
    return QueryError(f"{graph} is being loaded, or its load was interrupted: {there}", record=address, hint=hint)


def changed_meanwhile(address: str) -> QueryError:
    """Return the error of a query during which a load began: its rows may be some of each graph."""
    error = QueryError("A load began while the query ran", record=address, hint="Run the query again after the load")
    error.retryable = True
    return error


def another_graph(store: ServerStore, folders: Sequence[Path]) -> str:
    """Return a line that says that ``store`` holds none of the graph folders ``folders``; "" where it may hold one."""
    if any(store.holds(folder) is not False for folder in folders):
        return ""
    target = "sparql --endpoint" if store.dialect == "sparql" else "neo4j --uri"
    return f"{store.address} does not hold the graph of this KB. Load it: mindkg load KB {target} {store.address}"


def engine_class(engine: str) -> type[EmbeddedStore]:
    """Return the class behind the embedded engine ``engine``; raises UsageError where there is none.

    >>> engine_class("ladybug").dialect
    'cypher'
    """
    if engine not in ENGINES:
        hint = nearest(engine, ENGINES) or f"Embedded engines: {', '.join(sorted(ENGINES))}"
        raise UsageError(f"there is no engine {engine!r}", hint=hint)
    module, name = ENGINES[engine].split(":")
    return cast("type[EmbeddedStore]", getattr(import_module(module), name))


def shape(engine: str) -> list[str]:
    """Return what the form of a store of ``engine`` depends on: the version of its package, and our files' bytes."""
    ontology = data_folder("ontology")
    files = [*(data_folder("loaders") / engine).glob("*"), ontology / "prefixes.ttl", ontology / "relations.ttl"]
    package = engine_class(engine).package
    return [package, version(package), *(hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(files))]


def open_store(engine: str, place: Path) -> Store:
    """Return the store of ``engine`` that lies in ``place``; raises StoreError where there is none."""
    if not place.is_dir():
        raise StoreError("There is no store", record=str(place), hint=f"Load it with: mindkg load KB {engine}")
    return engine_class(engine).open(place)


def load_store(engine: str, folder: Path, target: Path, progress: Progress | None = None) -> dict[str, int]:
    """Load the graph folder ``folder`` into a new store ``target`` of ``engine`` and return what it holds by class.

    The store is built beside ``target``, its counts are compared with the tables, and only then it gets its name: a
    load that is killed leaves nothing under ``target``. It is built in a process of its own, since engines abort
    where memory or disk space ends. Raises StoreError where that fails or a count differs.
    """
    from mindkg.stores import build_process

    engine_class(engine)
    with _beside(target) as place:
        return build_process.build(engine, folder, place, progress or (lambda line: None))


def built(engine: str, folder: Path, place: Path, progress: Progress) -> dict[str, int]:
    """Write the graph folder ``folder`` into a store in the empty folder ``place``; return what it holds by class.

    Raises StoreError where a count differs from the tables.
    """
    implementation = engine_class(engine)
    implementation.build(folder, place, progress)
    progress("checking the counts")
    store = implementation.open(place)
    try:
        found = counts(store)
    finally:
        store.close()
    check_counts(engine, expected_counts(folder), found)
    seal(place)
    return found


def one_line(error: Exception) -> str:
    """Return what an engine says of a mistake, without its line breaks."""
    return " ".join(str(error).split())


def counts(store: Store) -> dict[str, int]:
    """Return how many of each class ``store`` holds: the answer of the catalogue's ``graph-counts``."""
    suffix = "rq" if store.dialect == "sparql" else "cypher"
    text = (data_folder("queries") / f"graph-counts.{suffix}").read_text("utf-8")
    return {str(row["class"]): int(row["n"]) for row in store.query(text).to_pylist()}


def check_counts(engine: str, expected: Mapping[str, int], found: Mapping[str, int], hint: str | None = None) -> None:
    """Raise StoreError unless ``found`` has the number of every class of ``expected``."""
    wrong = [f"{name} {found.get(name, 0)} instead of {n}" for name, n in expected.items() if found.get(name, 0) != n]
    if wrong:
        raise StoreError(f"{engine} does not hold what the tables say: {', '.join(wrong)}", hint=hint)


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Give an empty folder beside ``target`` that becomes ``target`` at the end, or goes away with an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(target.parent)
    scratch = Path(tempfile.mkdtemp(prefix=f"{_SCRATCH}{target.name}.{os.getpid()}.", dir=target.parent))
    place = scratch / "store"
    place.mkdir()
    try:
        yield place
        if target.exists():
            shutil.rmtree(target)
        place.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def remove_leftovers(parent: Path) -> None:
    """Remove what loads into ``parent``, of whatever store, left there whose processes are gone."""
    for place in parent.glob(f"{_SCRATCH}*"):
        parts = place.name.rsplit(".", 2)
        if len(parts) == 3 and parts[1].isdigit() and not is_alive(int(parts[1])):
            shutil.rmtree(place, ignore_errors=True)


def is_alive(process: int) -> bool:
    """Return whether ``process`` runs on this machine, whoever started it."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
