"""From an isA file to indexed files, in memory that does not grow with the file.

Lines are parsed in blocks and spilled into hash buckets of their instance; each bucket is then summed and sorted by
itself. Two threads work at a time: Arrow and NumPy leave the interpreter's lock while they do.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mindkg.errors import InputError
from mindkg.link import index, stored
from mindkg.link.index import Rows
from mindkg.link.rows import ROWS, Block, Order, parse_block, read_blocks
from mindkg.parquet import writer

INSTANCES: Final = (("concept", True), ("count", False))
CONCEPTS: Final = (("total", False), ("instances", False))
"""Columns of the two files and whether they hold strings."""

_TOTALS: Final = pa.schema([("concept", pa.string()), ("total", pa.int64()), ("instances", pa.int64())])
_REJECTS: Final = pa.schema(
    [("line", pa.int64()), ("reason", pa.string()), ("detail", pa.string()), ("text", pa.string())]
)
_T = TypeVar("_T")
_R = TypeVar("_R")


def convert(source: Path, folder: Path, order: Order, progress: Callable[[int], None] | None) -> None:
    """Convert the isA file ``source`` into ``folder``, which appears when it is whole.

    Raises InputError where no row is sound.
    """
    _sweep(folder.parent)
    beside = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        meta = _spill(source, beside, order, progress)
        if not meta["rows"]:
            raise _no_row(source)
        meta |= _write(beside)
        for spill in beside.glob("*.arrow"):
            spill.unlink()
        (beside / "meta.json").write_text(json.dumps(meta, sort_keys=True), encoding="utf-8")
        try:
            beside.rename(folder)
        except OSError:
            # another process was faster with the same content
            if not (folder / "meta.json").is_file():
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def check_rows(source: Path, order: Order) -> None:
    """Raise InputError where the first block of the isA file ``source`` has no sound row."""
    for data, cut in read_blocks(source):
        if not parse_block(data, 1, order, cut).rows.num_rows:
            raise _no_row(source)
        return
    raise _no_row(source)


def _no_row(source: Path) -> InputError:
    hint = "Its lines must be concept TAB instance TAB count (or instance first, with the option for it)"
    return InputError("this file holds no row of an isA table", record=str(source), hint=hint)


def _sweep(home: Path) -> None:
    """Remove what conversions left in ``home`` whose processes are gone."""
    for part in home.glob("*.*.part"):
        process = part.name.split(".")[-2]
        if process.isdigit() and not _alive(int(process)):
            shutil.rmtree(part, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def _spill(source: Path, folder: Path, order: Order, progress: Callable[[int], None] | None) -> dict[str, int]:
    kept = refused = line = 0
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(2))
        files = [
            stack.enter_context(pa.ipc.new_stream(folder / f"{bucket}.arrow", ROWS)) for bucket in range(stored.BUCKETS)
        ]
        rejects = stack.enter_context(writer(folder / "rejects.parquet", _REJECTS))

        def jobs() -> Iterator[tuple[bytes, int, bool]]:
            nonlocal line
            for data, cut in read_blocks(source):
                yield data, line + 1, cut
                line += data.count(b"\n") + (not data.endswith(b"\n"))

        def parse(job: tuple[bytes, int, bool]) -> tuple[Block, list[tuple[int, pa.Table]]]:
            block = parse_block(job[0], job[1], order, job[2])
            return block, list(index.split(block.rows))

        for block, parts in _ahead(threads, parse, jobs()):
            for bucket, rows in parts:
                files[bucket].write_table(rows)
            if block.rejects.num_rows:
                rejects.write_table(block.rejects)
            kept += block.rows.num_rows
            refused += block.rejects.num_rows
            if progress:
                progress(kept + refused)
    return {"rows": kept, "rejected": refused}


def _write(folder: Path) -> dict[str, int]:
    counts = {"pairs": 0, "instances": 0, "concepts": 0}
    concepts = _ConceptTotals()

    def read(bucket: int) -> tuple[int, Rows]:
        path = folder / f"{bucket}.arrow"
        with pa.memory_map(str(path)) as file:
            return bucket, sum_pairs(pa.ipc.open_stream(file).read_all())

    def sums() -> Iterator[tuple[int, Rows]]:
        with ThreadPoolExecutor(1) as threads:
            for bucket, rows in _ahead(threads, read, range(stored.BUCKETS), 1):
                if len(rows.labels):
                    counts["pairs"] += int(rows.start[-1])
                    counts["instances"] += len(rows.labels)
                    concepts.add(*rows.columns)
                    yield bucket, rows

    index.write(folder / "instances.index", INSTANCES, sums())
    totals = concepts.result()
    counts["concepts"] = totals.num_rows
    index.write(folder / "concepts.index", CONCEPTS, _by_bucket(totals))
    return counts


def _by_bucket(totals: pa.Table) -> Iterator[tuple[int, Rows]]:
    for bucket, table in index.split(totals):
        labels, total, instances = (column.combine_chunks() for column in table.columns)
        yield bucket, Rows(labels, np.arange(len(labels) + 1), (total, instances))


def _ahead(threads: ThreadPoolExecutor, work: Callable[[_T], _R], jobs: Iterable[_T], depth: int = 2) -> Iterator[_R]:
    """Yield ``work(job)`` in the order of ``jobs``, with ``depth`` of them under way."""
    waiting: deque[Future[_R]] = deque()
    for job in jobs:
        waiting.append(threads.submit(work, job))
        if len(waiting) > depth:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def sum_pairs(rows: pa.Table) -> Rows:
    """Return ``rows`` (instance, concept, count) by instance, with equal pairs added up, sorted by both."""
    instances, instance = _codes(rows.column("instance"))
    concepts, concept = _codes(rows.column("concept"))
    both = instance * len(concepts) + concept
    order = np.argsort(both, kind="stable")
    both = both[order]
    first = np.flatnonzero(np.diff(both, prepend=-1))
    count = np.add.reduceat(rows.column("count").to_numpy()[order], first) if len(first) else first
    instance, concept = np.divmod(both[first], max(len(concepts), 1))
    start = np.searchsorted(instance, np.arange(len(instances) + 1))
    return Rows(instances, start, (pa.DictionaryArray.from_arrays(concept.astype(np.int32), concepts), count))


def _codes(column: pa.ChunkedArray) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """Return the distinct strings in order, and for each row the place of its string among them."""
    encoded: Any = column.combine_chunks().dictionary_encode()
    order = pa.compute.sort_indices(encoded.dictionary).to_numpy()
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return encoded.dictionary.take(pa.array(order)), place[encoded.indices.to_numpy()]


class _ConceptTotals:
    """Sums by concept over all buckets, folded together whenever they have doubled."""

    def __init__(self) -> None:
        self._done = _TOTALS.empty_table()
        self._new: list[pa.Table] = []
        self._waiting = 0

    def add(self, concepts: pa.DictionaryArray, count: npt.NDArray[np.int64]) -> None:
        code, size = concepts.indices.to_numpy(), len(concepts.dictionary)
        total = np.zeros(size, np.int64)
        np.add.at(total, code, count)
        self._new.append(pa.table([concepts.dictionary, total, np.bincount(code, minlength=size)], schema=_TOTALS))
        self._waiting += size
        if self._waiting > 1_000_000 + self._done.num_rows:
            self._fold()

    def _fold(self) -> None:
        grouped = pa.concat_tables([self._done, *self._new]).group_by("concept", use_threads=False)
        summed = grouped.aggregate([("total", "sum"), ("instances", "sum")])
        self._done, self._new, self._waiting = summed.rename_columns(_TOTALS.names).cast(_TOTALS), [], 0

    def result(self) -> pa.Table:
        self._fold()
        return self._done.sort_by("concept")
