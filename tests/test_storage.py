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
        (f'{{"schema_version": {SCHEMA_VERSION}}}', "missing 'tables'"),
        (f'{{"schema_version": {SCHEMA_VERSION}, "tables": {{"x": {{"rows": 1}}}}, "stages": {{}}}}', "broken"),
        ("[]", "is a list"),
        ("7", "is a number"),
        ("null", "is null"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_a_broken_manifest_is_one_clear_error(tmp_path: Path, damage: str, message: str) -> None:
    publish(tmp_path / "kb", "shoe")
    (tmp_path / "kb" / MANIFEST).write_text(damage)
    with pytest.raises(StorageError, match=message):
        KnowledgeBase.open(tmp_path / "kb")


def rewrite(path: Path, *change: tuple[str, object]) -> None:
    """Set places of a manifest, such as ``tables.concepts.path``, as a version that wrote no checksum would."""
    manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    manifest.pop("checksum")
    for place, value in change:
        *parents, last = place.split(".")
        at = manifest
        for name in parents:
            at = at[name]
        at[last] = value
    (path / MANIFEST).write_text(json.dumps(manifest), "utf-8")


@pytest.mark.parametrize("value", [7, None, True, [], {}, "text", [7], {"path": 7}])
@pytest.mark.parametrize(
    "place",
    [
        "tables",
        "tables.concepts",
        "tables.concepts.path",
        "tables.concepts.rows",
        "tables.concepts.fingerprint",
        "tables.concepts.bytes",
        "tables.concepts.sha256",
        "stages",
        "stages.link",
        "stages.link.tables",
        "stages.link.tables.concepts",
        "stages.link.notes",
        "inputs",
        "options",
        "versions",
        "created",
        "unknown",
    ],
)
def test_a_manifest_of_any_shape_is_read_or_one_clear_error(tmp_path: Path, place: str, value: object) -> None:
    publish(tmp_path / "kb", "shoe")
    rewrite(tmp_path / "kb", (place, value))
    try:
        manifest = KnowledgeBase.open(tmp_path / "kb").manifest
    except StorageError as error:
        assert error.record and error.record.startswith(str(tmp_path)) and error.hint
    else:
        assert all(isinstance(entry.path, str) for entry in manifest.tables.values())
        assert isinstance(manifest.inputs, list) and isinstance(manifest.options, dict)


def test_a_changed_manifest_does_not_fit_its_checksum(tmp_path: Path) -> None:
    publish(tmp_path / "kb", "shoe")
    file = tmp_path / "kb" / MANIFEST
    file.write_text(file.read_text("utf-8").replace('"created": "2026', '"created": "2027'), "utf-8")
    with pytest.raises(StorageError, match="does not fit"):
        KnowledgeBase.open(tmp_path / "kb")


@pytest.mark.parametrize("place", ["../ref/tables/x", "/etc", "tables/../../ref/y", "tables/x", "tables/x/../y", ""])
def test_a_manifest_that_names_a_table_outside_the_kb_is_refused(tmp_path: Path, place: str) -> None:
    publish(tmp_path / "ref", "other")
    publish(tmp_path / "kb", "shoe")
    rewrite(tmp_path / "kb", ("tables.concepts.path", place))
    with pytest.raises(StorageError, match="outside the KB"):
        KnowledgeBase.open(tmp_path / "kb")


def test_a_table_that_is_a_link_out_of_the_kb_is_refused(tmp_path: Path) -> None:
    publish(tmp_path / "ref", "shoe")
    publish(tmp_path / "kb", "shoe")
    (tmp_path / "kb" / "tables").rename(tmp_path / "gone")
    (tmp_path / "kb" / "tables").symlink_to(tmp_path / "ref" / "tables")
    with pytest.raises(StorageError, match="table concepts is missing"):
        KnowledgeBase.open(tmp_path / "kb")


def test_a_kb_of_a_version_without_checksums_opens_and_gets_them(tmp_path: Path) -> None:
    entry = publish(tmp_path / "kb", "shoe").tables["concepts"]
    plain = {"path": entry.path, "rows": entry.rows, "fingerprint": entry.fingerprint}
    rewrite(tmp_path / "kb", ("tables.concepts", plain), ("stages.link.tables.concepts", plain))
    (record,) = (tmp_path / "kb" / "tables" / ".stages").iterdir()
    record.write_bytes(json.dumps(json.loads((tmp_path / "kb" / MANIFEST).read_bytes())["stages"]["link"]).encode())
    assert KnowledgeBase.open(tmp_path / "kb").table("concepts")["concept"].to_pylist() == ["shoe"]
    found = KBDirectory(tmp_path / "kb").finished("link", entry.fingerprint)
    assert found is not None and found.tables["concepts"] == entry


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
