"""The catalogue: one question in a file of SPARQL and a file of Cypher, whose headers say what it takes and gives.

A header is the lines ``#+ key: value`` (SPARQL) or ``//+ key: value`` (Cypher) at the beginning of the file::

    #+ summary: the intentions of a product
    #+ parameter: product, product, required, the product's id
    #+ parameter: limit, integer, default 100, how many rows at most
    #+ column: intention, string

In SPARQL a value stands in ``VALUES ?name { … }`` and the limit behind ``LIMIT``; in Cypher both are ``$name``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from mindkg.errors import QueryError, UsageError, nearest
from mindkg.resources import data_folder
from mindkg.stores.base import Dialect, Store
from mindkg.vocabulary import relations

TYPES: Final[Mapping[str, pa.DataType]] = MappingProxyType(
    {"string": pa.string(), "integer": pa.int64(), "float": pa.float64(), "boolean": pa.bool_()}
)
"""The types of columns and parameters; a parameter may also be a ``relation``: a declared name, or "" for all."""

ENTITIES: Final[Mapping[str, tuple[str, str, str | None]]] = MappingProxyType(
    {
        "product": ("products", "product_id", "title"),
        "concept": ("concepts", "concept", None),
        "intention": ("intentions", "intention_id", "text"),
        "cobuy": ("cobuys", "cobuy_id", None),
        "assertion": ("assertions", "assertion_id", None),
        "abstraction": ("abstractions", "abstraction_id", None),
    }
)
"""The types of parameters that name something in the KB: its table, the column of its ids and that of its labels."""

_MOST_COMPARED: Final = 20_000
"""So many names are compared with an unknown one at most."""

_SUFFIXES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {".rq": ("#+", "sparql"), ".cypher": ("//+", "cypher")}
)
_INTEGERS: Final = range(-(2**63), 2**63)
_LIMITS: Final = range(2**31)


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a query takes; ``default`` is None where the parameter is required."""

    name: str
    type: str
    required: bool
    default: str | int | float | bool | None
    about: str


@dataclass(frozen=True, slots=True)
class Column:
    """What a query gives: one column."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class CatalogueQuery:
    """One question of the catalogue, in both languages."""

    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    columns: tuple[Column, ...]
    sparql: str
    cypher: str

    def text(self, dialect: Dialect) -> str:
        """Return the query in ``dialect``, as its file has it."""
        return self.sparql if dialect == "sparql" else self.cypher


@cache
def catalogue(folder: Path | None = None) -> Mapping[str, CatalogueQuery]:
    """Return every query of ``folder`` (the catalogue that ships) by name, sorted.

    Raises QueryError where a file lacks its partner, a header is malformed or the two headers of a pair differ.
    """
    files = sorted(p for p in (folder or data_folder("queries")).iterdir() if p.suffix in _SUFFIXES)
    return MappingProxyType({name: _pair(name, files) for name in sorted({p.stem for p in files})})


def find(name: str) -> CatalogueQuery:
    """Return the query ``name`` of the catalogue that ships; raises UsageError with the nearest names."""
    known = catalogue()
    if name not in known:
        raise UsageError(f"there is no query {name!r}", hint=nearest(name, known) or "List them with: mindkg queries")
    return known[name]


def bind(query: CatalogueQuery, dialect: Dialect, values: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the text of ``query`` in ``dialect`` with ``values`` and the parameters to bind to it.

    ``values`` are Python values or, from a command line, text. No value becomes query text by pasting: Cypher binds
    them; SPARQL has them as terms that pyoxigraph serialises. Raises QueryError for a name that the query lacks, a
    required one that is missing and a value of another type.
    """
    checked = _checked(query, values)
    if dialect == "cypher":
        return query.cypher, checked
    return _with_terms(query.sparql, checked), {}


def resolve(
    query: CatalogueQuery, values: Mapping[str, Any], read: Callable[[str, list[str]], pa.Table]
) -> dict[str, Any]:
    """Return ``values`` with the id of what each parameter names in the KB: an id, or a label whatever its case.

    ``read`` returns columns of a table of the KB. Raises UsageError as ``bind`` does, QueryError for a value that the
    KB does not have, with the nearest ones, and for a label of several things.
    """
    _checked(query, values)
    entities = {p.name: p.type for p in query.parameters if p.type in ENTITIES and p.name in values}
    return {**values, **{name: _identity(type_, values[name], read) for name, type_ in entities.items()}}


