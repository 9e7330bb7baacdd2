"""What the graph holds: tables of a KB to the graph folder that every form of the graph is made from.

A graph folder has one Parquet file for each table in ``GRAPH_TABLES``, sorted by its key. ``evidence`` has the column
``run_id`` of its generation besides its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from mindkg.engine import read_parquet
from mindkg.schema import TABLES

VERSION: Final = 1
"""Raised when the selection changes, so that what was made from an older one is made anew."""

GRAPH_TABLES: Final = (
    "products",
    "cobuys",
    "assertions",
    "evidence",
    "intentions",
    "mentions",
    "concepts",
    "hypernyms",
    "ancestors",
    "runs",
)

EVIDENCE: Final = TABLES["evidence"].append(pa.field("run_id", pa.string(), nullable=False))
"""The schema of ``evidence`` in a graph folder."""

_BATCH = 65_536


def graph_schema(table: str) -> pa.Schema:
    """Return the schema of ``table`` in a graph folder."""
    return EVIDENCE if table == "evidence" else TABLES[table]


def select_graph(tables: Mapping[str, Path], folder: Path, *, include_filtered: bool = False) -> dict[str, int]:
    """Write the graph folder ``folder`` and return the rows of each of its tables.

    ``tables`` gives the folder of Parquet files of each table of the KB, sorted by key. The graph holds all products
    and co-buys; the assertions that the filter did not refuse (all with ``include_filtered``); the intentions,
    mentions, concepts (with all that is above them) and runs that those reach.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = {name: ds.dataset(path, format="parquet") for name, path in tables.items()}
    rows = {name: _copy(source[name], folder, name) for name in ("products", "cobuys")}

    refused = None if include_filtered else pc.field("accepted").is_null() | pc.field("accepted")
    rows["assertions"] = _copy(source["assertions"], folder, "assertions", refused)
    assertions = folder / "assertions.parquet"

    rows["evidence"] = _write(_evidence(tables, assertions), folder, "evidence")
    rows["runs"] = _copy(source["runs"], folder, "runs", _reached("run_id", _values(folder, "evidence", "run_id")))

    intentions = _values(folder, "assertions", "intention_id")
    rows["intentions"] = _copy(source["intentions"], folder, "intentions", _reached("intention_id", intentions))
    rows["mentions"] = _copy(source["mentions"], folder, "mentions", _reached("intention_id", intentions))

    mentioned = _values(folder, "mentions", "concept")
    above = source["ancestors"].to_table(columns=["ancestor"], filter=_reached("concept", mentioned))["ancestor"]
    reached = pc.unique(pa.chunked_array([*mentioned.chunks, *above.chunks], pa.string()))
    for name in ("concepts", "hypernyms", "ancestors"):
        rows[name] = _copy(source[name], folder, name, _reached("concept", reached))
    return rows


def _reached(column: str, values: pa.Array | pa.ChunkedArray) -> pc.Expression:
    return pc.field(column).isin(values)


def _values(folder: Path, table: str, column: str) -> pa.ChunkedArray:
    values = pc.unique(pq.read_table(folder / f"{table}.parquet", columns=[column])[column])
    return pa.chunked_array([values])


def _copy(source: ds.Dataset, folder: Path, name: str, rows: pc.Expression | None = None) -> int:
    scanner = source.scanner(columns=TABLES[name].names, filter=rows, batch_size=_BATCH)
    return _write(scanner.to_batches(), folder, name)


def _evidence(tables: Mapping[str, Path], assertions: Path) -> Iterator[pa.RecordBatch]:
    """Yield the evidence of the selected assertions with the run of each generation, sorted by its key."""
    selected = read_parquet(assertions).select("assertion_id")
    runs = read_parquet(tables["generations"]).select("generation_id", "run_id")
    evidence = read_parquet(tables["evidence"]).join(selected, on="assertion_id", how="semi")
    joined = evidence.join(runs, on="generation_id").sort(["assertion_id", "generation_id"])
    for batch in joined.select(*EVIDENCE.names).to_arrow_iter():
        yield batch.cast(EVIDENCE)


def _write(batches: Iterator[pa.RecordBatch], folder: Path, name: str) -> int:
    schema, rows = graph_schema(name), 0
    with pq.ParquetWriter(folder / f"{name}.parquet", schema, compression="zstd") as writer:
        for batch in batches:
            if batch.num_rows:
                writer.write_batch(batch.cast(schema))
                rows += batch.num_rows
    return rows
