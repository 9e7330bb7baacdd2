"""isA files: what is kept, what is refused and why, and the converted table against plain Python."""

from __future__ import annotations

import gzip
import os
from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mindkg.errors import InputError
from mindkg.link import index, rows
from mindkg.link.isa import IsaTable, open_isa
from mindkg.link.wordnet import __main__ as wordnet
from mindkg.schema import REASONS

DAMAGED = {
    b'accessory\t"cable"\t3': None,
    b"the 'best' device\tit's\t1": None,
    b"concept\tinstance\t2\r": None,
    b" padded  label \tx\ty"[:-1] + b"4": None,
    b"no tab at all": "bad_syntax",
    b"": "bad_syntax",
    b"one\ttab": "bad_syntax",
    b"too\tmany\t3\ttabs": "bad_syntax",
    b"a\tb\tx": "bad_number",
    b"a\tb\t": "bad_number",
    b"a\tb\t-3": "bad_number",
    b"a\tb\t1e3": "bad_number",
    b"a\tb\t0": "bad_number",
    b"a\tb\t 7": "bad_number",
    b"a\tb\t99999999999999999999": "bad_number",
    b"\tb\t3": "missing_field",
    b"a\t \t3": "missing_field",
    b"same\tSame\t3": "self_pair",
    b"broken\xff\tb\t3": "bad_encoding",
    b"a\tbroken\xc3\t3": "bad_encoding",
    b"nul\x00inside\tb\t3": None,
}


def converted(folder: Path, text: bytes, **options: object) -> IsaTable:
    path = folder / "isa.tsv"
    path.write_bytes(text)
    return open_isa(path, cache=folder / "cache", **options)  # type: ignore[arg-type]


def pairs(table: IsaTable, instances: list[str]) -> dict[tuple[str, str], int]:
    return {(r["concept"], r["instance"]): r["count"] for r in table.lookup(instances).to_pylist()}


def test_damaged_rows_are_refused_with_line_and_reason(tmp_path: Path) -> None:
    table = converted(tmp_path, b"\n".join(DAMAGED) + b"\n")
    expected = {line: reason for line, reason in enumerate(DAMAGED.values(), 1) if reason}
    refused = {r["line"]: r["reason"] for r in table.rejects().to_pylist()}
    assert refused == expected
    assert set(refused.values()) <= set(REASONS)
    assert table.rows + table.rejected == len(DAMAGED)
    assert pairs(table, ['"cable"', "it's", "b", "x"]) == {
        ("accessory", '"cable"'): 3,
        ("the 'best' device", "it's"): 1,
        ("nul inside", "b"): 3,
        ("padded label", "x"): 4,
    }


def test_order_flag_swaps_the_columns(tmp_path: Path) -> None:
    concept_first = converted(tmp_path, b"device\tcamera\t3\n")
    instance_first = converted(tmp_path, b"device\tcamera\t3\n", order="instance-first")
    assert pairs(concept_first, ["camera", "device"]) == {("device", "camera"): 3}
    assert pairs(instance_first, ["camera", "device"]) == {("camera", "device"): 3}
    assert concept_first.fingerprint != instance_first.fingerprint


def test_conversion_happens_once_for_one_content(tmp_path: Path) -> None:
    calls: list[int] = []
    first = converted(tmp_path, b"device\tcamera\t3\n", progress=calls.append)
    assert calls
    calls.clear()
    other = tmp_path / "elsewhere.tsv"
    other.write_bytes(b"device\tcamera\t3\n")
    again = open_isa(other, cache=tmp_path / "cache", progress=calls.append)
    assert not calls
    assert (again.folder, again.fingerprint) == (first.folder, first.fingerprint)
    assert [p.name for p in (tmp_path / "cache" / "isa").iterdir() if p.name != "seen"] == [first.fingerprint]


def test_what_a_killed_conversion_left_is_swept(tmp_path: Path) -> None:
    home = tmp_path / "cache" / "isa"
    dead, alive = home / f"abc.{2**22 + 1}.part", home / f"abc.{os.getppid()}.part"
    for part in (dead, alive):
        part.mkdir(parents=True)
        (part / "0.arrow").write_bytes(b"half")
    (tmp_path / "isa.tsv").write_text("drink\tcoffee\t9\n")
    open_isa(tmp_path / "isa.tsv", cache=tmp_path / "cache")
    assert not dead.exists() and alive.is_dir()


def test_changed_file_is_converted_anew(tmp_path: Path) -> None:
    assert converted(tmp_path, b"device\tcamera\t3\n").pairs == 1
    assert converted(tmp_path, b"device\tcamera\t3\ndevice\tphone\t9\n").pairs == 2


@pytest.mark.parametrize("cut", [0, 1, 40])
def test_cut_off_gzip_keeps_whole_rows(tmp_path: Path, cut: int) -> None:
    lines = b"".join(b"device %d\tcamera %d\t%d\n" % (i % 7, i * 7919 % 1009, i + 1) for i in range(3000))
    path = tmp_path / "isa.tsv.gz"
    packed = gzip.compress(lines)
    path.write_bytes(packed[: len(packed) - cut])
    table = open_isa(path, cache=tmp_path / "cache")
    if cut == 0:
        assert (table.rows, table.rejected) == (3000, 0)
    elif cut == 1:
        assert table.rows == 3000
        assert [r["reason"] for r in table.rejects().to_pylist()] == ["bad_syntax"]
    else:
        assert 0 < table.rows < 3000
        (refused,) = table.rejects().to_pylist()
        assert (refused["line"], refused["reason"]) == (table.rows + 1, "bad_syntax")


