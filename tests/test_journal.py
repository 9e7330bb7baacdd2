"""The journal: what is appended is found again, whatever happens to the process or the disk."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindkg.errors import StorageError
from mindkg.journal import Journal

SCHEMA = pa.schema({"key": pa.string(), "text": pa.string(), "n": pa.int64(), "x": pa.float64(), "error": pa.string()})


def opened(folder: Path) -> Journal:
    return Journal(folder, SCHEMA, "key", failure="error")


def texts(folder: Path) -> dict[str, str | None]:
    return {row["key"]: row["text"] for row in opened(folder).scan().to_pylist()}


def keys_in(folder: Path) -> list[str]:
    return [key.as_py() for part in list(opened(folder).keys()) for key in part]


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    words = random.Random(seed)
    return [{"key": f"{words.random()}", "text": f"text {n}", "n": n, "x": n / 7} for n in range(count)]


def test_an_empty_folder_has_no_records(tmp_path: Path) -> None:
    journal = opened(tmp_path / "none")
    assert journal.scan().schema == SCHEMA
    assert journal.scan().num_rows == 0 and keys_in(tmp_path / "none") == []
    journal.compact()
    assert not (tmp_path / "none").exists()


def test_a_record_is_read_while_its_writer_lives(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.append({"key": "b", "text": "one"})
        journal.append({"key": "a", "n": 3, "x": 0.1})
        assert opened(tmp_path).scan().to_pylist() == [
            {"key": "a", "text": None, "n": 3, "x": 0.1, "error": None},
            {"key": "b", "text": "one", "n": None, "x": None, "error": None},
        ]
        assert len(segments(tmp_path)) == 1


def test_the_last_record_of_a_key_counts_and_an_answer_beats_an_error(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    first.append({"key": "a", "text": "old"})
    second.append({"key": "a", "text": "new"})
    second.append({"key": "b", "text": "kept"})
    first.append({"key": "b", "error": "refused"})
    second.append({"key": "c", "error": "first"})
    first.append({"key": "c", "error": "second"})
    for _ in range(2):
        table = opened(tmp_path).scan()
        assert table["text"].to_pylist() == ["new", "kept", None]
        assert table["error"].to_pylist() == [None, None, "second"]
        assert keys_in(tmp_path) == ["a", "b"]
        first.compact()  # leaves the segment of the second
    second.append({"key": "a", "text": "newest"})
    second.close()
    first.compact()
    assert texts(tmp_path) == {"a": "newest", "b": "kept", "c": None}


def test_an_unknown_column_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as journal, pytest.raises(ValueError, match="'other'"):
        journal.append({"key": "a", "other": 1})


def test_compacted_or_not_the_content_and_its_digest_are_the_same(tmp_path: Path) -> None:
    records = rows(2000)
    for part in range(4):
        with opened(tmp_path) as journal:
            for record in records[part::4]:
                journal.append(record)
    before, digest = opened(tmp_path).scan(), opened(tmp_path).digest()
    opened(tmp_path).compact()
    (compacted,) = (path for path in tmp_path.iterdir() if not path.name.startswith("."))
    assert re.fullmatch(f"{digest}-[0-9a-f]{{64}}.parquet", compacted.name)
    assert opened(tmp_path).scan() == before
    assert opened(tmp_path).digest() == digest
    assert before["n"].to_pylist() == [r["n"] for r in sorted(records, key=lambda r: r["key"])]
    with opened(tmp_path) as journal:
        journal.append(records[7])  # says nothing new
        assert opened(tmp_path).digest() == digest
        journal.append({**records[7], "text": "other"})
        assert opened(tmp_path).digest() != digest
    opened(tmp_path).compact()
    assert len(list(tmp_path.glob("*.parquet"))) == 1
    assert texts(tmp_path)[records[7]["key"]] == "other"


def test_the_digest_knows_null_from_nothing_and_one_column_from_the_next(tmp_path: Path) -> None:
    contents: list[dict[str, Any]] = [
        {"key": "a"},
        {"key": "a", "text": ""},
        {"key": "a", "error": ""},
        {"key": "a", "text": '",'},
        {"key": "a", "text": "\n"},
        {"key": "a", "n": 0},
        {"key": "a", "x": 0.0},
    ]
    digests = set()
    for number, record in enumerate(contents):
        with opened(tmp_path / str(number)) as journal:
            journal.append(record)
            digests.add(journal.digest())
    assert len(digests) == len(contents)


@given(st.lists(st.dictionaries(st.sampled_from(["key", "text", "error"]), st.text(), min_size=3), max_size=8))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, Any]]) -> None:
    folder = tmp_path_factory.mktemp("any")
    wanted = {record["key"]: record["text"] for record in records}
    with opened(folder) as journal:
        for record in records:
            journal.append({"key": record["key"], "text": record["text"]})
        assert texts(folder) == wanted
        journal.compact()
        assert texts(folder) == wanted


def test_half_a_surrogate_pair_is_replaced(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.append({"key": "a", "text": "x\ud83dy \U0001f600 \ud83d\ude00"})
    assert texts(tmp_path) == {"a": "x\ufffdy \U0001f600 \U0001f600"}


@pytest.mark.parametrize("cut", [1, 2, 20, 60])
def test_a_torn_tail_costs_only_itself(tmp_path: Path, cut: int) -> None:
    with opened(tmp_path) as journal:
        for record in rows(20):
            journal.append(record)
    (segment,) = segments(tmp_path)
    with segment.open("r+b") as file:
        file.truncate(segment.stat().st_size - cut)
    kept = {r["key"] for r in rows(20)[: 20 if cut == 1 else 19]}
    assert texts(tmp_path).keys() == kept
    with opened(tmp_path) as journal:
        journal.append({"key": "next", "text": "whole"})
        journal.compact()
    assert texts(tmp_path).keys() == kept | {"next"}


def test_what_is_broken_in_the_middle_costs_only_itself(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        for name in "abcdefgh":
            journal.append({"key": name, "text": f'{name}: {{"key":"z"}} \n'})
    (segment,) = segments(tmp_path)
    lines = segment.read_bytes().splitlines()
    lines[1] = lines[1][:40] + b"\n" + b"\0" * 50
    lines[2:4] = [lines[2][:30] + lines[3]]  # no end of line behind the torn one
    lines[3] = b'{"key":"q"}\n[1]\n5\n"key"\n\n' + lines[3]
    lines[4] = lines[4].replace(b"f: ", b"f: \xff")
    segment.write_bytes(b"\n".join(lines))
    assert sorted(texts(tmp_path)) == ["a", "d", "e", "g", "h"]
    assert keys_in(tmp_path) == ["a", "d", "e", "g", "h"]


def test_a_whole_record_that_does_not_fit_is_said_and_not_lost(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.append({"key": "a", "n": "many"})
    with pytest.raises(StorageError, match="does not fit"):
        opened(tmp_path).scan()
    with pytest.raises(StorageError, match="does not fit"):
        opened(tmp_path).compact()
    assert len(segments(tmp_path)) == 1


def test_columns_of_another_version_are_null_or_left_out(tmp_path: Path) -> None:
    old = pa.schema([("key", pa.string()), ("gone", pa.string())])
    for name in ("a", "b"):
        with Journal(tmp_path, old, "key") as journal:
            journal.append({"key": name, "gone": "x"})
            if name == "a":
                journal.compact()
    assert texts(tmp_path) == {"a": None, "b": None}
    opened(tmp_path).compact()
    assert pq.read_schema(next(tmp_path.glob("*.parquet"))).names == [*SCHEMA.names, "_at", "_crc32"]


def test_a_living_writers_segment_is_left_alone(tmp_path: Path) -> None:
    program = """
