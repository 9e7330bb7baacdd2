"""Runs that reject most rows end with 1 and say why; what they read stays readable; sources come from stdin too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sources_case import mind_csv, mind_row

import mindkg
from mindkg.errors import RejectedError
from mindkg.pipeline import build, ingest

GOOD = [mind_row(n) for n in range(12)]
BAD = [mind_row(n, id_b="") for n in range(9)]
MINDKG = [sys.executable, "-m", "mindkg"]


def run(*arguments: object, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*MINDKG, *map(str, arguments)], input=data, capture_output=True)


def last(done: subprocess.CompletedProcess[bytes]) -> str:
    assert b"Traceback" not in done.stderr
    return done.stderr.decode().strip().splitlines()[-1]


def test_a_new_kb_is_published_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "good.csv").write_bytes(mind_csv(GOOD))
    (tmp_path / "bad.csv").write_bytes(mind_csv(BAD + GOOD[:1]))
    done = run("build", tmp_path / "good.csv", tmp_path / "bad.csv", "-o", tmp_path / "kb")
    assert done.returncode == 1
    message = last(done)
    assert "9 of 10 rows were rejected, most for missing_field: id_b is empty" in message
    assert "bad.csv" in message and "--allow-rejects" in message
    kb = mindkg.KnowledgeBase.open(tmp_path / "kb")
    assert kb.table("rejects")["stage"].to_pylist().count("sources") == 9
    assert run("build", tmp_path / "*.csv", "-o", tmp_path / "kb").returncode == 1  # also where nothing is to be done
    assert run("build", tmp_path / "*.csv", "-o", tmp_path / "kb", "--allow-rejects").returncode == 0


def test_a_kb_stays_as_it_was(tmp_path: Path) -> None:
    source = tmp_path / "a.csv"
    source.write_bytes(mind_csv(GOOD))
    before = build(source, tmp_path / "kb").manifest
    source.write_bytes(mind_csv(GOOD[:2] + BAD))
    with pytest.raises(RejectedError, match="9 of 11 rows"):
        build(source, tmp_path / "kb")
    assert mindkg.KnowledgeBase.open(tmp_path / "kb").manifest == before
    assert build(source, tmp_path / "kb", allow_rejects=True).published


def test_answers_to_relations_that_no_one_knows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(mind_csv([mind_row(n, Relation="likes") for n in range(9)]))
    with pytest.raises(RejectedError, match="9 of 9 answers were rejected, most for unknown_relation: likes"):
        build(tmp_path / "a.csv", tmp_path / "kb")


def test_rows_told_twice_are_no_reason_to_end(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"asin": "B000000001", "title": "Mug"}\n' * 9)
    assert ingest(tmp_path / "m.json", tmp_path / "kb").manifest.stages["sources"].rejected == 8
    (tmp_path / "r.csv").write_text("user_id,asin,rating,timestamp\n" + "A,B000000001,5,soon\n" * 9)
    with pytest.raises(RejectedError, match="9 of 9 rows were rejected, most for bad_number"):
        ingest(tmp_path / "m.json", tmp_path / "kb2", reviews=tmp_path / "r.csv")


@pytest.mark.parametrize("verb", ["parse", "link"])
def test_lines_that_cannot_be_used(verb: str) -> None:
    lines = b'{"id": 1, "text": "hiking boots", "relation": "isA"}\nid_a,id_b\n1,2\n'
    done = run(verb, "-", data=lines)
    assert done.returncode == 1 and "2 of 3 lines cannot be used" in last(done) and "not a line of JSON" in last(done)
    assert run(verb, "-", "--allow-rejects", data=lines).returncode == 0


def test_sources_come_from_stdin(tmp_path: Path) -> None:
    done = run("build", "-", "-o", tmp_path / "kb", data=mind_csv(GOOD + BAD[:1], delimiter=";"))
    assert done.returncode == 0, done.stderr
    assert b"-: read as separated by semicolons" in done.stderr
    kb = mindkg.KnowledgeBase.open(tmp_path / "kb")
    assert "stdin:50" in kb.table("rejects")["record"].to_pylist()
    assert not list((tmp_path / "kb").rglob("stdin"))
    again = run("build", "-", "-o", tmp_path / "kb", data=mind_csv(GOOD + BAD[:1], delimiter=";"))
    assert again.returncode == 0 and b"nothing to do" in again.stderr
    other = run("build", "-", "-o", tmp_path / "kb", data=mind_csv(GOOD[:5]))
    assert other.returncode == 1 and "--replace" in last(other)


def test_ingest_reads_metadata_or_reviews_from_stdin(tmp_path: Path) -> None:
    metadata = "".join(json.dumps({"asin": f"B00000000{n}", "title": "Mug"}) + "\n" for n in range(3)).encode()
    done = run("ingest", "-", "-o", tmp_path / "kb", data=metadata)
    assert done.returncode == 0, done.stderr
    assert mindkg.KnowledgeBase.open(tmp_path / "kb").table("products").num_rows == 3
    both = run("ingest", "-", "--reviews", "-", "-o", tmp_path / "kb2", data=metadata)
    assert both.returncode == 2 and "only one of" in last(both)
