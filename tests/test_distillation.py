"""The verb distill from end to end with recorded answers, batch files and labels; nothing is asked twice."""

from __future__ import annotations

import csv
import gzip
import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from lvlm_server import running

import mindkg
from mindkg import distillation, pipeline
from mindkg.distill.backends import Outcome, Probed
from mindkg.distill.backends.replay import ReplayBackend
from mindkg.distill.ledger import Ledger
from mindkg.distill.requests import Answer, Prompt, Request, RequestError, Sampling, Subject
from mindkg.errors import InputError, MindKGError, UsageError

TITLES = {"P1": "Red Tea Mug", "P2": "Steel Kettle", "P3": "Camp Lantern", "P4": "Wool Blanket"}
PAIRS = [("P1", "P2"), ("P3", "P4"), ("P2", "P3")]
WHY = {("P1", "P2"): "making tea", ("P3", "P4"): "camping in the cold", ("P2", "P3"): "boiling water outdoors"}
USED: dict[str, Any] = {"relations": ["usedFor"]}


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A KB of four products and three pairs, without any answer."""
    folder = tmp_path_factory.mktemp("ingested")
    tables = {
        "products.csv": [("product_id", "title"), *TITLES.items()],
        "cobuys.csv": [("product_a", "product_b"), *PAIRS],
    }
    for name, rows in tables.items():
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
    pipeline.build([folder / name for name in tables], folder / "kb")
    return folder / "kb"


@pytest.fixture
def kb(ingested: Path, tmp_path: Path) -> Path:
    """A copy of the KB to distil."""
    return Path(shutil.copytree(ingested, tmp_path / "kb"))


def recorded(folder: Path, *, verdicts: bool = True) -> Path:
    """Write the answers to all questions about ``usedFor``."""
    records: list[dict[str, Any]] = [{"product_id": asin, "text": f"A fine {t}."} for asin, t in TITLES.items()]
    for (a, b), why in WHY.items():
        record = {"product_a": b, "product_b": a, "relation": "UsedFor",
                  "text": f"The potential co-buy intention could be they are both used for {why}."}  # fmt: skip
        records.append(record | ({"verdict": "No, never." if (a, b) == PAIRS[2] else "Yes."} if verdicts else {}))
    path = folder / "answers.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
    return path


class Scorer:
    """Answers everything; the filter's yes has a probability that depends on the pair."""

    model, revision = "scorer", ""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def probe(self, sampling: Sampling) -> Probed:
        return Probed(True)

    def answers(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Outcome]]:
        for request in requests:
            self.asked.append(request)
            yield request, self._answer(request)

    def _answer(self, request: Request) -> Answer:
        if request.stage == "filter":
            yes = 0.9 if "making tea" in request.prompt.text else 0.2
            return Answer("Yes", first=(("Yes", math.log(yes)), (" no", math.log(1 - yes))))
        if request.stage == "features":
            return Answer("A fine thing.")
        pair = next(why for ids, why in WHY.items() if all(TITLES[i] in request.prompt.text for i in ids))
        return Answer(f"The potential co-buy intention could be they are both used for {pair}.")

    def close(self) -> None:
        pass


def test_recorded_answers_become_a_graph(kb: Path, tmp_path: Path) -> None:
    said: list[str] = []
    done = distillation.distill(kb, f"replay:{recorded(tmp_path)}", say=said.append, **USED)
    assert "10 recorded answers = 10 used + 0 not asked for" in said
    assert any("paper" in line for line in said) and done.settings.filter_mode == "paper"
    assert {name: n["answered"] for name, n in done.counts.items()} == {"features": 4, "intentions": 3, "filter": 3}
    with mindkg.KnowledgeBase.open(kb) as made:
        assert sorted(made.table("intentions")["text"].to_pylist()) == sorted(WHY.values())
        assert sorted(made.table("verdicts")["verdict"].to_pylist()) == ["no", "yes", "yes"]
        assert set(made.table("generations")["pictures"].to_pylist()) == {0}
        assert sorted(made.table("runs")["stage"].to_pylist()) == ["features", "filter", "intentions"]
        assert made.cypher("MATCH (:CoBuy)-[r:USED_FOR]->(i:Intention) RETURN count(*) AS n").to_pylist() == [{"n": 2}]
        stage = made.manifest.stages["distill"]
        assert stage.read == stage.kept + stage.rejected == 10
    again = distillation.distill(kb, f"replay:{recorded(tmp_path)}", **USED)
    assert not again.built.published


