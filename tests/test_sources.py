"""What sources give: the real files, the same tables whatever the order, place or packing, and nothing lost."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sources_case import MIND, mind_csv, mind_row, read_all, shuffled

from mindkg.identity import cobuy_key
from mindkg.sources import FORMATS, csv_rows, expand, files, json_rows
from mindkg.sources.csv_rows import open_csv
from mindkg.sources.formats import ALL
from mindkg.sources.json_rows import open_jsonl
from mindkg.sources.staging import STAGED, Staging
from mindkg.sources.tables import cobuys, products
from mindkg.sources.text import category_path, clean, clean_column, clean_lines, clean_lines_column

ROWS = [mind_row(n) for n in range(400)]


# --- real files


@pytest.mark.parametrize(
    ("name", "options", "rows", "pairs", "products", "verdicts"),
    [
        ("mind/mind_llava_sample.csv.gz", {}, 1986, 1718, 3239, 1986),
        ("mind/mind_llava_sample.csv.gz", {"field": "tail"}, 1986, 1718, 3239, 0),
        ("mind/intentions_from_intentionqa.csv", {}, 2205, 1337, 2409, 0),
        ("intentionqa/QA_fullInfo_task1_byRelation.jsonl.gz", {}, 2205, 1337, 2409, 0),
    ],
)
def test_real_files(name, options, rows, pairs, products, verdicts, real_data, tmp_path):
    sourced, found = read_all(real_data / name, staging=tmp_path, **options)
    assert (sourced.rows_read, sourced.rows_kept, len(found["generations"])) == (rows, rows, rows)
    # three pairs of IntentionQA stand there in both orders (docs/adr/0001): a co-buy has none
    assert len(found["cobuys"]) == pairs
    assert len(found["products"]) == products
    assert len(found["verdicts"]) == verdicts
    assert set(found["generations"]["relation"].to_pylist()) <= set(found_relations())
    assert set(sourced.formats.values()) == {"intentionqa" if name.endswith("jsonl.gz") else "mind"}


def found_relations() -> list[str]:
    from mindkg.vocabulary import relations

    return list(relations())


def test_real_rows_are_what_the_csv_module_reads(real_data, tmp_path):
    import gzip

    path = real_data / "mind/mind_llava_sample.csv.gz"
    _, found = read_all(path, staging=tmp_path)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(found["generations"]["text"].to_pylist()) == sorted(row["Intention"] for row in rows)
    assert sorted(found["verdicts"]["text"].to_pylist()) == sorted(row["Agreement"] for row in rows)


def test_the_two_forms_of_intentionqa_name_the_same_things(real_data, tmp_path):
    _, a = read_all(real_data / "intentionqa/QA_fullInfo_task1_byRelation.jsonl.gz", staging=tmp_path / "a")
    _, b = read_all(real_data / "mind/intentions_from_intentionqa.csv", staging=tmp_path / "b")
    for name in ("products", "cobuys"):
        assert a[name].drop_columns("source") == b[name].drop_columns("source")
    assert sorted(a["generations"]["text"].to_pylist()) == sorted(b["generations"]["text"].to_pylist())


# --- the same tables


def test_order_and_files_do_not_matter(tmp_path, monkeypatch):
    rows = [*ROWS, *ROWS[:5], *ROWS[:2], mind_row(1, Product_a="Big Mug 1"), mind_row(2, product_a_desc="Another.")]
    (tmp_path / "one.csv").write_bytes(mind_csv(rows))
    sourced, expected = read_all(tmp_path / "one.csv", staging=tmp_path / "s0")
    assert len(expected["generations"]) == len(rows)
    assert len(set(expected["generations"]["generation_id"].to_pylist())) == len(rows)
    # four numbers stand for one product, so its titles are one; the changed ones conflict
    assert (sourced.title_conflicts, sourced.feature_conflicts) == (1, 1)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for seed in (1, 2):
        mixed = shuffled(rows, seed)
        monkeypatch.setattr(csv_rows, "CHUNK", 900 * seed)
        monkeypatch.setattr(files.chunks, "__defaults__", (900 * seed,))
        for part in range(seed + 1):
            text = mind_csv(mixed[part :: seed + 1], quoting=csv.QUOTE_ALL)
            (folder / f"z{7 - part}.csv").write_bytes(text)
        again, found = read_all(folder / "z*.csv", staging=tmp_path / f"s{seed}")
        assert found == expected
        assert (again.title_conflicts, again.feature_conflicts) == (1, 1)


def test_a_fact_from_two_formats_merges(tmp_path):
    (tmp_path / "mind.csv").write_bytes(mind_csv([mind_row(1), mind_row(1, Relation="isA")]))
    question = {"id": "q", "item_a_id": "B001", "item_b_id": "A001", "item_a_name": "Kettle 1", "typicality": 1}
    question |= {"item_b_name": "A longer name of Mug 1", "relation": "all", "assertion": "because they hold tea"}
    (tmp_path / "qa.jsonl").write_text(json.dumps(question))
    (tmp_path / "pairs.csv").write_text("product_a,product_b,support\nA001,B001,5\nB001,A001,\n")
    sourced, found = read_all(
        tmp_path / "mind.csv", tmp_path / "qa.jsonl", tmp_path / "pairs.csv", staging=tmp_path / "s"
    )
    [cobuy] = found["cobuys"].to_pylist()
    assert cobuy == {
        "cobuy_id": cobuy_key("A001", "B001"),
        "product_a": "A001",
        "product_b": "B001",
        "support": 1 + 1 + 5 + 1,
        "source": "cobuys,intentionqa,mind",
    }
    assert [(p["title"], p["source"]) for p in found["products"].to_pylist()] == [
        ("Mug 1", "intentionqa,mind"),
        ("Kettle 1", "intentionqa,mind"),
    ]
    assert sourced.title_conflicts == 1
    assert len(found["generations"]) == 3
    assert sorted(sourced.formats.values()) == ["cobuys", "intentionqa", "mind"]


def test_our_own_tables_can_be_read_again(tmp_path):
    (tmp_path / "mind.csv").write_bytes(mind_csv(ROWS))
    _, found = read_all(tmp_path / "mind.csv", staging=tmp_path / "s1")
    for name in ("products", "cobuys", "generations"):
        pq.write_table(found[name], tmp_path / f"{name}.parquet")
    sourced, again = read_all(tmp_path / "*.parquet", staging=tmp_path / "s2")
    assert sourced.rows_rejected == 0
    assert sorted(sourced.formats.values()) == ["cobuys", "generations", "products"]
    for name in ("products", "cobuys"):
        assert again[name].drop_columns("source") == found[name].drop_columns("source")
    columns = ["cobuy_id", "relation", "text", "source_record"]
    by = [(name, "ascending") for name in columns]
    assert again["generations"].select(columns).sort_by(by) == found["generations"].select(columns).sort_by(by)


def test_a_format_that_does_not_say_so_itself(tmp_path):
    fields = "item_a_id,item_b_id,item_a_name,item_b_name,relation,assertion"
    (tmp_path / "a.csv").write_text(f"{fields}\nA,B,Mug,Pot,isA,because\n")
    guessed, _ = read_all(tmp_path / "a.csv", staging=tmp_path / "s1")
    told, _ = read_all(tmp_path / "a.csv", staging=tmp_path / "s2", format="folkscope")
    assert [*guessed.formats.values(), *told.formats.values()] == ["mind-input", "folkscope"]


def test_progress_counts_every_record(tmp_path):
    (tmp_path / "a.csv").write_bytes(mind_csv(ROWS) + b"short,row\n")
    seen: list[int] = []
    sourced, _ = read_all(tmp_path / "a.csv", staging=tmp_path / "s", progress=seen.append)
    assert sum(seen) == sourced.rows_read == len(ROWS) + 1


def test_expand(tmp_path):
    for name in ("b.csv", "a.csv", "c[1].csv"):
        (tmp_path / name).touch()
    found = expand([tmp_path / "b.csv", str(tmp_path / "*.csv"), tmp_path / "x" / ".." / "a.csv"][:2])
    assert [p.name for p in found] == ["a.csv", "b.csv", "c[1].csv"]
    assert [p.name for p in expand([tmp_path / "c[1].csv"])] == ["c[1].csv"]


def test_every_group_of_a_large_table_is_counted(tmp_path):
    # Daft's count_rows of a bare groupby loses groups from about 130,000 rows on
    size = 300_000
    ids = pa.array([f"P{n:06d}" for n in range(size)])
    nothing = pa.nulls(size, pa.string())
    columns = dict.fromkeys(STAGED["products"].names, nothing)
    table = pa.table(columns | {"product_id": ids, "source": pa.repeat("mind", size), "n": pa.repeat(1, size)})
    pairs = {"cobuy_id": ids, "product_a": ids, "product_b": ids, "source": pa.repeat("mind", size)}
    with Staging(tmp_path) as staging:
        staging.write("products", table)
        staging.write(
            "cobuys", pa.table(pairs | {"given": nothing, "once": pa.repeat(1, size), "each": pa.repeat(0, size)})
        )
        assert products(staging)[0].count_rows() == size
        assert cobuys(staging).count_rows() == size
        assert len(products(staging)[0].select("product_id").to_arrow()) == size


def test_memory_stays_flat(tmp_path, monkeypatch):
    monkeypatch.setattr(files.chunks, "__defaults__", (1 << 18,))
    peaks = []
    for size in (2_000, 8_000):
        path = tmp_path / f"{size}.csv"
        path.write_bytes(mind_csv(mind_row(n, Intention="x" * 1000) for n in range(size)))
        tracemalloc.start()
        before = pa.total_allocated_bytes()
        arrow = 0
        for block in open_csv(path).blocks(MIND):
            assert len(block)
            arrow = max(arrow, pa.total_allocated_bytes() - before)
        peaks.append(tracemalloc.get_traced_memory()[1] + arrow)
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


# --- codecs

TROUBLE = st.one_of(st.sampled_from("&amp;#x20; \n\u200b\u00ad\ufeffe\u0301\x1f"), st.characters(codec="utf-8"))
FIELD = st.text(st.one_of(st.sampled_from('",\n\r ;a\ufeff'), st.characters(codec="utf-8")), max_size=8)


@settings(max_examples=70, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.lists(FIELD, min_size=3, max_size=3), max_size=12),
    newline=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    chunk=st.sampled_from([7, 64, 1 << 20]),
)
@example(rows=[["\r", "", ""]], newline="\n", quoting=csv.QUOTE_MINIMAL, chunk=64)
def test_csv_round_trip(rows, newline, quoting, chunk, tmp_path, monkeypatch):
    monkeypatch.setattr(files.chunks, "__defaults__", (chunk,))
    if quoting == csv.QUOTE_MINIMAL:  # the csv module does not quote a carriage return, at the end of a line it is lost
        rows = [[*row[:2], row[2].rstrip("\r")] for row in rows]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=newline, quoting=quoting)
    writer.writerows([["one", "two, too", "three"], *rows])
    path = tmp_path / "round.csv"
    path.write_bytes(text.getvalue().encode())
    read, lines = [], []
    for block in open_csv(path).blocks(["three", "one", "two, too"]):
        assert not block.damages
        read += zip(*(block.columns[name].to_pylist() for name in ("one", "two, too", "three")), strict=True)
        lines += block.lines.tolist()
    assert read == [tuple(row) for row in rows]
    starts = [1 + text.getvalue()[:place].count("\n") for place in record_starts(rows, newline, quoting)]
    assert lines == starts


def record_starts(rows, newline, quoting):
    """Where each record of the file starts."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=newline, quoting=quoting)
    writer.writerow(["one", "two, too", "three"])
    places = []
    for row in rows:
        places.append(len(text.getvalue()))
        writer.writerow(row)
    return places


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.dictionaries(st.sampled_from("ab"), FIELD, min_size=1), min_size=1, max_size=10),
    ascii_only=st.booleans(),
    chunk=st.sampled_from([5, 1 << 20]),
)
def test_jsonl_round_trip(rows, ascii_only, chunk, tmp_path, monkeypatch):
    monkeypatch.setattr(files.chunks, "__defaults__", (chunk,))
    path = tmp_path / "round.jsonl"
    path.write_text("\n\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows), encoding="utf-8", newline="")
    monkeypatch.setattr(json_rows, "_SAMPLE", 10_000)
    read = []
    for block in json_rows.open_jsonl(path).blocks(["a", "b"]):
        assert not block.damages
        read += zip(block.columns["a"].to_pylist(), block.columns["b"].to_pylist(), block.lines.tolist(), strict=True)
    assert read == [(row.get("a", ""), row.get("b", ""), 1 + 2 * n) for n, row in enumerate(rows)]
    if chunk > 5:
        assert set(open_jsonl(path).header) <= {"a", "b"}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(TROUBLE)))
