"""What is known of each picture: one record a URL in an append-only journal, and the names they go by."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from mindkg.engine import daft
from mindkg.images.picture import Picture, PictureError, is_stored, stored_path
from mindkg.journal import Journal

FOLDER: Final = "images/log"
OK, FAILED = "ok", "failed"

LOG: Final = pa.schema(
    [
        ("name", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("again", pa.bool_()),
        ("rule", pa.string()),
        ("sha256", pa.string()),
        ("format", pa.string()),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("size", pa.int64()),
    ]
)
"""The columns of the journal.

A failed picture is asked for again by the next call where ``again`` is true, and where the option in ``rule`` has
another value then.
"""

_DATA: Final = "^(?i)data:"
col = daft.col


def open_log(root: Path) -> Journal:
    """Return the journal of the KB at ``root``."""
    return Journal(root / FOLDER, LOG, "name")


def names(images: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return what each picture is called in the log, shape (rows,): itself; a data: URL by the hash of its text.

    >>> names(pa.array(["https://a.example/1.jpg", "data:,x"])).to_pylist()
    ['https://a.example/1.jpg', 'data:707ce201c2f97b77e63f9ca88c081b76df5c8ee2']
    """
    flat = images.combine_chunks() if isinstance(images, pa.ChunkedArray) else images
    flat = flat.cast(pa.large_string())
    inline = is_data(flat)
    hashed = [f"data:{hashlib.sha256(t.encode()).hexdigest()[:40]}" for t in flat.filter(inline).to_pylist()]
    return pc.replace_with_mask(flat, inline, pa.array(hashed, pa.large_string()))


def is_data(images: pa.Array) -> pa.Array:
    """Return which of ``images`` are data: URLs, shape (rows,)."""
    return pc.fill_null(pc.match_substring_regex(images, _DATA), False)


@daft.func.batch(return_dtype=daft.DataType.string())
def _names(images: daft.Series) -> object:
    return names(images.to_arrow())


def named(products: daft.DataFrame) -> daft.DataFrame:
    """Return product_id, image and its name in the log, of the products that have one."""
    trimmed = products.select("product_id", daft.functions.strip(col("image")).alias("image"))
    pictured = trimmed.where(col("image").not_null() & (col("image") != daft.lit("")))
    return pictured.with_column("name", _names(col("image")))


def found(name: str, picture: Picture) -> dict[str, Any]:
    """Return the record of a picture that is stored."""
    return {
        "name": name,
        "status": OK,
        "again": False,
        "sha256": picture.sha256,
        "format": picture.format,
        "width": picture.width,
        "height": picture.height,
        "size": picture.size,
    }


def failed(name: str, error: PictureError) -> dict[str, Any]:
    """Return the record of a picture that there is none of."""
    return {"name": name, "status": FAILED, "reason": str(error), "again": error.retryable, "rule": error.rule}


def settled(log: pa.Table, root: Path, rules: Sequence[str]) -> pa.Array:
    """Return the names that need not be asked for: stored and still there, or failed for good under these ``rules``."""
    same = pc.is_in(log["rule"], pa.array(["", *rules]))
    failed_for_good = pc.and_(pc.equal(log["status"], FAILED), pc.and_(same, pc.invert(log["again"])))
    stored = log.filter(pc.equal(log["status"], OK)).select(["name", "sha256", "format", "size"])
    there = [
        is_stored(root / stored_path(sha256, kind), size)
        for batch in stored.to_batches()
        for _, sha256, kind, size in zip(*(c.to_pylist() for c in batch.columns), strict=True)
    ]
    kept = stored["name"].filter(pa.array(there, pa.bool_()))
    return pa.chunked_array([*log["name"].filter(failed_for_good).chunks, *kept.chunks], pa.string()).combine_chunks()
