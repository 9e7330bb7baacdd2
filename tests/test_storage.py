"""The KB directory: publishing, the lock, conservation, cleaning, and clear words for what is broken."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from mindkg.errors import ConservationError, InputError, LockedError, StorageError
from mindkg.inputs import Inputs
from mindkg.knowledge_base import KnowledgeBase
from mindkg.schema import KEYS, SCHEMA_VERSION, TABLES, empty
from mindkg.storage import MANIFEST, KBDirectory, Manifest, StageRecord, fingerprint


def concepts(*labels: str) -> pa.Table:
    rows = [{"concept": label, "vague": False, "instances": 1} for label in labels]
    return pa.Table.from_pylist(rows, schema=TABLES["concepts"])


def publish(path: Path, *labels: str) -> Manifest:
    kb = KBDirectory(path)
    with kb.writing():
        key = fingerprint(labels)
        record = kb.write_stage("link", key, {"concepts": concepts(*labels)}, read=len(labels), kept=len(labels))
        manifest = Manifest(record.tables, {"link": record}, [], {}, {}, "2026-01-01T00:00:00+00:00")
        kb.publish(manifest)
    return manifest


def test_every_table_has_a_key_of_its_columns() -> None:
    assert KEYS.keys() == TABLES.keys()
    for name, schema in TABLES.items():
        assert set(KEYS[name]) <= set(schema.names)
        assert all(field.metadata[b"about"] for field in schema)
        assert empty(name).schema == schema


def test_a_table_comes_back_sorted_by_its_key(tmp_path: Path) -> None:
    publish(tmp_path / "kb", "shoe", "cable", "Éclair", "apple")
    assert KnowledgeBase.open(tmp_path / "kb").table("concepts")["concept"].to_pylist() == [
        "apple",
        "cable",
        "shoe",
        "Éclair",
    ]


def test_a_key_that_stands_twice_fails_the_stage(tmp_path: Path) -> None:
    with pytest.raises(ConservationError, match="key twice"):
        publish(tmp_path / "kb", "shoe", "cable", "shoe")


def test_a_stage_that_loses_rows_fails_by_name(tmp_path: Path) -> None:
    kb = KBDirectory(tmp_path / "kb")
    with kb.writing(), pytest.raises(ConservationError, match="stage link lost rows: 3 read, 1 kept, 0 rejected"):
        kb.write_stage("link", "f", {"concepts": concepts("shoe")}, read=3, kept=1)
    assert kb.finished("link", "f") is None


def test_a_finished_stage_is_found_only_with_its_tables(tmp_path: Path) -> None:
    publish(tmp_path / "kb", "shoe")
    kb = KBDirectory(tmp_path / "kb")
    key = fingerprint(("shoe",))
    record = kb.finished("link", key)
    assert isinstance(record, StageRecord) and record.tables["concepts"].rows == 1
    for file in (kb.path / record.tables["concepts"].path).iterdir():
        file.unlink()
    (kb.path / record.tables["concepts"].path).rmdir()
    assert kb.finished("link", key) is None
    with pytest.raises(StorageError, match="table concepts is missing"):
        KnowledgeBase.open(kb.path)


def test_an_open_reader_keeps_its_version_until_clean_and_the_one_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "kb"
    publish(path, "first")
    reader = KnowledgeBase.open(path)
    publish(path, "second")
    publish(path, "third", "x")
    assert reader.table("concepts")["concept"].to_pylist() == ["first"]
    (path / "stores" / "ladybug" / "0123456789abcdef-000000").mkdir(parents=True)
    before = KBDirectory(path).manifest("manifest.previous.json")
    assert before is not None

    gone = KnowledgeBase.open(path).clean()
    assert {p.parent.name for p in gone} == {"concepts", ".stages", "ladybug"}
    assert KnowledgeBase.open(path).table("concepts")["concept"].to_pylist() == ["third", "x"]
    assert KnowledgeBase(path, before).table("concepts")["concept"].to_pylist() == ["second"]
    assert KnowledgeBase.open(path).clean() == []


_HOLD = """
import sys, time
from mindkg.storage import KBDirectory
with KBDirectory(sys.argv[1]).writing():
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_keeps_others_out_and_dies_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "kb"
    publish(path, "shoe")
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(LockedError) as error, KBDirectory(path).writing():
            pass
        assert error.value.retryable
        leftover = path / "tables" / "concepts" / ".building-x-1"
        leftover.mkdir()
        os.kill(holder.pid, signal.SIGKILL)
    with KBDirectory(path).writing():
        assert not leftover.exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ('{"schema_version": 99}', "schema version 99"),
        (f'{{"schema_version": {SCHEMA_VERSION}}}', "lacks 'tables'"),
        (f'{{"schema_version": {SCHEMA_VERSION}, "tables": {{"x": {{"rows": 1}}}}, "stages": {{}}}}', "lacks"),
        ("[]", "schema version None"),
    ],
)
def test_a_broken_manifest_is_one_clear_error(tmp_path: Path, damage: str, message: str) -> None:
    publish(tmp_path / "kb", "shoe")
    (tmp_path / "kb" / MANIFEST).write_text(damage)
    with pytest.raises(StorageError, match=message):
        KnowledgeBase.open(tmp_path / "kb")


def test_no_kb_and_foreign_folders_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no KB"):
        KnowledgeBase.open(tmp_path / "nowhere")
    with pytest.raises(StorageError, match="not a finished KB"):
        KnowledgeBase.open(tmp_path)
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(StorageError, match="holds other files"), KBDirectory(tmp_path).writing():
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]
    with pytest.raises(StorageError, match="cannot write a KB here"), KBDirectory(tmp_path / "letter.txt").writing():
        pass


def test_an_unknown_table_names_the_known_ones(tmp_path: Path) -> None:
    publish(tmp_path / "kb", "shoe")
    with pytest.raises(InputError, match="Did you mean concepts"):
        KnowledgeBase.open(tmp_path / "kb").table("concept")


def test_a_file_seen_before_is_hashed_again_only_when_it_changed(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("a")
    describe_inputs = Inputs(tmp_path, list).describe
    first = describe_inputs([file])
    remembered = [{**first[0], "sha256": "remembered"}]
    assert describe_inputs([file], remembered)[0]["sha256"] == "remembered"
    file.write_text("ab")
    assert describe_inputs([file], remembered)[0]["sha256"] not in ("remembered", first[0]["sha256"])


def test_the_manifest_is_plain_json_with_a_row_count_for_each_table(tmp_path: Path) -> None:
    publish(tmp_path / "kb", "shoe", "cable")
    raw = json.loads((tmp_path / "kb" / MANIFEST).read_text())
    assert raw["schema_version"] == SCHEMA_VERSION
    assert raw["tables"]["concepts"]["rows"] == 2
