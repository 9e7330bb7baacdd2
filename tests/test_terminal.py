"""What reaches a terminal: no control characters, tables that fit, and streams that are closed or full."""

from __future__ import annotations

import errno
import os
import pty
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command

from mindkg.cli.app import app
from mindkg.cli.reference import _verbs
from mindkg.graph.forms import FORMS
from mindkg.sources.formats import BY_NAME
from mindkg.stores.base import ENGINES
from mindkg.terminal_text import printable

MINDKG = [sys.executable, "-m", "mindkg"]
ESCAPE = "\x1b[2J\x1b]0;owned\x07"
FORGED = f"red {ESCAPE}\r\nmindkg: all is well \u202egpj.exe \x9b31m [red]bold[/red] \u2028"
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@given(st.text(st.characters(codec=None)))
def test_printable_text_controls_nothing_and_forges_no_line(text: str) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in shown)
    assert not any(unicodedata.bidirectional(c) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI") for c in shown)
    assert not any(unicodedata.bidirectional(c) in ("FSI", "PDI") or c in "\u200e\u200f\u061c" for c in shown)
    assert printable(shown) == shown
    shown.encode()


@given(st.text(st.characters(exclude_categories=["C", "Z"])))
def test_text_without_controls_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A KB with hostile titles, texts and a hostile name; one title is very long."""
    folder = tmp_path_factory.mktemp("hostile")
    titles = [FORGED, "Acme Boot", "long " * 400_000]
    ids = [f"B{n:09}" for n in range(3)]
    products = pa.table({"product_id": ids, "title": titles})
    cobuys = pa.table({"product_a": [ids[0], ids[1]], "product_b": ids[1:]})
    texts = [f"they are both used for hiking {FORGED}", "they are both used for hiking"]
    answers = cobuys.append_column("relation", pa.array(["usedFor"] * 2)).append_column("text", pa.array(texts))
    for name, table in {"products": products, "generations": answers}.items():
        pa.parquet.write_table(table, folder / f"{name}.parquet")
    kb = folder / "kb\x1b[31m\nmindkg: forged"
    done = subprocess.run([*MINDKG, "build", *folder.glob("*.parquet"), "-o", kb], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not CONTROL.search(done.stderr)
    return kb


def on_a_terminal(*arguments: object, columns: int = 80) -> tuple[str, int]:
    """What a terminal of so many columns gets from stdout and stderr, without our own bold, and the exit code."""
    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm"}
    command = [*MINDKG, *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    seen = b""
    while True:
        try:
            piece = os.read(master, 1 << 16)
        except OSError as error:  # the other end is closed
            assert error.errno == errno.EIO
            break
        if not piece:
            break
        seen += piece
    os.close(master)
    text = seen.decode().replace("\r\n", "\n")
    return re.sub(r"\x1b\[[01]?m", "", text), process.wait()


@pytest.mark.parametrize(
    "arguments",
    [
        ("info",),
        ("info", "--json"),
        ("info", "--table", "products"),
        ("info", "--table", "generations"),
        ("query", "strongest-assertions"),
        ("query", "no-such-\x1b[31m\nmindkg: forged"),
        ("query", "top-hypernyms", "-p", "relation=\x1b[31m\nmindkg: forged"),
        ("info", "--table", "\u202e\x1b[31m"),
        ("info", "--format", "\x1b[31m\nmindkg: forged"),
        ("info", "--\x1b[31m"),
        ("sparql", "SELECT ?title { ?p schema:name ?title }"),
        ("sparql", "SELECT ?title \x1b[31m { nonsense"),
        ("export", "--to", "triples"),
        ("ledger",),
    ],
)
def test_hostile_text_is_shown_escaped(hostile: Path, arguments: tuple[str, ...]) -> None:
    verb, *rest = arguments
    shown, _ = on_a_terminal(verb, hostile, *rest)
    assert not CONTROL.search(shown), shown
    assert len(re.findall(r"^mindkg: ", shown, re.M)) <= 1
    assert not re.search(r"^mindkg: (forged|all is well)", shown, re.M)


def test_markup_in_a_title_is_shown_as_it_is(hostile: Path) -> None:
    shown, code = on_a_terminal("info", hostile, "--table", "products", columns=200)
    assert code == 0
    assert "[red]bold[/red]" in " ".join(shown.split())


def test_machine_formats_stay_exact(hostile: Path) -> None:
    command = [*MINDKG, "info", hostile, "--table", "products", "--format"]
    written = subprocess.run([*command, "arrow"], capture_output=True, check=True).stdout
    titles = {row["product_id"]: row["title"] for row in pa.ipc.open_stream(written).read_all().to_pylist()}
    kept = titles["B000000000"]
    assert "\x1b" in kept or "\u202e" in kept or "[red]" in kept
    assert len(titles["B000000002"]) > 100_000
    options = pa.csv.ParseOptions(newlines_in_values=True)
    rows = subprocess.run([*command, "csv"], capture_output=True, check=True).stdout
    read = pa.csv.read_csv(pa.BufferReader(rows), parse_options=options).select(["product_id", "title"])
    assert dict(zip(*(column.to_pylist() for column in read.columns), strict=True)) == titles


@pytest.mark.parametrize("columns", [40, 80, 120])
@pytest.mark.parametrize("table", ["products", "generations", "assertions", "mentions"])
def test_a_table_fits_the_terminal(hostile: Path, table: str, columns: int) -> None:
    shown, code = on_a_terminal("info", hostile, "--table", table, columns=columns)
    assert code == 0
    rows = [line for line in shown.splitlines() if "mindkg" not in line and "not shown" not in line]
    assert rows and all(len(line.rstrip()) <= columns for line in rows if "characters are cut" not in line)
    ids = set(re.findall(r"\bB\d{9}\b", shown))
    assert ids == set(re.findall(r"\bB0\d*\b", shown))  # whole or not at all


def test_a_path_that_is_not_utf8_is_named_with_its_bytes_escaped(hostile: Path, tmp_path: Path) -> None:
    target = os.fsencode(tmp_path) + b"/caf\xe9.tsv"
    done = subprocess.run([*MINDKG, "export", hostile, "--to", "triples", "-o", target], capture_output=True)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"mindkg: the name is not UTF-8") and b"caf\\xe9.tsv" in done.stderr
    assert done.stderr.count(b"\n") == 1


LEAVING: Final = """
import atexit, sys
from mindkg.cli import terminal

class Freed:
    def __del__(self):
        print("freed")

leave = terminal.leave_at_exit()
kept = Freed()
atexit.register(print, "exit function")
if sys.argv[1] == "end":
    leave(3)
raise ValueError
"""


@pytest.mark.parametrize(
    ("how", "code", "printed"), [("end", 3, "exit function\n"), ("fail", 1, "exit function\nfreed\n")]
)
def test_the_process_ends_without_freeing_its_objects(how: str, code: int, printed: str) -> None:
    """What libraries do at exit is done, and the output is complete; where an error ends it, Python ends as ever."""
    done = subprocess.run([sys.executable, "-c", LEAVING, how], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (code, printed)


def test_completion_offers_what_the_registries_have() -> None:
    verbs = dict(_verbs(get_command(app)))
    lists = {
        ("build", "format"): set(BY_NAME),
        ("build", "load"): set(ENGINES),
        ("query", "engine"): set(ENGINES),
        ("load", "engine"): {*ENGINES, "neo4j", "sparql"},
        ("export", "to"): set(FORMS),
    }
    for (verb, name), known in lists.items():
        (parameter,) = (one for one in verbs[verb].params if one.name == name)
        context = verbs[verb].make_context(verb, [], resilient_parsing=True)
        assert {item.value for item in parameter.shell_complete(context, "")} == known, (verb, name)