def test_what_has_an_answer_is_not_asked_again(kb: Path) -> None:
    first, second = Scorer(), Scorer()
    distillation.distill(kb, first, relations=["usedFor"])  # type: ignore[arg-type]
    distillation.distill(kb, second, relations=["isA"])  # type: ignore[arg-type]
    assert [r.stage for r in first.asked] == ["features"] * 4 + ["intentions"] * 3 + ["filter"] * 3
    # the same words about the same pair are the same question to the filter, whatever relation they answer
    assert {r.stage for r in second.asked} == {"intentions"}
    assert {r.subject.relation for r in second.asked} == {"isA"}
    with mindkg.KnowledgeBase.open(kb) as made:
        assert sorted(set(made.table("generations")["relation"].to_pylist())) == ["isA", "usedFor"]
        rows = {name: made.table(name).num_rows for name in ("features", "generations", "verdicts")}
        assert rows == {"features": 4, "generations": 6, "verdicts": 6}
        assert len(made.manifest.options["distill"]) == 1


def test_answers_stay_when_the_sources_are_read_anew(kb: Path, tmp_path: Path) -> None:
    distillation.distill(kb, Scorer(), **USED)  # type: ignore[arg-type]
    more = tmp_path / "more.csv"
    more.write_text("product_id,title\n" + "".join(f"{i},{t}\n" for i, t in TITLES.items()) + "P5,Tent\n")
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("product_a,product_b\nP1,P2\nP4,P5\n")
    pipeline.build([more, pairs], kb, replace=True)
    with mindkg.KnowledgeBase.open(kb) as made:
        assert made.table("intentions")["text"].to_pylist() == ["making tea"]
        assert made.manifest.stages["distill"].notes["passes"][0]["intentions"]["missing"] == 1


def test_batch_files_go_out_and_come_back_pass_by_pass(kb: Path, tmp_path: Path) -> None:
    scorer, out = Scorer(), tmp_path / "out.jsonl"
    for expected in (4, 3, 3):
        n = distillation.write_batch(kb, out, model="m", overwrite=out.exists(), **USED)
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        assert n == len(lines) == expected
        assert all(line["url"] == "/v1/chat/completions" and line["body"]["model"] == "m" for line in lines)
        results = tmp_path / "in.jsonl"
        results.write_text("".join(json.dumps(_result(line, scorer)) + "\n" for line in lines))
        distillation.distill(kb, f"replay:{results}", model="m", **USED)
    with pytest.raises(InputError, match="this file exists"):
        distillation.write_batch(kb, out, model="m", **USED)
    assert distillation.write_batch(kb, out, model="m", overwrite=True, **USED) == 0
    with mindkg.KnowledgeBase.open(kb) as made:
        assert sorted(pc.round(made.table("verdicts")["score"], 6).to_pylist()) == [0.2, 0.2, 0.9]


def _result(line: dict[str, Any], scorer: Scorer) -> dict[str, Any]:
    """Return what a batch service writes for a request."""
    content = line["body"]["messages"][-1]["content"]
    text = content if isinstance(content, str) else content[-1]["text"]
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Fine."}}
    if line["body"].get("logprobs"):
        yes = 0.9 if "making tea" in text else 0.2
        top = [{"token": "Yes", "logprob": math.log(yes)}, {"token": "No", "logprob": math.log(1 - yes)}]
        choice["message"]["content"] = "Yes"
        choice["logprobs"] = {"content": [{"token": "Yes", "logprob": top[0]["logprob"], "top_logprobs": top}]}
    elif "Product B" in text:
        why = next(why for ids, why in WHY.items() if all(TITLES[i] in text for i in ids))
        choice["message"]["content"] = f"The potential co-buy intention could be they are both used for {why}."
    body = {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}
    return {"custom_id": line["custom_id"], "response": {"status_code": 200, "body": body}, "error": None}


