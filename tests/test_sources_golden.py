"""Every folder of tests/cases/sources: its input gives exactly its expected tables.

UPDATE_GOLDEN=1 writes what comes out; read the difference before you keep it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mindkg.engine import daft, to_arrow
from mindkg.schema import KEYS, TABLES
from mindkg.sources import read

CASES = Path(__file__).parent / "cases" / "sources"


def rows(tables: Mapping[str, daft.DataFrame], name: str) -> list[dict[str, Any]]:
    """The rows of a table, sorted by their key, without what differs between versions."""
    table = to_arrow(tables[name], TABLES[name])
    for column in TABLES[name]:
        assert column.nullable or table[column.name].null_count == 0, f"{name}.{column.name}"
    found = table.sort_by([(key, "ascending") for key in KEYS[name]]).to_pylist()
    return [{k: v for k, v in row.items() if v is not None and k != "code_version"} for row in found]


@pytest.mark.parametrize("case", sorted(p.name for p in CASES.iterdir()))
def test_case(case: str, tmp_path: Path) -> None:
    options_file = CASES / case / "options.json"
    options = json.loads(options_file.read_text()) if options_file.exists() else {}
    sourced = read([CASES / case / "input" / "*"], staging=tmp_path, **options)
    assert sourced.rows_read == sourced.rows_kept + sourced.rows_rejected
    found = {name: rows(sourced.tables, name) for name in sourced.tables}
    found["counts"] = [
        {name: getattr(sourced, name) for name in ("rows_read", "rows_kept", "rows_rejected", "title_conflicts")}
        | {"formats": {Path(file).name: name for file, name in sorted(sourced.formats.items())}}
    ]
    expected = CASES / case / "expected"
    if os.environ.get("UPDATE_GOLDEN"):
        expected.mkdir(exist_ok=True)
        for name, values in found.items():
            lines = [json.dumps(value, ensure_ascii=False) + "\n" for value in values]
            (expected / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    for name, values in found.items():
        text = (expected / f"{name}.jsonl").read_text(encoding="utf-8")
        # json reads U+2028 and the like inside a line, splitlines would not
        assert values == [json.loads(line) for line in text.split("\n") if line], name
