"""The build as a whole: equal builds, nothing done twice, and a SIGKILL at any moment."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kb_equality import SAMPLE, assert_equal, sample_rows, shuffled, write_rows

import mindkg
from mindkg.engine import daft
from mindkg.errors import InputError, StorageError
from mindkg.pipeline import build

KILLS = 10


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A KB of the sample and the seconds that a build in a process of its own takes."""
    path = tmp_path_factory.mktemp("undisturbed") / "kb"
    start = time.monotonic()
    subprocess.run([*COMMAND, str(path)], check=True, capture_output=True)
    return path, time.monotonic() - start


COMMAND = [sys.executable, "-m", "mindkg", "build", "--replace", str(SAMPLE), "-o"]


def test_every_row_ends_in_one_place(undisturbed: tuple[Path, float]) -> None:
    kb = mindkg.KnowledgeBase.open(undisturbed[0])
    rows = {name: kb.table(name).num_rows for name in kb.manifest.tables}
    rejects = kb.table("rejects")["stage"].to_pylist()
    assert rows["generations"] + rejects.count("sources") == len(sample_rows()[1])
    assert rows["evidence"] + rejects.count("parse") == rows["generations"]
    assert rejects.count("sources") > 0 and rejects.count("parse") > 0
    assert sum(kb.table("assertions")["support"].to_pylist()) == rows["evidence"]
    assert set(kb.table("assertions")["intention_id"].to_pylist()) == set(
        kb.table("intentions")["intention_id"].to_pylist()
    )


def test_what_the_filter_said_decides_what_is_accepted(undisturbed: tuple[Path, float]) -> None:
    kb = mindkg.KnowledgeBase.open(undisturbed[0])
    said: dict[str, list[str]] = {}
    for verdict in kb.table("verdicts").to_pylist():
        said.setdefault(verdict["generation_id"], []).append(verdict["verdict"])
    verdicts: dict[str, list[str]] = {}
    for row in kb.table("evidence").to_pylist():
        verdicts.setdefault(row["assertion_id"], []).extend(said.get(row["generation_id"], []))
    seen = set()
    for row in kb.table("assertions").to_pylist():
        heard = verdicts[row["assertion_id"]]
        accepted = True if "yes" in heard else False if heard and set(heard) == {"no"} else None
        assert row["accepted"] is accepted
        seen.add(accepted)
    assert seen == {True, False, None}