def test_cleaning(texts):
    cleaned = [clean(text) for text in texts]
    assert clean_column(pa.array(texts, pa.string())).to_pylist() == cleaned
    assert [clean(text) for text in cleaned] == cleaned
    lines = [clean_lines(text) for text in texts]
    assert clean_lines_column(pa.array(texts, pa.string())).to_pylist() == lines
    assert [clean_lines(text) for text in lines] == lines
    for text in [*cleaned, *lines]:
        assert unicodedata.is_normalized("NFC", text)
        assert not any(unicodedata.category(c) == "Cc" and c != "\n" for c in text)
        assert not set(text) & set("\u200b\ufeff\r\u00ad")


def test_cleaning_by_example():
    assert clean("Men&#39;s 5&quot; Mug &lt;new&gt;") == "Men's 5\" Mug <new>"
    assert clean("R&D Black&notebook AT&amp;amp;T &copy2;") == "R&D Black&notebook AT&T &copy2;"
    assert clean("\ufeffCafe\u0301\xa0\r\nau\u200b lait\x00") == "Caf\u00e9 au lait"
    assert category_path("Home &amp; Kitchen > Mugs>Large ") == ["Home & Kitchen", "Mugs>Large"]
    assert category_path('["Home &amp; Kitchen", null, " Mugs "]') == ["Home & Kitchen", "Mugs"]
    assert category_path("[broken") == ["[broken"]


def test_docs_name_every_format_and_column():
    page = (Path(__file__).parent.parent / "docs" / "sources.md").read_text(encoding="utf-8")
    assert set(FORMATS) == {format_.name for format_ in ALL}
    for format_ in ALL:
        section = page.split(f"\n## {format_.name}\n", 1)[1].split("\n## ", 1)[0]
        columns = {c for names in format_.columns.values() for c in names} | set(format_.text)
        assert not [c for c in columns if f"`{c}`" not in section], format_.name