def _identity(type_: str, value: str, read: Callable[[str, list[str]], pa.Table]) -> str:
    table, key, label = ENTITIES[type_]
    rows = read(table, [key] if label is None else [key, label])
    if pc.index(rows[key], value).as_py() >= 0:
        return value
    names = [pc.utf8_lower(rows[column]) for column in rows.column_names]
    matches = pc.equal(names[0], value.lower())
    for name in names[1:]:
        matches = pc.or_kleene(matches, pc.equal(name, value.lower()))
    found = rows[key].filter(matches)
    if len(found) == 1:
        return str(found[0])
    if len(found):
        some = ", ".join(map(str, found[:5])) + (" …" if len(found) > 5 else "")
        raise QueryError(f"{len(found):,} {table} are called {value!r}", hint=f"Give an id: {some}")
    if not rows.num_rows:
        raise QueryError(f"the KB has no {table} at all", hint="Distill or build it first")
    hint = nearest(value, _similar(rows, value)) or f"See: mindkg info KB --table {table}"
    raise QueryError(f"the KB has no {type_} {value!r}", hint=hint)


def _similar(rows: pa.Table, value: str) -> list[str]:
    """Return the ids and labels that are worth a comparison with ``value``; of many those that begin as it does."""
    names = pa.chunked_array([chunk for column in rows.columns for chunk in column.chunks], pa.string()).drop_null()
    if len(names) > _MOST_COMPARED:
        names = names.filter(pc.starts_with(names, value[:2], ignore_case=True))
    return [str(name) for name in names[:_MOST_COMPARED]]


def run(store: Store, query: CatalogueQuery | str, values: Mapping[str, Any] | None = None) -> pa.Table:
    """Return the rows of ``query`` in ``store``, each column of the type that the header declares."""
    found = find(query) if isinstance(query, str) else query
    asked = dict(values or {})
    none = _checked(found, asked).get("limit") == 0
    if none:  # Fuseki 5.6 fails at a sub-select that ends in LIMIT 0
        asked["limit"] = 1
    rows = store.query(*bind(found, store.dialect, asked)).slice(0, 0 if none else None)
    names = [column.name for column in found.columns]
    if sorted(rows.column_names) != sorted(names):
        raise QueryError(f"{found.name} gives {rows.column_names} in {store.engine}, not {names}")
    schema = pa.schema([(column.name, TYPES[column.type]) for column in found.columns])
    try:
        return rows.select(names).cast(schema)
    except pa.ArrowInvalid as error:
        raise QueryError(f"{found.name} gives other types in {store.engine}: {error}") from error


def reference() -> str:
    """Return the query list of docs/queries.md, as Markdown."""
    lines = ["| query | gives | parameters | columns |", "|---|---|---|---|"]
    for query in catalogue().values():
        parameters = "; ".join(f"`{p.name}` ({p.type}, {_default(p)}): {p.about}" for p in query.parameters)
        columns = ", ".join(f"`{c.name}` ({c.type})" for c in query.columns)
        lines.append(f"| `{query.name}` | {query.summary} | {parameters} | {columns} |".replace("  ", " "))
    return "\n".join(lines) + "\n"


def _default(parameter: Parameter) -> str:
    return "required" if parameter.required else f"default {json.dumps(parameter.default, ensure_ascii=False)}"


def _pair(name: str, files: Iterable[Path]) -> CatalogueQuery:
    found = {p.suffix: p.read_text("utf-8") for p in files if p.stem == name}
    for suffix in _SUFFIXES:
        if suffix not in found:
            raise QueryError(f"The query {name} has no file {name}{suffix}")
    sparql, cypher = (_header(f"{name}{suffix}", found[suffix], mark) for suffix, (mark, _) in _SUFFIXES.items())
    if sparql != cypher:
        raise QueryError(f"The headers of {name}.rq and {name}.cypher differ")
    summary, parameters, columns = sparql
    query = CatalogueQuery(name, summary, parameters, columns, found[".rq"], found[".cypher"])
    _check_places(query)
    return query


def _header(file: str, text: str, mark: str) -> tuple[str, tuple[Parameter, ...], tuple[Column, ...]]:
    """Return the summary, the parameters and the columns that the first lines of ``text`` declare."""
    summary, parameters, columns = "", list[Parameter](), list[Column]()
    for line in text.splitlines():
        if not line.startswith(mark):
            break
        key, _, value = (part.strip() for part in line.removeprefix(mark).partition(":"))
        if key == "summary" and value and not summary:
            summary = value
        elif key == "parameter":
            parameters.append(_parameter(file, value))
        elif key == "column":
            columns.append(_column(file, value))
        else:
            raise QueryError("A header line that says nothing known", record=f"{file}: {line}")
    if not summary or not columns:
        raise QueryError("A header needs a summary and columns", record=file)
    names = [parameter.name for parameter in parameters] + [column.name for column in columns]
    if len({p.name for p in parameters}) + len({c.name for c in columns}) != len(names):
        raise QueryError("A header names something twice", record=file)
    return summary, tuple(parameters), tuple(columns)