def test_results_of_a_batch_need_the_name_of_their_model(kb: Path, tmp_path: Path) -> None:
    out, results = tmp_path / "out.jsonl", tmp_path / "in.jsonl"
    distillation.write_batch(kb, out, model="m", **USED)
    told = [_result(json.loads(line), Scorer()) for line in out.read_text().splitlines()]
    told[0]["response"]["body"]["model"] = "m-2026"
    results.write_text("".join(json.dumps(line) + "\n" for line in told))
    with pytest.raises(InputError, match="requests to one model") as raised:
        distillation.distill(kb, f"replay:{results}", **USED)
    assert raised.value.hint and "--model" in raised.value.hint and "m-2026" in raised.value.hint
    assert not (kb / "ledger").exists()


def test_a_failed_batch_line_is_a_reject(kb: Path, tmp_path: Path) -> None:
    out, results = tmp_path / "out.jsonl", tmp_path / "in.jsonl"
    distillation.write_batch(kb, out, model="m", passes=["features"], **USED)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    told = [_result(line, Scorer()) for line in lines]
    told[0]["response"] = {"status_code": 400, "body": {"error": {"message": "the picture is too large"}}}
    results.write_text("".join(json.dumps(line) + "\n" for line in told))
    done = distillation.distill(kb, f"replay:{results}", model="m", passes=["features"], max_error_rate=0.5, **USED)
    assert done.counts["features"]["failed"] == 1
    with mindkg.KnowledgeBase.open(kb) as made:
        [reject] = [r for r in made.table("rejects").to_pylist() if r["stage"] == "distill"]
        assert reject["reason"] == "request_failed" and "the picture is too large" in reject["detail"]


