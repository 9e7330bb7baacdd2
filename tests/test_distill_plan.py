"""Plans: which requests a pass makes of its tables, in which order, and that they are made one by one."""

from __future__ import annotations

import resource
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pytest
from distill_tables import PAIRS, kb_tables

from mindkg.distill.plan import requests
from mindkg.distill.requests import Request
from mindkg.distill.rows import Rows
from mindkg.distill.runs import intentions_run, run_of
from mindkg.distill.settings import Settings
from mindkg.distill.shelf import Shelf, shelf
from mindkg.errors import StorageError
from mindkg.identity import cobuy_key

SETTINGS = Settings("m", relations=("usedFor", "isA"), seed=3)
OWN = run_of("features", SETTINGS).run_id
TENTS = cobuy_key("P1", "P2")


def features(*rows: tuple[str, str, str]) -> list[dict[str, Any]]:
    return [{"product_id": product, "run_id": run, "text": text} for product, run, text in rows]


def generation(number: int, run: str = "other", text: str = "they can camp", **more: Any) -> dict[str, Any]:
    row = {"generation_id": f"g{number}", "cobuy_id": TENTS, "relation": "isA", "text": text}
    return {**row, "run_id": run, "source_record": f"FS_{number}", **more}


@contextmanager
def opened(stage: Any, tables: Any, settings: Settings, folder: Path) -> Iterator[Shelf]:
    given = {name: Rows.of(found) for name, found in tables.items()}
    with shelf(stage, given, settings, folder / "staging") as filled:
        yield filled


def plan(stage: Any, tables: Any, settings: Settings, folder: Path) -> list[Request]:
    with opened(stage, tables, settings, folder) as filled:
        return list(requests(filled, settings, folder))


def test_features_are_asked_of_products_in_a_pair(tmp_path: Path) -> None:
    tables = kb_tables(tmp_path)
    made = plan("features", tables, SETTINGS, tmp_path)
    assert [(r.subject.product_id, r.group, len(r.pictures)) for r in made] == [
        ("P1", "P1", 1),
        ("P2", "P2", 0),
        ("P3", "P3", 1),
    ]
    assert made[0].pictures[0].path == tmp_path / "P1.jpg"
    assert "Blue tent" in made[0].prompt.text and "no picture" in made[1].prompt.text
    with opened("features", tables, SETTINGS, tmp_path) as filled:
        assert (filled.subjects(), filled.askable(), list(filled.unasked())) == (4, 3, [("P4", 0)])
    assert not list((tmp_path / "staging").iterdir())


def test_intentions_are_asked_of_each_pair_relation_and_sample(tmp_path: Path) -> None:
    settings = Settings("m", relations=("usedFor", "isA"), samples=2, seed=3)
    made = plan("intentions", kb_tables(tmp_path), settings, tmp_path)
    asked = [(r.subject.cobuy_id, r.subject.relation, r.subject.sample) for r in made]
    pairs = sorted(cobuy_key(a, b) for a, b in PAIRS[:2])
    assert asked == [(pair, relation, n) for pair in pairs for relation in ("usedFor", "isA") for n in (0, 1)]
    assert [group for group, _ in groupby(made, lambda r: r.group)] == pairs
    assert len({r.key for r in made}) == 8 and {r.sampling.seed for r in made} == {3, 4}
    tents = next(r for r in made if r.group == TENTS)
    assert [picture.path.name for picture in tents.pictures] == ["P1.jpg"]
    assert "shows Product A; there is no picture of Product B" in tents.prompt.text


def test_a_plan_is_the_same_every_time(tmp_path: Path) -> None:
    tables = kb_tables(tmp_path)
    for stage in ("features", "intentions"):
        assert plan(stage, tables, SETTINGS, tmp_path) == plan(stage, tables, SETTINGS, tmp_path)


def test_features_of_the_own_run_come_first(tmp_path: Path) -> None:
    told = features(("P1", "aaa", "of a"), ("P1", OWN, "own"), ("P2", "zzz", "of z"), ("P2", "bbb", "of b"))
    made = plan("intentions", kb_tables(tmp_path, features=told), SETTINGS, tmp_path)
    text = next(r.prompt.text for r in made if r.group == TENTS)
    assert "About A: own\n" in text and "About B: of b\n" in text


def test_a_kb_without_pictures(tmp_path: Path) -> None:
    tables = kb_tables(tmp_path)
    del tables["images"]
    assert all(not r.pictures for stage in ("features", "intentions") for r in plan(stage, tables, SETTINGS, tmp_path))


def test_the_filter_judges_the_generations_of_its_own_run(tmp_path: Path) -> None:
    run = intentions_run(SETTINGS, Rows(())).run_id
    rows = [generation(2, run, source_record="1"), generation(1, run, source_record="0"), generation(3)]
    (first, second) = plan("filter", kb_tables(tmp_path, generations=rows), SETTINGS, tmp_path)
    assert [first.subject.generation_id, second.subject.generation_id] == ["g1", "g2"]
    assert (second.subject.cobuy_id, second.subject.relation, second.subject.sample) == (TENTS, "isA", 1)
    assert (first.sampling.temperature, first.sampling.max_tokens, first.sampling.logprobs) == (0.0, 1, 20)
    assert "they can camp" in first.prompt.text


