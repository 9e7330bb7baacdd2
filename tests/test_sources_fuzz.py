"""Small inputs of every format, mutated: no error but one that a user can read, and no row lost."""

# ruff: noqa: E501

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_case import ingest
from sources_case import mind_csv, mind_row, read_all

from mindkg.errors import MindKGError
from mindkg.sources.amazon.csv_tables import metadata_lines, open_metadata
from mindkg.sources.amazon.lines import parse_line, pieces
from mindkg.sources.formats import choose, layout
from mindkg.sources.reader import open_rows

NUMBERS = [
    "9" * 400,
    "-" + "9" * 400,
    "1e400",
    "-1e400",
    "1e-400",
    "NaN",
    "Infinity",
    "9" * 5000,
    "0.5",
    "18446744073709551616",
]
VALUES = [
    *NUMBERS,
    *('"\\ud800"', '"\\udfff\\ud800"', "null", "true", '""', '"\\u0000"', '"1e400"', '"NaN"', '"٣"', '"0x10"', '"' + "9" * 400 + '"'),
    *("[" * 50_000, '{"a":' * 50_000, "[" * 900 + "]" * 900, '{"a":' * 400 + "1" + "}" * 400, "[[[]]]", '[{"asin": 1e400}]', "{}"),
]  # fmt: skip
ANSWER = {"product_a": "A", "product_b": "B", "text": "They are both used for tea.", "typicality": 0.5, "id": "1"}
PAIR = {"product_a": "A", "product_b": "B", "support": 3}
PRODUCT = {"product_id": "A", "title": "Mug", "category": ["Kitchen"], "description": "Blue."}
QUESTION = {
    "id": "Q",
    "item_a_id": "A",
    "item_b_id": "B",
    "item_a_name": "Mug",
    "item_b_name": "Pot",
    "relation": "all",
}
QUESTION |= {"assertion": "They are both used for tea.", "typicality": 0.5}
METADATA = {"asin": "B000000001", "title": "Mug", "also_buy": ["B000000002"], "category": ["Kitchen"], "price": 1.5}
METADATA |= {"images": [{"large": "https://example.org/a.jpg"}], "details": {"Brand": "Potter"}, "related": {}}
REVIEW = {"reviewerID": "A1", "asin": "B000000001", "unixReviewTime": 1_400_000_000, "overall": 5.0}
ROWS = {
    "answers": ANSWER,
    "products": PRODUCT,
    "questions": QUESTION,
    "metadata": METADATA,
    "reviews": REVIEW,
}


def line(row: dict[str, object], key: str, value: str) -> bytes:
    """A line of JSON with ``value``, which may be none of JSON, under ``key``."""
    parts = [f"{json.dumps(name)}: {value if name == key else json.dumps(one)}" for name, one in row.items()]
    return ("{" + ", ".join(parts) + "}").encode("utf-8", "surrogatepass")


def read(kind: str, path: Path) -> int:
    """Read a file of a kind, the conservation of rows checked; return how many rows there were."""
    staging = path.parent / "s"
    if kind == "metadata":
        return ingest([path], staging=staging)[0].rows_read
    if kind == "reviews":
        metadata = path.parent / "metadata.json"
        metadata.write_text(json.dumps(METADATA))
        return ingest([metadata], [path], staging=staging)[0].rows_read - 1
    return read_all(path, staging=staging)[0].rows_read


@pytest.mark.parametrize("kind", ROWS)
def test_numbers_out_of_range_nesting_and_half_characters(kind: str, tmp_path: Path) -> None:
    row = ROWS[kind]
    lines = [json.dumps(row).encode(), *(line(row, key, value) for key in row for value in VALUES)]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    assert read(kind, path) == len(lines)