import sys
from tests.test_journal import Path, opened
with opened(Path(sys.argv[1])) as journal:
    journal.append({"key": "theirs", "text": "1"})
    print("ready", flush=True)
    sys.stdin.readline()
    journal.append({"key": "theirs too", "text": "2"})
"""
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout and child.stdin
    child.stdout.readline()
    with opened(tmp_path) as journal:
        journal.append({"key": "ours", "text": "0"})
        journal.compact()
        assert len(segments(tmp_path)) == 1 and journal.compacted() is None
        child.communicate("go\n")
        assert texts(tmp_path) == {"ours": "0", "theirs": "1", "theirs too": "2"}
        journal.compact()
        assert not segments(tmp_path) and journal.compacted() is not None
    assert texts(tmp_path) == {"ours": "0", "theirs": "1", "theirs too": "2"}


def test_a_forked_process_writes_a_segment_of_its_own(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.append({"key": "parent"})
        pid = os.fork()
        if not pid:
            journal.append({"key": "child"})
            os._exit(0)
        os.waitpid(pid, 0)
        assert len(segments(tmp_path)) == 2
        journal.append({"key": "parent again"})
    assert sorted(texts(tmp_path)) == ["child", "parent", "parent again"]


def test_readers_and_writers_go_on_while_it_is_compacted(tmp_path: Path) -> None:
    stop, wrong = threading.Event(), []

    def write(name: str) -> None:
        with opened(tmp_path) as journal:
            for number in range(400):
                journal.append({"key": f"{name} {number}", "text": "x"})
                if number % 50 == 49:
                    journal.close()
            written.append(name)

    def read() -> None:
        least = 0
        while not stop.is_set():
            found = len(keys_in(tmp_path))
            wrong.extend([found] if found < least else [])
            least = found

    written: list[str] = []
    writers = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    reader = threading.Thread(target=read)
    for thread in (*writers, reader):
        thread.start()
    while len(written) < 3:
        opened(tmp_path).compact()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    opened(tmp_path).compact()
    assert not wrong
    assert len(texts(tmp_path)) == 1200 and opened(tmp_path).compacted()


def test_a_killed_writer_loses_nothing_that_it_reported(tmp_path: Path) -> None:
    program = """
