"""The side of a journal that is read: whole records of segments and of Parquet files, by place."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from mindkg.errors import StorageError
from mindkg.parquet import open_file, reading

AT: Final = "_at"
"""When a record was appended, in nanoseconds since 1970: of two records with one key the later one counts."""

_BLOCK: Final = 1 << 25

_Numbers = npt.NDArray[np.int64]


def table_rows(file: IO[bytes], wanted: pa.Schema) -> Iterator[tuple[pa.Table, _Numbers, _Numbers]]:
    """Yield the columns ``wanted`` of a Parquet file in pieces, with their row numbers."""
    with _parquet(file) as table:
        start = 0
        for group in range(table.num_row_groups):
            rows = _fitted(table.read_row_group(group, columns=wanted.names), wanted)
            yield rows, np.arange(start, start + len(rows)), np.zeros(len(rows), np.int64)
            start += len(rows)


def rows_at(file: IO[bytes], places: _Numbers, sizes: _Numbers, stored: pa.Schema) -> pa.Table:
    """Return the rows with numbers ``places`` (ascending) of a Parquet file."""
    with _parquet(file) as table:
        counts = [table.metadata.row_group(group).num_rows for group in range(table.num_row_groups)]
        starts = np.cumsum([0, *counts])
        groups = np.searchsorted(starts, places, side="right") - 1
        parts = []
        for group in np.unique(groups):
            rows = table.read_row_group(group, columns=stored.names)
            parts.append(rows.take(pa.array(places[groups == group] - starts[group])))
        return _fitted(pa.concat_tables(parts), stored)


def _fitted(rows: pa.Table, wanted: pa.Schema) -> pa.Table:
    """Return ``rows`` in exactly the columns ``wanted``; what they lack is null."""
    columns = [rows[f.name] if f.name in rows.column_names else pa.nulls(len(rows), f.type) for f in wanted]
    return pa.table(columns, wanted.names).cast(wanted)


@contextmanager
def _parquet(file: IO[bytes]) -> Iterator[pq.ParquetFile]:
    with reading(file):
        yield open_file(file)


def lines_in(file: IO[bytes], wanted: pa.Schema) -> Iterator[tuple[pa.Table, _Numbers, _Numbers]]:
    """Yield the columns ``wanted`` of a segment's whole lines in pieces, with the place and the size of each line."""
    rest, at = b"", 0
    while piece := file.read(_BLOCK):
        block, newline, new = (rest + piece).rpartition(b"\n")
        if newline:
            yield _block(block, at, wanted, file.name)
            at += len(block) + 1
        rest = new
    if rest:
        yield _block(rest, at, wanted, file.name)


def _block(block: bytes, at: int, wanted: pa.Schema, name: str) -> tuple[pa.Table, _Numbers, _Numbers]:
    """Return the columns ``wanted`` of a block of lines that begins at byte ``at``; broken lines are left out."""
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
    starts, ends = np.concatenate([[0], ends + 1]), np.concatenate([ends, [len(block)]])
    starts, ends = starts[ends > starts], ends[ends > starts]
    try:
        block.decode()
        rows = _parsed(block, int(max(ends - starts, default=0)), wanted)
        whole = len(rows) == len(starts) and not rows[wanted.names[0]].null_count and not rows[AT].null_count
    except (pa.ArrowException, UnicodeDecodeError):
        whole = False
    if not whole:
        starts, ends = _whole_lines(block, starts, ends, wanted.names[0])
        lines = b"\n".join(block[start:end] for start, end in zip(starts, ends, strict=True))
        try:
            rows = _parsed(lines, int(max(ends - starts, default=0)), wanted)
        except pa.ArrowException as error:
            raise StorageError(f"a record does not fit its columns: {error}", record=name) from error
    return rows, starts + at, ends - starts


def _whole_lines(block: bytes, starts: _Numbers, ends: _Numbers, key: str) -> tuple[_Numbers, _Numbers]:
    """Return where the whole records of a block with broken lines stand; one behind a torn one is found too."""
    beginning, found = f"{{{json.dumps(key)}:".encode(), []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        for place in (start, block.rfind(beginning, start + 1, end)):
            if place >= 0 and _is_record(block[place:end], key):
                found.append((place, end))
                break
    pairs = np.array(found, np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _is_record(line: bytes, key: str) -> bool:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(record, dict) and isinstance(record.get(key), str) and isinstance(record.get(AT), int)


def lines_at(file: IO[bytes], places: _Numbers, sizes: _Numbers, stored: pa.Schema) -> pa.Table:
    """Return the records that stand at ``places`` of a segment."""
    number = file.fileno()
    lines = [os.pread(number, size, place) for place, size in zip(places.tolist(), sizes.tolist(), strict=True)]
    try:
        return _parsed(b"\n".join(lines), int(max(sizes)), stored)
    except pa.ArrowException as error:
        raise StorageError(f"a record does not fit its columns: {error}", record=file.name) from error


def _parsed(lines: bytes, longest: int, wanted: pa.Schema) -> pa.Table:
    """Return the columns ``wanted`` of lines of JSON."""
    if not lines.strip():
        return wanted.empty_table()
    reading = pa_json.ReadOptions(block_size=max(1 << 22, 2 * longest))
    parsing = pa_json.ParseOptions(explicit_schema=wanted, unexpected_field_behavior="ignore")
    return pa_json.read_json(pa.BufferReader(lines), reading, parsing).select(wanted.names).cast(wanted)


def text_of(rows: pa.Table) -> pa.Buffer:
    """Return ``rows`` as bytes that do not depend on how they lie in memory: CSV, in which null is not ''."""
    sink = pa.BufferOutputStream()
    pc_csv.write_csv(rows, sink, pc_csv.WriteOptions(include_header=False))
    return sink.getvalue()
