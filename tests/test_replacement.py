"""What a build does to a KB that is there, and what one that fails leaves behind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from kb_equality import SAMPLE, sample_rows, write_rows

from mindkg import build, ingest
from mindkg.distillation import distill
from mindkg.errors import InputError, MindKGError, StorageError
from mindkg.knowledge_base import KnowledgeBase
from mindkg.storage import WORK_DIR, KBDirectory

SHOP = ROOT / "examples" / "shop"
HEADER, ROWS = sample_rows()
ISA = "drink\tcoffee\t9\nplant\tcoffee\t1\nactivity\thiking\t5\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two sources, an isA table and a KB made of the first source."""
    folder = tmp_path_factory.mktemp("replacement")
    (folder / "isa.tsv").write_text(ISA)
    write_rows(folder / "a.csv", HEADER, ROWS[:20])
    write_rows(folder / "b.csv", HEADER, ROWS[20:40])
    build(folder / "a.csv", folder / "kb", isa=folder / "isa.tsv")
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "place")
    return shutil.move(tmp_path / "place", tmp_path / "own")


def rebuilt(place: Path, *names: str, **options: Any) -> tuple[str, ...]:
    """Build the KB of ``place`` from the sources ``names`` and return what was replaced."""
    return build([place / name for name in names], place / "kb", isa=place / "isa.tsv", **options).replaced


def _append(place: Path) -> None:
    write_rows(place / "a.csv", HEADER, ROWS[:25])


def _change(place: Path) -> None:
    write_rows(place / "a.csv", HEADER, ROWS[5:15])


@pytest.mark.parametrize("change", [_append, _change, lambda place: None])
def test_the_same_inputs_are_read_again(place: Path, change: Callable[[Path], None]) -> None:
    rebuilt(place, "a.csv")  # it was copied: its content tells that it is the same
    change(place)
    rebuilt(place, "a.csv")
    rebuilt(place, "a.csv", format="mind")


def test_a_further_file_takes_the_place_of_none(place: Path) -> None:
    assert rebuilt(place, "a.csv", "b.csv") == ()


@pytest.mark.parametrize(
    ("names", "options", "word"),
    [
        (["b.csv"], {}, "other inputs"),
        (["a.csv"], {"field": "tail"}, "another field"),
    ],
)
def test_other_inputs_stop_without_replace(place: Path, names: list[str], options: dict[str, Any], word: str) -> None:
    before = (place / "kb" / "manifest.json").read_bytes()
    with pytest.raises(InputError, match=word) as raised:
        rebuilt(place, *names, **options)
    assert "--replace" in str(raised.value)
    assert (place / "kb" / "manifest.json").read_bytes() == before
    rebuilt(place, *names, replace=True, **options)
    rebuilt(place, *names, **options)


def test_fewer_inputs_are_other_inputs(place: Path) -> None:
    rebuilt(place, "a.csv", "b.csv")
    with pytest.raises(InputError, match="other inputs"):
        rebuilt(place, "b.csv")
    build((), place / "kb", top_k=2)


def test_the_sample_replaces_no_shop(tmp_path: Path) -> None:
    kb = tmp_path / "kb"
    ingest(SHOP / "metadata.jsonl", kb, reviews=SHOP / "reviews.jsonl")
    ingest(SHOP / "metadata.jsonl", kb, reviews=SHOP / "reviews.jsonl", limit=20)
    with pytest.raises(InputError, match="other inputs"):
        ingest(SHOP / "metadata.jsonl", kb)
    distill(kb, f"replay:{SHOP / 'answers.jsonl'}", relations=["usedFor"], passes=["intentions"])
    for source in (SAMPLE, SHOP / "answers.jsonl"):
        with pytest.raises(InputError, match="other inputs"):
            build(source, kb)
    with KnowledgeBase.open(kb) as still:
        assert still.table("generations").num_rows


def test_ingest_alone_neither_parses_nor_links(tmp_path: Path) -> None:
    seen: list[str] = []
    built = ingest(SHOP / "metadata.jsonl", tmp_path / "kb", progress=lambda stage, rows, total: seen.append(stage))
    assert {*seen} == {"sources"}
    assert all(built.manifest.tables[name].rows == 0 for name in ("assertions", "intentions", "mentions", "kinds"))
    assert ingest(SHOP / "metadata.jsonl", tmp_path / "kb").published is False
    KnowledgeBase.open(tmp_path / "kb").graph()


@pytest.mark.parametrize(
    ("source", "options", "word"),
    [
        ("a.csv", {"format": "excel"}, "excel"),
        ("a.csv", {"field": "colour"}, "colour"),
        ("isa.tsv", {}, "isa.tsv"),
        ("a.csv", {"isa": "none.tsv"}, "none.tsv"),
        ("a.csv", {"isa": "a.csv"}, "no row of an isA table"),
        ("a.csv", {"vague": "none.txt"}, "none.txt"),
        ("a.csv", {"spacy": "foo"}, "no spaCy pipeline foo"),
        ("a.csv", {"embed": "{}/kb"}, "sentence-transformers"),
        ("a.csv", {"top_k": 0}, "top_k"),
        ("a.csv", {"relations": "all"}, "stated"),
    ],
)
def test_a_mistake_shows_before_work_starts_and_leaves_no_folder(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, options: dict[str, Any], word: str
) -> None:
    monkeypatch.chdir(made)
    seen: list[int] = []
    given = {name: value.format(made) if isinstance(value, str) else value for name, value in options.items()}
    with pytest.raises(InputError, match=word):
        build(source, tmp_path / "a" / "b" / "kb", progress=lambda stage, rows, total: seen.append(rows), **given)
    assert not any(rows > 0 for rows in seen)
    assert not any(tmp_path.iterdir())


def test_an_empty_folder_that_was_there_stays_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kb").mkdir()
    monkeypatch.setenv(WORK_DIR, str(tmp_path / "work"))
    (tmp_path / "bad.csv").write_text("colour\nred\n")
    with pytest.raises(InputError):
        build(tmp_path / "bad.csv", tmp_path / "kb")
    assert {path.name for path in tmp_path.rglob("*")} == {"kb", "bad.csv"}


def test_info_says_why_a_build_failed(made: Path, tmp_path: Path) -> None:
    kb = tmp_path / "kb"
    bad = shutil.copytree(ROOT / "mindkg" / "link" / "wordnet", tmp_path / "pipeline")
    (bad / "config.cfg").write_text("[nlp]\n")  # looks like one until it is loaded
    with pytest.raises(InputError, match="no spaCy pipeline"):
        build(made / "a.csv", kb, isa=made / "isa.tsv", spacy=str(bad))
    with pytest.raises(StorageError, match="last build failed: no spaCy pipeline"):
        KnowledgeBase.open(kb)
    build(made / "a.csv", kb, isa=made / "isa.tsv")
    KnowledgeBase.open(kb)


def test_no_kb_is_made_inside_another(place: Path) -> None:
    for name in ("new", "tables/x", "exports/kb"):
        with pytest.raises(MindKGError, match="inside the KB"):
            build(place / "a.csv", place / "kb" / name)


def test_a_kb_whose_isa_table_is_gone_is_not_distilled(place: Path) -> None:
    rebuilt(place, "a.csv")
    (place / "isa.tsv").unlink()
    with pytest.raises(InputError, match="no isA table"):
        distill(place / "kb", "http://127.0.0.1:9/v1")


def test_a_dry_run_takes_no_lock(made: Path) -> None:
    from mindkg.distillation import dry_run

    with KBDirectory(made / "kb").writing():
        assert dry_run(made / "kb", model="m", passes=["features"]).num_rows
