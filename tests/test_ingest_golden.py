"""Every folder of tests/cases/ingest: its metadata and reviews give exactly its expected tables and counts.

UPDATE_GOLDEN=1 writes what comes out; read the difference before you keep it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from sources_case import tables

from mindkg.schema import TABLES
from mindkg.sources.amazon import read_amazon

CASES = Path(__file__).parent / "cases" / "ingest"


@pytest.mark.parametrize("case", sorted(p.name for p in CASES.iterdir()))
def test_case(case: str, tmp_path: Path) -> None:
    folder = CASES / case
    options_file = folder / "options.json"
    options = json.loads(options_file.read_text()) if options_file.exists() else {}
    reviews = sorted((folder / "input" / "reviews").glob("*"))
    sourced = read_amazon([folder / "input" / "metadata" / "*"], reviews=reviews, staging=tmp_path / "s", **options)
    rows = tables(sourced)
    for name, table in rows.items():
        for column in TABLES[name]:
            assert column.nullable or table[column.name].null_count == 0, f"{name}.{column.name}"
    found = {
        name: [{k: v for k, v in row.items() if v is not None} for row in table.to_pylist()]
        for name, table in rows.items()
        if len(table)
    }
    found["counts"] = [
        {name: getattr(sourced, name) for name in ("rows_read", "rows_kept", "rows_rejected", "title_conflicts")}
        | {"formats": {Path(file).name: name for file, name in sorted(sourced.formats.items())}}
        | {"notes": {name: count for name, count in sourced.notes.items() if count}}
    ]
    expected = folder / "expected"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.mkdir(exist_ok=True)
        for name, values in found.items():
            lines = [json.dumps(value, ensure_ascii=False) + "\n" for value in values]
            (expected / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    assert sorted(found) == sorted(path.stem for path in expected.iterdir())
    for name, values in found.items():
        text = (expected / f"{name}.jsonl").read_text(encoding="utf-8")
        assert values == [json.loads(line) for line in text.split("\n") if line], name
