"""Records that are written one at a time and must outlive a kill: append-only segments, compacted into one Parquet.

A process appends to a segment of its own, so several write side by side, also on a shared folder. A record is one line
of JSON; a line that was cut off is passed over when it is read, and nothing else with it. Segments whose writers are
gone are compacted into a Parquet file that is named by the hash of its content. (POSIX: writers are told by ``flock``.)
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from mindkg.errors import StorageError

_AT: Final = "_at"
"""When a record was appended, in nanoseconds since 1970: of two records with one key the later one counts."""

_SEGMENT: Final = ".jsonl"
_TABLE: Final = ".parquet"
_LOCK: Final = ".lock"
_TEMPORARY: Final = ".building-"
_GROUP: Final = 0.25
_BLOCK: Final = 1 << 25
_ROWS: Final = 1 << 15
_DIGITS: Final = 32


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
        self._segment: _Segment | None = None
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
            line = _line({self.key: record[self.key], _AT: self._last, **record})
            try:
                if self._segment is None or self._segment.pid != os.getpid():
                    self._segment = _Segment(self.folder)
                self._segment.write(line)
            except OSError as error:
                # what comes next must not stand behind the torn line
                self._segment, torn = None, self._segment
                if torn:
                    torn.abandon()
                raise _failed("write", self.folder, error) from error

    def scan(self) -> pa.Table:
        """Return the record that counts of each key, in columns of the schema, sorted by key."""
        return pa.concat_tables([self.schema.empty_table(), *self.parts()])

    def parts(self) -> Iterator[pa.Table]:
        """Yield what ``scan`` returns a part at a time."""
        with _opened(self.folder, "rb") as files:
            for part in self._read(self._winners(files), files):
                yield part.select(self.schema.names)

    def keys(self) -> pa.ChunkedArray:
        """Return the keys whose record is no failure, sorted, without holding the records in memory."""
        with _opened(self.folder, "rb") as files:
            winners = self._winners(files)
        return winners.filter(pc.invert(winners["failed"]))["key"]

    def digest(self) -> str:
        """Return the hash of what ``scan`` gives; it is only looked up where all is compacted."""
        file = self.compacted()
        if file is not None:
            return file.stem
        content = hashlib.sha256()
        for part in self.parts():
            content.update(_text(part))
        return content.hexdigest()[:_DIGITS]

    def compacted(self) -> Path | None:
        """Return the Parquet file that holds all records, None where there is none or segments hold some too."""
        names = _listed(self.folder)
        return self.folder / names[0] if len(names) == 1 and names[0].endswith(_TABLE) else None

    def compact(self) -> None:
        """Put the segments of this journal and of writers that are gone into one Parquet file, in one step.

        Readers and writers may go on meanwhile. Raises StorageError where that cannot be written; all stays as it was.
        """
        from filelock import FileLock

        self.close()
        if not _listed(self.folder):
            return
        try:
            with FileLock(self.folder / _LOCK):
                for leftover in self.folder.glob(f"{_TEMPORARY}*"):
                    leftover.unlink(missing_ok=True)
                with _opened(self.folder, "r+b", free=True) as files:
                    if any(name.endswith(_SEGMENT) for name in files) or len(files) > 1:
                        self._merge(files)
        except OSError as error:
            raise _failed("compact", self.folder, error) from error

    def close(self) -> None:
        """Bring all to the disk and let go of the segment; a later append begins another."""
        with self._lock:
            segment, self._segment = self._segment, None
            try:
                if segment and segment.pid == os.getpid():
                    segment.close()
            except OSError as error:
                raise _failed("write", self.folder, error) from error

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
                with pq.ParquetWriter(file, self._stored(), compression="zstd") as writer:
                    for part in self._read(winners, files):
                        writer.write_table(part)
                        content.update(_text(part.select(self.schema.names)))
                file.flush()
                os.fsync(file.fileno())
            name = content.hexdigest()[:_DIGITS] + _TABLE
            if len(winners):
                temporary.replace(self.folder / name)
                _sync_folder(self.folder)
        finally:
            temporary.unlink(missing_ok=True)
        for old in files.keys() - {name}:
            (self.folder / old).unlink(missing_ok=True)

    def _stored(self) -> pa.Schema:
        return self.schema.append(pa.field(_AT, pa.int64()))

    def _winners(self, files: Mapping[str, IO[bytes]]) -> pa.Table:
        """Return where the record that counts of each key lies, sorted by key.

        Columns: key, failed, at, source (the number of the file), place (row of a Parquet file, byte of a segment) and
        size (bytes of the line).
        """
        failure = [self.failure] if self.failure else []
        columns = [self.key, _AT, *failure]
        wanted = pa.schema([self._stored().field(name) for name in columns])
        found = [_INDEX.empty_table()]
        for source, (name, file) in enumerate(files.items()):
            for rows, places, sizes in _table_rows(file, wanted) if name.endswith(_TABLE) else _lines(file, wanted):
                failed = pc.is_valid(rows[self.failure]) if self.failure else pa.repeat(False, len(rows))
                sources = np.full(len(rows), source)
                made = [rows[self.key], failed, rows[_AT], sources, places, sizes]
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
                read = _rows_at if name.endswith(_TABLE) else _lines_at
                rows.append(read(file, places[at], sizes[at], stored))
                order.append(at)
            yield pa.concat_tables(rows).take(pa.array(np.argsort(np.concatenate(order)))).combine_chunks()


class _Segment:
    """One process's file: whole lines under a lock that dies with its process, on the disk within half a second."""

    def __init__(self, folder: Path) -> None:
        import fcntl

        folder.mkdir(parents=True, exist_ok=True)
        self.pid = os.getpid()
        while True:
            path = folder / f"{self.pid}-{secrets.token_hex(8)}{_SEGMENT}"
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o666)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            # a compaction takes an empty segment without a lock away
            if os.fstat(self._file).st_nlink:
                break
            os.close(self._file)
        _sync_folder(folder)
        self._error: OSError | None = None
        self._closing, self._dirty = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._sync, name="journal", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Append ``line``; it is one system call unless the disk is full."""
        if self._error:
            raise self._error
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        self._dirty.set()

    def close(self) -> None:
        """Bring all to the disk and release the lock."""
        self.abandon()
        if self._error:
            raise self._error

    def abandon(self) -> None:
        """Release the lock, whatever the disk says."""
        self._closing.set()
        self._dirty.set()
        self._thread.join()
        os.close(self._file)

    def _sync(self) -> None:
        """Bring to the disk what was written, as soon as there is something, but not more often than ``_GROUP``."""
        last = False
        while not last:
            self._dirty.wait()
            self._dirty.clear()
            last = self._closing.is_set()
            try:
                os.fsync(self._file)
            except OSError as error:
                self._error = error
            self._closing.wait(_GROUP)


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

_Numbers = npt.NDArray[np.int64]


@contextmanager
def _opened(folder: Path, mode: str, *, free: bool = False) -> Iterator[dict[str, IO[bytes]]]:
    """Give all files of a folder at one moment, open, by name; with ``free`` without the segments of others.

    What is open stays readable when a compaction removes it.
    """
    with ExitStack() as stack:
        for _ in range(100):
            names, files = _listed(folder), {}
            try:
                for name in names:
                    files[name] = stack.enter_context((folder / name).open(mode))
            except FileNotFoundError:
                names = []
            except OSError as error:
                raise _failed("read", folder, error) from error
            # while a compaction swaps files, a listing may show neither the old nor the new
            if list(files) == names == _listed(folder):
                yield {name: file for name, file in files.items() if not free or _is_free(folder / name, file)}
                return
            stack.close()
        raise StorageError("the files change all the time", record=str(folder), hint="Try again later")


def _is_free(path: Path, file: IO[bytes]) -> bool:
    """Return whether a file's writer is gone, and hold its lock; an empty segment is removed."""
    import fcntl

    if path.suffix == _TABLE:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    if os.fstat(file.fileno()).st_size:
        return True
    path.unlink(missing_ok=True)
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def _listed(folder: Path) -> list[str]:
    """Return the names of the segments and Parquet files of a folder, sorted."""
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _failed("read", folder, error) from error
    return sorted(name for name in names if name.endswith((_SEGMENT, _TABLE)) and not name.startswith("."))


