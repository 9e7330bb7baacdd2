"""The temporary Parquet files between reading sources and making tables of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from mindkg.engine import daft, read_parquet
from mindkg.parquet import writer as open_writer
from mindkg.schema import TABLES

STAGED: Final[dict[str, pa.Schema]] = {
    "records": pa.schema(
        [
            *(TABLES["generations"].field(name).remove_metadata() for name in TABLES["generations"].names),
            pa.field("record_hash", pa.string()),
            pa.field("filter_run", pa.string()),
            pa.field("verdict_text", pa.string()),
            pa.field("score", pa.float64()),
        ]
    ),
    "products": pa.schema(
        [
            *((name, pa.string()) for name in ("product_id", "title", "brand", "category", "description", "image")),
            ("domain", pa.string()),
            ("source", pa.string()),
            ("n", pa.int64()),
        ]
    ),
    "cobuys": pa.schema(
        [
            *((name, pa.string()) for name in ("cobuy_id", "product_a", "product_b", "source", "given")),
            ("once", pa.int64()),
            ("each", pa.int64()),
        ]
    ),
    "features": pa.schema([*((name, pa.string()) for name in ("product_id", "run_id", "text")), ("n", pa.int64())]),
    "rejects": pa.schema([field.remove_metadata() for field in TABLES["rejects"]]),
}
"""What is staged: observations that the tables are made of.

Products and features with how often each was seen (``n``), ``domain`` being the category of the row, not of the
product; co-buys with the support that a format gives ``once``
however often it names the pair and that which ``each`` row adds; ``given`` is the source's own key of the pair.
"""


class Staging:
    """A folder of Parquet files for each name of ``schemas``, written batch by batch, read back through Daft."""

    def __init__(self, folder: Path, schemas: Mapping[str, pa.Schema] = STAGED) -> None:
        self.folder = folder
        self._schemas = schemas
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._parts: dict[str, list[Path]] = {}

    def __enter__(self) -> Staging:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()

    def write(self, name: str, table: pa.Table) -> None:
        """Append the rows of ``table`` to those of ``name``."""
        if not len(table):
            return
        if name not in self._writers:
            self._writers[name] = self._open(name)
        self._writers[name].write_table(table.select(self._schemas[name].names).cast(self._schemas[name]))

    def scan(self, name: str) -> daft.DataFrame:
        """Return the rows written so far under ``name``; later ones go into another file."""
        if name in self._writers:
            self._writers.pop(name).close()
        if not self._parts.get(name):
            self._open(name).close()
        return read_parquet(*self._parts[name])

    def _open(self, name: str) -> pq.ParquetWriter:
        parts = self._parts.setdefault(name, [])
        parts.append(self.folder / f"{name}-{len(parts)}.parquet")
        return open_writer(
            parts[-1], self._schemas[name], compression="lz4", use_dictionary=False, write_statistics=False
        )
