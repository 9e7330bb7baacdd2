"""The Parquet file of a table: its columns, its order, and the check that each key stands once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from mindkg.errors import ConservationError
from mindkg.parquet import writer
from mindkg.schema import KEYS, REASONS, TABLES

if TYPE_CHECKING:
    import daft


def write_parquet(path: Path, name: str, rows: pa.Table | daft.DataFrame) -> int:
    """Write ``rows`` as the table ``name`` of the schema, sorted by its key, and return how many they are.

    Raises ConservationError for a key that stands twice, or a reject whose reason is not declared.
    """
    schema, keys = TABLES[name], list(KEYS[name])
    if isinstance(rows, pa.Table):
        ordered = rows.select(schema.names).cast(schema).sort_by([(k, "ascending") for k in keys])
        batches: Iterator[pa.RecordBatch] = iter(ordered.to_batches(max_chunksize=65_536))
    else:
        batches = rows.select(*schema.names).sort([*keys]).to_arrow_iter()
    count, last = 0, None
    with writer(path, schema) as file:
        for raw in batches:
            batch = raw.cast(schema)
            if not batch.num_rows:
                continue
            last = _check_keys(name, batch, last)
            file.write_batch(batch)
            count += batch.num_rows
    return count


def _check_keys(name: str, batch: pa.RecordBatch, last: list[Any] | None) -> list[Any] | None:
    """Return the key of the batch's last row.

    Raises ConservationError if a key stands twice in a sorted table, or a reject has a reason that is not declared.
    """
    if name == "rejects":
        unknown = pc.unique(batch.filter(pc.invert(pc.is_in(batch["reason"], pa.array(REASONS))))["reason"])
        if len(unknown):
            raise ConservationError(f"rejects for reasons that are not declared: {unknown.to_pylist()}")
        return None
    columns = [batch.column(k) for k in KEYS[name]]
    same = pa.array([True] * 0) if batch.num_rows < 2 else None
    for column in columns:
        if batch.num_rows > 1:
            equal = pc.equal(column.slice(1), column.slice(0, batch.num_rows - 1))
            same = equal if same is None else pc.and_(same, equal)
    first = [c[0].as_py() for c in columns]
    if first == last or (same is not None and len(same) and pc.any(same).as_py()):
        raise ConservationError(f"table {name} has a key twice", hint="This is a defect of mindkg: please report it")
    return [c[-1].as_py() for c in columns]