import sys
from tests.test_journal import Path, opened
journal = opened(Path(sys.argv[1]))
for number in range(1_000_000):
    journal.append({"key": str(number), "text": "x" * 500})
    print(number, flush=True)
"""
    moments = random.Random(5)
    for turn in range(5):
        folder = tmp_path / str(turn)
        child = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True)
        assert child.stdout
        for _ in range(moments.randrange(1, 2000)):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        reported = [int(line) for line in child.stdout.read().split("\n")[:-1]]
        child.wait()
        opened(folder).compact()
        found = sorted(map(int, texts(folder)))
        assert found == list(range(len(found))) and (not reported or len(found) > max(reported))


def test_a_full_disk_is_one_clear_error_and_breaks_nothing(tmp_path: Path) -> None:
    program = """
import resource, sys
from tests.test_journal import Path, StorageError, opened
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
journal, written = opened(Path(sys.argv[1])), 0
try:
    while True:
        journal.append({"key": f"{written:05}", "text": "x" * 333})
        written += 1
except StorageError as error:
    print(written, error)
journal.append({"key": "in another segment"})
journal.close()
try:
    journal.append({"key": "big", "text": "x" * 30_000})
except StorageError:
    pass
"""
    output = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    count, error = output.stdout.strip().split(" ", 1)
    assert "cannot write the records: File too large" in error and str(tmp_path) in error and "\n" not in error
    assert int(count) > 40
    wanted = {f"{n:05}" for n in range(int(count))} | {"in another segment"}
    assert texts(tmp_path).keys() == wanted
    opened(tmp_path).compact()
    assert texts(tmp_path).keys() == wanted


def test_a_compaction_that_fails_leaves_all_as_it_was(tmp_path: Path) -> None:
    words = random.Random(3)
    with opened(tmp_path) as journal:
        for number in range(200):
            journal.append({"key": str(number), "text": words.randbytes(200).hex()})
    before, digest = segments(tmp_path), opened(tmp_path).digest()
    program = """
import resource, sys
from tests.test_journal import Path, StorageError, opened
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    opened(Path(sys.argv[1])).compact()
except StorageError as error:
    print(error)
