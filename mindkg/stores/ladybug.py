"""LadybugDB, embedded: Cypher over one file."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import pyarrow as pa

from mindkg.errors import QueryError, StoreError, nearest
from mindkg.graph.property_graph import NODES, assertion_types, relationship_types, write_property_graph
from mindkg.resources import data_folder
from mindkg.stores.base import Dialect, Progress, one_line

if TYPE_CHECKING:
    import ladybug

_FILE: Final = "graph.lbug"
_SAID: Final = 200
_POOL: Final = 2 << 30
"""Buffer pool in bytes: LadybugDB's own default is 80 % of the machine's memory."""

_UNREAD: Final = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`[^`]*`|//[^\n]*|/\*.*?\*/""", re.DOTALL)
"""Strings, quoted names and comments of Cypher: a dollar sign or a semicolon in them means nothing."""

_BEGINNINGS: Final = ("MATCH", "OPTIONAL MATCH", "UNWIND", "WITH", "RETURN", "CALL", "LOAD FROM", "LOAD WITH")
_WORDS: Final = "|".join(_BEGINNINGS).replace(" ", r"\s+")
_READS: Final = re.compile(rf"\s*(?:(?:EXPLAIN|PROFILE|LOGICAL)\b\s*)*(?:(?:{_WORDS})\b|$)", re.IGNORECASE)
"""How queries begin. A database that is opened read-only still takes COPY … TO and EXPORT DATABASE, which write files,
INSTALL, which asks the network, and CHECKPOINT, after which it does not open again."""


