"""Each kind of damage costs the rows it hits, with their line and reason, and no other."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sources_case import MIND, mind_csv, mind_row, read_all, rejects

from mindkg.errors import InputError
from mindkg.sources import FORMATS, csv_rows, files, read

ROWS = [mind_row(n) for n in range(300)]
WHOLE = mind_csv(ROWS)


def zst(data: bytes) -> bytes:
    stream = pa.BufferOutputStream()
    with pa.CompressedOutputStream(stream, "zstd") as out:
        out.write(data)
    return bytes(stream.getvalue())


def texts(found: dict[str, pa.Table]) -> list[str]:
    return sorted(found["generations"]["text"].to_pylist())


@pytest.mark.parametrize("pack", [gzip.compress, zst], ids=["gz", "zst"])
def test_packed_files_are_read_by_their_first_bytes(pack, tmp_path):
    (tmp_path / "plain.csv").write_bytes(WHOLE)
    (tmp_path / "packed.csv").write_bytes(pack(WHOLE))
    _, plain = read_all(tmp_path / "plain.csv", staging=tmp_path / "s1")
    _, packed = read_all(tmp_path / "packed.csv", staging=tmp_path / "s2")
    assert plain == packed
    assert len(plain["generations"]) == 300


@pytest.mark.parametrize("pack", [gzip.compress, zst], ids=["gz", "zst"])
def test_several_members(pack, tmp_path):
    half = WHOLE.index(b"tea 150")  # in the middle of a quoted field
    path = tmp_path / "members.csv.x"
    path.write_bytes(pack(WHOLE[:half]) + pack(WHOLE[half:]))
    sourced, found = read_all(path, staging=tmp_path / "s")
    assert sourced.rows_rejected == 0
    assert texts(found) == sorted(row["Intention"] for row in ROWS)


def test_zeros_behind_a_gzip_member_are_padding(tmp_path):
    path = tmp_path / "padded.csv.gz"
    path.write_bytes(gzip.compress(WHOLE) + bytes(700))
    sourced, _ = read_all(path, staging=tmp_path / "s")
    assert (sourced.rows_kept, sourced.rows_rejected) == (300, 0)


@pytest.mark.parametrize("pack", [gzip.compress, zst], ids=["gz", "zst"])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.999])
def test_cut_off(pack, share, tmp_path):
    # texts that hardly compress, so that a cut is somewhere in the rows
    rows = [
        mind_row(n, tail="".join(chr(33 + (n * n * 31 + i * i * 17) % 90) for i in range(200))) for n in range(3000)
    ]
    packed = pack(mind_csv(rows))
    path = tmp_path / "cut.csv.x"
    path.write_bytes(packed[: int(len(packed) * share)])
    sourced, found = read_all(path, staging=tmp_path / "s")
    [reject] = found["rejects"].to_pylist()
    kept = sourced.rows_kept
    assert 0 < kept < 3000
    assert texts(found) == sorted(row["Intention"] for row in rows[:kept])
    lines = WHOLE.split(b"\n", 1)[0].count(b"\n") + 2 + mind_csv(rows[:kept]).count(b"\n") - 1
    assert reject["record"] == f"cut.csv.x:{lines}"
    assert (reject["reason"], reject["detail"].startswith("cut off")) == ("bad_syntax", True)
    assert reject["text"].startswith(rows[kept]["id_a"][: len(reject["text"])])


def test_a_cut_off_jsonl(tmp_path):
    lines = [json.dumps(question(n)) for n in range(2000)]
    packed = gzip.compress("\n".join(lines).encode())
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(packed[:-2000])
    sourced, found = read_all(path, staging=tmp_path / "s")
    assert rejects(found) == [(f"cut.jsonl.gz:{sourced.rows_kept + 1}", "bad_syntax")]
    assert 0 < sourced.rows_kept < 2000


def line_of(before: bytes) -> int:
    return before.count(b"\n") + 1


def question(number: int) -> dict[str, object]:
    return {
        "id": f"Q{number}",
        "item_a_id": "A",
        "item_b_id": f"B{number % 9}",
        "item_a_name": "Mug",
        "item_b_name": "Kettle",
        "relation": "isA",
        "assertion": f"because they are {number}",
        "typicality": 0.5,
    }


DAMAGES = {
    "short row": (b"A1,B1,Mug", "bad_syntax"),
    "long row": (b"A1,B1,Mug,Pot,isA,,,text,,Yes,more", "bad_syntax"),
    "not UTF-8": (b"A1,B1,M\xe4g,Pot,isA,,,text,,Yes", "bad_encoding"),
    "cut UTF-8": (b"A1,B1,M\xe2\x82,Pot,isA,,,text,,Yes", "bad_encoding"),
    "surrogate in UTF-8": (b"A1,B1,M\xed\xa0\x80,Pot,isA,,,text,,Yes", "bad_encoding"),
    "quote not closed": (b'A1,B1,Mug,Pot,isA,,,"text,,Yes', "bad_syntax"),
    "quote not closed, of many lines": (b'A1,B1,Mug,Pot,isA,,,"text\nmore, and more\n,,Yes', "bad_syntax"),
    "quote in a quoted field": (b'A1,B1,Mug,Pot,isA,,,"te"xt",,Yes', "bad_syntax"),
    "no product": (b"A1,,Mug,Pot,isA,,,text,,Yes", "missing_field"),
    "invisible product": (b"A1,\xe2\x80\x8b ,Mug,Pot,isA,,,text,,Yes", "missing_field"),
    "no relation": (b"A1,B1,Mug,Pot,,,,text,,Yes", "missing_field"),
    "with itself": (b"A1,A1,Mug,Pot,isA,,,text,,Yes", "self_pair"),
    "commas only": (b",,,,,,,,,", "missing_field"),
}


@pytest.mark.parametrize(
    ("place", "newline"), [("first", b"\n"), ("middle", b"\r\n"), ("last", b"\n")], ids=["first", "CRLF", "last"]
)
@pytest.mark.parametrize("damage", DAMAGES)
def test_one_damaged_row(damage, newline, place, tmp_path):
    row, reason = DAMAGES[damage]
    end = newline.decode()
    before = {"first": 0, "middle": 5, "last": 12}[place]
    head = mind_csv(ROWS[:before], lineterminator=end)
    tail = mind_csv(ROWS[before:12], lineterminator=end).split(newline, 1)[1]
    path = tmp_path / "damaged.csv"
    path.write_bytes(head + row + newline + tail)
    _, found = read_all(path, staging=tmp_path / "s")
    assert rejects(found) == [(f"damaged.csv:{line_of(head)}", reason)]
    assert texts(found) == sorted(row["Intention"] for row in ROWS[:12])
    assert found["rejects"]["text"][0].as_py()[:2] in ("A1", ",,")


def test_damage_in_every_piece_of_a_long_file(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_rows, "CHUNK", 2000)
    monkeypatch.setattr(files.chunks, "__defaults__", (2000,))
    parts, expected = [WHOLE[: WHOLE.index(b"\n") + 1]], []
    kinds = sorted(DAMAGES)
    for number, row in enumerate(ROWS):
        if number % 11 == 5:
            damaged, reason = DAMAGES[kinds[number % len(kinds)]]
            expected.append((f"long.csv:{line_of(b''.join(parts))}", reason))
            parts.append(damaged + b"\n")
        parts.append(mind_csv([row]).split(b"\n", 1)[1])
    (tmp_path / "long.csv").write_bytes(b"".join(parts))
    _, found = read_all(tmp_path / "long.csv", staging=tmp_path / "s")
    assert rejects(found) == expected
    assert texts(found) == sorted(row["Intention"] for row in ROWS)


def test_a_quote_that_swallows_the_rest_costs_one_row(tmp_path):
    head = mind_csv(ROWS[:3])
    path = tmp_path / "open.csv"
    path.write_bytes(head + b'A1,B1,Mug,Pot,isA,,,"never closed\nand so on\n')
    sourced, found = read_all(path, staging=tmp_path / "s")
    assert rejects(found) == [(f"open.csv:{line_of(head)}", "bad_syntax")]
    assert sourced.rows_kept == 3


def test_blank_lines_bom_and_no_last_line_break(tmp_path):
    lines = mind_csv([mind_row(1, Intention="one line"), mind_row(2, Intention="two", product_a_desc="")])
    path = tmp_path / "blank.csv"
    path.write_bytes(b"\xef\xbb\xbf\r\n\n" + lines.replace(b"A002", b"\n\r\nA002").rstrip(b"\r\n") + b"\r\n,x")
    sourced, found = read_all(path, staging=tmp_path / "s")
    assert texts(found) == ["one line", "two"]
    assert sourced.rows_read == 3
    assert rejects(found) == [("blank.csv:10", "bad_syntax")]


def test_files_of_one_name_are_told_apart(tmp_path):
    files = [tmp_path / folder / "products.csv" for folder in ("a", "b")]
    for path in files:
        path.parent.mkdir()
        path.write_text("product_id,title\n,Mug\n")
    _, found = read_all(*files, staging=tmp_path / "s")
    assert rejects(found) == [("a/products.csv:2", "missing_field"), ("b/products.csv:2", "missing_field")]


def test_what_a_user_can_get_wrong(tmp_path):
    (tmp_path / "other.csv").write_text("name,price\nMug,3\n")
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "list.json").write_text('[{"id_a": 1}]')
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "mind.csv").write_bytes(WHOLE)

    def message(name: str, **options: str) -> str:
        with pytest.raises(InputError) as caught:
            read([tmp_path / name], staging=tmp_path / "s", **options)
        return str(caught.value)

    assert all(word in message("other.csv") for word in ("name, price", "generations", "other.csv"))
    assert all(word in message("other.csv", format="mind") for word in ("name, price", "Intention", "id_a"))
    assert "no header" in message("empty.csv")
    assert "one object" in message("list.json")
    assert "damaged" in message("broken.parquet")
    assert "no such file" in message("absent.csv")
    assert "no file matches" in message("absent*.csv")
    assert all(name in message("mind.csv", format="minds") for name in FORMATS)
    assert "Intention" in message("mind.csv", field="tails")
    assert "folder" in message(".")


def test_bad_texts_in_parquet(tmp_path):
    names = ["product_a", "product_b", "relation", "text"]
    values = [["A", "A", "A"], ["B", "B", "C"], ["isA"] * 3]
    columns = [pa.array(v) for v in values] + [pa.array([b"fine", b"\xff", b"good"]).cast(pa.binary())]
    pq.write_table(pa.table(dict(zip(names, columns, strict=True))), tmp_path / "bad.parquet")
    _, found = read_all(tmp_path / "bad.parquet", staging=tmp_path / "s")
    assert rejects(found) == [("bad.parquet:2", "bad_encoding")]
    assert texts(found) == ["fine", "good"]


def test_columns_in_any_order_and_more_of_them(tmp_path):
    columns = [*reversed(MIND), "more", "and, more"]
    (tmp_path / "a.csv").write_bytes(mind_csv(ROWS))
    (tmp_path / "b.csv").write_bytes(mind_csv([row | {"more": "x"} for row in ROWS], columns))
    _, a = read_all(tmp_path / "a.csv", staging=tmp_path / "s1")
    _, b = read_all(tmp_path / "b.csv", staging=tmp_path / "s2")
    assert a == b


def test_a_key_that_first_appears_late_is_read(tmp_path):
    rows = [{"product_a": f"A{n}", "product_b": f"B{n}", "relation": "usedFor", "text": f"for {n}"} for n in range(150)]
    rows[140] |= {"verdict": "Yes.", "typicality": 0.5, "model": "m"}
    (tmp_path / "late.jsonl").write_text("\n".join(map(json.dumps, rows)))
    _, found = read_all(tmp_path / "late.jsonl", staging=tmp_path / "staging")
    assert found["verdicts"].num_rows == 1
    assert [t for t in found["generations"]["typicality"].to_pylist() if t is not None] == [0.5]
    assert {"m", "unknown"} <= set(found["runs"]["model"].to_pylist())


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.csv", b"PK\x03\x04 ...", "zip archive or an Excel"),
        ("a.csv", "id_a,id_b,Relation,Product_a\n".encode("utf-16"), "The nearest is mind: the file lacks Intention"),
        ("a.json", b'[{"a": 1},\n {"b": 2}\n]', "one object on each line"),
        ("a.json", b'[{"a": 1}, {"b": 2}]', "one object on each line"),
        ("a.csv", b"id_a;id_b;Relation\n1;2;3\n", "The nearest is mind: the file lacks Intention"),
        ("a.json", b'{"asin": "B0", "title": "Mug", "also_buy": []}', "mindkg ingest FILE"),
        ("a.json", b"{'asin': 'B0', 'title': 'Mug'}", "mindkg ingest FILE"),
        ("a.csv", b"ProductId,UserId,Text\n1,2,3\n", "mindkg ingest METADATA --reviews FILE"),
        ("a.csv", b"id_a,id_b,Relation,Product_a\n", "The nearest is mind: the file lacks Intention"),
        ("a.csv", (",".join(f"column_{n}" for n in range(90)) + "\n").encode(), "The formats are mind"),
    ],
)
def test_what_is_no_known_format_says_what_it_is(tmp_path, name, data, words):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=words) as error:
        read([tmp_path / name], staging=tmp_path / "staging")
    assert len(str(error.value).replace(str(tmp_path), "")) <= 250
