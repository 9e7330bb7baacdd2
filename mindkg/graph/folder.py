"""Reading a graph folder: batches of a table, the relations that its assertions name, and what tells it from others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mindkg.errors import InputError
from mindkg.graph.selection import GRAPH_TABLES
from mindkg.parquet import open_file, reading
from mindkg.vocabulary import relations

BATCH_ROWS: Final = 32_768


def open_table(folder: Path, table: str) -> pq.ParquetFile:
    """Return the Parquet file of ``table``; raises InputError where the folder has none."""
    path = folder / f"{table}.parquet"
    if not path.is_file():
        raise InputError(f"no table {table} in the graph folder", record=str(folder), hint="Build the KB first")
    return open_file(path)


def batches(folder: Path, table: str, columns: Sequence[str], rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """Yield ``columns`` of ``table`` in batches of at most ``rows`` rows, in the order of the table.

    The table ``relations`` is no file: it has the declared relations that assertions name (relation, label).
    """
    if table == "relations":
        yield used_relations(folder).select(list(columns))
        return
    with open_table(folder, table) as file, reading(folder / f"{table}.parquet"):
        yield from (batch for batch in file.iter_batches(rows, columns=list(columns), use_threads=False) if len(batch))


def rows(folder: Path, table: str) -> int:
    """Return how many rows ``table`` has."""
    if table == "relations":
        return len(used_relations(folder))
    with open_table(folder, table) as file:
        return int(file.metadata.num_rows)


def fingerprint(folder: Path) -> str:
    """Return the hash of what the graph folder ``folder`` holds, 16 hexadecimal digits: equal bytes, equal graph."""
    digest = hashlib.sha256()
    for name in GRAPH_TABLES:
        with (folder / f"{name}.parquet").open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def used_relations(folder: Path) -> pa.RecordBatch:
    """Return the declared relations that assertions of the graph name: relation, label; sorted by relation."""
    named: set[str] = set()
    for batch in batches(folder, "assertions", ["relation"]):
        named.update(pc.unique(batch.column(0)).to_pylist())
    found = [relations()[name] for name in sorted(named) if name in relations()]
    return pa.record_batch({"relation": [r.name for r in found], "label": [r.label for r in found]}, _RELATIONS)


_RELATIONS = pa.schema([pa.field("relation", pa.string()), pa.field("label", pa.string())])
