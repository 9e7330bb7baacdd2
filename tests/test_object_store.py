"""A KB, and what it is made of, in an object store: a real S3 server over HTTP, and what it does not forgive."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kb_equality import SAMPLE, assert_equal, sample_rows, write_rows
from s3_server import BUCKET, KEY, SECRET, S3Server

from mindkg import distillation, pipeline
from mindkg.errors import InputError, LockedError, StorageError
from mindkg.knowledge_base import KnowledgeBase
from mindkg.object_store import Objects, address_of, expand
from mindkg.storage import WORK_DIR, KBDirectory

pytest_plugins = ["s3_server"]
pytestmark = pytest.mark.xdist_group("s3")

KB = f"s3://{BUCKET}/some/kb"
SHOP = SAMPLE.parent / "shop"


def stored(name: str, file: Path) -> str:
    """Put ``file`` into the bucket and return its address."""
    Objects(f"s3://{BUCKET}").put(name, file)
    return f"s3://{BUCKET}/{name}"


def mindkg(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "mindkg", *arguments], capture_output=True, text=True)


def tables(kb: str) -> dict[str, int]:
    manifest = KBDirectory(kb).open_manifest()
    return {name: entry.rows for name, entry in manifest.tables.items()}


def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """Go on as another machine does, whose work folder knows nothing yet."""
    monkeypatch.setenv(WORK_DIR, str(tmp_path / name))


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The KB of the sample in a folder, built with an isA table."""
    folder = tmp_path_factory.mktemp("local")
    isa = folder / "isa.tsv"
    isa.write_text("tool\tkitchen tool\t7\naccessory\tcable\t5\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(WORK_DIR, raising=False)
        pipeline.build(SAMPLE, folder / "kb", isa=isa)
    return folder / "kb"


def test_a_build_from_objects_into_objects_is_that_of_files(
    s3: S3Server, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    isa = stored("in/isa.tsv", local.parent / "isa.tsv")
    stored("in/answers.csv", SAMPLE)
    built = pipeline.build(f"s3://{BUCKET}/in/*.csv", f"{KB}/", isa=isa)
    assert (built.address, built.path.name) == (KB, "kb") and built.path.is_relative_to(tmp_path / "work")
    assert {path.name for path in built.path.iterdir()} == {".lock", ".verified.json", "tables"}
    assert {path.name for path in (s3.bucket / "some" / "kb").iterdir()} == {"manifest.json", "tables"}
    elsewhere(monkeypatch, tmp_path, "other")
    assert_equal(local, KB)
    with KnowledgeBase.open(local) as here, KnowledgeBase.open(KB) as there:
        assert there.query("graph-counts") == here.query("graph-counts")
        assert there.validate() == [] and there.manifest.fingerprint == here.manifest.fingerprint
        assert there.export("ntriples").read_bytes() == here.export("ntriples").read_bytes()
        facts = there.info()
    assert facts["path"] == KB and facts["stores"] == ["graph", "ladybug"]
    assert [i["path"] for i in facts["inputs"]] == [f"s3://{BUCKET}/in/answers.csv", isa]
    assert facts["stages"]["sources"]["formats"] == {f"s3://{BUCKET}/in/answers.csv": "mind"}
    said = (s3.bucket / "some" / "kb" / "manifest.json").read_text() + json.dumps(facts)
    assert KEY not in said and SECRET not in said and str(tmp_path) not in said


def test_what_is_unchanged_is_not_read_again_and_what_is_appended_is(s3: S3Server, tmp_path: Path) -> None:
    header, rows = sample_rows()
    first = stored("in/1.csv", write_rows(tmp_path / "1.csv", header, rows[:60]))
    pipeline.build(first, KB)
    read: list[str] = []
    again = pipeline.build(first, KB, progress=lambda stage, rows, total: read.append(stage))
    assert not again.published and "fetch" not in read
    stored("in/2.csv", write_rows(tmp_path / "2.csv", header, rows[60:90]))
    assert pipeline.build(f"s3://{BUCKET}/in/?.csv", KB).published
    pipeline.build([tmp_path / "1.csv", tmp_path / "2.csv"], tmp_path / "kb")
    assert_equal(tmp_path / "kb", KB)
    stored("in/1.csv", write_rows(tmp_path / "1.csv", header, rows[1:61]))
    assert "sources" in pipeline.build(f"s3://{BUCKET}/in/[12].csv", KB).ran


def test_ingest_and_going_on_from_it(s3: S3Server, tmp_path: Path) -> None:
    metadata, reviews = (stored(f"shop/{name}", SHOP / name) for name in ("metadata.jsonl", "reviews.jsonl"))
    pipeline.ingest(metadata, KB, reviews=reviews, limit=12)
    assert not pipeline.build((), KB).published
    pipeline.ingest(SHOP / "metadata.jsonl", tmp_path / "kb", reviews=SHOP / "reviews.jsonl", limit=12)
    assert_equal(tmp_path / "kb", KB)


def test_pictures_lie_in_the_work_folder_and_are_missed_elsewhere(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.ingest(SHOP / "metadata.jsonl", KB, limit=5)
    fetched, built = pipeline.images(KB, base=SHOP.parents[1])
    assert fetched.ok and (built.path / "images").is_dir() and tables(KB)["images"]
    elsewhere(monkeypatch, tmp_path, "other")
    with pytest.raises(StorageError, match="pictures are gone"):
        pipeline.build((), KB)


def test_answers_that_are_paid_for_lie_in_the_work_folder(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "products.csv").write_text("product_id,title\nP1,Red Tea Mug\nP2,Steel Kettle\n")
    (tmp_path / "pairs.csv").write_text("product_a,product_b\nP1,P2\n")
    (tmp_path / "answers.jsonl").write_text(
        '{"product_a": "P1", "product_b": "P2", "relation": "usedFor", "text": "They are used for making tea."}'
    )
    pipeline.build([tmp_path / "products.csv", tmp_path / "pairs.csv"], KB)
    replay = f"replay:{tmp_path / 'answers.jsonl'}"
    done = distillation.distill(KB, replay, relations=["usedFor"], passes=["intentions"])
    assert done.counts["intentions"]["answered"] == 1 == tables(KB)["generations"]
    assert (done.built.path / "ledger").is_dir() and not any("ledger" in name for name in Objects(KB).names())
    elsewhere(monkeypatch, tmp_path, "other")
    with KnowledgeBase.open(KB) as kb:
        assert kb.cypher("MATCH (:CoBuy)-[:USED_FOR]->(i:Intention) RETURN count(*) AS n").to_pylist() == [{"n": 1}]
    with pytest.raises(StorageError, match="ledger is gone"):
        pipeline.build((), KB)


def test_clean_removes_what_no_version_names_there_and_here(s3: S3Server, tmp_path: Path) -> None:
    header, rows = sample_rows()
    for number in range(3):
        source = write_rows(tmp_path / "s.csv", header, rows[: 20 + number])
        built = pipeline.build(source, KB)
    assert len(list(s3.bucket.glob("some/kb/tables/generations/*/*.parquet"))) == 3
    gone = KnowledgeBase.open(KB).clean()
    assert gone and all(str(one).startswith(f"{KB}/tables/") for one in gone)
    kept = {path.parent.name for path in s3.bucket.glob("some/kb/tables/generations/*/*.parquet")}
    assert len(kept) == 2 and kept == {path.name for path in built.path.glob("tables/generations/*")}
    assert KnowledgeBase.open(KB).clean() == []


def test_a_killed_build_leaves_the_kb_as_it_was_and_goes_on(s3: S3Server, tmp_path: Path) -> None:
    header, rows = sample_rows()
    pipeline.build(write_rows(tmp_path / "s.csv", header, rows[:40]), KB)
    old = tables(KB)
    source = write_rows(tmp_path / "s.csv", header, rows[:80])
    records = s3.bucket / "some" / "kb" / "tables" / ".stages"
    for stage in ("sources", "link"):
        known = set(records.glob(f"{stage}-*"))
        build = subprocess.Popen([sys.executable, "-m", "mindkg", "build", "--replace", str(source), "-o", KB])
        while build.poll() is None and set(records.glob(f"{stage}-*")) == known:
            time.sleep(0.005)
        os.kill(build.pid, signal.SIGKILL) if build.poll() is None else None
        build.wait()
        if build.returncode:
            assert tables(KB) == old
    pipeline.build(source, KB, replace=True)
    pipeline.build(source, tmp_path / "kb")
    assert_equal(tmp_path / "kb", KB)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_upload_that_is_stopped_leaves_nothing_or_all(s3: S3Server, tmp_path: Path, number: int) -> None:
    large = tmp_path / "large"
    large.write_bytes(os.urandom(60_000_000))
    code = (
        "import sys; from pathlib import Path; from mindkg.object_store import Objects; print('on', flush=True);"
        f"Objects('s3://{BUCKET}/kb').put('large', Path(sys.argv[1]))"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(large)], stdout=subprocess.PIPE, text=True) as upload:
        assert upload.stdout is not None and upload.stdout.readline() == "on\n"
        time.sleep(0.2)
        upload.send_signal(number)
    objects = Objects(f"s3://{BUCKET}/kb")
    if upload.returncode == -signal.SIGKILL:
        assert "large" not in objects.names()
    assert "large" not in objects.names() or objects.find("large").size == large.stat().st_size
    objects.put("large", large)
    objects.get("large", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == large.read_bytes()


def test_a_truncated_object_is_no_table_and_is_written_again(s3: S3Server, tmp_path: Path) -> None:
    pipeline.build(SAMPLE, KB)
    objects = Objects(KB)
    name = next(name for name in objects.names("tables/assertions"))
    objects.write(name, objects.read(name)[:-100])
    with pytest.raises(StorageError, match="assertions is damaged"):
        KnowledgeBase.open(KB)
    pipeline.build(SAMPLE, KB)
    assert KnowledgeBase.open(KB).table("assertions").num_rows


def test_the_lock_is_in_the_work_folder(s3: S3Server) -> None:
    with KBDirectory(KB).writing(), pytest.raises(LockedError, match=KB), KBDirectory(KB).writing():
        pass


@pytest.mark.parametrize(
    ("change", "kb", "message"),
    [
        ({WORK_DIR: None}, KB, f"needs a folder here .*{WORK_DIR}"),
        ({WORK_DIR: "s3://bucket/work"}, KB, "the work folder cannot lie in an object store"),
        ({}, "s3://no-such-bucket/kb", "there is no such bucket"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong-secret"}, KB, "the object store refuses access"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, KB, "the object store refuses access"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, KB, "the object store is not reached"),
        ({"AWS_ENDPOINT_URL": "http://no-such-host.invalid"}, KB, "the object store is not reached"),
        ({"AWS_ENDPOINT_URL": f"http://{KEY}:{SECRET}@127.0.0.1"}, KB, "the object store cannot be used"),
        ({}, "ftp://bucket/kb", "addresses with ftp:// are not known"),
        ({}, f"s3://{KEY}:{SECRET}@bucket/kb", "never stand in an address"),
        ({}, "s3:///kb", "the name of a bucket is needed"),
        ({}, f"s3://{BUCKET}/../kb", "holds no . and no .."),
    ],
)
def test_mistakes_are_one_line_with_a_hint_and_no_secret(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, change: dict[str, str | None], kb: str, message: str
) -> None:
    for name, value in change.items():
        monkeypatch.delenv(name) if value is None else monkeypatch.setenv(name, value)
    with pytest.raises((InputError, StorageError), match=message) as error:
        pipeline.build(SAMPLE, kb)
    assert error.value.hint and len(str(error.value).splitlines()) == 1
    assert not any(secret in str(error.value) for secret in (KEY, SECRET, "wrong-secret"))


def test_inputs_that_are_not_there_are_named(s3: S3Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no object matches \(s3://bucket/none-\*.csv\)"):
        pipeline.build(f"s3://{BUCKET}/none-*.csv", KB)
    with pytest.raises(InputError, match=r"there is no such object \(s3://bucket/none.csv\)"):
        pipeline.build(f"s3://{BUCKET}/none.csv", KB)
    with pytest.raises(InputError, match=r"there is no such object \(s3://bucket/isa.tsv\)"):
        pipeline.build(SAMPLE, KB, isa=f"s3://{BUCKET}/isa.tsv")
    archive = stored("some.csv", write_rows(tmp_path / "some.csv", ["PK\x03\x04"], []))
    with pytest.raises(InputError, match=r"this is a zip archive or an Excel file \(s3://bucket/some.csv\)"):
        pipeline.build(archive, KB)
    assert not list((tmp_path / "work").glob("**/.building-*"))


def test_the_command_line_takes_addresses(s3: S3Server) -> None:
    done = mindkg("info", KB)
    assert done.returncode == 1 and "there is no KB" in done.stderr and "Traceback" not in done.stderr, done.stderr
    done = mindkg("build", str(SAMPLE), "-o", KB)
    assert done.returncode == 0 and f"{KB}: " in done.stderr, done.stderr
    done = mindkg("info", KB, "--json")
    assert json.loads(done.stdout)["path"] == KB


def test_a_store_that_may_only_be_read_is_told_before_the_work(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.build(SAMPLE, KB)
    (tmp_path / "mirror").mkdir()
    server = S3Server(tmp_path / "mirror", read_only=True)
    server.bucket.parent.mkdir()
    server.bucket.symlink_to(s3.bucket)
    try:
        server.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.environment()["AWS_ENDPOINT_URL"])
        elsewhere(monkeypatch, tmp_path, "other")
        assert KnowledgeBase.open(KB).table("assertions").num_rows
        done: list[str] = []
        with pytest.raises(InputError, match="object store"):
            pipeline.build(SAMPLE, KB, progress=lambda stage, rows, total: done.append(stage))
        assert done == []
    finally:
        server.stop()


def test_other_objects_are_not_taken_for_a_kb(s3: S3Server, tmp_path: Path) -> None:
    letter = stored("letters/one.txt", write_rows(tmp_path / "one.txt", ["dear"], []))
    with pytest.raises(StorageError, match="other objects"):
        pipeline.build(SAMPLE, f"s3://{BUCKET}/letters")
    assert expand(f"s3://{BUCKET}/*/one.txt") == [letter] == expand(letter)
    for folder in (f"s3://{BUCKET}", f"s3://{BUCKET}/letters"):
        with pytest.raises(InputError, match="this is a folder"):
            expand(folder)
    assert Objects(f"s3://{BUCKET}").names() == ["letters/one.txt"]


def test_a_path_cannot_hold_an_address() -> None:
    assert address_of(Path("s3") / "kb") is None and address_of("kb:1") is None
    with pytest.raises(InputError, match="a Path cannot hold an address"):
        KBDirectory(Path(KB))