def test_an_answer_counts_before_an_error_whatever_their_order(tmp_path: Path) -> None:
    good = {"status_code": 200, "body": {"choices": [{"message": {"content": "Fine."}}]}}
    lines = [
        {"custom_id": "a", "response": None, "error": {"code": "batch_expired"}},
        {"custom_id": "a", "response": good, "error": None},
        {"custom_id": "a", "response": {"status_code": 500, "body": {}}, "error": None},
        {"custom_id": "b", "response": "gone", "error": None},
        {"custom_id": "c", "response": {"status_code": "429"}},
    ]
    (tmp_path / "in.jsonl").write_text("\ufeff" + "".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    told = ReplayBackend(tmp_path / "in.jsonl", "m")._answers
    assert told["a",] == Answer("Fine.")
    found = {key: told[key,] for key in "bc"}
    assert {key: error.status for key, error in found.items() if isinstance(error, RequestError)} == {
        "b": None,
        "c": 429,
    }


def test_packed_answers_are_read_and_cut_off_ones_said(tmp_path: Path) -> None:
    plain, packed = recorded(tmp_path), tmp_path / "answers.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert ReplayBackend(packed)._answers == ReplayBackend(plain)._answers
    packed.write_bytes(packed.read_bytes()[:-40])
    with pytest.raises(InputError, match="cut off or damaged"):
        ReplayBackend(packed)


def test_what_a_record_tells_of_the_wrong_type_does_not_break_the_ledger(kb: Path, tmp_path: Path) -> None:
    answers = recorded(tmp_path)
    answers.write_text(answers.read_text().replace('"text":', '"finish_reason": 1, "text":'))
    distillation.distill(kb, f"replay:{answers}", **USED)
    assert sum(row["answers"] for row in distillation.paid(kb).to_pylist()) == 10


def test_replaced_bytes_and_what_broke_off_are_reported(kb: Path, tmp_path: Path) -> None:
    answers, said = recorded(tmp_path), list[str]()
    answers.write_bytes(answers.read_bytes().replace(b"Steel", b"St\xe9el").replace(b"making", b"m\xe9king"))
    distillation.distill(kb, f"replay:{answers}", say=said.append, **USED)
    for stage in ("features", "intentions"):
        assert f"{stage}: 1 answer with U+FFFD in place of bytes that are not UTF-8" in said
    assert sum(row["replaced"] for row in distillation.paid(kb).to_pylist()) == 2
    model = f"replay:{answers.name}"
    with Ledger(kb / "ledger") as ledger:
        key = next(row["key"] for part in ledger.records() for row in part.to_pylist() if row["stage"] == "features")
        said.clear()
        cut = Request(key, "features", Subject(), "", Prompt("", "", "", ""), (), Sampling(), model)
        ledger.append(cut, Answer("A fine", "error"))
    distillation.distill(kb, f"replay:{answers}", say=said.append, **USED)
    assert "1 answer kept by version 0.1 broke off with an error of the server: asked again" in said
    assert not any(row["interrupted"] for row in distillation.paid(kb).to_pylist())


@pytest.mark.parametrize("name", ["m\x1b[31m", "m\ud800", "m\n"])
def test_a_model_whose_name_is_not_text_is_incorrect_usage(kb: Path, tmp_path: Path, name: str) -> None:
    for ask in (
        lambda: distillation.dry_run(kb, model=name),
        lambda: distillation.write_batch(kb, tmp_path / "batch.jsonl", model=name),
        lambda: distillation.distill(kb, f"replay:{recorded(tmp_path)}", model=name),
    ):
        with pytest.raises(UsageError, match="the name or revision of a model has control characters") as error:
            ask()
        assert str(error.value).isprintable()
    command = [sys.executable, "-m", "mindkg", "distill", str(kb), "--backend", "http://127.0.0.1:1/v1", "--model"]
    ended = subprocess.run([*command, os.fsencode(name) if "\ud800" not in name else b"m\xff"], capture_output=True)
    lines = ended.stderr.decode().splitlines()
    assert ended.returncode == 2 and len(lines) == 1 and lines[0].startswith("mindkg: the name"), lines


def test_scores_are_calibrated_on_labels(kb: Path, tmp_path: Path) -> None:
    distillation.distill(kb, Scorer(), samples=8, **USED)  # type: ignore[arg-type]
    with mindkg.KnowledgeBase.open(kb) as made:
        scores = {r["generation_id"]: r["score"] for r in made.table("verdicts").to_pylist()}
    labels = tmp_path / "labels.csv"
    # people say yes half as often as the score says
    ids = sorted(scores, key=lambda g: (scores[g], g))
    rows = [(g, "yes" if n % 2 else "no") for n, g in enumerate(ids)]
    labels.write_text("generation_id,label\n" + "".join(f"{g},{label}\n" for g, label in rows))
    report, _ = distillation.calibrate(kb, labels, method="platt")
    assert report.n == 24 and report.after.brier < report.before.brier
    stored = json.loads((kb / "calibration.json").read_text())
    assert stored["n"] == 24 and stored["before"]["brier"] == report.before.brier
    with mindkg.KnowledgeBase.open(kb) as made:
        calibrated = made.table("verdicts")["score"].to_pylist()
        assert len(calibrated) == 24 and all(0.3 < score < 0.7 for score in calibrated)


def test_a_dry_run_counts_what_would_be_sent(kb: Path) -> None:
    before = distillation.dry_run(kb, model="scorer", **USED).to_pylist()
    assert [(r["pass"], r["requests"], r["to_send"]) for r in before] == [
        ("features", 4, 4), ("intentions", 3, 3), ("filter", 3, 3)]  # fmt: skip
    assert all(r["prompt_tokens"] > 100 for r in before)
    distillation.distill(kb, Scorer(), **USED)  # type: ignore[arg-type]
    after = distillation.dry_run(kb, model="scorer", **USED).to_pylist()
    assert [(r["in_ledger"], r["to_send"], r["exact"]) for r in after] == [(4, 0, True), (3, 0, True), (3, 0, True)]
    spent = distillation.paid(kb, price_in=1.0).to_pylist()
    assert sorted((r["stage"], r["answers"]) for r in spent) == [
        ("features", 4), ("filter", 3), ("intentions", 3), ("probe", 1)]  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("{", "a line is not JSON"),
        ("[1]", "not a JSON object"),
        ('{"product_id": "P1"}', "a record has no text"),
        ('{"text": "x"}', "unknown relation"),
        ('{"text": "x", "relation": "usedFor"}', "names no request, product or pair"),
        ('{"text": "x", "key": "k", "first": "Yes"}', "first is no list"),
        ('{"text": "x", "key": "k", "first": [["Yes", "likely"]]}', "first is no list"),
        ('\n\n{"product_id": "P1"}', "jsonl:3"),
    ],
)
def test_a_record_that_cannot_be_used_is_said(tmp_path: Path, lines: str, words: str) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(lines + "\n")
    with pytest.raises(InputError, match=words):
        ReplayBackend(path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--backend", "ftp://x"], "no backend"),
        (["--backend", "repaly:answers.jsonl"], "Did you mean replay?"),
        (["--backend", "replay:missing.jsonl"], "no file of answers"),
        (["--backend", "replay:{answers}", "--relations", "likes"], "there is no relation"),
        (["--backend", "replay:{answers}", "--passes", "dream"], "unknown pass"),
        (["--write-batch", "{answers}.out"], "needs the name of its model"),
        (["--write-batch", ".", "--model", "m"], "a folder, not a file"),
        (["--calibrate", "missing.csv"], "no file of labels"),
        (["--calibrate", "{answers}"], "no scores"),
        (["--forget", "nobody"], "was not distilled with"),
    ],
)
def test_mistakes_are_one_line(kb: Path, tmp_path: Path, options: list[str], words: str) -> None:
    answers = recorded(tmp_path)
    given = [option.format(answers=answers) for option in options]
    ran = subprocess.run(
        [sys.executable, "-m", "mindkg", "distill", str(kb), *given], capture_output=True, text=True, check=False
    )
    assert ran.returncode == (2 if words in ("there is no relation", "unknown pass") else 1)
    assert words in ran.stderr and len(ran.stderr.splitlines()) == 1