def test_numbers_out_of_range_in_csv(tmp_path: Path) -> None:
    numbers = [*NUMBERS, "1e99999", "٣", "0x10", "inf", "-0", "1_000", ""]
    for column, kind in (("typicality", ANSWER), ("support", PAIR)):
        rows = [{**kind, column: number} for number in numbers]
        path = tmp_path / f"{column}.csv"
        path.write_text("\n".join([",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]), "utf-8")
        (tmp_path / "p.csv").write_text("product_id,title\nA,Mug\nB,Pot\n")
        sourced, found = read_all(path, tmp_path / "p.csv", staging=tmp_path / column)
        assert sourced.rows_read == len(numbers) + 2
        assert {"bad_number"} == set(found["rejects"]["reason"].to_pylist())


def test_numbers_out_of_range_in_parquet(tmp_path: Path) -> None:
    values = pa.array([float("nan"), float("inf"), 1e300, -1.0, 0.5, None])
    table = pa.table({"product_a": ["A"] * 6, "product_b": ["B"] * 6, "text": ["tea"] * 6, "typicality": values})
    pq.write_table(table, tmp_path / "a.parquet")
    sourced, found = read_all(tmp_path / "a.parquet", staging=tmp_path / "s")
    assert (sourced.rows_kept, set(found["rejects"]["reason"].to_pylist())) == (2, {"bad_number"})


SEEDS = {
    "answers": json.dumps(ANSWER).encode() + b"\n" + json.dumps({**ANSWER, "text": "é"}, ensure_ascii=False).encode(),
    "questions": b"\n".join([json.dumps(QUESTION).encode()] * 3),
    "mind": mind_csv([mind_row(n) for n in range(4)]),
    "metadata": json.dumps(METADATA).encode() + b"\n" + repr(METADATA).encode(),
    "table": 'asin,title,also_buy\nB000000001,"Mug, é","[\'B000000002\']"\nB000000002,Pot,[]\n'.encode(),
    "reviews": b"\n".join([json.dumps(REVIEW).encode()] * 3),
    "ratings": b"A1B2C3D4E5F6G7,B000000001,5.0,1400000000\n" * 4,
}
PIECES = (b"", b'"', b"\\", b"\\\"", b",", b";", b"\t", b"\r", b"\n", b"\x00", b"\xff\xfe", b"\xe9", b"\xed\xa0\x80", b"[", b"{'", b"1e999", b"sep=;\n", b"\xef\xbb\xbf", b"9" * 300)  # fmt: skip


EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 6), st.sampled_from(PIECES)), min_size=1, max_size=5)


def mutated(kind: str, edits: list[tuple[float, int, bytes]]) -> bytes:
    data = SEEDS[kind]
    for where, length, piece in edits:
        at = int(where * len(data))
        data = data[:at] + piece + data[at + length :]
    return data


def parse_rows(kind: str, path: Path) -> None:
    """Read the rows of a file of a kind and nothing further, which takes a hundredth of the time of ``read``."""
    if kind not in ("answers", "questions", "mind"):
        table = open_metadata(path)
        for piece in [] if table else pieces(path):
            for row in piece.data.split(b"\n"):
                parse_line(row)
        for _ in metadata_lines(table) if table else ():
            pass
        return
    rows = open_rows(path)
    found = layout(choose(rows.header, None, str(path)), rows.header, None, str(path), complete=rows.complete)
    for block in rows.blocks(found.wanted):
        assert all(len(column) == len(block) for column in block.columns.values())


@pytest.mark.parametrize(("examples", "reads"), [(150, parse_rows), (8, read)])
def test_mutated_files(examples: int, reads: Callable[[str, Path], object]) -> None:
    @settings(max_examples=examples)
    @given(kind=st.sampled_from(sorted(SEEDS)), edits=EDITS)
    def check(kind: str, edits: list[tuple[float, int, bytes]]) -> None:
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "file"
            path.write_bytes(mutated(kind, edits))
            try:
                reads({"table": "metadata", "ratings": "reviews"}.get(kind, kind), path)
            except MindKGError as error:
                assert "\n" not in str(error).strip() and error.hint

    check()
