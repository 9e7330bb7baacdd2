"""The side of a journal that is read: whole records of segments and of Parquet files, by place."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from mindkg.errors import StorageError
from mindkg.journal.lines import AT, CRC, crc_of, intact_parts, is_intact
from mindkg.journal.segments import CHECKED
from mindkg.parquet import open_file, reading

_BLOCK: Final = 1 << 25

_UNREADABLE: Final = "Put a copy of it back, or move it away: what only this file holds is then done again"

_Numbers = npt.NDArray[np.int64]

Found = Iterator[tuple[pa.Table, _Numbers, _Numbers]]
"""Columns of records in pieces, with the place and the size of each."""


def table_rows(file: IO[bytes], wanted: pa.Schema) -> Found:
    """Yield the columns ``wanted`` of a Parquet file in pieces, with their row numbers."""
    with _parquet(file) as table:
        start = 0
        for group in range(table.num_row_groups):
            rows = _fitted(table.read_row_group(group, columns=wanted.names), wanted)
            yield rows, np.arange(start, start + len(rows)), np.zeros(len(rows), np.int64)
            start += len(rows)


def intact_rows(file: IO[bytes], wanted: pa.Schema, stored: pa.Schema, damage: Counter[str]) -> Found:
    """Do as ``table_rows`` with a damaged file: the rows that fit their checksums; the others go into ``damage``."""
    plain = stored.remove(stored.get_field_index(CRC))
    with _parquet(file) as table:
        start = 0
        for group in range(table.num_row_groups):
            size = table.metadata.row_group(group).num_rows
            try:
                rows = _fitted(table.read_row_group(group, columns=stored.names), stored)
                known = zip(rows.select(plain.names).to_pylist(), rows[CRC].to_pylist(), strict=True)
                whole = np.array([crc_of(row, plain) == crc for row, crc in known], bool)
            except (pa.ArrowException, OSError, ValueError, KeyError):
                rows, whole = stored.empty_table(), np.zeros(0, bool)
            damage[str(file.name)] += size - int(whole.sum())
            places = start + np.flatnonzero(whole)
            yield rows.filter(pa.array(whole)).select(wanted.names), places, np.zeros(len(places), np.int64)
            start += size


def last_row_number(file: IO[bytes]) -> int:
    """Return the greatest sequence number of a Parquet file by its statistics, 0 where they do not say it."""
    try:
        with _parquet(file) as table:
            column = table.schema_arrow.get_field_index(AT)
            groups = [table.metadata.row_group(group).column(column) for group in range(table.num_row_groups)]
            return max((int(g.statistics.max) for g in groups if g.statistics and g.statistics.has_min_max), default=0)
    except StorageError:
        return 0


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
        return _of_these_columns(_fitted(pa.concat_tables(parts), stored), table.schema_arrow.names)


def _of_these_columns(rows: pa.Table, names: Iterable[str]) -> pa.Table:
    """Return records read from columns ``names``, without their checksums where those are of other columns."""
    if {*names} == {*rows.column_names}:
        return rows
    return rows.set_column(rows.schema.get_field_index(CRC), CRC, pa.nulls(len(rows), pa.string()))


def _fitted(rows: pa.Table, wanted: pa.Schema) -> pa.Table:
    """Return ``rows`` in exactly the columns ``wanted``; what they lack is null."""
    columns = [rows[f.name] if f.name in rows.column_names else pa.nulls(len(rows), f.type) for f in wanted]
    return pa.table(columns, wanted.names).cast(wanted)


@contextmanager
def _parquet(file: IO[bytes]) -> Iterator[pq.ParquetFile]:
    with reading(file, _UNREADABLE):
        yield open_file(file, _UNREADABLE)


def lines_in(file: IO[bytes], wanted: pa.Schema, damage: Counter[str]) -> Found:
    """Yield the columns ``wanted`` of a segment's whole records in pieces, with the place and the size of each line.

    Lines that are torn, or do not fit their checksum, are counted in ``damage``.
    """
    rest, at = b"", 0
    while piece := file.read(_BLOCK):
        block, newline, new = (rest + piece).rpartition(b"\n")
        if newline:
            yield _block(block, at, wanted, str(file.name), damage)
            at += len(block) + 1
        rest = new
    if rest:
        yield _block(rest, at, wanted, str(file.name), damage)


def _block(
    block: bytes, at: int, wanted: pa.Schema, name: str, damage: Counter[str]
) -> tuple[pa.Table, _Numbers, _Numbers]:
    """Return the columns ``wanted`` of a block of lines that begins at byte ``at``; broken lines are left out."""
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
    starts, ends = np.concatenate([[0], ends + 1]), np.concatenate([ends, [len(block)]])
    starts, ends = starts[ends > starts], ends[ends > starts]
    lines, rows = block, None
    checked = name.endswith(CHECKED)
    if checked and all(is_intact(block[a:b]) for a, b in zip(starts.tolist(), ends.tolist(), strict=True)):
        rows = _parsed(block, int(max(ends - starts, default=0)), wanted)
    elif not checked:
        rows = _parsed_whole(block, starts, ends, wanted)
    if rows is None:
        starts, ends = _whole_lines(block, starts, ends, wanted.names[0], name, damage)
        lines = b"\n".join(block[start:end] for start, end in zip(starts, ends, strict=True))
        try:
            rows = _parsed(lines, int(max(ends - starts, default=0)), wanted)
        except pa.ArrowException as error:
            raise StorageError(f"a record does not fit its columns: {error}", record=name) from error
    return rows, starts + at, ends - starts


def _parsed_whole(block: bytes, starts: _Numbers, ends: _Numbers, wanted: pa.Schema) -> pa.Table | None:
    """Return the columns ``wanted`` of a block of lines without checksums, None where some are no records."""
    try:
        block.decode()
        rows = _parsed(block, int(max(ends - starts, default=0)), wanted)
    except (pa.ArrowException, UnicodeDecodeError):
        return None
    whole = len(rows) == len(starts) and not rows[wanted.names[0]].null_count and not rows[AT].null_count
    return rows if whole else None


def _whole_lines(
    block: bytes, starts: _Numbers, ends: _Numbers, key: str, name: str, damage: Counter[str]
) -> tuple[_Numbers, _Numbers]:
    """Return where the whole records of a block with broken lines stand, also those joined with a broken one."""
    checked, found = name.endswith(CHECKED), []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        line = block[start:end]
        parts = list(intact_parts(line, key, checked))
        found += [(start + first, start + last) for first, last in parts]
        if sum(last - first for first, last in parts) < len(line) - len(parts) + 1:  # more than lost line breaks
            damage[name] += 1
    pairs = np.array(found, np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def lines_at(file: IO[bytes], places: _Numbers, sizes: _Numbers, stored: pa.Schema) -> pa.Table:
    """Return the records that stand at ``places`` of a segment."""
    number = file.fileno()
    lines = [os.pread(number, size, place) for place, size in zip(places.tolist(), sizes.tolist(), strict=True)]
    try:
        return _of_these_columns(_parsed(b"\n".join(lines), int(max(sizes)), stored), json.loads(lines[0]))
    except pa.ArrowException as error:
        raise StorageError(f"a record does not fit its columns: {error}", record=str(file.name)) from error


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
