"""The requests of a pass as they were planned, on disk: what each asked about, by its key."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from mindkg.distill.requests import Request

if TYPE_CHECKING:
    import daft

SCHEMA: Final = pa.schema(
    [
        ("key", pa.string()),
        ("product_id", pa.string()),
        ("cobuy_id", pa.string()),
        ("relation", pa.string()),
        ("generation_id", pa.string()),
        ("sample", pa.int64()),
        ("pictures", pa.int64()),
        ("characters", pa.int64()),
    ]
)
"""``pictures`` is how many the request carries, ``characters`` how long its words are."""

_ROWS: Final = 10_000
_OFTEN: Final = 0.1


class Planned:
    """A plan that writes down what is drawn from it. ``requests`` is read once; then ``frame`` has all its rows.

    ``progress`` is told how many requests were drawn since it was told before, ten times a second.
    """

    def __init__(self, requests: Iterable[Request], file: Path, progress: Callable[[int], None]) -> None:
        self.rows = 0
        self._file = file
        self._requests = requests
        self._progress = progress

    def requests(self) -> Iterator[Request]:
        """Yield the requests; those that were drawn are on disk when the last one is, or when this is closed."""
        waiting: list[tuple[Any, ...]] = []
        told, last = 0, time.monotonic()
        with pq.ParquetWriter(self._file, SCHEMA, compression="lz4") as writer:
            try:
                for request in self._requests:
                    waiting.append(_row(request))
                    if len(waiting) == _ROWS:
                        _write(writer, waiting)
                    self.rows += 1
                    yield request
                    if time.monotonic() - last > _OFTEN:
                        self._progress(self.rows - told)
                        told, last = self.rows, time.monotonic()
            finally:
                _write(writer, waiting)
        self._progress(self.rows - told)

    def frame(self) -> daft.DataFrame:
        """Return what was drawn, in columns of ``SCHEMA``: a row for each request, so a key may stand there twice."""
        from mindkg.engine import read_parquet

        return read_parquet(self._file)


def _row(request: Request) -> tuple[Any, ...]:
    subject, prompt = request.subject, request.prompt
    named = (subject.product_id, subject.cobuy_id, subject.relation, subject.generation_id, subject.sample)
    return (request.key, *named, len(request.pictures), len(prompt.system) + len(prompt.text))


def _write(writer: pq.ParquetWriter, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        columns = zip(*rows, strict=True)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
        writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))
        rows.clear()