def _table_rows(file: IO[bytes], wanted: pa.Schema) -> Iterator[tuple[pa.Table, _Numbers, _Numbers]]:
    """Yield the columns ``wanted`` of a Parquet file in pieces, with their row numbers."""
    with _parquet(file) as table:
        start = 0
        for group in range(table.num_row_groups):
            rows = _fitted(table.read_row_group(group, columns=wanted.names), wanted)
            yield rows, np.arange(start, start + len(rows)), np.zeros(len(rows), np.int64)
            start += len(rows)


def _rows_at(file: IO[bytes], places: _Numbers, sizes: _Numbers, stored: pa.Schema) -> pa.Table:
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
    try:
        yield pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise StorageError(f"a table of records cannot be read: {error}", record=file.name) from error


def _lines(file: IO[bytes], wanted: pa.Schema) -> Iterator[tuple[pa.Table, _Numbers, _Numbers]]:
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
        whole = len(rows) == len(starts) and not rows[wanted.names[0]].null_count and not rows[_AT].null_count
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
    return isinstance(record, dict) and isinstance(record.get(key), str) and isinstance(record.get(_AT), int)


def _lines_at(file: IO[bytes], places: _Numbers, sizes: _Numbers, stored: pa.Schema) -> pa.Table:
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


def _text(rows: pa.Table) -> pa.Buffer:
    """Return ``rows`` as bytes that do not depend on how they lie in memory: CSV, in which null is not ''."""
    sink = pa.BufferOutputStream()
    pc_csv.write_csv(rows, sink, pc_csv.WriteOptions(include_header=False))
    return sink.getvalue()


def _line(record: Mapping[str, Any]) -> bytes:
    """Return ``record`` as a line of JSON; half a surrogate pair, which no UTF-8 can hold, becomes U+FFFD."""
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _sync_folder(folder: Path) -> None:
    """Bring the names in ``folder`` to the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _failed(verb: str, folder: Path, error: OSError) -> StorageError:
    hint = "Make room and go on: what was written stays" if verb != "read" else None
    return StorageError(f"cannot {verb} the records: {error.strerror or error}", record=str(folder), hint=hint)