def test_a_second_build_does_nothing_and_says_so(undisturbed: tuple[Path, float]) -> None:
    path, _ = undisturbed
    before = (path / "manifest.json").read_bytes()
    done = subprocess.run([*COMMAND, str(path)], check=True, capture_output=True, text=True)
    assert "nothing to do" in done.stderr and done.stdout == ""
    assert (path / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("seed", [1, 2])
def test_order_place_and_partitions_do_not_matter(undisturbed: tuple[Path, float], tmp_path: Path, seed: int) -> None:
    header, rows = sample_rows()
    rows = shuffled(rows, seed)
    third = len(rows) // 3
    parts = [rows[:third], rows[third : 2 * third], rows[2 * third :]]
    for i, part in enumerate(parts):
        write_rows(tmp_path / "else where [x]" / f"part-{i}.csv", header, part)
    with daft.execution_config_ctx(default_morsel_size=7 * seed):
        build([str(tmp_path / "else where [[]x]" / "*.csv")], tmp_path / "kb [1]")
    assert_equal(undisturbed[0], tmp_path / "kb [1]")


def test_appended_rows_are_parsed_without_parsing_the_old_ones_again(
    undisturbed: tuple[Path, float], tmp_path: Path
) -> None:
    header, rows = sample_rows()
    source = write_rows(tmp_path / "s.csv", header, rows[:-40])
    first = build([source], tmp_path / "kb")
    assert first.manifest.stages["parse"].notes["reused"] == 0
    write_rows(source, header, rows)
    second = build([source], tmp_path / "kb")
    # a title that becomes the most frequent one through the new rows makes its answers be parsed again
    reused = second.manifest.stages["parse"].notes["reused"]
    assert first.manifest.tables["generations"].rows - 5 <= reused <= first.manifest.tables["generations"].rows
    assert_equal(undisturbed[0], tmp_path / "kb")


def test_without_a_source_a_build_goes_on_from_what_the_kb_holds(tmp_path: Path) -> None:
    table = tmp_path / "isa.tsv"
    table.write_text("drink\tcoffee\t7\nroom\tkitchen\t3\n")
    build([SAMPLE], tmp_path / "kb")
    again = build([], tmp_path / "kb", isa=table)
    assert again.ran == ("link",)
    assert set(mindkg.KnowledgeBase.open(tmp_path / "kb").table("mentions")["concept"].to_pylist()) == {
        "drink",
        "room",
    }
    assert build([], tmp_path / "kb").ran == ()
    with pytest.raises(StorageError, match="there is no KB"):
        build([], tmp_path / "nowhere")


def test_the_papers_counting_keeps_the_asked_label(undisturbed: tuple[Path, float], tmp_path: Path) -> None:
    build([SAMPLE], tmp_path / "kb", relations="asked")
    kb = mindkg.KnowledgeBase.open(tmp_path / "kb")
    asked = dict(zip(*(kb.table("generations")[c].to_pylist() for c in ("generation_id", "relation")), strict=True))
    relation = dict(zip(*(kb.table("assertions")[c].to_pylist() for c in ("assertion_id", "relation")), strict=True))
    rows = kb.table("evidence").to_pylist()
    assert rows and all(relation[r["assertion_id"]] == asked[r["generation_id"]] for r in rows)


def test_a_relative_path_may_hold_any_character(
    undisturbed: tuple[Path, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    build(str(SAMPLE), "my kb: [1] 50%*?")
    kb = mindkg.KnowledgeBase.open("my kb: [1] 50%*?")
    assert kb.query("graph-counts").num_rows and kb.validate() == []
    assert_equal(undisturbed[0], tmp_path / "my kb: [1] 50%*?")


def test_going_back_to_old_options_publishes_again(tmp_path: Path) -> None:
    first = build([SAMPLE], tmp_path / "kb")
    build([SAMPLE], tmp_path / "kb", top_k=1)
    back = build([SAMPLE], tmp_path / "kb")
    assert (back.ran, back.published) == ((), True)
    assert back.manifest.tables == first.manifest.tables
    assert build([SAMPLE], tmp_path / "kb").published is False


def test_how_sources_are_read_cannot_change_without_them(tmp_path: Path) -> None:
    build([SAMPLE], tmp_path / "kb")
    with pytest.raises(InputError, match="without sources"):
        build([], tmp_path / "kb", field="tail")


def test_own_vague_concepts_and_a_lower_hierarchy(tmp_path: Path) -> None:
    vague = tmp_path / "vague.txt"
    vague.write_text("beverage\n\n")
    build([SAMPLE], tmp_path / "kb", vague=vague, parents=1, levels=1)
    kb = mindkg.KnowledgeBase.open(tmp_path / "kb")
    said = {row["concept"] for row in kb.table("concepts").to_pylist() if row["vague"]}
    assert said <= {"beverage"}
    narrower = kb.table("hypernyms")["concept"].to_pylist()
    assert len(narrower) == len(set(narrower))
    again = build([SAMPLE], tmp_path / "kb", vague=vague, parents=1, levels=1)
    vague.write_text("room\n")
    assert (again.ran, build([], tmp_path / "kb").ran) == ((), ("link",))


@pytest.mark.parametrize("damage", ["manifest.json", "manifest.previous.json", "table", "record"])
def test_building_again_mends_what_is_broken(undisturbed: tuple[Path, float], tmp_path: Path, damage: str) -> None:
    path = tmp_path / "kb"
    shutil.copytree(undisturbed[0], path)
    if damage == "table":
        (next(path.glob("tables/mentions/*")) / "part-0.parquet").unlink()
    elif damage == "record":
        next((path / "tables" / ".stages").glob("parse-*.json")).write_text('{"stage": "parse"}')
    else:
        (path / damage).write_text("{broken")
    build([SAMPLE], path)
    assert_equal(undisturbed[0], path)
    assert mindkg.KnowledgeBase.open(path).clean() is not None


_KILLED_CLEAN = """
import os, sys
from mindkg.knowledge_base import KnowledgeBase
kb, left = KnowledgeBase.open(sys.argv[1]), int(sys.argv[2])
def counted(call):
    def step(*arguments, **more):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        return call(*arguments, **more)
    return step
os.unlink, os.rename, os.rmdir = counted(os.unlink), counted(os.rename), counted(os.rmdir)
kb.clean()
"""


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A KB with a version of the sample for each of three options, and a fresh one with the first option."""
    folder = tmp_path_factory.mktemp("versions")
    for k in (1, 2, 3):
        build([SAMPLE], folder / "kb", top_k=k)
    build([SAMPLE], folder / "fresh", top_k=1)
    return folder / "kb", folder / "fresh"


@pytest.mark.parametrize("step", [1, 4, 7, 10])
def test_a_killed_clean_leaves_nothing_that_a_build_takes_for_whole(
    versions: tuple[Path, Path], tmp_path: Path, step: int
) -> None:
    path = tmp_path / "kb"
    shutil.copytree(versions[0], path)
    done = subprocess.run([sys.executable, "-c", _KILLED_CLEAN, str(path), str(step)])
    assert done.returncode == 9
    build([SAMPLE], path, top_k=1)
    assert_equal(versions[1], path)


def test_wrong_input_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="isA table"):
        build([SAMPLE], tmp_path / "kb", isa=tmp_path / "none.tsv")
    with pytest.raises(InputError):
        build([tmp_path / "none.csv"], tmp_path / "kb")
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n")
    with pytest.raises(InputError):
        build([wrong], tmp_path / "kb")
    assert not (tmp_path / "kb" / "manifest.json").exists()


def test_of_two_builds_into_one_kb_one_wins(undisturbed: tuple[Path, float], tmp_path: Path) -> None:
    command = [*COMMAND, str(tmp_path / "kb")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    racers = [subprocess.Popen(command, **pipes) for _ in range(2)]  # type: ignore[call-overload]
    ends = [(p.communicate()[1], p.returncode) for p in racers]
    losers = [stderr for stderr, code in ends if code]
    assert [code for _, code in ends].count(0) == 1
    assert losers[0].startswith("mindkg: another process is writing to this KB")
    assert len(losers[0].strip().splitlines()) == 1
    assert_equal(undisturbed[0], tmp_path / "kb")


def _killed(command: list[str], moment: float) -> bool:
    """Start a program, kill it after ``moment`` seconds and return True; False where it had ended before."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return process.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A KB of a part of the sample."""
    folder = tmp_path_factory.mktemp("begun")
    header, rows = sample_rows()
    build([write_rows(folder / "part.csv", header, rows[:60])], folder / "kb")
    return folder / "kb"


@pytest.mark.parametrize("kill", range(KILLS))
def test_a_sigkill_leaves_the_old_kb_and_the_next_run_completes(
    undisturbed: tuple[Path, float], begun: Path, tmp_path: Path, kill: int
) -> None:
    """The moments are spread over the build by a fixed seed; the old KB holds a part of the sample."""
    complete, seconds = undisturbed
    path = tmp_path / "kb"
    old = {name: entry.rows for name, entry in mindkg.KnowledgeBase.open(begun).manifest.tables.items()}

    moment = 0.7 * seconds * (kill + random.Random(2406 + kill).random()) / KILLS
    shutil.copytree(begun, path)
    while not _killed([*COMMAND, str(path)], moment):  # the undisturbed build was slowed down by others
        shutil.rmtree(path)
        shutil.copytree(begun, path)
        moment /= 2

    kb = mindkg.KnowledgeBase.open(path)
    new = {name: entry.rows for name, entry in mindkg.KnowledgeBase.open(complete).manifest.tables.items()}
    assert {name: kb.table(name).num_rows for name in old} in [old, new]
    subprocess.run([*COMMAND, str(path)], check=True, capture_output=True)
    assert_equal(complete, path)
    assert not list(path.glob("**/.building-*"))
