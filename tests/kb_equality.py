"""When two KBs are equal, and how the bundled sample is cut into other files."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pyarrow as pa

from mindkg.knowledge_base import KnowledgeBase
from mindkg.schema import TABLES

SAMPLE = Path(__file__).resolve().parent.parent / "examples" / "sample.csv"


def contents(path: Path | str) -> dict[str, pa.Table]:
    """Return all tables but ``runs``; the rejects of a source without their line numbers."""
    kb = KnowledgeBase.open(path)
    tables = {name: kb.table(name) for name in kb.manifest.tables if name not in ("runs", "rejects")}
    rejects = [{**r, "record": "" if r["stage"] == "sources" else r["record"]} for r in kb.table("rejects").to_pylist()]
    rejects.sort(key=lambda r: tuple(str(value) for value in r.values()))
    tables["rejects"] = pa.Table.from_pylist(rejects, schema=TABLES["rejects"])
    return tables


def assert_equal(one: Path | str, other: Path | str) -> None:
    """Fail naming the first table that differs."""
    left, right = contents(one), contents(other)
    for name in left:
        assert left[name].equals(right[name]), f"table {name} differs"


def sample_rows() -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of the bundled sample."""
    with SAMPLE.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    return header, rows


def write_rows(path: Path, header: list[str], rows: list[list[str]]) -> Path:
    """Write a CSV file and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def shuffled(rows: list[list[str]], seed: int) -> list[list[str]]:
    """Return ``rows`` in another order."""
    return random.Random(seed).sample(rows, len(rows))
