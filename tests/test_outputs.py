"""Files and folders that a user asks for: complete or not there, and never in place of something else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kb_equality import SAMPLE

from mindkg import build
from mindkg.analysis.report import hypernym_report
from mindkg.errors import InputError
from mindkg.knowledge_base import KnowledgeBase
from mindkg.outputs import INVENTORY, check_file, check_folder, new_file, new_folder
from mindkg.storage import WORK_DIR


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    folder = tmp_path_factory.mktemp("outputs") / "kb"
    build([SAMPLE], folder)
    return KnowledgeBase.open(folder)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def write(folder: Path, *files: str, kind: str = "csv", overwrite: bool = False) -> None:
    with new_folder(folder, kind, overwrite=overwrite) as part:
        for file in files:
            (part / file).parent.mkdir(exist_ok=True)
            (part / file).write_text("new")


@pytest.mark.parametrize("to", ["csv", "neo4j-import", "turtle"])
@pytest.mark.parametrize(
    "place", [".", "tables", "tables/x", "tables/x/y.nt", "stores/x", "new", "exports", "exports/../x"]
)
def test_nothing_is_exported_into_a_kb(kb: KnowledgeBase, to: str, place: str) -> None:
    before = names(kb.path)
    with pytest.raises(InputError, match=r"inside the KB|is a folder"):
        kb.export(to, kb.path / place, overwrite=True)
    assert names(kb.path) == before


def test_nothing_is_written_into_another_kb_or_through_a_link(kb: KnowledgeBase, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(kb.path / "tables")
    (tmp_path / "file.ttl").symlink_to(kb.path / "manifest.json")
    for target in (tmp_path / "link" / "new", tmp_path / "link", tmp_path / "file.ttl"):
        with pytest.raises(InputError, match="inside the KB"):
            check_folder(target, "csv", overwrite=True)
        with pytest.raises(InputError, match="inside the KB"):
            check_file(target, overwrite=True)
    with pytest.raises(InputError, match="inside the KB"):
        hypernym_report(kb, kb.path / "report")


def test_nothing_is_written_into_a_work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORK_DIR, str(tmp_path / "work"))
    build([SAMPLE], tmp_path / "kb")
    (work,) = (tmp_path / "work").iterdir()
    KnowledgeBase.open(tmp_path / "kb").graph()
    with pytest.raises(InputError, match="inside the KB"):
        check_file(work / "stores" / "kb.ttl")
    with pytest.raises(InputError, match="inside the KB"):
        check_file(work / "kb.ttl")


def test_a_file_is_replaced_only_when_asked(kb: KnowledgeBase, tmp_path: Path) -> None:
    file = tmp_path / "kb.ttl"
    file.write_text("mine")
    with pytest.raises(InputError, match=r"this file exists.*--overwrite"):
        kb.export("turtle", file)
    assert file.read_text() == "mine"
    kb.export("turtle", file, overwrite=True)
    assert file.stat().st_size > 1000
    assert kb.export("turtle") == kb.export("turtle"), "exports under the KB are its own"
    with pytest.raises(InputError, match="this is a folder"):
        kb.export("turtle", tmp_path, overwrite=True)
    with pytest.raises(InputError, match="this is a file"):
        kb.export("csv", file, overwrite=True)
    assert names(tmp_path) == ["kb.ttl"]


def test_a_folder_is_replaced_by_its_own_kind_only(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    write(folder, "a.csv", "data/b.csv")
    write(folder, "a.csv", "c.csv")
    assert names(folder) == [INVENTORY, "a.csv", "c.csv"]
    with pytest.raises(InputError, match="files that hypernyms did not write: a"):
        write(folder, "report.html", kind="hypernyms")
    (folder / "c.csv").write_text("changed by somebody")
    with pytest.raises(InputError, match="files that csv did not write: c"):
        write(folder, "a.csv")


def test_files_of_others_stay(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="files that csv did not write: mine"):
        write(folder, "a.csv")
    write(folder, "a.csv", "b.csv", overwrite=True)
    write(folder, "a.csv", overwrite=True)
    assert names(folder) == [INVENTORY, "a.csv", "mine.txt"]
    assert (folder / "mine.txt").read_text() == "mine"


def test_the_current_folder_stays_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path(), "a.csv")
    write(Path(), "b.csv")
    assert names(Path.cwd()) == [INVENTORY, "b.csv"]
    assert Path.cwd().samefile(tmp_path)


def test_what_fails_leaves_what_was_there(tmp_path: Path) -> None:
    write(tmp_path / "out", "a.csv")
    for target in ("out", "new"):
        with pytest.raises(ZeroDivisionError), new_folder(tmp_path / target, "csv") as part:
            (part / "half").write_text("")
            raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), new_file(tmp_path / "file") as stream:
        stream.write(b"half")
        raise ZeroDivisionError
    assert names(tmp_path) == [f"out/{INVENTORY}", "out/a.csv"]


def test_a_device_and_a_pipe_are_written_to(kb: KnowledgeBase, tmp_path: Path) -> None:
    kb.export("turtle", os.devnull)
    assert Path(os.devnull).is_char_device()
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "read").open("wb") as copy, subprocess.Popen(["cat", tmp_path / "pipe"], stdout=copy):
        kb.export("ntriples", tmp_path / "pipe")
    assert (tmp_path / "read").read_bytes() == kb.export("ntriples").read_bytes()


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    write(tmp_path / ("é" * 127), "a.csv")
    with new_file(tmp_path / ("x" * 255)) as stream:
        stream.write(b"x")


@pytest.mark.parametrize("what", ["new_file({!r})", "new_folder({!r}, 'csv')"])
def test_a_killed_writer_leaves_nothing_that_the_next_one_does_not_remove(what: str, tmp_path: Path) -> None:
    target = tmp_path / "out"
    code = f"from mindkg.outputs import *\nwith {what.format(str(target))}:\n print('in', flush=True)\n input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"in\n"
        process.send_signal(signal.SIGKILL)
    assert not target.exists()
    assert len(list(tmp_path.iterdir())) == 1
    with new_file(tmp_path / "other") as stream:
        stream.write(b"x")
    assert names(tmp_path) == ["other"]


def test_a_killed_report_leaves_nothing_under_its_name(kb: KnowledgeBase, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mindkg", "hypernyms", str(kb.path), "-o", "report"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(b"writing"):
                break
        while not any(tmp_path.rglob("data/*.csv")) and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    assert not (tmp_path / "report").exists()
    report = hypernym_report(kb, tmp_path / "report", limit=20)
    assert report.page == tmp_path / "report" / "report.html"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
