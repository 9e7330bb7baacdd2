"""Files of every dialect and encoding that programs write: the same rows come out, and no row of fragments is kept."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_case import ingest, support
from sources_case import MIND, mind_csv, mind_row, read_all

from mindkg.errors import InputError, UsageError
from mindkg.sources.dialects import Dialect, detect
from mindkg.sources.encodings import judge

NAMES = ("Café au lait", "jalapeño, 2", 'a 7" plate', "C:\\temp\\", "thé; ou tisane", "x\ty", 'it\'s \\"so\\"')
ROWS = [mind_row(n, Product_a=NAMES[n % len(NAMES)] + f" {n % 50}") for n in range(60)]
COLUMNS = ("product_id", "title")


def texts(found: dict[str, Any]) -> list[str]:
    return sorted(found["generations"]["text"].to_pylist())


def spark(rows: list[dict[str, str]]) -> bytes:
    """Rows as Spark writes them: quotes escaped by a backslash, which is doubled itself before a quote."""

    def field(value: str) -> str:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"' if set('",\n\r\\') & set(value) else value

    return "".join(",".join(map(field, row)) + "\n" for row in [MIND, *([*r.values()] for r in rows)]).encode()


FORMS = {
    "semicolons": mind_csv(ROWS, delimiter=";"),
    "tabs": mind_csv(ROWS, delimiter="\t"),
    "bars": mind_csv(ROWS, delimiter="|", quoting=csv.QUOTE_ALL),
    "sep=,": b"sep=,\r\n" + mind_csv(ROWS),
    "sep=;": b"\xef\xbb\xbfsep=;\r\n" + mind_csv(ROWS, delimiter=";"),
    "carriage returns": mind_csv(ROWS, lineterminator="\r"),
    "spark": spark(ROWS),
    "cp1252": mind_csv(ROWS).decode().encode("cp1252"),
    "cp1252 of a spreadsheet": mind_csv(ROWS, delimiter=";").decode().encode("cp1252"),
    "UTF-16": mind_csv(ROWS).decode().encode("utf-16"),
    "UTF-16 with tabs": b"\xfe\xff" + mind_csv(ROWS, delimiter="\t").decode().encode("utf-16-be"),
    "UTF-16 without a mark": mind_csv(ROWS).decode().encode("utf-16-le"),
    "UTF-32": mind_csv(ROWS).decode().encode("utf-32"),
    "UTF-8 with a mark": b"\xef\xbb\xbf" + mind_csv(ROWS),
}


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("usual")
    (folder / "a.csv").write_bytes(mind_csv(ROWS))
    sourced, found = read_all(folder / "a.csv", staging=folder / "s")
    assert (sourced.rows_kept, sourced.rows_rejected, sourced.read_as) == (60, 0, {})
    return found


@pytest.mark.parametrize("form", FORMS)
def test_every_dialect_gives_the_same_tables(form: str, usual: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(FORMS[form])
    sourced, found = read_all(tmp_path / "a.csv", staging=tmp_path / "s")
    assert found == usual
    assert bool(sourced.read_as) == (form not in ("sep=,", "UTF-8 with a mark"))


def test_json_lines_of_another_encoding(tmp_path: Path) -> None:
    lines = [json.dumps({"product_id": f"P{n}", "title": f"Café n°{n}"}, ensure_ascii=False) for n in range(9)]
    found = {}
    for name in ("utf-8", "utf-16", "cp1252"):
        (tmp_path / name).write_bytes("\n".join(lines).encode(name))
        sourced, found[name] = read_all(tmp_path / name, staging=tmp_path / f"s-{name}")
        assert sourced.rows_kept == 9
    assert found["utf-8"]["products"] == found["utf-16"]["products"] == found["cp1252"]["products"]


def test_some_damaged_bytes_are_no_other_encoding() -> None:
    damaged = b"Plain mug\n" * 200 + b"caf\xe9\n" * 2
    assert judge(damaged) is None
    assert judge("Café\n".encode() * 50 + b"caf\xe9\n" * 9) == "utf-8"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1250", "Příliš žluťoučký kůň, hrnek na čaj\n"),
        ("cp1251", "Кружка синяя и чайник для чая\n"),
        ("shift_jis", "青いマグカップ、やかん\n"),
        ("gb18030", "蓝色的杯子，它们都用于泡茶\n"),
        ("cp1252", "They’re “both” for crème brûlée\n"),
        ("cp1252", 'A1,B1,Mug,Pot,isA,They ""are"" 7, \\ éxxxxxxxxxxxxxxxx\n'),
    ],
)
def test_the_encoding_is_found_from_the_text(encoding: str, text: str) -> None:
    assert judge(text.encode(encoding) * 9) == encoding


# what each program's writer makes of the same rows is found from the bytes alone
@settings(max_examples=60)
@given(
    rows=st.lists(st.lists(st.text("ab,;\t\"\\\n é'", max_size=8), min_size=3, max_size=3), min_size=3, max_size=8),
    delimiter=st.sampled_from(",;\t|"),
    escaped=st.booleans(),
)
def test_any_text_survives(rows: list[list[str]], delimiter: str, escaped: bool) -> None:
    text = io.StringIO(newline="")
    options: dict[str, Any] = {"doublequote": False, "escapechar": "\\"} if escaped else {}
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n", **options)
    header = ["product_id", "title", "brand", "description"]
    writer.writerows([header, *([f"P{n}", *row] for n, row in enumerate(rows))])
    data = text.getvalue().encode()
    found = detect(data)
    assert found.delimiter == delimiter.encode() and not found.returns
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "a.csv"
        path.write_bytes(data)
        sourced, _ = read_all(path, staging=Path(name) / "s")
        # both ways of reading may give whole rows
        assert sourced.rows_read == len(rows) or found.escaped != escaped


def test_a_row_of_fragments_is_never_kept(tmp_path: Path) -> None:
    rows = [
        b"id_a,id_b,Relation,Intention",
        b"A1,B1,usedFor,They are both used for tea.",
        b"they go well together,so one buys them,usedFor,and so on",
        b'A1,"said ""so"" twice",usedFor,and so on',
        b"id_a,id_b,Relation,Intention",
        b"SKU 12,SKU 13,usedFor,They are both used for tea.",
    ]
    (tmp_path / "a.csv").write_bytes(b"\n".join(rows) + b"\n")
    sourced, found = read_all(tmp_path / "a.csv", staging=tmp_path / "s")
    assert sourced.rows_kept == 2 and set(found["rejects"]["reason"].to_pylist()) == {"bad_syntax"}
    details = sorted(found["rejects"]["detail"].to_pylist())
    assert details == ["id_a is not an id", "id_b is not an id", "the header stands here again"]


REVIEWS = [
    {"Id": n, "ProductId": f"B00000000{n % 3}", "UserId": f"A{n // 3}", "Time": 1_400_000_000 + n, "Text": text}
    for n, text in enumerate(['Good, and "fine".', "Two\nlines, really", "Not as advertised, it's small \\", "x"] * 6)
]
METADATA = [
    {
        "asin": f"B00000000{n}",
        "title": f"Mug, {n}",
        "category": ["Kitchen", "Mugs & more"],
        "also_buy": [f"B00000000{m}"],
    }
    | {"imageURLHighRes": [f"https://example.org/{n}.jpg"], "description": ["One.", "It's 'two'."], "price": None}
    for n, m in ((0, 1), (1, 2), (2, 0))
]


def table(rows: list[dict[str, Any]], **options: Any) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["", *rows[0]], **options)
    writer.writeheader()
    writer.writerows({"": n, **row} for n, row in enumerate(rows))
    return text.getvalue().encode()


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_metadata_and_reviews_as_csv_say_what_json_says(tmp_path: Path) -> None:
    as_json = [{"reviewerID": r["UserId"], "asin": r["ProductId"], "unixReviewTime": r["Time"]} for r in REVIEWS]
    meta, reviews = jsonl(tmp_path / "m.json", METADATA), jsonl(tmp_path / "r.json", as_json)
    _, expected = ingest([meta], [reviews], staging=tmp_path / "s0")
    forms: list[dict[str, Any]] = [{}, {"delimiter": ";"}, {"doublequote": False, "escapechar": "\\"}]
    for number, form in enumerate(forms, start=1):
        (tmp_path / "m.csv").write_bytes(table(METADATA, **form))
        (tmp_path / "r.csv").write_bytes(table(REVIEWS, **form))
        sourced, found = ingest([tmp_path / "m.csv"], [tmp_path / "r.csv"], staging=tmp_path / f"s{number}")
        assert (sourced.rows_read, sourced.rows_rejected) == (27, 0)
        assert found["products"] == expected["products"] and found["cobuys"] == expected["cobuys"]
        assert support(found)


def test_lists_as_numpy_writes_them(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"parent_asin": "594451647", "title": "Mug", "categories": "['Kitchen' 'Mugs']", "features": "['a'\n 'b']"}
        | {"images": "{'large': array(['https://example.org/a.jpg'], dtype=object), 'variant': array(['MAIN'])}"},
        {"parent_asin": "a sentence, no id", "title": "", "categories": "[]", "features": "", "images": ""},
    ]
    (tmp_path / "m.csv").write_bytes(table(rows))
    sourced, found = ingest([tmp_path / "m.csv"], staging=tmp_path / "s")
    [product] = found["products"].to_pylist()
    assert (product["product_id"], product["category"]) == ("0594451647", ["Kitchen", "Mugs"])
    assert product["image"] == "https://example.org/a.jpg"
    assert (sourced.rows_kept, found["rejects"]["reason"].to_pylist()) == (1, ["bad_syntax"])


def test_a_long_file_is_read_in_pieces(tmp_path: Path) -> None:
    rows = [mind_row(n, Intention=f'They "are" {n}, \\ é' + "x" * 600) for n in range(15_000)]
    random.Random(1).shuffle(rows)
    (tmp_path / "a.csv").write_bytes(spark(rows))
    sourced, found = read_all(tmp_path / "a.csv", staging=tmp_path / "s")
    assert sourced.rows_rejected == 0 and texts(found) == sorted(row["Intention"] for row in rows)
    assert detect(b"a,b\n") == Dialect()


def test_the_encoding_that_a_user_names(tmp_path: Path) -> None:
    """A file with too few accents to be recognized is rejected in part; the option reads all of it."""
    rows = [mind_row(n, Product_a="Café au lait" if n == 3 else f"Mug {n}") for n in range(60)]
    (tmp_path / "a.csv").write_bytes(mind_csv(rows).decode().encode("cp1252"))
    sourced, found = read_all(tmp_path / "a.csv", staging=tmp_path / "s1")
    assert found["rejects"]["reason"].to_pylist() == ["bad_encoding"]
    for number, name in enumerate(("windows-1252", "latin1", "CP1252")):
        sourced, found = read_all(tmp_path / "a.csv", staging=tmp_path / f"e{number}", encoding=name)
        assert sourced.rows_rejected == 0 and "Café au lait" in found["products"]["title"].to_pylist()
    for number, name in enumerate(("utf-16", "utf-32", "utf-8", "gb18030", "utf-7")):  # others lose no row silently
        with contextlib.suppress(InputError):
            sourced, _ = read_all(tmp_path / "a.csv", staging=tmp_path / f"w{number}", encoding=name)
            assert sourced.rows_read == sourced.rows_kept + sourced.rows_rejected
    metadata = [{"asin": f"B00000000{n}", "title": "Café" if n == 3 else "Mug", "also_buy": []} for n in range(9)]
    for name, text in {
        "m.jsonl": "\n".join(json.dumps(row, ensure_ascii=False) for row in metadata),
        "m.csv": table(metadata).decode(),
    }.items():
        (tmp_path / name).write_bytes(text.encode("cp1252"))
        sourced, found = ingest([tmp_path / name], staging=tmp_path / f"i{name}", encoding="cp1252")
        assert sourced.rows_rejected == 0 and "Café" in found["products"]["title"].to_pylist()


@pytest.mark.parametrize("name", ["windows1253x", "base64", "idna", "", "no\nsuch"])
def test_no_such_encoding_is_incorrect_usage(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(mind_csv(ROWS))
    with pytest.raises(UsageError, match="there is no encoding"):
        read_all(tmp_path / "a.csv", staging=tmp_path / "s", encoding=name)
    with pytest.raises(UsageError, match="there is no encoding"):
        ingest([tmp_path / "a.csv"], staging=tmp_path / "t", encoding=name)


RAW_TITLES = ('"Best" mug', '12" pan', '"Deluxe mug', '"Best mug"', 'a "7"" plate', "Café", '"', "x" * 90)
"""Titles of a program that writes no quotes around fields."""


def raw_row(number: int, **fields: str) -> dict[str, str]:
    """A made-up MIND row each of whose texts is one line."""
    return {name: text.replace("\n", " ") for name, text in mind_row(number, **fields).items()}


RAW_ROWS = [raw_row(n, Product_a=f"{RAW_TITLES[n % len(RAW_TITLES)]} {n % 50}".rstrip()) for n in range(60)]


def unquoted(rows: list[dict[str, str]], delimiter: str, end: str = "\n") -> bytes:
    return "".join(delimiter.join(row) + end for row in [MIND, *([*r.values()] for r in rows)]).encode()


@pytest.mark.parametrize(
    ("delimiter", "end"), [("\t", "\n"), ("|", "\n"), ("\t", "\r\n"), ("\t", "\r")], ids=["tabs", "bars", "crlf", "cr"]
)
def test_quotes_that_mean_nothing_are_characters(delimiter: str, end: str, tmp_path: Path) -> None:
    (tmp_path / "plain.csv").write_bytes(mind_csv(RAW_ROWS))
    _, expected = read_all(tmp_path / "plain.csv", staging=tmp_path / "s0")
    (tmp_path / "plain.csv").write_bytes(unquoted(RAW_ROWS, delimiter, end))
    sourced, found = read_all(tmp_path / "plain.csv", staging=tmp_path / "s1")
    assert (sourced.rows_kept, sourced.rows_rejected) == (60, 0)
    assert found == expected
    assert all("quotes taken as characters" in words for words in sourced.read_as.values()) and sourced.read_as


def test_a_long_file_of_raw_quotes_is_read_in_pieces(tmp_path: Path) -> None:
    titles = {n: f'"Best" mug, {n} wide' for n in range(50)}
    rows = [raw_row(n, Product_a=titles[n % 50], Intention=f'"So" {n}, é' + "x" * 600) for n in range(15_000)]
    (tmp_path / "a.tsv").write_bytes(unquoted(rows, "\t"))
    sourced, found = read_all(tmp_path / "a.tsv", staging=tmp_path / "s")
    assert sourced.rows_rejected == 0 and texts(found) == sorted(row["Intention"] for row in rows)
    assert set(titles.values()) <= set(found["products"]["title"].to_pylist())


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_a_damaged_row_among_quoted_ones_is_damage(quoting: Any, tmp_path: Path) -> None:
    lines = mind_csv(ROWS, delimiter="\t", quoting=quoting).splitlines(keepends=True)
    lines.insert(30, lines[7].replace(lines[7].split(b"\t")[2], b'"Deluxe mug'))
    (tmp_path / "a.tsv").write_bytes(b"".join(lines))
    sourced, found = read_all(tmp_path / "a.tsv", staging=tmp_path / "s")
    assert list(sourced.read_as.values()) == ["separated by tabs"]
    assert sourced.rows_kept >= 59 and set(found["rejects"]["reason"].to_pylist()) == {"bad_syntax"}


@pytest.mark.parametrize(
    ("data", "encoding", "message"),
    [
        (b"caf\xe9,id_b,Relation,Intention\n", "ascii", "the header is not text in ascii"),
        (b"caf\xe9,id_b,Relation,Intention\n", None, "the header is not text in utf-8"),
        (b'"id_a,id_b"x,Relation,Intention\n', "cp1252", "the header is not CSV"),
    ],
)
def test_an_unreadable_header_is_called_what_it_is(
    data: bytes, encoding: str | None, message: str, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_bytes(data + b"A1,B1,isA,tea\n")
    with pytest.raises(InputError, match=message):
        read_all(tmp_path / "a.csv", staging=tmp_path / "s", encoding=encoding)