def test_zstd_is_read(tmp_path: Path) -> None:
    path = tmp_path / "isa.tsv.zst"
    with pa.CompressedOutputStream(str(path), "zstd") as out:
        out.write(b"device\tcamera\t3\n")
    assert pairs(open_isa(path, cache=tmp_path / "cache"), ["camera"]) == {("device", "camera"): 3}


def test_file_without_a_row_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no row"):
        converted(tmp_path, b"id,text\n1,2\n")
    with pytest.raises(InputError, match="there is no isA table"):
        open_isa(tmp_path / "absent.tsv", cache=tmp_path / "cache")
    assert not list((tmp_path / "cache" / "isa").glob("*.part"))


LABEL = st.text(st.sampled_from("abÀé ß-'\"|\\ \u00a0İ"), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(LABEL, LABEL, st.integers(1, 50)), min_size=1, max_size=60))
def test_table_is_what_plain_python_counts(tmp_path: Path, lines: list[tuple[str, str, int]]) -> None:
    expected: dict[tuple[str, str], int] = defaultdict(int)
    refused = 0
    for concept, instance, count in lines:
        c, e = rows.fold(concept), rows.fold(instance)
        if not c or not e or c == e:
            refused += 1
        else:
            expected[c, e] += count
    text = "".join(f"{c}\t{e}\t{n}\n" for c, e, n in lines).encode()
    if not expected:
        with pytest.raises(InputError):
            converted(tmp_path, text)
        return
    table = converted(tmp_path, text)
    assert pairs(table, sorted({e for _, e in expected})) == expected
    assert (table.rows, table.rejected) == (len(lines) - refused, refused)
    totals: dict[str, int] = defaultdict(int)
    for (_, instance), count in expected.items():
        totals[instance] += count
    assert {r["instance"]: r["total"] for r in table.lookup(sorted(totals)).to_pylist()} == totals
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for (concept, _), count in expected.items():
        sums[concept][0] += count
        sums[concept][1] += 1
    found = {r["concept"]: [r["total"], r["instances"]] for r in table.concept_totals(sorted(sums)).to_pylist()}
    assert found == sums
    assert (table.instances, table.concepts) == (len(totals), len(sums))


def test_small_blocks_give_the_same_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"".join(b"c%d\te %d\t%d\n" % (i % 13, i % 97, 1 + i % 5) for i in range(2000)) + b"damaged\n"
    whole = converted(tmp_path, text)
    monkeypatch.setattr(rows, "BLOCK", 100)
    pieces = open_isa(tmp_path / "isa.tsv", cache=tmp_path / "other")
    wanted = [f"e {i}" for i in range(97)]
    assert pieces.lookup(wanted).equals(whole.lookup(wanted))
    assert pieces.rejects().to_pylist() == whole.rejects().to_pylist()
    assert pieces.rejects()["line"].to_pylist() == [2001]


@given(st.lists(st.text(max_size=20), max_size=30))
def test_bucket_is_a_function_of_the_label_alone(labels: list[str]) -> None:
    labels = [label for label in labels if label.isprintable()]
    whole = index.buckets(pa.array(["xx", *labels, ""], pa.string()).slice(1, len(labels)))
    assert whole.tolist() == [index.buckets(pa.array([label], pa.string()))[0] for label in labels]


WORDNET_NOUNS = """\
  1 This software and database is being provided to you
00000001 06 n 01 device 0 000 | a thing made for a purpose
00000002 06 n 02 conductor 1 wire 0 001 @ 00000001 n 0000 | carries current
00000003 06 n 01 cable 0 001 @ 00000002 n 0000 | a wire
00000004 10 n 01 message 0 000 | words
00000005 10 n 01 cable 1 001 @ 00000004 n 0000 | a telegram
"""
WORDNET_SENSES = """\
cable%1:06:00:: 00000003 2 5
cable%1:10:00:: 00000005 1 1
cable%2:32:00:: 00000009 1 3
conductor%1:06:00:: 00000002 1 8
device%1:06:00:: 00000001 1 9
message%1:10:00:: 00000004 1 9
wire%1:06:00:: 00000002 1 0
"""


def test_wordnet_script_weighs_senses_and_steps(tmp_path: Path) -> None:
    (tmp_path / "data.noun").write_text(WORDNET_NOUNS)
    (tmp_path / "index.sense").write_text(WORDNET_SENSES)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        wordnet.main([str(tmp_path), str(tmp_path / folder)])
    lines = gzip.decompress((tmp_path / "a" / "isa.tsv.gz").read_bytes()).decode().splitlines()
    # cable: a device 15 * sqrt(5 + 1) / 2 against the telegram sqrt(1 + 1) / 1, which is too unlikely to stay
    assert lines == [
        "conductor\tcable\t1000",
        "device\tcable\t333",
        "device\tconductor\t1000",
        "device\twire\t1000",
    ]
    words = gzip.decompress((tmp_path / "a" / "words.tsv.gz").read_bytes()).decode()
    assert words == "cable\t8\t4\t0\t0\n"
    assert (tmp_path / "a" / "LICENSE").read_text().startswith("This software and database")
    for name in ("isa.tsv.gz", "words.tsv.gz", "LICENSE"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
