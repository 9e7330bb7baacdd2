"""An indexed Parquet file: rows in hash buckets of their first column, sorted by it, found without reading the rest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

BUCKETS: Final = 64
_GROUP_ROWS: Final = 1 << 16
_FOOTER: Final = b"mindkg.buckets"


def buckets(labels: pa.Array) -> npt.NDArray[np.uint8]:
    """Return the bucket, 0 to 63, of each string of ``labels``: a hash of its length and its first and last 8 bytes.

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


def write(path: Path, schema: pa.Schema, tables: Iterable[tuple[int, pa.Table]]) -> None:
    """Write ``tables``, one (bucket, sorted rows) after the other, as an indexed file."""
    groups: dict[int, list[int]] = {}
    number = 0
    with pq.ParquetWriter(path, schema, compression="lz4", use_dictionary=_strings(schema)) as writer:
        for bucket, table in tables:
            writer.write_table(table, row_group_size=_GROUP_ROWS)
            count = -(-table.num_rows // _GROUP_ROWS)
            groups[bucket] = list(range(number, number + count))
            number += count
        writer.add_key_value_metadata({_FOOTER: json.dumps(groups).encode()})


def _strings(schema: pa.Schema) -> list[str]:
    return [field.name for field in schema if pa.types.is_string(field.type)]


class Index:
    """An indexed file, open for look-ups by its first column; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        metadata = pq.read_metadata(path)
        self._groups: dict[int, list[int]] = {
            int(bucket): groups for bucket, groups in json.loads(metadata.metadata[_FOOTER]).items()
        }
        self._metadata = metadata
        self._key = metadata.schema.names[0]
        self._schema = metadata.schema.to_arrow_schema().remove_metadata()

    def lookup(self, labels: pa.Array | list[str]) -> pa.Table:
        """Return the rows whose first column is one of ``labels``, sorted by it and then as they were written."""
        wanted = pc.unique(pa.array(labels, pa.string()) if isinstance(labels, list) else labels)
        jobs = [(bucket, _whole(rows.column(0))) for bucket, rows in split(pa.table({"label": wanted}))]
        with ThreadPoolExecutor(2) as threads:
            parts = list(threads.map(lambda job: self._read(*job), jobs))
        found = pa.concat_tables([self._schema.empty_table(), *parts]).combine_chunks()
        return found.take(pc.sort_indices(found, [(self._key, "ascending")])) if found.num_rows else found

    def _read(self, bucket: int, wanted: pa.Array) -> pa.Table:
        groups = [group for group in self._groups.get(bucket, ()) if self._may_hold(group, wanted)]
        if not groups:
            return self._schema.empty_table()
        parts = []
        with pq.ParquetFile(self._path, metadata=self._metadata, read_dictionary=[self._key]) as file:
            for group in groups:
                rows = file.read_row_group(group, use_threads=False)
                keys = rows.column(0).combine_chunks()
                hit = pc.is_in(keys.dictionary, wanted)
                parts.append(rows.filter(hit.take(keys.indices)).cast(self._schema))
        return pa.concat_tables(parts)

    def _may_hold(self, group: int, wanted: pa.Array) -> bool:
        bounds = self._metadata.row_group(group).column(0).statistics
        if bounds is None or not bounds.has_min_max or len(wanted) > 1000:
            return True
        inside = pc.and_(pc.greater_equal(wanted, bounds.min), pc.less_equal(wanted, bounds.max))
        return bool(pc.any(inside).as_py())


def _whole(column: Any) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
