"""What the tests of sources share: reading into plain rows, and made-up MIND rows."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from mindkg.engine import to_arrow
from mindkg.schema import KEYS, TABLES
from mindkg.sources import Sourced, read

MIND = [
    "id_a",
    "id_b",
    "Product_a",
    "Product_b",
    "Relation",
    "product_a_desc",
    "product_b_desc",
    "Intention",
    "tail",
    "Agreement",
]


def tables(sourced: Sourced) -> dict[str, pa.Table]:
    """Every table sorted by its key."""
    return {
        name: to_arrow(frame, TABLES[name]).sort_by([(key, "ascending") for key in KEYS[name]])
        for name, frame in sourced.tables.items()
    }


def read_all(*files: Path, staging: Path, **options: Any) -> tuple[Sourced, dict[str, pa.Table]]:
    """Read ``files`` into sorted tables, the conservation of rows checked."""
    sourced = read(files, staging=staging, **options)
    found = tables(sourced)
    assert sourced.rows_read == sourced.rows_kept + sourced.rows_rejected
    assert len(found["rejects"]) == sourced.rows_rejected
    return sourced, found


def rejects(found: Mapping[str, pa.Table]) -> list[tuple[str, str]]:
    """Record and reason of every reject, by line."""
    rows = [(row["record"], row["reason"]) for row in found["rejects"].to_pylist()]
    return sorted(rows, key=lambda row: int(row[0].rsplit(":", 1)[1]))


def mind_row(number: int, **fields: str) -> dict[str, str]:
    """A made-up MIND row."""
    row = {
        "id_a": f"A{number % 50:03d}",
        "id_b": f"B{number % 7:03d}",
        "Product_a": f"Mug {number % 50}",
        "Product_b": f"Kettle {number % 7}",
        "Relation": ("usedFor", "isA", "open")[number % 3],
        "product_a_desc": f"A mug.\n\nIt has the number {number % 50}.",
        "product_b_desc": "",
        "Intention": f'They are "both", for tea {number}.\nOr so.',
        "tail": "because they both hold tea",
        "Agreement": ("Yes.", "No.", "")[number % 3],
    }
    return row | fields


def mind_csv(rows: Iterable[Mapping[str, str]], columns: list[str] = MIND, **options: Any) -> bytes:
    """``rows`` as the bytes of a CSV file."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, **options)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def shuffled(rows: list[dict[str, str]], seed: int) -> list[dict[str, str]]:
    """``rows`` in another order."""
    return random.Random(seed).sample(rows, len(rows))