def test_the_filter_alone_judges_what_has_no_verdict_of_this_run(tmp_path: Path) -> None:
    settings = Settings("m", passes=("filter",), filter_mode="paper", seed=5)
    known = [
        {"generation_id": "g1", "run_id": run_of("filter", settings).run_id},
        {"generation_id": "g2", "run_id": "another"},
    ]
    rows = [generation(1), generation(2), generation(3), generation(4, text=" \n")]
    tables = kb_tables(tmp_path, generations=rows, verdicts=known)
    made = plan("filter", tables, settings, tmp_path)
    assert [r.subject.generation_id for r in made] == ["g2", "g3"]
    assert (made[0].sampling.max_tokens, made[0].sampling.seed, made[0].sampling.logprobs) == (512, 5, 0)
    with opened("filter", tables, settings, tmp_path) as filled:
        assert (filled.subjects(), list(filled.unasked())) == (3, [("g4", 0)])


def test_thoughts_of_a_model_are_no_answer(tmp_path: Path) -> None:
    told = features(("P1", OWN, "[THINK]They want\na tent.[/THINK]\n\nA tent."), ("P2", OWN, "analysisNo end"))
    rows = [generation(1, text="A tent, so </think> they can camp"), generation(2, text="<scratchpad>Maybe they")]
    tables = kb_tables(tmp_path, features=told, generations=rows)
    made = plan("filter", tables, Settings("m", passes=("filter",)), tmp_path)
    assert [r.subject.generation_id for r in made] == ["g1"]
    text = made[0].prompt.text
    assert "About A: A tent.\n" in text and "About B" not in text and "Intention: they can camp\n" in text


def test_generations_of_a_pair_are_judged_next_to_each_other(tmp_path: Path) -> None:
    pairs = [cobuy_key(a, b) for a, b in PAIRS[:2]]
    rows = [generation(n, cobuy_id=pairs[n % 2]) for n in range(10)]
    settings = Settings("m", passes=("filter",))
    made = plan("filter", kb_tables(tmp_path, generations=rows), settings, tmp_path)
    assert len(made) == 10 and [group for group, _ in groupby(made, lambda r: r.group)] == sorted(pairs)
    for _, group in groupby(made, lambda r: r.group):
        assert all(a.subject.generation_id < b.subject.generation_id for a, b in pairwise(group))


@pytest.mark.parametrize(
    "change", [{"model": "n"}, {"revision": "r"}, {"temperature": 0.5}, {"max_tokens": 9}, {"seed": 9}]
)
def test_what_changes_an_answer_changes_its_key(tmp_path: Path, change: dict[str, Any]) -> None:
    tables = kb_tables(tmp_path)
    other = Settings(**{"model": "m", "relations": ("usedFor", "isA"), "seed": 3, **change})
    before, after = (plan("intentions", tables, settings, tmp_path) for settings in (SETTINGS, other))
    assert len(before) == len(after) and not {r.key for r in before} & {r.key for r in after}
    assert run_of("features", SETTINGS) != run_of("features", other)


def test_extent_changes_no_run_and_no_key(tmp_path: Path) -> None:
    tables = kb_tables(tmp_path)
    more = Settings("m", relations=("isA", "usedFor", "can"), samples=2, seed=3)
    before, after = ({r.key for r in plan("intentions", tables, settings, tmp_path)} for settings in (SETTINGS, more))
    assert before < after and len(after) == 12
    assert run_of("intentions", SETTINGS) == run_of("intentions", more)


def test_requests_are_made_one_by_one(tmp_path: Path) -> None:
    ids = [f"P{n:04d}" for n in range(201)]
    told = features(*((product, OWN, f"{product} {'feature ' * 200}") for product in ids))
    pairs = [
        {"cobuy_id": cobuy_key(a, b), "product_a": a, "product_b": b, "support": 1, "source": "t"}
        for a, b in pairwise(ids)
    ]
    named = [{"product_id": p, "title": f"title {p}", "category": [], "source": "t"} for p in ids]
    tables = kb_tables(tmp_path, products=named, cobuys=pairs, features=told, images=[])
    with opened("intentions", tables, Settings("m"), tmp_path) as filled:
        drawn = requests(filled, Settings("m"), tmp_path)
        next(drawn)
        tracemalloc.start()
        length = sum(len(request.prompt.text) for request in drawn)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert length > 12_000_000 and peak < 1_000_000


def test_a_plan_that_is_left_leaves_no_file(tmp_path: Path) -> None:
    tables = kb_tables(tmp_path, generations=[generation(1), generation(2)])
    settings = Settings("m", passes=("filter",))
    with opened("filter", tables, settings, tmp_path) as filled:
        next(requests(filled, settings, tmp_path))
        assert list((tmp_path / "staging").iterdir())
    assert not list((tmp_path / "staging").iterdir())


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    ids = [f"P{n:03d}" for n in range(100)]
    named = [{"product_id": p, "title": f"title {p} " * 20, "category": [], "source": "t"} for p in ids]
    pairs = [
        {"cobuy_id": f"c{a}", "product_a": a, "product_b": b, "support": 1, "source": "t"} for a, b in pairwise(ids)
    ]
    tables = kb_tables(tmp_path, products=named, cobuys=pairs, images=[])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (48_000, before[1]))
    try:
        with pytest.raises(StorageError, match="requests cannot be planned"):
            plan("intentions", tables, SETTINGS, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list((tmp_path / "staging").iterdir())
