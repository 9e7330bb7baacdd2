"""The benchmark's input is the same for a seed, has the size it says, and looks like MIND's; its table lines up."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import generate, measure, report
from mindkg.vocabulary import relation_name

SIZE = generate.Size(products=150, cobuys=180, texts=1_800, isa_rows=30_000, concepts=5_000, instances=10_000)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    path = tmp_path_factory.mktemp("answers") / "answers.csv"
    generate.write_answers(path, SIZE, seed=0)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_answers_have_the_size_asked_for(answers: list[dict[str, str]]) -> None:
    pairs = {(row["id_a"], row["id_b"]) for row in answers}
    assert len(answers) == SIZE.texts
    assert len(pairs) == len({frozenset(pair) for pair in pairs}) == SIZE.cobuys
    assert all(a != b for a, b in pairs)
    assert len({(row["id_a"], row["id_b"], row["Relation"]) for row in answers}) == SIZE.texts


def test_answers_look_like_those_of_mind(answers: list[dict[str, str]]) -> None:
    texts = [row["Intention"] for row in answers]
    assert 500 < sum(map(len, texts)) / len(texts) < 580
    assert 0.6 < len({row["tail"] for row in answers}) / len(answers) < 0.7
    assert 0.38 < sum(row["Agreement"].startswith("Yes") for row in answers) / len(answers) < 0.5
    assert all(relation_name(row["Relation"]) for row in answers)


def test_isa_lines_are_mostly_sound_and_repeat_by_zipf(tmp_path: Path) -> None:
    generate.write_isa(tmp_path / "isa.txt", SIZE, seed=0)
    lines = [line.split("\t") for line in (tmp_path / "isa.txt").read_text("utf-8").splitlines()]
    sound = [line for line in lines if len(line) == 3 and line[2].isdigit()]
    assert len(lines) == SIZE.isa_rows
    assert 0 < len(lines) - len(sound) < 20
    often = Counter(concept for concept, _, _ in sound).most_common(100)
    assert often[0][1] > 3 * often[20][1] > 3 * often[99][1]


@pytest.mark.parametrize("write", [generate.write_answers, generate.write_isa])
def test_input_is_the_same_for_a_seed(write: object, tmp_path: Path) -> None:
    assert callable(write)
    contents = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write(tmp_path / name, SIZE, seed)
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1] != contents[2]


def test_table_lines_up_and_shows_why_a_figure_is_missing() -> None:
    fine = measure.Measured(rows=1_000, seconds=2.0, cpu=3.0, peak=5_000_000)
    lines = [
        report.Line("one", fine, "rows", "another", report.faster(fine, measure.Measured(rows=10, seconds=1.0))),
        report.Line("two", measure.Measured(error="more than 60 s"), "rows"),
    ]
    head, rule, one, two = report.table(lines).splitlines()
    assert len({len(head), len(rule), len(one), len(two)}) == 1
    assert "50.0 × its rate" in one and "1,000" in one and " 500 " in one
    assert "more than 60 s" in two


def test_failing_task_says_why_and_a_slow_one_is_stopped(tmp_path: Path) -> None:
    assert "FileNotFoundError" in measure.run("dictionary_isa", table=tmp_path / "none").error
    assert measure.run("dictionary_isa", table=tmp_path / "none", timeout=0.01).error == "more than 0 s"