class LadybugStore:
    """A property graph in LadybugDB, opened read-only; see ``Store``."""

    engine: ClassVar[str] = "ladybug"
    dialect: ClassVar[Dialect] = "cypher"
    package: ClassVar[str] = "ladybug"

    def __init__(self, database: ladybug.Database) -> None:
        self._database: ladybug.Database | None = database

    @classmethod
    def build(cls, folder: Path, place: Path, progress: Progress) -> None:
        """Write the graph folder ``folder`` in bulk into the empty folder ``place``."""
        import ladybug

        database = ladybug.Database(str(place / _FILE), buffer_pool_size=_POOL)
        connection = ladybug.Connection(database)
        try:
            with tempfile.TemporaryDirectory(prefix="mindkg-", dir=_staging(place)) as files:
                progress("making the tables of the property graph")
                rows = write_property_graph(folder, Path(files))
                for statement in _definitions():
                    connection.execute(statement)
                full = [name for name, n in rows.items() if n]
                progress(f"copying {sum(rows.values()):,} rows of {len(full)} tables")
                for name in full:
                    connection.execute(_copy(name, Path(files) / f"{name}.parquet"))
            connection.execute("CHECKPOINT;")
        except RuntimeError as error:
            raise StoreError(f"LadybugDB refuses the graph: {one_line(error)[:_SAID]}") from error
        finally:
            connection.close()
            database.close()

    @classmethod
    def open(cls, place: Path) -> Self:
        """Return the store that ``build`` wrote into ``place``; raises StoreError where there is none."""
        import ladybug

        file = place / _FILE
        if not file.is_file() or not file.stat().st_size:  # LadybugDB opens an empty file as an empty database
            raise StoreError("There is no LadybugDB database", record=str(place))
        try:
            return cls(ladybug.Database(str(file), read_only=True, buffer_pool_size=_POOL))
        except (RuntimeError, OSError, ValueError) as error:
            raise StoreError(f"LadybugDB cannot open the store: {one_line(error)}", record=str(place)) from error

    def query(self, text: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Return the rows of the Cypher query ``text``; raises QueryError, one line."""
        import ladybug

        if self._database is None:
            raise QueryError("The store is closed")
        given = dict(parameters or {})
        plain = _UNREAD.sub(" ", text)
        _check_reading(plain)
        # LadybugDB takes a missing one for null
        missing = [name for name in dict.fromkeys(re.findall(r"\$(\w+)", plain)) if name not in given]
        if missing:
            hint = "On the command line: -p NAME=VALUE"
            raise QueryError(f"The query needs values for: {', '.join(missing)}", hint=hint)
        connection = ladybug.Connection(self._database)
        try:
            text.encode()  # LadybugDB says nothing clear of a lone surrogate
            result = connection.execute(text, given)
            if isinstance(result, list):
                raise QueryError("More than one statement", hint="Give one statement without a semicolon inside")
            names = result.get_column_names()
            if not names:  # a setting, such as CALL threads = 1
                return pa.table({})
            if len(set(names)) < len(names):
                raise QueryError(f"Two columns have one name: {', '.join(names)}", hint="Name them with AS")
            return _whole_numbers(result.get_as_arrow())
        except (RuntimeError, ValueError, TypeError, ArithmeticError) as error:  # of values it cannot bind too
            said = one_line(error)
            raise QueryError(f"LadybugDB refuses the query: {said.rstrip('.')}", hint=_meant(said)) from error
        finally:
            connection.close()

    def close(self) -> None:
        """Let go of the file; the store answers no more."""
        if self._database is not None:
            self._database.close()
            self._database = None


def _definitions() -> list[str]:
    folder = data_folder("loaders") / "ladybug"
    assertions = (folder / "assertions.cypher").read_text("utf-8")
    texts = [
        (folder / "nodes.cypher").read_text("utf-8"),
        (folder / "relationships.cypher").read_text("utf-8"),
        *(re.sub(r"\bTYPE\b", type_.type, assertions) for type_ in assertion_types().values()),
    ]
    return [f"{statement};" for text in texts for statement in _without_comments(text).split(";") if statement.strip()]


def _copy(table: str, file: Path) -> str:
    template = _without_comments((data_folder("loaders") / "ladybug" / "copy.cypher").read_text("utf-8"))
    return re.sub(r"\bTABLE\b", table, template).replace("FILE", str(file))


def _check_reading(plain: str) -> None:
    """Raise QueryError unless a Cypher text, ``_UNREAD`` taken out, is one statement that only reads."""
    plain = plain.rstrip().removesuffix(";")
    if ";" in plain:
        raise QueryError("More than one statement", hint="Give one statement without a semicolon inside")
    if not _READS.match(plain):
        hint = f"Queries begin with {', '.join(_BEGINNINGS)}"
        raise QueryError(f"No query that only reads begins with {plain.split()[0]}", hint=hint)


def _meant(said: str) -> str | None:
    """Return a hint with the names nearest to the label, type or property that LadybugDB does not know.

    >>> _meant("Binder exception: Cannot find property lable for c.")
    'Did you mean label?'
    """
    unknown = re.search(r"(?:(Table)|Cannot find property|Variable) (\S+) (?:does not exist|for|is not in scope)", said)
    if not unknown:
        return None
    if unknown[1]:
        known = [table.label for table in NODES] + [table.type for table in relationship_types()]
        return nearest(unknown[2], known) or f"The labels are {', '.join(table.label for table in NODES)}"
    schemas = [*(table.schema for table in NODES), *(table.schema for table in relationship_types())]
    return nearest(unknown[2], {name for schema in schemas for name in schema.names} - {"start", "end"}) or None


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("//"))


def _staging(place: Path) -> Path | None:
    """Return where the Parquet files stand: beside the database, unless COPY would take its path for a pattern."""
    return place.parent if re.fullmatch(r"[\w./ -]+", str(place.parent), re.ASCII) else None


def _whole_numbers(table: pa.Table) -> pa.Table:
    """Return ``table`` with sums of integers, 128-bit decimals in LadybugDB, as 64-bit integers."""
    schema = table.schema
    for i, field in enumerate(schema):
        if pa.types.is_decimal(field.type) and field.type.scale == 0:
            schema = schema.set(i, field.with_type(pa.int64()))
    return table.cast(schema)
