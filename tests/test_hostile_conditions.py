"""Every verb under hostile conditions: it does its work, or says in one line why not, and never shows a traceback.

``VERBS`` has a command for each verb; a new verb without one fails ``test_every_verb_has_a_command``. A condition is a
test that runs them all: call ``run`` with ``places`` and check with ``one_line``.
"""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from conftest import ROOT
from kb_equality import sample_rows, write_rows
from typer.main import get_command

from mindkg.cli.app import app
from mindkg.cli.reference import _verbs

MINDKG: Final = [sys.executable, "-m", "mindkg"]
SHOP: Final = ROOT / "examples" / "shop"

VERBS: Final[Mapping[str, tuple[str, ...]]] = {
    "build": ("build", "{source}", "--isa", "{isa}", "--vague", "{vague}", "-o", "{kb}"),
    "info": ("info", "{kb}"),
    "query": ("query", "{kb}", "relation-counts"),
    "queries": ("queries",),
    "sparql": ("sparql", "{kb}", "@{sparql}"),
    "cypher": ("cypher", "{kb}", "MATCH (c:Concept) RETURN c.label LIMIT 3"),
    "load": ("load", "{kb}", "oxigraph"),
    "export": ("export", "{kb}", "--to", "turtle", "-o", "{output}.ttl"),
    "validate": ("validate", "{kb}"),
    "serve": ("serve", "{kb}", "--port", "0"),
    "hypernyms": ("hypernyms", "{kb}", "-o", "{output}-report"),
    "clean": ("clean", "{kb}"),
    "ingest": ("ingest", "{metadata}", "--reviews", "{reviews}", "-o", "{shop}"),
    "images": ("images", "{shop}", "--base", "{pictures}"),
    "distill": ("distill", "{shop}", "--backend", "replay:{answers}", "--relations", "usedFor"),
    "ledger": ("ledger", "{shop}"),
    "parse": ("parse", "{texts}"),
    "link": ("link", "{texts}", "--isa", "{isa}"),
    "concepts lookup": ("concepts", "lookup", "coffee", "--isa", "{isa}"),
}
"""A command for each verb, in an order in which they can run one after the other: ``build`` and ``ingest`` make what
others read. The words in braces are those of ``places``."""

MORE: Final[Mapping[str, tuple[str, ...]]] = {
    f"export {form}": ("export", "{kb}", "--to", form, "-o", "{output}." + form)
    for form in ("ntriples", "jsonld", "graphml", "csv", "triples", "neo4j-import")
}
"""Further commands that write where the user says."""

FIRST: Final = ("build", "ingest")
"""The verbs that others need to have run."""


def places(folder: Path) -> dict[str, str]:
    """Return the paths that the commands name, all in ``folder``; the files that they read are there."""
    folder.mkdir(parents=True)
    header, rows = sample_rows()
    write_rows(folder / "source.csv", header, rows[:40])
    (folder / "isa.tsv").write_text("drink\tcoffee\t9\nplant\tcoffee\t1\nactivity\thiking\t5\nroom\tkitchen\t3\n")
    (folder / "vague.txt").write_text("thing\n")
    (folder / "texts.jsonl").write_text('{"id": 1, "text": "They are both used for hiking.", "relation": "usedFor"}\n')
    (folder / "ask.rq").write_text("SELECT ?c { ?c a skos:Concept } LIMIT 3")
    for file in ("metadata.jsonl", "reviews.jsonl", "answers.jsonl"):
        shutil.copy(SHOP / file, folder / file)
    shutil.copytree(SHOP / "pictures", folder / "pictures")
    named = {"source": "source.csv", "isa": "isa.tsv", "vague": "vague.txt", "texts": "texts.jsonl", "sparql": "ask.rq"}
    named |= {name: f"{name}.jsonl" for name in ("metadata", "reviews", "answers")}
    named |= {name: name for name in ("kb", "shop", "output", "pictures")}
    return {word: str(folder / name) for word, name in named.items()}


