"""The stage's tables, from the products and what is known of their pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from mindkg.engine import daft, from_arrow, read_parquet, when
from mindkg.images import log as records
from mindkg.parquet import writer
from mindkg.schema import TABLES

STAGE: Final = "images"
_REJECT_TEXT: Final = 500
_URL: Final = 64
"""Characters of a data: URL that its row repeats."""

_JOINED: Final = pa.schema([("product_id", pa.string()), ("image", pa.string()), *list(records.LOG)[1:]])
col, lit = daft.col, daft.lit
functions = daft.functions


@dataclass(frozen=True)
class Pictured:
    """The tables ``images`` and ``rejects``.

    ``read`` products had their picture asked for: ``kept`` is how many pictures are stored, the others are rejects.
    ``unasked`` more have a picture that was not asked for yet, and no row.
    """

    tables: Mapping[str, daft.DataFrame]
    read: int
    kept: int
    unasked: int


def tables_of(products: daft.DataFrame, log: pa.Table, staging: Path) -> Pictured:
    """Return the tables; ``staging`` is an empty folder that they are read from, delete it after them."""
    named = records.named(products)
    known = _staged(named.join(from_arrow(log), on="name").select(*_JOINED.names).to_arrow_iter(), staging)
    failed = known.where(col("status") == lit(records.FAILED))
    read = known.count_rows()
    return Pictured(
        tables={"images": _images(known), "rejects": _rejects(failed)},
        read=read,
        kept=read - failed.count_rows(),
        unasked=named.count_rows() - read,
    )


def _staged(batches: Iterable[pa.RecordBatch], staging: Path) -> daft.DataFrame:
    """Return the batches from a file: they are read several times, and may hold large data: URLs."""
    staging.mkdir(parents=True, exist_ok=True)
    file = staging / "pictures.parquet"
    with writer(file, _JOINED, compression="lz4") as staged:
        for batch in batches:
            staged.write_batch(batch.cast(_JOINED))
    return read_parquet(file)


def _images(known: daft.DataFrame) -> daft.DataFrame:
    prefix = functions.substr(col("sha256"), 0, 2)
    path = functions.concat_ws("", lit("images/"), prefix, lit("/"), col("sha256"), lit("."), col("format"))
    nothing = lit(None).cast(daft.DataType.string())
    stored = when(col("status") == lit(records.OK), path).otherwise(nothing)
    return known.with_columns({"url": _url(_URL), "path": stored}).select(*TABLES["images"].names)


def _rejects(failed: daft.DataFrame) -> daft.DataFrame:
    return failed.select(
        lit(STAGE).alias("stage"),
        col("product_id").alias("record"),
        lit("picture_failed").alias("reason"),
        col("reason").alias("detail"),
        functions.substr(col("image"), 0, _REJECT_TEXT).alias("text"),
    )


def _url(most: int) -> daft.Expression:
    """Return the column of what was asked for, a data: URL cut to its beginning."""
    inline = functions.startswith(functions.lower(functions.substr(col("image"), 0, 5)), "data:")
    return when(inline, functions.substr(col("image"), 0, most)).otherwise(col("image"))
