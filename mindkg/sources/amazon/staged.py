"""The temporary tables of reading Amazon files, and the notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from mindkg.schema import TABLES
from mindkg.sources.blocks import Damage
from mindkg.sources.staging import STAGED, Staging
from mindkg.sources.text import clean_column

if TYPE_CHECKING:
    from mindkg.engine import daft

SCHEMAS: Final = {
    "products": pa.schema([("place", pa.int64()), *((f.name, f.type) for f in STAGED["products"])]),
    "entries": pa.schema(
        [("place", pa.int64()), ("list", pa.int8()), ("product", pa.string()), ("other", pa.string())]
    ),
    "reviews": pa.schema([("person", pa.uint64()), ("product", pa.string()), ("day", pa.int32())]),
    "cobuys": pa.schema([field.remove_metadata() for field in TABLES["cobuys"]]),
    "rejects": STAGED["rejects"],
}
"""``place`` is the number of a file in its upper and of a line in its lower bits; ``entries`` are those of lists;
of a reviewer only a hash is kept."""

LINE_BITS: Final = 40
BATCH: Final = 1 << 20
"""Rows of ids that are numbered at once."""

NOTES: Final = (
    "products_told_again",
    "texts_of_code",
    "list_entries",
    "list_entries_without_id",
    "list_entries_of_itself",
    "list_entries_of_unknown_products",
    "list_entries_of_products_sampled_away",
    "list_entries_repeated",
    "reviews",
    "reviews_of_unknown_products",
    "reviews_repeated",
    "reviewers",
    "baskets_cut",
    "basket_products_cut",
    "pairs",
    "pairs_below_min_support",
    "products_sampled_away",
    "unknown_products_kept",
)
"""What is counted beside rows: docs/ingest.md says what each is."""


@dataclass(slots=True)
class Reading:
    """What one call of ``read_amazon`` has met so far; ``called`` says what rejects call each file."""

    staging: Staging
    called: Mapping[Path, str]
    encoding: str | None = None
    rows_read: int = 0
    rows_rejected: int = 0
    read: Counter[Path] = field(default_factory=Counter)
    rejected: Counter[Path] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(NOTES, 0)))

    def count(self, file: Path, rows: int) -> None:
        """Note that so many rows of a file were read."""
        self.rows_read += rows
        self.read[file] += rows

    def reject(self, file: Path, damages: list[Damage]) -> None:
        """Note refused rows of a file; an empty detail or text is none."""
        if not damages:
            return
        self.rows_rejected += len(damages)
        self.rejected[file] += sum(damage.reason != "duplicate" for damage in damages)
        found = [
            {
                "stage": "sources",
                "record": f"{self.called[file]}:{damage.line}",
                "reason": damage.reason,
                "detail": damage.detail or None,
                "text": damage.text or None,
            }
            for damage in damages
        ]
        self.staging.write("rejects", pa.Table.from_pylist(found, schema=SCHEMAS["rejects"]))


def identifiers(column: pa.Array) -> pa.Array:
    """Return product ids cleaned; ten letters and digits are an ASIN, which is in capitals, shape (rows,)."""
    cleaned = clean_column(column)
    asin = pc.match_substring_regex(cleaned, "^[0-9A-Za-z]{10}$")
    return pc.if_else(asin, pc.ascii_upper(cleaned), cleaned)


def gathered(frame: daft.DataFrame, rows: int = BATCH) -> Iterator[pa.Table]:
    """Yield the rows of ``frame`` in tables of at least ``rows`` rows but the last."""
    waiting: list[pa.RecordBatch] = []
    for batch in frame.to_arrow_iter():
        waiting.append(batch)
        if sum(map(len, waiting)) >= rows:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)