def command(arguments: tuple[str, ...], at: Mapping[str, str]) -> list[str]:
    """Return the whole command with the paths of ``places`` in it."""
    return [*MINDKG, *(argument.format_map(dict(at)) for argument in arguments)]


def run(arguments: tuple[str, ...], at: Mapping[str, str], **more: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a command of ``VERBS`` or ``MORE``; the server is stopped when it answers."""
    whole = command(arguments, at)
    if arguments[0] == "serve":
        return _served(whole, **more)
    return subprocess.run(whole, input=b"", capture_output=True, timeout=300, **more)


def _served(whole: list[str], **more: Any) -> subprocess.CompletedProcess[bytes]:
    with subprocess.Popen(whole, stdin=subprocess.DEVNULL, stdout=-1, stderr=-1, **more) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.terminate()
        rest, said = process.communicate(timeout=60)
    return subprocess.CompletedProcess(whole, process.returncode, first + rest, said)


def one_line(done: subprocess.CompletedProcess[bytes]) -> None:
    """Fail unless a command did its work or ended with one line that says why it could not."""
    said = done.stderr.decode("utf-8", "replace")
    assert "Traceback" not in said, said
    assert "panicked" not in said, said
    assert done.returncode in (0, 1), f"exit {done.returncode}: {said}"
    if done.returncode:
        assert said.rstrip().splitlines()[-1].startswith("mindkg: "), said


def test_every_verb_has_a_command() -> None:
    assert sorted(VERBS) == sorted(name for name, _ in _verbs(get_command(app)))


HOSTILE: Final = {
    "pattern": "x}{brace}ok{1,2}b\\s*?[a-b]!^[",
    "address": " 50%41%zz#a?b&c=d;e\n\tf\u2028g ' \" ",
    "scheme": "-o file:x:y",
}
"""Names that a library may take for a pattern, an address, an option or something else."""


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_path_works(name: str, tmp_path: Path) -> None:
    at = places(tmp_path / name)
    for verb, arguments in {**VERBS, **MORE}.items():
        done = run(arguments, at)
        one_line(done)
        assert done.returncode == 0, f"{verb}: {done.stderr.decode()}"


def test_a_name_that_is_not_utf8_works_or_is_one_line(tmp_path: Path) -> None:
    odd = places(tmp_path / os.fsdecode(b"caf\xe9"))
    sound = places(tmp_path / "sound")
    for verb in FIRST:
        assert run(VERBS[verb], sound).returncode == 0
    for verb, arguments in {**VERBS, **MORE}.items():
        named = [word for word in odd if any(f"{{{word}}}" in argument for argument in arguments)]
        for word in named:
            done = run(arguments, {**sound, "output": sound["output"] + verb, word: odd[word]})
            one_line(done)
            if word in ("kb", "shop"):
                assert b"not UTF-8" in done.stderr, verb
                break


def test_a_relative_path_works(tmp_path: Path) -> None:
    """A path that begins with - follows --, or is the value of an option."""
    name = "-o {1}"
    at = places(tmp_path / "here")
    relative = {word: os.path.relpath(path, tmp_path / "here") for word, path in at.items()} | {"kb": name}
    for verb in ("build", "info", "export", "validate", "clean"):
        first, *rest = VERBS[verb]
        words = [word for word in rest if word != "{kb}"]
        arguments = (first, *rest) if verb == "build" else (first, *words, "--", "{kb}")
        done = run(arguments, relative, cwd=tmp_path / "here", env={**os.environ, "PYTHONPATH": str(ROOT)})
        assert done.returncode == 0, f"{verb}: {done.stderr.decode()}"
    assert (tmp_path / "here" / name / "manifest.json").is_file()


AGAIN: Final[Mapping[str, tuple[str, ...]]] = {
    "build again": ("build", "-o", "{kb}", "--parents", "2"),
    "build anew": ("build", "{source}", "-o", "{output}-kb"),
    "ingest anew": ("ingest", "{metadata}", "--reviews", "{reviews}", "-o", "{output}-shop"),
}
"""Commands that write tables beside those of a KB, and those of a new one."""


def test_a_full_disk_is_one_line_with_a_path_and_leaves_the_kb_as_it_was(tmp_path: Path) -> None:
    """No file may grow beyond a size that hardly any output fits into; nothing but our lines is on stderr."""
    at = places(tmp_path / "full")
    for verb in FIRST:
        assert run(VERBS[verb], at).returncode == 0
    manifests = [(Path(at[word]) / "manifest.json").read_bytes() for word in ("kb", "shop")]
    failed = set()
    for verb, arguments in {**VERBS, **MORE, **AGAIN}.items():
        done = run(arguments, at, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
        one_line(done)
        said = done.stderr.decode()
        assert "Error when running" not in said and 'File "' not in said, f"{verb}: {said}"
        if done.returncode:
            failed.add(verb)
            assert str(tmp_path) in said.splitlines()[-1], f"{verb}: {said}"
    assert {*AGAIN, *MORE, "query", "load", "export", "hypernyms", "images"} <= failed
    assert [(Path(at[word]) / "manifest.json").read_bytes() for word in ("kb", "shop")] == manifests
    assert not Path(at["output"] + "-kb").exists() and not Path(at["output"] + "-shop").exists()
    for arguments in (("validate", "{kb}", "--deep"), VERBS["images"], ("validate", "{shop}", "--deep")):
        done = run(arguments, at)  # with room again, a picture whose record is torn is fetched again
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


@pytest.mark.parametrize(
    ("limited", "limit", "option"),
    [
        (resource.RLIMIT_AS, 300_000 << 10, b"ulimit -v"),
        (resource.RLIMIT_AS, 1_500_000 << 10, b"ulimit -v"),
        (resource.RLIMIT_DATA, 1_000_000 << 10, b"ulimit -d"),
        (resource.RLIMIT_NOFILE, 20, b"ulimit -n"),
    ],
)
def test_a_low_limit_is_one_line(limited: int, limit: int, option: bytes, tmp_path: Path) -> None:
    at = places(tmp_path / "limited")
    done = run(VERBS["build"], at, preexec_fn=lambda: resource.setrlimit(limited, (limit, limit)))
    one_line(done)
    assert done.returncode == 1 and option in done.stderr, done.stderr
    assert not Path(at["kb"]).exists()


def test_a_library_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    """A library whose files are damaged, as after an installation that was cut off."""
    (tmp_path / "daft").mkdir()
    (tmp_path / "daft" / "__init__.py").write_text("from daft import daft\n")
    (tmp_path / "daft" / "daft.abi3.so").write_bytes(b"\x7fELF")
    at = places(tmp_path / "damaged")
    done = run(VERBS["build"], at, env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}, cwd=tmp_path)
    one_line(done)
    assert done.returncode == 1 and b"a library cannot be loaded" in done.stderr, done.stderr


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-", ">/dev/full"])
def test_closed_streams_stop_only_what_writes_to_them(closed: str, tmp_path: Path) -> None:
    """A closed stdout is an error for a verb with a result for it, and no file gets the number of a closed stream."""
    at = places(tmp_path / "closed")
    silent = {"build", "clean", "ingest", "images", "distill", "validate"}
    for verb, arguments in {**VERBS, "export": ("export", "{kb}", "--to", "triples", "-o", "-")}.items():
        if verb == "serve":
            continue  # it serves on: its address is on stderr too
        whole = shlex.join(command(arguments, at))
        done = subprocess.run(["bash", "-c", f"{whole} {closed}"], input=b"", capture_output=True, timeout=300)
        assert done.returncode == (0 if verb in silent else 1), f"{verb}: {done.stderr.decode()}"
        assert b"Traceback" not in done.stderr, done.stderr
        if done.returncode and "2>&-" not in closed:
            why = b"No space left on device" if "full" in closed else b"it is closed"
            assert done.stderr.endswith(b"mindkg: cannot write to standard output: " + why + b"\n"), done.stderr
    for verb in ("info", "validate"):
        assert run(VERBS[verb], at).returncode == 0