"""
    output = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "cannot compact the records" in output.stdout
    assert segments(tmp_path) == before and opened(tmp_path).digest() == digest
    assert sorted(p.suffix for p in tmp_path.iterdir() if p.name != ".lock") == [".jsonl"]


def test_a_broken_table_is_said_and_stays(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(StorageError, match=r"x\.parquet"):
        opened(tmp_path).scan()
    assert (tmp_path / "x.parquet").exists()


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write the records: Not a directory"):
        opened(tmp_path / "file" / "ledger").append({"key": "a"})


def flipped(file: Path, bit: int) -> bytes:
    """Flip a bit of a file and return what it was before."""
    before = file.read_bytes()
    data = bytearray(before)
    data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(data)
    return before


@pytest.mark.parametrize("compact", [False, True])
def test_a_flipped_bit_is_never_read_as_another_answer(tmp_path: Path, compact: bool) -> None:
    with opened(tmp_path) as journal:
        for record in rows(40):
            journal.append(record)
        if compact:
            journal.compact()
    whole = {row["key"]: row for row in opened(tmp_path).scan().to_pylist()}
    (file,) = (path for path in tmp_path.iterdir() if not path.name.startswith("."))
    choice = random.Random(12)
    for _ in range(200):
        before = flipped(file, choice.randrange(8 * file.stat().st_size))
        journal = opened(tmp_path)
        try:
            found = {row["key"]: row for row in journal.scan().to_pylist()}
            assert found.items() <= whole.items()
            assert len(found) == len(whole) or journal.check()[str(file)]
            assert len(found) >= len(whole) - 2 or compact
        except StorageError as error:
            assert compact and error.record == str(file)
        file.write_bytes(before)


def test_a_damaged_record_is_counted_set_aside_and_asked_again_only_where_no_copy_exists(tmp_path: Path) -> None:
    with opened(tmp_path) as first:
        first.append({"key": "a", "text": "one"})
        first.append({"key": "b", "text": "two"})
        first.append({"key": "c", "text": "three"})
    (file,) = segments(tmp_path)
    with opened(tmp_path) as second:
        second.append({"key": "a", "text": "one"})
    flipped(file, 8 * file.read_bytes().index(b"one"))
    flipped(file, 8 * file.read_bytes().index(b"two"))
    journal = opened(tmp_path)
    assert keys_in(tmp_path) == ["a", "c"]
    assert journal.check() == {str(file): 2}
    journal.compact()
    assert texts(tmp_path) == {"a": "one", "c": "three"}
    assert [path.name for path in tmp_path.glob("*.damaged")] == [f"{file.name}.damaged"]
    assert opened(tmp_path).check() == {}


def test_intact_rows_of_a_damaged_parquet_file_are_kept(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        for record in rows(5000):
            journal.append(record)
        journal.compact()
    (file,) = tmp_path.glob("*.parquet")
    column = pq.read_metadata(file).row_group(0).column(1)  # the text of the first of two groups
    flipped(file, 8 * (column.data_page_offset + column.total_compressed_size - 2))
    damaged = opened(tmp_path)
    found = damaged.scan()
    assert found.num_rows == 5000 - 4096 and damaged.check() == {str(file): 4096}
    damaged.compact()
    assert opened(tmp_path).scan() == found and opened(tmp_path).check() == {}
    assert [path.name for path in tmp_path.glob("*.damaged")] == [f"{file.name}.damaged"]


def test_a_parquet_file_without_a_readable_footer_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    with opened(tmp_path) as journal:
        journal.append({"key": "a", "text": "one"})
        journal.compact()
    (file,) = tmp_path.glob("*.parquet")
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(StorageError, match="Put a copy of it back") as error:
        opened(tmp_path).scan()
    assert error.value.record == str(file)


def test_a_clock_that_was_set_back_changes_no_order(tmp_path: Path) -> None:
    late = time.time_ns() + 10**18  # as a process wrote it while the clock was 30 years ahead
    old = {"key": "a", "_at": late, "text": "old"}
    (tmp_path / "1-0123456789abcdef.jsonl").write_text(json.dumps(old, separators=(",", ":")) + "\n")
    for text in ("new", "newer", "newest"):
        with opened(tmp_path) as journal:
            journal.append({"key": "a", "text": text})
        assert texts(tmp_path) == {"a": text}
        opened(tmp_path).compact()
        assert texts(tmp_path) == {"a": text}


def test_segments_of_a_version_without_checksums_are_read(tmp_path: Path) -> None:
    lines = [{"key": name, "_at": n, "text": name * 2} for n, name in enumerate("abc")]
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    (tmp_path / "1-0123456789abcdef.jsonl").write_text(text + '{"key":"d","_at":9,"te')
    assert texts(tmp_path) == {"a": "aa", "b": "bb", "c": "cc"}
    assert list(opened(tmp_path).check().values()) == [1]
    opened(tmp_path).compact()
    assert texts(tmp_path) == {"a": "aa", "b": "bb", "c": "cc"} and opened(tmp_path).check() == {}
