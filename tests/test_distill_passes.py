"""The three passes on a model in memory: rows, rejects, counts, and that a ledger alone gives the same tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from distill_tables import PAIRS, Fake, kb_tables, usual

from mindkg.distill.backends.base import Outcome
from mindkg.distill.calibration import Calibration
from mindkg.distill.estimate import dry_run
from mindkg.distill.ledger import Ledger
from mindkg.distill.passes import Distilled, run_passes
from mindkg.distill.pictures import picture_bytes
from mindkg.distill.requests import Answer, Request, RequestError
from mindkg.distill.rows import Rows
from mindkg.distill.runs import run_of
from mindkg.distill.settings import Settings
from mindkg.errors import MindKGError
from mindkg.identity import cobuy_key, generation_key
from mindkg.schema import KEYS, TABLES

SETTINGS = Settings("m", relations=("usedFor", "isA"), samples=2)
TENTS, LAMPS, BARE = (cobuy_key(a, b) for a, b in PAIRS)


def distil(folder: Path, settings: Settings = SETTINGS, backend: Fake | None = None, **more: Any) -> Distilled:
    tables = more.pop("tables", None) or kb_tables(folder)
    staging = folder / f"staging-{sum(1 for _ in folder.iterdir())}"
    staging.mkdir()
    with Ledger(folder / "ledger") as ledger:
        return run_passes(tables, settings, root=folder, ledger=ledger, staging=staging, backend=backend, **more)


def rows(made: Distilled, name: str) -> list[dict[str, Any]]:
    found = made.tables[name].select(*TABLES[name].names).to_arrow().cast(TABLES[name])
    return sorted(found.to_pylist(), key=lambda row: [row[key] for key in KEYS[name]])


def all_rows(made: Distilled) -> dict[str, list[dict[str, Any]]]:
    return {name: rows(made, name) for name in ("features", "generations", "verdicts", "runs", "rejects")}


def counts(planned: int, answered: int, failed: int, missing: int, unasked: int, waiting: int = 0) -> dict[str, int]:
    given = {"planned": planned, "answered": answered, "failed": failed, "missing": missing}
    return {**given, "unasked": unasked, "waiting": waiting}


def test_three_passes(tmp_path: Path) -> None:
    model = Fake()
    made = distil(tmp_path, backend=model)
    assert made.counts == {
        "features": counts(3, 3, 0, 0, 1),
        "intentions": counts(8, 8, 0, 0, 1),
        "filter": counts(8, 8, 0, 0, 0),
    }
    runs = {row["stage"]: row for row in rows(made, "runs")}
    features = rows(made, "features")
    assert [(row["product_id"], row["text"], row["pictures"]) for row in features] == [
        ("P1", "features of P1", 1),
        ("P2", "features of P2", 0),
        ("P3", "features of P3", 1),
    ]
    assert {row["run_id"] for row in features} == {runs["features"]["run_id"]} == {run_of("features", SETTINGS).run_id}
    generations = {(row["cobuy_id"], row["relation"], row["source_record"]): row for row in rows(made, "generations")}
    assert len(generations) == 8
    one = generations[TENTS, "isA", "1"]
    assert one["text"] == f"isA 1 of {TENTS}" and one["pictures"] == 1 and one["finish_reason"] == "stop"
    assert one["generation_id"] == generation_key(runs["intentions"]["run_id"], TENTS, "isA", "1")
    asked = next(r for r in model.sent if r.stage == "intentions" and r.subject.cobuy_id == TENTS)
    assert "About A: features of P1" in asked.prompt.text
    verdicts = rows(made, "verdicts")
    assert {row["generation_id"] for row in verdicts} == {row["generation_id"] for row in generations.values()}
    assert {(row["text"], row["verdict"], row["reason"]) for row in verdicts} == {("Yes", "yes", "score")}
    assert verdicts[0]["score"] == pytest.approx(8 / 9) and verdicts[0]["coverage"] == pytest.approx(0.9)
    assert [(r["record"], r["reason"]) for r in rows(made, "rejects")] == sorted(
        [("P4", "missing_field"), (BARE, "missing_field")]
    )
    assert all(run["started"] <= run["ended"] for run in runs.values())


def test_a_ledger_alone_gives_the_same_tables_and_sends_nothing(tmp_path: Path) -> None:
    asked = all_rows(distil(tmp_path, backend=Fake()))
    again = Fake()
    assert all_rows(distil(tmp_path, backend=again)) == asked and not again.sent
    assert all_rows(distil(tmp_path)) == asked


def test_a_run_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    some = Fake(lambda request: usual(request) if request.subject.relation != "isA" else None)
    first = distil(tmp_path, backend=some)
    assert first.counts["intentions"] == counts(8, 4, 0, 4, 1) and first.counts["filter"] == counts(4, 4, 0, 0, 0)
    rest = Fake()
    second = distil(tmp_path, backend=rest)
    assert len(rest.sent) == 8 and second.counts["intentions"] == counts(8, 8, 0, 0, 1)
    assert {row["relation"] for row in rows(second, "generations")} == {"usedFor", "isA"}


def test_failed_requests_are_rejects_with_the_servers_words(tmp_path: Path) -> None:
    def refuse(request: Request) -> Outcome:
        subject = request.subject
        refused = subject.product_id == "P2" or (request.stage == "intentions" and subject.relation == "isA")
        refused = refused or (request.stage == "filter" and subject.sample == 1)
        return RequestError("the prompt is too long", status=400) if refused else usual(request)

    made = distil(tmp_path, backend=Fake(refuse), max_error_rate=1.0)
    assert made.counts["features"] == counts(3, 2, 1, 0, 1)
    assert made.counts["intentions"] == counts(8, 4, 4, 0, 1)
    assert made.counts["filter"] == counts(4, 2, 2, 0, 0)
    rejects = rows(made, "rejects")
    failed = {row["record"]: row for row in rejects if row["reason"] == "request_failed"}
    judged = {row["generation_id"] for row in rows(made, "generations") if row["source_record"] == "1"}
    assert set(failed) == {"P2", *(f"{pair}/isA#{n}" for pair in (TENTS, LAMPS) for n in (0, 1)), *judged}
    assert {row["detail"] for row in failed.values()} == {"the prompt is too long"}
    assert {row["stage"] for row in rejects} == {"distill"}


def failing(product: str, status: int | None) -> Fake:
    """Return a model that cannot describe ``product``."""

    def answer(request: Request) -> Outcome:
        error = RequestError("no", status=status)
        return error if request.subject.product_id == product else usual(request)

    return Fake(answer)


@pytest.mark.parametrize("status", [503, 429, None])
def test_a_pair_waits_for_features_that_may_still_come(tmp_path: Path, status: int | None) -> None:
    first = distil(tmp_path, backend=failing("P3", status), max_error_rate=1.0)
    assert first.counts["features"] == counts(3, 2, 1, 0, 1)
    assert first.counts["intentions"] == counts(4, 4, 0, 0, 2, waiting=1)
    assert {row["cobuy_id"] for row in rows(first, "generations")} == {TENTS}
    waits = next(row for row in rows(first, "rejects") if row["record"] == LAMPS)
    assert (waits["reason"], waits["detail"]) == ("request_failed", "features of a product: they come first")
    assert all_rows(distil(tmp_path)) == all_rows(first)
    rest = Fake()
    second = distil(tmp_path, backend=rest)
    assert {r.subject.product_id for r in rest.sent if r.stage == "features"} == {"P3"}
    asked = [r for r in rest.sent if r.stage == "intentions"]
    assert len(asked) == 4 and all("About B: features of P3" in r.prompt.text for r in asked)
    assert second.counts["intentions"] == counts(8, 8, 0, 0, 1)


def test_a_pair_does_not_wait_for_features_that_were_refused(tmp_path: Path) -> None:
    made = distil(tmp_path, backend=failing("P3", 400), max_error_rate=1.0)
    assert made.counts["intentions"] == counts(8, 8, 0, 0, 1)


def test_intentions_alone_wait_for_nothing(tmp_path: Path) -> None:
    distil(tmp_path, replace(SETTINGS, passes=("features",)), failing("P3", 503), max_error_rate=1.0)
    made = distil(tmp_path, replace(SETTINGS, passes=("intentions",)), Fake())
    assert made.counts["intentions"] == counts(8, 8, 0, 0, 1)


def test_a_broken_picture_is_a_reject_of_its_own_kind(tmp_path: Path) -> None:
    def look(request: Request) -> Outcome:
        try:
            for picture in request.pictures:
                picture_bytes((picture,))
        except RequestError as error:
            return error
        return usual(request)

    tables = kb_tables(tmp_path)
    (tmp_path / "P3.jpg").write_bytes(b"<html>")
    made = distil(tmp_path, backend=Fake(look), tables=tables, max_error_rate=1.0)
    failed = [row for row in rows(made, "rejects") if row["reason"] == "picture_failed"]
    assert {row["record"] for row in failed} == {
        "P3",
        *(f"{LAMPS}/{name}#{n}" for name in ("usedFor", "isA") for n in (0, 1)),
    }


def test_equal_questions_are_sent_once_and_answer_all(tmp_path: Path) -> None:
    named = [{"product_id": p, "title": "The same title", "category": [], "source": "t"} for p in ("P1", "P2", "P3")]
    tables = kb_tables(tmp_path, products=named, images=[])
    model = Fake()
    made = distil(tmp_path, replace(SETTINGS, passes=("features",)), model, tables=tables)
    assert len(model.sent) == 1 and made.counts["features"]["answered"] == 3
    assert [row["product_id"] for row in rows(made, "features")] == ["P1", "P2", "P3"]
    assert len({row["text"] for row in rows(made, "features")}) == 1


def test_free_text_of_the_filter_is_left_to_the_parse_stage(tmp_path: Path) -> None:
    made = distil(tmp_path, replace(SETTINGS, filter_mode="paper"), Fake())
    told = {(row["text"], row["verdict"], row["score"], row["reason"]) for row in rows(made, "verdicts")}
    assert told == {("No. They have nothing in common.", None, None, None)}


def _first(first: tuple[tuple[str, float], ...] | None) -> Fake:
    return Fake(lambda r: Answer("Yes", first=first) if r.stage == "filter" else usual(r))


def test_low_coverage_is_unparsable_and_keeps_both_numbers(tmp_path: Path) -> None:
    made = distil(tmp_path, backend=_first((("The", -0.1), ("Yes", -3.0))))
    row = rows(made, "verdicts")[0]
    assert (row["verdict"], row["reason"], row["score"]) == ("unparsable", "low coverage", 1.0)
    assert row["coverage"] == pytest.approx(0.0498, abs=1e-4)


def test_an_answer_without_log_probabilities_is_read_as_text(tmp_path: Path) -> None:
    row = rows(distil(tmp_path, backend=_first(None)), "verdicts")[0]
    assert (row["text"], row["verdict"], row["score"], row["coverage"]) == ("Yes", None, None, None)


def test_a_calibration_replaces_the_score_without_asking_again(tmp_path: Path) -> None:
    distil(tmp_path, backend=Fake())
    calibrated = replace(SETTINGS, calibration=Calibration("isotonic", ((0.0, 0.0), (1.0, 0.45))))
    made = distil(tmp_path, calibrated)
    row = rows(made, "verdicts")[0]
    assert made.counts["filter"]["answered"] == 8
    assert (row["verdict"], row["score"]) == ("no", pytest.approx(0.45 * 8 / 9))
    assert row["run_id"] != run_of("filter", SETTINGS).run_id


def test_the_filter_alone_over_the_kbs_generations(tmp_path: Path) -> None:
    row = {"cobuy_id": TENTS, "relation": "isA", "text": "they camp", "run_id": "r", "source_record": "FS_1"}
    given = [{**row, "generation_id": "g1"}, {**row, "generation_id": "g2", "text": ""}]
    made = distil(tmp_path, Settings("m", passes=("filter",)), Fake(), tables=kb_tables(tmp_path, generations=given))
    assert made.counts == {"filter": counts(1, 1, 0, 0, 1)}
    assert [row["generation_id"] for row in rows(made, "verdicts")] == ["g1"]
    assert not rows(made, "features") and not rows(made, "generations")
    assert [(row["record"], row["reason"]) for row in rows(made, "rejects")] == [("g2", "missing_field")]


def test_passes_one_by_one_give_what_all_at_once_give(tmp_path: Path) -> None:
    whole = distil(tmp_path, backend=Fake())
    tables: dict[str, Any] = kb_tables(tmp_path)
    apart: dict[str, list[dict[str, Any]]] = {}
    for stage, name in (("features", "features"), ("intentions", "generations"), ("filter", "verdicts")):
        made = distil(tmp_path, replace(SETTINGS, passes=(stage,)), tables=tables)
        tables[name] = made.tables[name]
        apart[name] = rows(made, name)
    assert apart == {name: found for name, found in all_rows(whole).items() if name in apart}


def test_intentions_asked_before_and_after_features_are_two_runs(tmp_path: Path) -> None:
    before = distil(tmp_path, replace(SETTINGS, passes=("intentions",)), Fake())
    after = distil(tmp_path, replace(SETTINGS, passes=("features", "intentions")), Fake())
    ids = [{row["generation_id"] for row in rows(made, "generations")} for made in (before, after)]
    assert len(ids[0]) == len(ids[1]) == 8 and not ids[0] & ids[1]


def test_no_pass_begins_before_its_input_is_whole(tmp_path: Path) -> None:
    silent = Fake(lambda request: None)
    made = distil(tmp_path, backend=silent, stop_at_missing=True)
    assert made.counts == {"features": counts(3, 0, 0, 3, 1)} and {r.stage for r in silent.sent} == {"features"}
    assert not rows(made, "runs")


def test_too_many_errors_stop_the_run_and_keep_what_was_answered(tmp_path: Path) -> None:
    def tired(request: Request) -> Outcome:
        return usual(request) if request.stage == "features" else RequestError("overloaded", status=503)

    with pytest.raises(MindKGError, match="overloaded"):
        distil(tmp_path, backend=Fake(tired))
    assert distil(tmp_path).counts["features"] == counts(3, 3, 0, 0, 1)


def test_progress_tells_every_request(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    distil(tmp_path, backend=Fake(), progress=lambda *step: told.append(step))
    for stage, total in (("features", 3), ("intentions", 8), ("filter", 8)):
        assert sum(n for name, n, _ in told if name == stage) == total


def dry(folder: Path, tables: dict[str, Any]) -> list[dict[str, Any]]:
    staging = folder / f"dry-{sum(1 for _ in folder.iterdir())}"
    staging.mkdir()
    with Ledger(folder / "ledger") as ledger:
        given = {name: Rows.of(found) for name, found in tables.items()}
        return dry_run(given, SETTINGS, root=folder, ledger=ledger, staging=staging).to_pylist()


def test_a_dry_run_says_what_is_sent_then(tmp_path: Path) -> None:
    tables = kb_tables(tmp_path)
    before = dry(tmp_path, tables)
    assert [(row["pass"], row["requests"], row["to_send"], row["exact"]) for row in before] == [
        ("features", 3, 3, True),
        ("intentions", 8, 8, False),
        ("filter", 8, 8, False),
    ]
    model = Fake(lambda r: Answer((f"{r.key} " * 30)[: 800 if r.stage == "features" else 640]))
    distil(tmp_path, backend=model, tables=tables)
    sent = [sum(r.stage == row["pass"] for r in model.sent) for row in before]
    assert sent == [row["to_send"] for row in before]
    for row in before:
        asked = [r for r in model.sent if r.stage == row["pass"]]
        size = sum((len(r.prompt.system) + len(r.prompt.text)) / 4 + 576 * bool(r.pictures) for r in asked)
        assert row["prompt_tokens"] == pytest.approx(size, rel=0.001 if row["exact"] else 0.1)
    assert [(row["in_ledger"], row["to_send"], row["prompt_tokens"]) for row in dry(tmp_path, tables)] == [
        (3, 0, 0),
        (8, 0, 0),
        (8, 0, 0),
    ]


@pytest.mark.parametrize(
    ("failed", "status", "in_ledger"), [(["P3"], 400, 8), (["P3"], 503, 4), (["P2", "P3"], 503, 0)]
)
def test_a_dry_run_goes_by_the_ledger_though_some_requests_failed(
    tmp_path: Path, failed: list[str], status: int, in_ledger: int
) -> None:
    def answer(request: Request) -> Outcome:
        return RequestError("no", status=status) if request.subject.product_id in failed else usual(request)

    tables = kb_tables(tmp_path)
    distil(tmp_path, backend=Fake(answer), max_error_rate=1.0, tables=tables)
    told = [(r["requests"], r["in_ledger"], r["to_send"], r["exact"]) for r in dry(tmp_path, tables)]
    left = 8 - in_ledger
    assert told == [
        (3, 3 - len(failed), len(failed), True),
        (8, in_ledger, left, False),
        (8, in_ledger, left, False),
    ]
    assert all(r["prompt_tokens"] > 0 for r in dry(tmp_path, tables) if r["to_send"])