def _parameter(file: str, text: str) -> Parameter:
    match = re.fullmatch(r"(\w+), (\w+), (?:(required)|default (\"[^\"]*\"|[^,]+)), (.+)", text)
    if not match or match[2] not in (*TYPES, "relation", *ENTITIES):
        raise QueryError("A parameter is: name, type, required or default VALUE, meaning", record=f"{file}: {text}")
    try:
        parameter = Parameter(match[1], match[2], bool(match[3]), json.loads(match[4]) if match[4] else None, match[5])
        if not parameter.required:
            _value(parameter, parameter.default)
    except (json.JSONDecodeError, UsageError) as error:
        raise QueryError("A parameter is: name, type, required or default VALUE", record=f"{file}: {text}") from error
    return parameter


def _column(file: str, text: str) -> Column:
    match = re.fullmatch(r"(\w+), (\w+)", text)
    if not match or match[2] not in TYPES:
        raise QueryError(f"A column is: name, type ({', '.join(TYPES)})", record=f"{file}: {text}")
    return Column(match[1], match[2])


def _check_places(query: CatalogueQuery) -> None:
    """Raise QueryError unless both texts have a place for every parameter and for no other."""
    names = {parameter.name for parameter in query.parameters}
    body = "\n".join(line for line in query.cypher.splitlines() if not line.startswith("//"))
    if set(re.findall(r"\$(\w+)", body)) != names:
        raise QueryError(f"{query.name}.cypher uses other parameters than its header says")
    if {match["name"] or "limit" for match in _PLACE.finditer(query.sparql)} != names:
        raise QueryError(f"{query.name}.rq uses other parameters than its header says")


def _checked(query: CatalogueQuery, values: Mapping[str, Any]) -> dict[str, Any]:
    known = {parameter.name: parameter for parameter in query.parameters}
    for name in values:
        if name not in known:
            hint = f"It takes: {', '.join(known)}" if known else "It takes none"
            raise UsageError(f"The query {query.name} has no parameter {name!r}", hint=nearest(name, known) or hint)
    missing = [p for p in query.parameters if p.required and p.name not in values]
    if missing:
        needed = " ".join(f"-p {p.name}=…" for p in missing)
        raise UsageError(
            f"The query {query.name} needs {missing[0].name}: {missing[0].about}", hint=f"Give it: {needed}"
        )
    return {name: _value(p, values.get(name, p.default)) for name, p in known.items()}


def _value(parameter: Parameter, value: Any) -> Any:
    """Return ``value`` as the type of ``parameter``; text is read as a command line gives it."""
    name = parameter.name
    match parameter.type:
        case type_ if (type_ == "string" or type_ in ENTITIES) and isinstance(value, str):
            return _text(name, value)
        case "relation" if isinstance(value, str):
            return _relation(name, value)
        case "integer":
            number = _number(value, int)
            if number is not None and number in (_LIMITS if name == "limit" else _INTEGERS):
                return number
        case "float":
            number = _number(value, float)
            if number is not None and math.isfinite(number):
                return number
        case "boolean":
            flags: dict[Any, bool] = {"true": True, "false": False}
            found = value if isinstance(value, bool) else flags.get(value.lower() if isinstance(value, str) else None)
            if found is not None:
                return found
    what = "a whole number of rows" if name == "limit" else f"of the type {parameter.type}"
    raise UsageError(f"The parameter {name} is {what}, not {value!r}")


def _text(name: str, value: str) -> str:
    if any("\ud800" <= c <= "\udfff" or c == "\0" for c in value):
        raise UsageError(f"The parameter {name} has a character that no text can have: {value!r}")
    return value


def _relation(name: str, value: str) -> str:
    if value and value not in relations():
        hint = nearest(value, relations()) or f"Relations: {', '.join(relations())}"
        raise UsageError(f"The parameter {name} is no relation: {value!r}", hint=hint)
    return value


def _number(value: Any, type_: type[int] | type[float]) -> Any:
    accepted = (int, str) if type_ is int else (int, float, str)
    if isinstance(value, bool) or not isinstance(value, accepted):
        return None
    try:
        return type_(value)
    except (ValueError, OverflowError):
        return None


_PLACE: Final = re.compile(r"VALUES \?(?P<name>\w+) \{[^{}]*\}|LIMIT \d+\b")
"""Where a value stands in SPARQL; the file has a default or an example there, so that it runs as it is."""


def _with_terms(text: str, values: Mapping[str, Any]) -> str:
    """Return ``text`` with the value of each place; in one pass, so that no value is taken for a place."""
    from pyoxigraph import Literal

    def fill(place: re.Match[str]) -> str:
        name = place["name"]
        return f"VALUES ?{name} {{ {Literal(values[name])} }}" if name else f"LIMIT {int(values['limit'])}"

    return _PLACE.sub(fill, text)
