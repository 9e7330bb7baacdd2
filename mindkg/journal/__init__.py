"""Records that are written one at a time and must outlive a kill: append-only segments, compacted into one Parquet.

A process appends to a segment of its own, so several write side by side, also on a shared folder. A record is one line
of JSON with a checksum; one that is torn or damaged is passed over when it is read, and counted. Segments whose writers
are gone are compacted into a Parquet file that is named by the hash of its content and that of its bytes. (POSIX:
writers are told by ``flock``.)
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.checksums import VERIFIED, Checksum, Verified, checksum, checksum_of, mark_of
from mindkg.journal.lines import AT, CRC, crc_of, last_number, line_of
from mindkg.journal.records import Found, intact_rows, last_row_number, lines_at, lines_in, rows_at, table_rows, text_of
from mindkg.journal.segments import CHECKED, DAMAGED, TABLE, Segment, listed, opened, storage_error, sync_folder
from mindkg.parquet import writer

_LOCK: Final = ".lock"
_TEMPORARY: Final = ".building-"
_ROWS: Final = 1 << 15
_GROUP: Final = 1 << 12
"""Rows of a row group of a Parquet file: so many are lost with a damaged one."""

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

    ``schema`` has flat columns only, ``key`` first. Where ``failure`` names a column, a record in which it is null
    beats any in which it is not: an answer is not forgotten for an error that came later. Threads may share a journal;
    a forked process goes on in a segment of its own.
    """

    def __init__(self, folder: Path, schema: pa.Schema, key: str, *, failure: str | None = None) -> None:
        self.folder, self.schema, self.key, self.failure = folder.absolute(), schema, key, failure
        self._names = frozenset(schema.names)
        self._lock = threading.Lock()
        self._segment: Segment | None = None
        self._last = 0
        self._verified = Verified(self.folder / VERIFIED)
        self.damage: Counter[str] = Counter()
        """How many records were torn or damaged in each file that was read, by its path."""

    def append(self, record: Mapping[str, Any]) -> None:
        """Write ``record`` in one unbuffered step: a kill behind it loses nothing, a power cut half a second at most.

        Columns that it lacks are null. Raises StorageError where the disk is full or fails; nothing written before is
        touched by that.
        """
        if unknown := record.keys() - self._names:
            raise ValueError(f"no column {min(unknown)!r} in the journal {self.folder}")
        with self._lock:
            try:
                if self._segment is None or self._segment.pid != os.getpid():
                    self._segment = Segment(self.folder)
                    self._last = max(self._last, self._newest())
                self._last = max(time.time_ns(), self._last + 1)
                self._segment.write(line_of({**record, AT: self._last}, self._plain()))
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
            if one := self._one_table(files):
                yield from (rows for rows, _, _ in table_rows(one, self.schema))
                return
            for part in self._read(self._winners(files), files):
                yield part.select(self.schema.names)

    def keys(self) -> Iterator[pa.Array]:
        """Yield the keys whose record is no failure, sorted, in pieces, without holding the records in memory."""
        names = [self.key, *([self.failure] if self.failure else [])]
        with opened(self.folder, "rb") as files:
            if one := self._one_table(files):
                for rows, _, _ in table_rows(one, pa.schema([self.schema.field(name) for name in names])):
                    kept = rows.filter(pc.is_null(rows[self.failure])) if self.failure else rows
                    yield from kept[self.key].chunks
                return
            winners = self._winners(files)
        yield from winners.filter(pc.invert(winners["failed"]))["key"].chunks

    def keys_where(self, columns: Sequence[str], chosen: Callable[[pa.Table], pa.ChunkedArray]) -> Iterator[pa.Array]:
        """Yield the keys of the records that ``chosen`` is true of, which sees the key and ``columns`` of each."""
        wanted = pa.schema([self.schema.field(name) for name in (self.key, *columns)])
        with opened(self.folder, "rb") as files:
            one = self._one_table(files)
            parts = (rows for rows, _, _ in table_rows(one, wanted)) if one else self._read(self._winners(files), files)
            for part in parts:
                yield from part.filter(chosen(part))[self.key].chunks

    def digest(self) -> str:
        """Return the hash of what ``scan`` gives; it is only looked up where all is compacted."""
        file = self.compacted()
        if file is not None:
            with suppress(FileNotFoundError), file.open("rb") as table:
                if self._is_intact(table):
                    return file.stem.partition("-")[0]
        content = hashlib.sha256()
        for part in self.parts():
            content.update(text_of(part))
        return content.hexdigest()[:_DIGITS]

    def compacted(self) -> Path | None:
        """Return the Parquet file that holds all records, None where there is none or segments hold some too."""
        names = listed(self.folder)
        return self.folder / names[0] if len(names) == 1 and names[0].endswith(TABLE) else None

    def check(self) -> Counter[str]:
        """Read every byte and return how many records are torn or damaged in each file that has such, by its path."""
        with opened(self.folder, "rb") as files:
            for name, file in files.items():
                if name.endswith(TABLE):
                    self._is_intact(file, again=True)
            self._winners(files)
        return +self.damage

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
                    if len(files) > 1 or (files and not self._one_table(files)):
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
                        table.write_table(self._with_checksums(part), row_group_size=_GROUP)
                        content.update(text_of(part.select(self.schema.names)))
                file.flush()
                os.fsync(file.fileno())
            name = f"{content.hexdigest()[:_DIGITS]}-{checksum(temporary).sha256}{TABLE}"
            if len(winners):
                temporary.replace(self.folder / name)
                sync_folder(self.folder)
        finally:
            temporary.unlink(missing_ok=True)
        for old in files.keys() - {name}:
            if self.damage[str(self.folder / old)]:  # perhaps somebody can still read more of it
                (self.folder / old).rename(self.folder / f"{old}{DAMAGED}")
            (self.folder / old).unlink(missing_ok=True)

    def _with_checksums(self, part: pa.Table) -> pa.Table:
        """Return records with the checksums of those that come from a version that wrote none."""
        if not part[CRC].null_count:
            return part
        known = zip(part.select(self._plain().names).to_pylist(), part[CRC].to_pylist(), strict=True)
        made = [crc or crc_of(row, self._plain()) for row, crc in known]
        return part.set_column(part.schema.get_field_index(CRC), CRC, pa.array(made, pa.string()))

    def _newest(self) -> int:
        """Return the greatest sequence number in the folder: of the last record of a segment, or of a footer."""
        numbers = [0]
        with opened(self.folder, "rb") as files:
            for name, file in files.items():
                if name.endswith(TABLE):
                    numbers.append(last_row_number(file))
                else:
                    numbers.append(last_number(file, self.key, name.endswith(CHECKED)))
        return max(numbers)

    def _is_intact(self, file: IO[bytes], *, again: bool = False) -> bool:
        """Return whether a Parquet file has the bytes that its name says; those of older versions say none."""
        name, state = Path(file.name), os.fstat(file.fileno())
        known = Checksum(state.st_size, name.stem.partition("-")[2])
        read = partial(checksum_of, file)
        return not known.sha256 or self._verified.matches(name.name, mark_of(state), known, read, again=again)

    def _one_table(self, files: Mapping[str, IO[bytes]]) -> IO[bytes] | None:
        """Return the intact Parquet file that all records lie in, sorted and each key once; None if there is none."""
        names = list(files)
        one = len(names) == 1 and names[0].endswith(TABLE) and self._is_intact(files[names[0]])
        return files[names[0]] if one else None

    def _plain(self) -> pa.Schema:
        """Return the columns that a checksum is made of."""
        return self.schema.append(pa.field(AT, pa.int64()))

    def _stored(self) -> pa.Schema:
        return self._plain().append(pa.field(CRC, pa.string()))

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
            for rows, places, sizes in self._found(name, file, wanted):
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

    def _found(self, name: str, file: IO[bytes], wanted: pa.Schema) -> Found:
        """Return the columns ``wanted`` of the intact records of a file; the others are counted in ``damage``."""
        self.damage[str(file.name)] = 0
        if not name.endswith(TABLE):
            return lines_in(file, wanted, self.damage)
        if self._is_intact(file):
            return table_rows(file, wanted)
        return intact_rows(file, wanted, self._stored(), self.damage)

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
