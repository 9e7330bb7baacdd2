"""The property graph as files for ``neo4j-admin database import full``: CSV, Parquet, and the command that reads them.

A header names a column's property and type (``id:ID(Product)``, ``:START_ID(CoBuy)``, ``:TYPE``, ``support:long``):
https://neo4j.com/docs/operations-manual/5/tools/neo4j-admin/neo4j-admin-import/.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from mindkg.errors import ConservationError, InputError
from mindkg.graph.property_graph import (
    NODES,
    NodeTable,
    RelationshipTable,
    assertion_types,
    graph_key,
    node_tables,
    relationship_tables,
    relationship_types,
)
from mindkg.parquet import read_table
from mindkg.resources import data_folder

FORMS: Final = ("csv", "parquet")
"""The forms of the files; their names end so."""

MARK: Final = "mindkg_load"
"""The property of all that mindkg wrote: the number of the load that wrote it last; an import is the first."""

LONGEST_ID: Final = 8164
"""Bytes of UTF-8 that Neo4j 5.26 takes for an id: a longer value does not fit into the index of its constraint."""

_STATE: Final = "MindKG"
_ASSERTIONS: Final = "assertions"
_TYPES: Final[Mapping[pa.DataType, str]] = {
    pa.int64(): ":long",
    pa.float64(): ":double",
    pa.bool_(): ":boolean",
    pa.list_(pa.string()): ":string[]",
}
_DELIMITERS: Final = "\x1f\x1e\x1d\x1c\x01\x02\x03\x04\x05\x06"
_BUFFER: Final = 4 << 20
"""Bytes that the importer reads at once unless told otherwise; no value may be longer."""


def write_neo4j_import(folder: Path, out: Path, forms: Sequence[str] = FORMS) -> dict[str, int]:
    """Write the files of the graph folder ``folder`` with import.sh and a README into ``out``; return rows by file.

    Raises InputError where Neo4j would not take an id.
    """
    check_ids(folder)
    delimiter = array_delimiter(folder)
    out.mkdir(parents=True, exist_ok=True)
    rows, longest = write_files(folder, out, forms, delimiter)
    words = {
        "CSV_ARGUMENTS": " ".join(map(shlex.quote, arguments("csv", delimiter, longest))),
        "PARQUET_ARGUMENTS": " ".join(map(shlex.quote, arguments("parquet", delimiter, longest))),
        "DELIMITER_NAME": _name(delimiter),
        "DELIMITER": f"\\u{ord(delimiter):04X}",
    }
    for template in (data_folder("loaders") / "neo4j" / "import").iterdir():
        text = template.read_text("utf-8")
        for word, value in words.items():
            text = text.replace(word, value)
        (out / template.name).write_text(text, "utf-8")
    (out / "after-import.cypher").write_text("".join(definitions()), "utf-8")
    (out / "import.sh").chmod(0o755)
    return rows


def check_ids(folder: Path) -> None:
    """Raise InputError, which names the first, where a node of the graph folder has an id too long for Neo4j."""
    for node in NODES:
        ids = pq.read_table(folder / f"{node.source}.parquet", columns=[node.rename["id"]]).column(0)
        long = ids.filter(pc.greater(pc.binary_length(ids), LONGEST_ID))
        if len(long):
            first = long[0].as_py()
            message = f"Neo4j takes ids of at most {LONGEST_ID:,} bytes, and {len(long):,} of {node.label} are longer"
            record = f"{node.label} {first[:60]!r}… of {len(first.encode()):,} bytes"
            hint = "Shorten it in the source and build the KB again, or load into ladybug, oxigraph or sparql"
            raise InputError(message, record=record, hint=hint)


def write_files(
    folder: Path, out: Path, forms: Sequence[str], delimiter: str = "\x1f", *, finished: bool = True
) -> tuple[dict[str, int], int]:
    """Write the files alone into ``out``; return their rows and the bytes of the longest value.

    ``finished`` is what the node MindKG says of the load once they are imported.
    """
    write: dict[str, Callable[[pa.Table, Path], None]] = {"csv": _write_csv, "parquet": _write_parquet}
    rows: dict[str, int] = {}
    longest = 0
    with ThreadPoolExecutor(2) as pool:  # both writers let go of the interpreter
        waiting = []
        for name, table in files(folder, finished=finished):
            rows[name] = table.num_rows
            plain = _joined(table, delimiter)
            longest = max(longest, _longest(plain))
            waiting += [pool.submit(write[form], plain, out / f"{name}.{form}") for form in forms]
        for task in waiting:
            task.result()
    return rows, longest


def files(folder: Path, *, finished: bool = True) -> Iterator[tuple[str, pa.Table]]:
    """Yield the name and the rows of each file; the names of the columns are those of the header."""
    total = 0
    for node, table in node_tables(folder):
        total += len(table)
        yield node.label, _headed(table, node)
    assertions: list[pa.Table] = []
    for type_, table in relationship_tables(folder):
        total += len(table)
        if type_ in assertion_types().values():
            assertions.append(_headed(table, type_))
            continue
        if assertions:
            yield _ASSERTIONS, pa.concat_tables(assertions)
            assertions.clear()
        yield type_.type, _headed(table, type_)
    state = {"id:ID(MindKG)": ["load"], "load:long": [1], "graph": [graph_key(folder)]}
    yield _STATE, pa.table({**state, "rows:long": [total], "finished:boolean": [finished]})


def arguments(form: str, delimiter: str, longest: int = 0) -> list[str]:
    """Return the options of ``neo4j-admin database import full``; ``longest`` is the longest value in bytes."""
    options = ["--id-type=string"]
    if form == "csv":
        options += ["--multiline-fields=true", f"--array-delimiter={_name(delimiter)}"]
        if longest > _BUFFER // 4:  # quotes are doubled, and a text of Latin-1 letters takes more in UTF-8
            options.append(f"--read-buffer-size={4 * longest}")
    else:
        options.append("--input-type=parquet")
    options += [f"--nodes={label}={label}.{form}" for label in (*(node.label for node in NODES), _STATE)]
    return [*options, *(f"--relationships={name}.{form}" for name in _relationships())]


def _relationships() -> list[str]:
    """Return the names of the files of relationships: one for all assertions, one for each other type."""
    asserted = {type_.type for type_ in assertion_types().values()}
    return [_ASSERTIONS, *(type_.type for type_ in relationship_types() if type_.type not in asserted)]


def array_delimiter(folder: Path) -> str:
    """Return a control character that stands in no text of a list, so that it can join them."""
    texts = pc.list_flatten(read_table(folder / "products.parquet", columns=["category"])["category"])
    for character in _DELIMITERS:
        if not pc.any(pc.match_substring(texts, character)).as_py():
            return character
    raise ConservationError("The categories hold every control character that could stand between them")


def definitions() -> list[str]:
    """Return the statements that make constraints and indexes, each with its semicolon and a line break."""
    loaders = data_folder("loaders") / "neo4j"
    index = (loaders / "assertion-index.cypher").read_text("utf-8")
    texts = [(loaders / "constraints.cypher").read_text("utf-8")]
    texts += [index.replace("TYPE", type_.type) for type_ in assertion_types().values()]
    lines = [line for text in texts for line in text.splitlines() if not line.startswith("//")]
    return [f"{statement.strip()};\n" for statement in "\n".join(lines).split(";") if statement.strip()]


def without_empty_lists(table: pa.Table) -> pa.Table:
    """Return ``table`` with null for each list that has no text in it, which a CSV file cannot tell from none."""
    for i, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            table = table.set_column(
                i, field.name, pa.chunked_array([_or_null(c) for c in table[i].chunks], field.type)
            )
    return table


def _or_null(lists: pa.Array) -> pa.Array:
    empty = pc.equal(pc.binary_length(pc.binary_join(lists, "\x1f")), 0)
    return pc.if_else(empty, pa.scalar(None, lists.type), lists)


def _headed(table: pa.Table, kind: NodeTable | RelationshipTable) -> pa.Table:
    """Return ``table`` with headers, the type of relationships, and the mark."""
    named = (
        {"id": f"id:ID({kind.label})"}
        if isinstance(kind, NodeTable)
        else {
            "start": f":START_ID({kind.start})",
            "end": f":END_ID({kind.end})",
        }
    )
    headed = without_empty_lists(table).rename_columns(
        [named.get(field.name, f"{field.name}{_TYPES.get(field.type, '')}") for field in table.schema]
    )
    if isinstance(kind, RelationshipTable):
        headed = headed.add_column(2, ":TYPE", pa.repeat(pa.scalar(kind.type), len(table)))
    return headed.append_column(f"{MARK}:long", pa.repeat(pa.scalar(1, pa.int64()), len(table)))


def _joined(table: pa.Table, delimiter: str) -> pa.Table:
    for i, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            texts = [pc.binary_join(chunk, delimiter) for chunk in table[i].chunks]
            table = table.set_column(i, field.name, pa.chunked_array(texts, pa.string()))
    return table


def _longest(table: pa.Table) -> int:
    lengths = [pc.max(pc.binary_length(c)).as_py() for c in table.columns if pa.types.is_string(c.type)]
    return max((n for n in lengths if n), default=0)


def _write_csv(table: pa.Table, file: Path) -> None:
    pyarrow.csv.write_csv(table, file)


def _write_parquet(table: pa.Table, file: Path) -> None:
    # the importer takes an array of Parquet for something else: here the lists are texts, and lists.cypher parts them
    plain = table.rename_columns([name.removesuffix(":string[]") for name in table.column_names])
    pq.write_table(plain, file, compression="snappy", row_group_size=122_880, write_page_checksum=True)


def _name(character: str) -> str:
    return f"U+{ord(character):04X}"