def test_each_question_is_paid_for_once_though_a_server_fails_now_and_then(tmp_path: Path) -> None:
    titles = {**TITLES, "P2": "Steel Kettle fault:500"}
    (tmp_path / "products.csv").write_text("product_id,title\n" + "".join(f"{i},{t}\n" for i, t in titles.items()))
    (tmp_path / "cobuys.csv").write_text("product_a,product_b\n" + "".join(f"{a},{b}\n" for a, b in PAIRS))
    kb, said = tmp_path / "kb", list[str]()
    pipeline.build([tmp_path / "products.csv", tmp_path / "cobuys.csv"], kb)
    options: dict[str, Any] = {"options": {"retries": 0}, "max_error_rate": 1.0, "say": said.append, **USED}
    with running() as server:
        done = [distillation.distill(kb, server.address, **options) for _ in range(4)]
        paid = server.stats()["paid"]
    told = [{name: (n["answered"], n["failed"], n["waiting"]) for name, n in one.counts.items()} for one in done]
    assert told == [
        {"features": (3, 1, 0), "intentions": (1, 0, 2), "filter": (1, 0, 0)},
        {"features": (4, 0, 0), "intentions": (1, 2, 0), "filter": (1, 0, 0)},
        {"features": (4, 0, 0), "intentions": (3, 0, 0), "filter": (1, 2, 0)},
        {"features": (4, 0, 0), "intentions": (3, 0, 0), "filter": (3, 0, 0)},
    ]
    assert len(paid) == 1 + 4 + 3 + 3 and set(paid.values()) == {1}
    assert [line for line in said if "wait" in line] == [
        "2 pairs wait for features that failed: run it again, or ask without them: --passes intentions,filter"
    ]


def test_one_model_that_fails_at_everything_stops_the_run(kb: Path) -> None:
    class Broken(Scorer):
        def _answer(self, request: Request) -> Any:
            from mindkg.distill.requests import RequestError

            return RequestError("the server is on fire", status=500)

    with pytest.raises(MindKGError, match="the server is on fire"):
        distillation.distill(kb, Broken(), **USED)  # type: ignore[arg-type]


