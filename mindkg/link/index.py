"""Look-ups of many labels at once in an indexed file (stored.py says how it is laid out), and how it is written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.link.stored import ALIGNED, BUCKETS, Stored

_FEW: Final = 100
"""Labels of a bucket that are searched for one by one; for more, all labels of the bucket are read."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """The rows of a bucket: sorted labels, the first row of each (and the number of rows), and the columns.

    A column is an array of numbers, or a dictionary array of strings.
    """

    labels: pa.Array
    start: Ints
    columns: Sequence[Any]


def buckets(labels: pa.Array) -> npt.NDArray[np.uint8]:
    """Return stored.bucket_of each string of ``labels``.

    >>> buckets(pa.array(["cable", "usb cable"])).tolist()
    [18, 59]
    """
    if len(labels) == 0:
        return np.empty(0, np.uint8)
    offsets = np.frombuffer(labels.buffers()[1], np.int32)[labels.offset : labels.offset + len(labels) + 1]
    offsets = offsets.astype(np.int64)
    data = np.frombuffer(labels.buffers()[2] or b"", np.uint8)
    padded = np.concatenate((data[offsets[0] : offsets[-1]], np.zeros(8, np.uint8)))
    starts, ends = offsets[:-1] - offsets[0], offsets[1:] - offsets[0]
    words = np.lib.stride_tricks.sliding_window_view(padded, 8)
    length = ends - starts
    mask = np.uint64(0xFFFFFFFFFFFFFFFF) >> (8 * (8 - np.minimum(length, 8)) % 64).astype(np.uint64)
    mask[length == 0] = 0
    head = np.ascontiguousarray(words[starts]).view("<u8").ravel() & mask
    tail = np.ascontiguousarray(words[np.maximum(ends - 8, starts)]).view("<u8").ravel() & mask
    mixed = head * np.uint64(0x9E3779B97F4A7C15) ^ (tail + length.astype(np.uint64)) * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    found: npt.NDArray[np.uint8] = (mixed >> np.uint64(58)).astype(np.uint8)
    return found


def split(table: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """Yield (bucket, its rows) of ``table`` by its first column, rows in the order they had."""
    table = table.combine_chunks()
    if table.num_rows == 0:
        return
    which = buckets(_whole(table.column(0)))
    order = np.argsort(which, kind="stable")
    bounds = np.searchsorted(which[order], np.arange(BUCKETS + 1))
    taken = table.take(pa.array(order))
    for bucket in range(BUCKETS):
        if bounds[bucket] < bounds[bucket + 1]:
            yield bucket, taken.slice(bounds[bucket], bounds[bucket + 1] - bounds[bucket])


def write(path: Path, columns: Sequence[tuple[str, bool]], tables: Iterable[tuple[int, Rows]]) -> None:
    """Write ``tables``, one (bucket, its rows) after the other; ``columns`` are names and whether they are strings."""
    arrays: dict[int, dict[str, tuple[int, int]]] = {}
    with path.open("wb") as file:
        for bucket, rows in tables:
            places = arrays[bucket] = {}
            _write_strings(file, places, "key", "key.text", rows.labels)
            places["start"] = _append(file, rows.start.astype("<i4"))
            for (name, strings), values in zip(columns, rows.columns, strict=True):
                if strings:
                    places[name] = _append(file, values.indices.to_numpy().astype("<i4", copy=False))
                    _write_strings(file, places, f"{name}.label", f"{name}.text", values.dictionary)
                else:
                    places[name] = _append(file, np.asarray(values).astype("<i8", copy=False))
        directory = json.dumps({"columns": columns, "arrays": arrays}).encode()
        file.write(directory + len(directory).to_bytes(8, "little"))


def _write_strings(
    file: IO[bytes], places: dict[str, tuple[int, int]], offsets: str, text: str, labels: pa.Array
) -> None:
    bounds = np.frombuffer(labels.buffers()[1], np.int32)[labels.offset : labels.offset + len(labels) + 1]
    places[offsets] = _append(file, (bounds - bounds[0]).astype("<i4", copy=False))
    data = labels.buffers()[2]
    places[text] = _append(file, np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]] if data else b"")


def _append(file: IO[bytes], data: Any) -> tuple[int, int]:
    place = file.tell()
    size = file.write(data)
    file.write(bytes(-size % ALIGNED))
    return place, size


class Index:
    """An indexed file, open for look-ups of many labels; safe to use from several threads.

    Where ``summed`` names a column of numbers, rows have the sum of it over all rows of their label as "total".
    """

    def __init__(self, path: Path, key: str, summed: str | None = None) -> None:
        self._stored = Stored(path)
        self._summed = [name for name, _ in self._stored.columns].index(summed) if summed else None
        fields = [(name, pa.string() if strings else pa.int64()) for name, strings in self._stored.columns]
        self._schema = pa.schema([(key, pa.string()), *fields, *([("total", pa.int64())] if summed else [])])

    def lookup(self, labels: pa.Array | list[str], among: pa.Array | None = None) -> pa.Table:
        """Return the rows of ``labels``, sorted by them and then as they were written.

        With ``among`` only those whose first column, one of strings, has one of these.
        """
        wanted = pc.unique(pa.array(labels, pa.string()) if isinstance(labels, list) else labels).drop_null()
        jobs = [
            (bucket, _whole(rows.column(0)))
            for bucket, rows in split(pa.table({"label": wanted}))
            if self._stored.holds(bucket)
        ]
        with ThreadPoolExecutor(2) as threads:
            parts = [
                part for part in threads.map(lambda job: self._read(job[0], job[1], among), jobs) if len(part.labels)
            ]
        if not parts:
            return self._schema.empty_table()
        every = pa.concat_arrays([part.labels for part in parts])
        order = pc.sort_indices(every).to_numpy()
        widths = np.concatenate([np.diff(part.start) for part in parts])
        begins = np.cumsum(widths) - widths
        rows = pa.array(ranges(begins[order], widths[order]))
        columns = [
            pa.concat_arrays([part.columns[number] for part in parts]).take(rows)
            for number in range(len(self._schema) - 1)
        ]
        return pa.table([every.take(pa.array(np.repeat(order, widths[order]))), *columns], schema=self._schema)

    def _read(self, bucket: int, wanted: pa.Array, among: pa.Array | None) -> Rows:
        """Return the rows of the labels ``wanted`` that are there."""
        keys = self._strings(bucket, "key", "key.text")
        places = self._places(bucket, keys, wanted)
        start = self._numbers(bucket, "start", "<i4")
        begin = start[places].astype(np.int64)
        width = start[places + 1] - begin
        rows = ranges(begin, width)
        more: list[Any] = []
        if self._summed is not None and len(rows):
            values = self._numbers(bucket, self._stored.columns[self._summed][0], "<i8")[rows]
            more = [np.repeat(np.add.reduceat(values, np.cumsum(width) - width), width)]
        if among is not None and len(rows):
            kept = self._among(bucket, among)[rows]
            width = np.add.reduceat(kept.astype(np.int64), np.cumsum(width) - width)
            rows, more = rows[kept], [values[kept] for values in more]
        columns = [self._column(bucket, name, strings, rows) for name, strings in self._stored.columns]
        columns += [pa.array(values, pa.int64()) for values in more or [[]] * (self._summed is not None)]
        labels = keys.take(pa.array(places))
        if len(wanted) > _FEW:
            self._stored.forget(bucket)
        return Rows(labels, np.concatenate(([0], np.cumsum(width))), columns)

    def _places(self, bucket: int, keys: pa.Array, wanted: pa.Array) -> Ints:
        if len(wanted) > _FEW:
            return np.flatnonzero(np.asarray(pc.is_in(keys, wanted)))
        met = (self._stored.find(bucket, label.encode()) for label in wanted.to_pylist())
        return np.array(sorted(place for place in met if place is not None), np.int64)

    def _among(self, bucket: int, labels: pa.Array) -> npt.NDArray[np.bool_]:
        """Return of each row whether its first column has one of ``labels``."""
        name, _ = self._stored.columns[0]
        known = np.asarray(pc.is_in(self._strings(bucket, f"{name}.label", f"{name}.text"), labels))
        found: npt.NDArray[np.bool_] = known[self._numbers(bucket, name, "<i4")]
        return found

    def _column(self, bucket: int, name: str, strings: bool, rows: Ints) -> pa.Array:
        if not strings:
            return pa.array(self._numbers(bucket, name, "<i8")[rows], pa.int64())
        codes = self._numbers(bucket, name, "<i4")[rows]
        return self._strings(bucket, f"{name}.label", f"{name}.text").take(pa.array(codes))

    def _numbers(self, bucket: int, name: str, kind: str) -> npt.NDArray[Any]:
        place, size = self._stored.array(bucket, name)
        return np.frombuffer(self._stored.data, kind, size // int(kind[-1]), place)

    def _strings(self, bucket: int, offsets: str, text: str) -> pa.Array:
        whole = pa.py_buffer(self._stored.data)
        bounds, characters = (whole.slice(*self._stored.array(bucket, name)) for name in (offsets, text))
        return pa.StringArray.from_buffers(bounds.size // 4 - 1, bounds, characters)


def ranges(begins: Ints, widths: Ints) -> Ints:
    """Return the numbers begin, begin + 1, ... (width of them) of each range, one range behind the other.

    >>> ranges(np.array([5, 9]), np.array([3, 1])).tolist()
    [5, 6, 7, 9]
    """
    ends = np.cumsum(widths)
    found: Ints = np.arange(ends[-1] if len(ends) else 0) + np.repeat(begins - ends + widths, widths)
    return found


def _whole(column: Any) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
