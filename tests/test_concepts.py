"""Concepts of one phrase: the look-up without Arrow against the one with it, and the verb."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from mindkg.cli import cold, concepts
from mindkg.errors import InputError
from mindkg.link import index
from mindkg.link.isa import open_isa
from mindkg.link.lookup import lookup_concepts
from mindkg.link.phrases import chunker
from mindkg.link.scores import p_concept, p_instance, rep
from mindkg.link.stored import Stored, bucket_of

TABLE = """\
accessory\tusb cable\t6
device\tusb cable\t3
peripheral\tusb cable\t3
device\tcamera\t9
device\tcable\t2
rodent\tmouse\t5
garment\tjean\t4
"""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MINDKG_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "isa.tsv"
    path.write_text(TABLE)
    return path


def test_concepts_come_with_their_scores_most_counted_first(table: Path) -> None:
    found = lookup_concepts("usb cable", table, limit=2)
    assert [(c.concept, c.count) for c in found.concepts] == [("accessory", 6), ("device", 3)]
    assert (found.whole, found.known) == (True, 3)
    device = found.concepts[1]
    back = p_instance(3, 14, 5)
    assert (device.p_concept, device.p_instance, device.rep) == (p_concept(3, 12), back, rep(0.25, back))


@pytest.mark.parametrize(
    ("phrase", "instance", "whole"),
    [
        ("USB  Cables", "usb cable", True),
        ("mice", "mouse", True),
        ("jeans", "jean", True),
        ("braided usb cables", "usb cable", False),
        ("garden cable", "cable", False),
    ],
)
def test_phrase_is_folded_as_in_linking(table: Path, phrase: str, instance: str, whole: bool) -> None:
    found = lookup_concepts(phrase, table)
    assert (found.instance, found.whole) == (instance, whole)


def test_what_cannot_be_looked_up_is_an_error(table: Path) -> None:
    with pytest.raises(InputError, match=r'no concept of "xyzzy"[.]'):
        lookup_concepts("xyzzy", table)
    with pytest.raises(InputError, match='no concept of "blue xyzzy", nor of "xyzzy"'):
        lookup_concepts("blue xyzzy", table)
    with pytest.raises(InputError, match="no phrase"):
        lookup_concepts(" \t", table)
    with pytest.raises(InputError, match="limit cannot be 0"):
        lookup_concepts("usb cable", table, limit=0)


def test_singulars_are_those_of_linking() -> None:
    from mindkg.link.lookup import _nouns

    words = "cables knives mice women glasses jeans series batteries boxes bus children shoes lenses data scissors gas"
    assert [_nouns().noun_lemma(w) for w in words.split()] == [chunker().noun_lemma(w) for w in words.split()]


def test_each_label_of_a_table_is_found_as_by_arrow(tmp_path: Path) -> None:
    lines = [(f"concept {i % 13}", f"e{'x' * (i % 11)} {i * 7919 % 1009}", i + 1) for i in range(3000)]
    path = tmp_path / "isa.tsv"
    path.write_text("".join(f"{c}\t{e}\t{n}\n" for c, e, n in lines))
    table = open_isa(path, cache=tmp_path / "cache")
    stored = Stored(table.folder / "instances.index")
    labels = sorted({e for _, e, _ in lines})
    expected = table.lookup(labels).select(["instance", "concept", "count"]).to_pylist()
    rows = [{"instance": label, "concept": c, "count": n} for label in labels for c, n in stored.rows(label)]
    assert rows == expected
    assert stored.rows("e 1010") == []
    # few labels are searched for one by one, many are compared with all
    few = [table.lookup(labels[i : i + 3]) for i in range(0, len(labels), 3)]
    assert pa.concat_tables(few).equals(table.lookup(labels))


@given(st.text(max_size=24))
def test_bucket_is_the_same_in_both(label: str) -> None:
    try:
        label.encode()
    except UnicodeEncodeError:
        return
    assert bucket_of(label) == index.buckets(pa.array([label]))[0]


def test_verb_prints_rows_and_says_what_it_took_instead(table: Path) -> None:
    app = typer.Typer()
    concepts.register(app)
    app.command()(lambda: None)
    run = CliRunner().invoke
    shown = run(app, ["concepts", "lookup", "long usb cables", "--isa", str(table), "--limit", "1"])
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[0].split() == ["instance", "concept", "count", "p_concept", "p_instance", "rep"]
    assert shown.stdout.splitlines()[1].split()[:5] == ["usb", "cable", "accessory", "6", "0.5"]
    assert 'the table does not have "long usb cables"' in shown.stderr and "1 of 3 concepts" in shown.stderr
    rows = run(app, ["concepts", "lookup", "mice", "--isa", str(table), "--format", "json"])
    assert [(r["instance"], r["concept"], r["count"]) for r in json.loads(rows.stdout)] == [("mouse", "rodent", 5)]


@pytest.mark.parametrize("options", [[], ["--limit", "2"]])
def test_answer_without_typer_is_that_of_the_verb(
    table: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    app = typer.Typer()
    concepts.register(app)
    app.command()(lambda: None)
    arguments = ["concepts", "lookup", "long usb cables", "--isa", str(table), *options]
    assert cold.answer(arguments)
    shown = CliRunner().invoke(app, arguments)
    assert capsys.readouterr() == (shown.stdout, shown.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["build", "kb"],
        ["concepts", "lookup"],
        ["concepts", "lookup", "a", "b"],
        ["concepts", "lookup", "a", "--help"],
        ["concepts", "lookup", "a", "--limit", "0"],
        ["concepts", "lookup", "a", "--limit", "x"],
        ["concepts", "lookup", "a", "--format", "json"],
        ["concepts", "lookup", "a", "--isa"],
    ],
)
def test_all_else_is_left_to_typer(arguments: list[str]) -> None:
    assert not cold.answer(arguments)


def test_look_up_imports_no_heavy_package(table: Path) -> None:
    open_isa(table)
    script = (
        "import sys; from mindkg.link.lookup import lookup_concepts; "
        f"lookup_concepts('usb cables', {str(table)!r}); "
        "print([m for m in ('numpy', 'pyarrow', 'spacy', 'daft', 'rich') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
