"""Parquet files in blocks; the line of a row is its number in the file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mindkg.errors import InputError
from mindkg.sources.blocks import TEXT_LIMIT, Block, Damage, Rows, joined

_ROWS = 16_384


def open_parquet(path: Path) -> Rows:
    """Return the columns of a Parquet file and its blocks; raises InputError where it is damaged."""
    try:
        header = tuple(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path) from error
    return Rows(header, lambda wanted: _blocks(path, wanted))


def _damaged(path: Path) -> InputError:
    return InputError("this Parquet file is damaged", record=str(path), hint="Make or copy it again")


def _blocks(path: Path, wanted: Sequence[str]) -> Iterator[Block]:
    first = 1
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS, columns=list(wanted)):
                yield _block(batch, first)
                first += len(batch)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path) from error


def _block(batch: pa.RecordBatch, first: int) -> Block:
    columns = {name: _strings(batch[name]) for name in batch.schema.names}
    valid = pa.array(np.ones(len(batch), bool))
    for column in columns.values():
        valid = pc.and_(valid, pc.is_valid(column))
    lines = np.arange(first, first + len(batch), dtype=np.int64)
    if pc.all(valid).as_py():
        return Block(columns, lines, (), _raw(batch))
    damages = [
        Damage(int(line), "bad_encoding", "a text is not UTF-8", "")
        for line in lines[~valid.to_numpy(zero_copy_only=False)]
    ]
    columns = {name: column.filter(valid) for name, column in columns.items()}
    return Block(columns, lines[valid.to_numpy(zero_copy_only=False)], damages, _raw(batch.filter(valid)))


def _raw(batch: pa.RecordBatch) -> Callable[[int], str]:
    return lambda row: json.dumps(batch.slice(row, 1).to_pylist()[0], ensure_ascii=False, default=str)[:TEXT_LIMIT]


def _strings(column: pa.Array) -> pa.Array:
    """Return ``column`` as strings, nulls as empty; null stands for a text that is not UTF-8."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return pa.array([joined(v) if v else "" for v in column.to_pylist()], pa.string())
    if pa.types.is_nested(column.type):
        return pa.array(["" if v is None else json.dumps(v, default=str) for v in column.to_pylist()], pa.string())
    column = pc.fill_null(column.cast(pa.binary()) if _is_text(column.type) else column.cast(pa.string()), "")
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([_decoded(value) for value in column.to_pylist()], pa.string())


def _is_text(type_: pa.DataType) -> bool:
    return type_ in (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary())


def _decoded(value: bytes) -> str | None:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return None
