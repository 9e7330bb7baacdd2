"""Records that are written one at a time and must outlive a kill: append-only segments, compacted into one Parquet.

A process appends to a segment of its own, so several write side by side, also on a shared folder. A record is one line
of JSON; a line that was cut off is passed over when it is read, and nothing else with it. Segments whose writers are
gone are compacted into a Parquet file that is named by the hash of its content. (POSIX: writers are told by ``flock``.)
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.journal.records import AT, lines_at, lines_in, rows_at, table_rows, text_of
from mindkg.journal.segments import SEGMENT, TABLE, Segment, line_of, listed, opened, storage_error, sync_folder
from mindkg.parquet import writer

_LOCK: Final = ".lock"
_TEMPORARY: Final = ".building-"
_ROWS: Final = 1 << 15
_DIGITS: Final = 32

_INDEX: Final = pa.schema(
    [
        ("key", pa.large_string()),
        ("failed", pa.bool_()),
        ("at", pa.int64()),
        ("source", pa.int32()),
        ("place", pa.int64()),
        ("size", pa.int32()),
    ]
)
"""Where a record lies: ``source`` is the number of its file, ``place`` the row of a Parquet file or a byte."""


class Journal:
    """The records of one folder: of each ``key`` the last one counts.

    ``schema`` has flat columns only. Where ``failure`` names a column, a record in which it is null beats any in which
    it is not: an answer is not forgotten for an error that came later. Threads may share a journal; a forked process
    goes on in a segment of its own.
    """

    def __init__(self, folder: Path, schema: pa.Schema, key: str, *, failure: str | None = None) -> None:
        self.folder, self.schema, self.key, self.failure = folder.absolute(), schema, key, failure
        self._names = frozenset(schema.names)
        self._lock = threading.Lock()
        self._segment: Segment | None = None
        self._last = 0

    def append(self, record: Mapping[str, Any]) -> None:
        """Write ``record`` in one unbuffered step: a kill behind it loses nothing, a power cut half a second at most.

        Columns that it lacks are null. Raises StorageError where the disk is full or fails; nothing written before is
        touched by that.
        """
        if unknown := record.keys() - self._names:
            raise ValueError(f"no column {min(unknown)!r} in the journal {self.folder}")
        with self._lock:
            self._last = max(time.time_ns(), self._last + 1)
            line = line_of({self.key: record[self.key], AT: self._last, **record})
            try:
                if self._segment is None or self._segment.pid != os.getpid():
                    self._segment = Segment(self.folder)
                self._segment.write(line)
            except OSError as error:
                # what comes next must not stand behind the torn line
                self._segment, torn = None, self._segment
                if torn:
                    torn.abandon()
                raise storage_error("write", self.folder, error) from error

    def scan(self) -> pa.Table:
        """Return the record that counts of each key, in columns of the schema, sorted by key."""
        return pa.concat_tables([self.schema.empty_table(), *self.parts()])

    def parts(self) -> Iterator[pa.Table]:
        """Yield what ``scan`` returns a part at a time."""
        with opened(self.folder, "rb") as files:
            if one := _one_table(files):
                yield from (rows for rows, _, _ in table_rows(one, self.schema))
                return
            for part in self._read(self._winners(files), files):
                yield part.select(self.schema.names)

    def keys(self) -> Iterator[pa.Array]:
        """Yield the keys whose record is no failure, sorted, in pieces, without holding the records in memory."""
        names = [self.key, *([self.failure] if self.failure else [])]
        with opened(self.folder, "rb") as files:
            if one := _one_table(files):
                for rows, _, _ in table_rows(one, pa.schema([self.schema.field(name) for name in names])):
                    kept = rows.filter(pc.is_null(rows[self.failure])) if self.failure else rows
                    yield from kept[self.key].chunks
                return
            winners = self._winners(files)
        yield from winners.filter(pc.invert(winners["failed"]))["key"].chunks

    def digest(self) -> str:
        """Return the hash of what ``scan`` gives; it is only looked up where all is compacted."""
        file = self.compacted()
        if file is not None:
            return file.stem
        content = hashlib.sha256()
        for part in self.parts():
            content.update(text_of(part))
        return content.hexdigest()[:_DIGITS]

    def compacted(self) -> Path | None:
        """Return the Parquet file that holds all records, None where there is none or segments hold some too."""
        names = listed(self.folder)
        return self.folder / names[0] if len(names) == 1 and names[0].endswith(TABLE) else None

    def compact(self) -> None:
        """Put the segments of this journal and of writers that are gone into one Parquet file, in one step.

        Readers and writers may go on meanwhile. Raises StorageError where that cannot be written; all stays as it was.
        """
        from filelock import FileLock

        self.close()
        if not listed(self.folder):
            return
        try:
            with FileLock(self.folder / _LOCK):
                for leftover in self.folder.glob(f"{_TEMPORARY}*"):
                    leftover.unlink(missing_ok=True)
                with opened(self.folder, "r+b", free=True) as files:
                    if any(name.endswith(SEGMENT) for name in files) or len(files) > 1:
                        self._merge(files)
        except OSError as error:
            raise storage_error("compact", self.folder, error) from error

    def close(self) -> None:
        """Bring all to the disk and let go of the segment; a later append begins another."""
        with self._lock:
            segment, self._segment = self._segment, None
            try:
                if segment and segment.pid == os.getpid():
                    segment.close()
            except OSError as error:
                raise storage_error("write", self.folder, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _merge(self, files: Mapping[str, IO[bytes]]) -> None:
        """Write the records that count of ``files`` as one Parquet file and remove ``files``."""
        temporary = self.folder / f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}"
        content, winners = hashlib.sha256(), self._winners(files)
        try:
            with temporary.open("wb") as file:
                with writer(file, self._stored()) as table:
                    for part in self._read(winners, files):
                        table.write_table(part)
                        content.update(text_of(part.select(self.schema.names)))
                file.flush()
                os.fsync(file.fileno())
            name = content.hexdigest()[:_DIGITS] + TABLE
            if len(winners):
                temporary.replace(self.folder / name)
                sync_folder(self.folder)
        finally:
            temporary.unlink(missing_ok=True)
        for old in files.keys() - {name}:
            (self.folder / old).unlink(missing_ok=True)

    def _stored(self) -> pa.Schema:
        return self.schema.append(pa.field(AT, pa.int64()))

    def _winners(self, files: Mapping[str, IO[bytes]]) -> pa.Table:
        """Return where the record that counts of each key lies, sorted by key.

        Columns: key, failed, at, source (the number of the file), place (row of a Parquet file, byte of a segment) and
        size (bytes of the line).
        """
        failure = [self.failure] if self.failure else []
        columns = [self.key, AT, *failure]
        wanted = pa.schema([self._stored().field(name) for name in columns])
        found = [_INDEX.empty_table()]
        for source, (name, file) in enumerate(files.items()):
            for rows, places, sizes in table_rows(file, wanted) if name.endswith(TABLE) else lines_in(file, wanted):
                failed = pc.is_valid(rows[self.failure]) if self.failure else pa.repeat(False, len(rows))
                sources = np.full(len(rows), source)
                made = [rows[self.key], failed, rows[AT], sources, places, sizes]
                found.append(pa.table(made, _INDEX.names).cast(_INDEX))
        index = pa.concat_tables(found)
        order = [("key", "ascending"), ("failed", "ascending"), ("at", "descending")]
        index = index.take(pc.sort_indices(index, order)).combine_chunks()
        keys = index["key"].combine_chunks() if index["key"].num_chunks != 1 else index["key"].chunk(0)
        first = np.ones(len(keys), bool)
        if len(keys) > 1:
            first[1:] = pc.not_equal(keys.slice(1), keys.slice(0, len(keys) - 1)).to_numpy(zero_copy_only=False)
        return index.filter(pa.array(first))

    def _read(self, winners: pa.Table, files: Mapping[str, IO[bytes]]) -> Iterator[pa.Table]:
        """Yield the records that ``winners`` points to, in their order, a part at a time."""
        stored, open_files = self._stored(), list(files.items())
        for start in range(0, len(winners), _ROWS):
            part = winners.slice(start, _ROWS)
            sources, places = part["source"].to_numpy(), part["place"].to_numpy()
            sizes, rows, order = part["size"].to_numpy(), [], []
            for source in np.unique(sources):
                name, file = open_files[source]
                at = np.flatnonzero(sources == source)
                at = at[np.argsort(places[at])]
                read = rows_at if name.endswith(TABLE) else lines_at
                rows.append(read(file, places[at], sizes[at], stored))
                order.append(at)
            yield pa.concat_tables(rows).take(pa.array(np.argsort(np.concatenate(order)))).combine_chunks()


def _one_table(files: Mapping[str, IO[bytes]]) -> IO[bytes] | None:
    """Return the Parquet file that all records lie in, sorted and each key once; None where there are more files."""
    names = list(files)
    return files[names[0]] if len(names) == 1 and names[0].endswith(TABLE) else None
