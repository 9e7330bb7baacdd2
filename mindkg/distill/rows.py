"""What a pass reads: the rows of a table, a few at a time, however large the row groups of its files are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from mindkg.parquet import open_file, reading

if TYPE_CHECKING:
    import daft

ROWS: Final = 2_000
"""Rows that are in memory at a time."""

_BUFFER: Final = 1 << 20


@dataclass(frozen=True)
class Rows:
    """The rows of files and frames, each without those of some runs: ``sources`` are pairs of both.

    A source is a Parquet file, a folder of such files, or a Daft frame. Files are read page by page: Daft holds whole
    row groups, so a frame takes more memory than the files that it stands for.
    """

    sources: tuple[tuple[Path | daft.DataFrame, frozenset[str]], ...]

    @classmethod
    def of(cls, source: Path | daft.DataFrame | Rows) -> Rows:
        """Return the rows of ``source``."""
        return source if isinstance(source, Rows) else cls(((source, frozenset()),))

    def replaced(self, run_id: str, file: Path) -> Rows:
        """Return these rows with those of ``file`` in place of those of a run."""
        kept = tuple((source, without | {run_id}) for source, without in self.sources)
        return Rows((*kept, (file, frozenset())))

    def batches(self, *columns: str) -> Iterator[pa.RecordBatch]:
        """Yield ``columns`` of the rows, at most ``ROWS`` rows at a time."""
        for source, without in self.sources:
            read = list(dict.fromkeys([*columns, "run_id"] if without else columns))
            for batch in _files(source, read) if isinstance(source, Path) else _frame(source, read):
                kept = batch
                for run in without:
                    kept = kept.filter(pc.not_equal(kept["run_id"], run))
                if kept.num_rows:
                    yield kept.select(columns)


Tables = Mapping[str, Rows]
"""products, cobuys, features, generations, verdicts and, where there are some, images.

``waiting`` has the products whose features are still to come: a column ``product_id``.
"""


def _files(path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
    for file in sorted(path.glob("*.parquet")) if path.is_dir() else [path]:
        with open_file(file, buffer_size=_BUFFER, pre_buffer=False) as opened, reading(file):
            yield from opened.iter_batches(ROWS, columns=columns, use_threads=False)


def _frame(frame: daft.DataFrame, columns: list[str]) -> Iterator[pa.RecordBatch]:
    for batch in frame.select(*columns).to_arrow_iter(results_buffer_size=1):
        yield from (batch.slice(start, ROWS) for start in range(0, batch.num_rows, ROWS))