def test_real_answers_replayed_give_what_a_build_gives(real_data: Path, tmp_path: Path) -> None:
    sample = real_data / "mind" / "mind_llava_sample.csv.gz"
    pipeline.build(sample, tmp_path / "built")
    with mindkg.KnowledgeBase.open(tmp_path / "built") as built:
        for name in ("products", "cobuys"):
            pq.write_table(built.table(name).drop_columns("source"), tmp_path / f"{name}.parquet")
        features = built.table("features").to_pylist()
    pipeline.build([tmp_path / f"{name}.parquet" for name in ("products", "cobuys")], tmp_path / "replayed")
    with (tmp_path / "answers.jsonl").open("w", encoding="utf-8") as out:
        for f in features:
            out.write(json.dumps({"product_id": f["product_id"], "text": f["text"]}) + "\n")
        with gzip.open(sample, "rt", newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                record = {"product_a": row["id_a"], "product_b": row["id_b"], "relation": row["Relation"],
                          "text": row["Intention"], "verdict": row["Agreement"]}  # fmt: skip
                out.write(json.dumps(record) + "\n")
    distillation.distill(tmp_path / "replayed", f"replay:{tmp_path / 'answers.jsonl'}", samples=2)
    with (
        mindkg.KnowledgeBase.open(tmp_path / "built") as built,
        mindkg.KnowledgeBase.open(tmp_path / "replayed") as made,
    ):
        for name in ("products", "cobuys"):
            assert made.table(name).drop_columns("source").equals(built.table(name).drop_columns("source")), name
        for name in ("assertions", "intentions", "mentions"):
            assert made.table(name).equals(built.table(name)), name
        assert _verdicts(made) == _verdicts(built)


def _verdicts(kb: mindkg.KnowledgeBase) -> list[tuple[Any, ...]]:
    """Return the verdicts with what they are about, without the keys of runs."""
    about = {r["generation_id"]: (r["cobuy_id"], r["relation"], r["text"]) for r in kb.table("generations").to_pylist()}
    return sorted((*about[v["generation_id"]], v["text"], v["verdict"]) for v in kb.table("verdicts").to_pylist())


class WarmScorer(Scorer):
    """Judges each intention with a probability of its own."""

    def _answer(self, request: Request) -> Answer:
        yes = (1 + int(re.findall(r"making tea (\d+)", request.prompt.text)[-1])) / 32
        return Answer("Yes", first=(("Yes", math.log(yes)), (" no", math.log(1 - yes))))


@pytest.mark.parametrize("by", ["generation", "pair"])
def test_answers_of_no_particular_relation_are_filtered_and_calibrated(tmp_path: Path, by: str) -> None:
    texts = [("K", f"P{n}", f"They are both used for making tea {n}.") for n in range(24)]
    tables = {
        "products.csv": [("product_id", "title"), ("K", "Steel Kettle"), *((f"P{n}", f"Cup {n}") for n in range(24))],
        "generations.csv": [("product_a", "product_b", "text"), *texts],
    }
    for name, lines in tables.items():
        with (tmp_path / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(lines)
    kb = tmp_path / "kb"
    pipeline.build([tmp_path / name for name in tables], kb)
    made = distillation.distill(kb, WarmScorer(), passes=["filter"])  # type: ignore[arg-type]
    assert made.counts["filter"]["answered"] == 24 and made.counts["filter"]["unasked"] == 0
    with mindkg.KnowledgeBase.open(kb) as opened:
        assert opened.table("generations")["relation"].null_count == 24
        scores = {r["generation_id"]: r["score"] for r in opened.table("verdicts").to_pylist()}
        assert pc.sum(opened.table("assertions")["accepted"]).as_py() == sum(score >= 0.5 for score in scores.values())
    labels, lines = tmp_path / "labels.csv", [("product_a", "product_b", "relation", "label")]
    if by == "generation":
        ids = sorted(scores, key=lambda g: scores[g])
        lines = [("generation_id", "label"), *((g, "no" if n < 12 else "yes") for n, g in enumerate(ids))]
    else:
        lines += [("K", f"P{n}", "" if n % 2 else "all", "no" if n < 12 else "yes") for n in range(24)]
        lines += [("K", "P1", "likes", "yes"), ("K", "P1", "usedFor", "yes")]  # no such relation was asked for
    with labels.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)
    report, _ = distillation.calibrate(kb, labels)
    assert report.n == 24 and report.before.brier > report.after.brier
    rejects = json.loads((kb / "calibration.json").read_text())["rejects"]
    assert [row["record"] for row in rejects] == ([] if by == "generation" else ["labels.csv:26", "labels.csv:27"])
