"""What a response holds, wherever it stands: an answer, an error that may pass, or one that will not."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindkg import distillation, pipeline
from mindkg.distill.backends.json_text import read_json
from mindkg.distill.backends.openai_chat import chat_answer, server_words
from mindkg.distill.backends.replay import ReplayBackend, batch_outcome
from mindkg.distill.requests import Answer, RequestError
from mindkg.errors import InputError

TEXT = "The potential co-buy intention could be they are both"


def choice(text: str | None = TEXT, reason: str | None = "stop", **more: Any) -> dict[str, Any]:
    return {"message": {"content": text}, "finish_reason": reason, **more}


def outcome(body: Any) -> Answer | RequestError:
    try:
        return chat_answer(body)
    except RequestError as error:
        return error


PASSING = {
    "error in the body": {"error": {"message": "the engine died"}},
    "error as text": {"error": "CUDA out of memory"},
    "error and choices": {"error": {"message": "overloaded", "code": 529}, "choices": [choice()]},
    "error in the choice": {"choices": [choice(error={"message": "provider died", "code": 502})]},
    "error beside the message": {"choices": [{"message": {"content": TEXT, "error": "lost"}, "finish_reason": "stop"}]},
    "finish_reason error": {"choices": [choice(reason="error")]},
    "finish_reason ABORT": {"choices": [choice(reason="ABORT")]},
    "no resources": {"choices": [choice(reason="insufficient_system_resource")]},
    "nothing yet": {"choices": [choice(None, None)]},
    "empty, no reason": {"choices": [choice("", None)]},
    "no choices": {"choices": []},
    "code as text": {"error": {"message": "slow down", "code": "429"}},
    "an old vLLM": {"object": "error", "message": "engine loop is not running", "code": 500},
}
LASTING = {
    "bad request": {"error": {"message": "the prompt is too long", "type": "invalid_request_error"}},
    "code 400": {"error": {"message": "no", "code": 400}},
    "no money": {"error": {"message": "no", "code": "insufficient_quota"}},
    "no chat server": {"status": "ok"},
    "no text": {"choices": [choice(None)]},
}
ANSWERS = {
    "stop": {"choices": [choice()]},
    "length": {"choices": [choice(reason="length")]},
    "a server without reasons": {"choices": [choice(reason=None)]},
    "an error of nothing": {"error": None, "choices": [choice(error={"code": 0, "message": ""})]},
}


@pytest.mark.parametrize("name", PASSING)
def test_what_may_pass_is_recognised_wherever_it_stands(name: str) -> None:
    error = outcome(PASSING[name])
    assert isinstance(error, RequestError) and error.retryable
    record = {"custom_id": "k", "response": {"status_code": 200, "body": PASSING[name]}, "error": None}
    batched = batch_outcome(record)
    assert isinstance(batched, RequestError) and batched.retryable and batched.status == error.status
    assert error.status is None or error.status in (429, 500, 502, 529)  # a pair waits for either


@pytest.mark.parametrize("name", LASTING)
def test_what_will_not_pass_is_no_transient_error(name: str) -> None:
    error = outcome(LASTING[name])
    assert isinstance(error, RequestError) and not error.retryable and error.status in (200, 400)


@pytest.mark.parametrize("name", ANSWERS)
def test_a_whole_answer_is_kept(name: str) -> None:
    assert isinstance(outcome(ANSWERS[name]), Answer)


@pytest.mark.parametrize(
    ("response", "status"),
    [
        ({"status_code": 0, "body": None}, None),
        ({"status_code": "503"}, 503),
        (None, None),
        ({"status_code": 400}, 400),
    ],
)
def test_a_batch_line_without_an_answer(response: Any, status: int | None) -> None:
    error = batch_outcome({"custom_id": "k", "response": response, "error": None})
    assert isinstance(error, RequestError) and error.status == status and error.retryable == (status != 400)


def test_a_pair_waits_for_features_whose_batch_line_has_status_0(tmp_path: Path) -> None:
    (tmp_path / "products.csv").write_text("product_id,title\nP1,Red Mug\nP2,Kettle\nP3,Lamp\nP4,Rope\n")
    (tmp_path / "cobuys.csv").write_text("product_a,product_b\nP1,P2\nP3,P4\n")
    pipeline.build([tmp_path / "products.csv", tmp_path / "cobuys.csv"], tmp_path / "kb")
    asked: dict[str, Any] = {"model": "m", "relations": ["usedFor"], "passes": ["features", "intentions"]}
    batch, results = tmp_path / "batch.jsonl", tmp_path / "results.jsonl"
    assert distillation.write_batch(tmp_path / "kb", batch, **asked) == 4
    keys = [json.loads(line)["custom_id"] for line in batch.read_text().splitlines()]
    lines = [
        {"custom_id": key, "response": {"status_code": 200, "body": {"choices": [choice("Fine.")]}}} for key in keys
    ]
    lines[0]["response"] = {"status_code": 0, "body": None}
    results.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = distillation.distill(tmp_path / "kb", f"replay:{results}", max_error_rate=1.0, **asked)
    assert (done.counts["features"]["failed"], done.counts["intentions"]["waiting"]) == (1, 1)


def test_a_recorded_answer_that_was_interrupted_is_none(tmp_path: Path) -> None:
    records = [{"product_id": "P1", "text": TEXT, "finish_reason": "error"}, {"product_id": "P1", "text": "whole"}]
    file = tmp_path / "answers.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert ReplayBackend(file)._answers == {("features", "P1"): Answer("whole")}


def test_numbers_out_of_range_are_left_out(tmp_path: Path) -> None:
    digits = "9" * 400
    tokens = ",".join(
        f'{{"token": "t{place}", "logprob": {number}}}'
        for place, number in enumerate([f"-{digits}", "NaN", "Infinity", "-1e400", digits, '"x"', "9" * 5000, "-0.5"])
    )
    first = f'{{"token": "Yes", "logprob": -0.25, "top_logprobs": [{tokens}]}}'
    usage = f'{{"prompt_tokens": -1, "completion_tokens": {digits}}}'
    text = (
        f'{{"choices": [{{"message": {{"content": "Yes"}}, "logprobs": {{"content": [{first}]}}}}], "usage": {usage}}}'
    )
    answer = chat_answer(read_json(text))
    assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == ("Yes", None, None)
    assert set(answer.first or ()) == {("t7", -0.5), ("Yes", -0.25)}
    file = tmp_path / "answers.jsonl"
    file.write_text(f'{{"key": "k", "text": "Yes", "first": [["a", -{digits}], ["b", -0.5], ["c", NaN]]}}\n')
    assert ReplayBackend(file)._answers == {("k",): Answer("Yes", first=(("b", -0.5),))}


def test_a_line_that_is_too_long_is_an_error_of_its_request(tmp_path: Path) -> None:
    whole = {"custom_id": "b", "response": {"status_code": 200, "body": {"choices": [choice()]}}}
    file, long = tmp_path / "results.jsonl", json.dumps({"custom_id": "a", "response": "x" * 3_000_000})
    for end in ("\n", ""):
        file.write_text(f"{json.dumps(whole)}\n{long}{end}")
        answers = ReplayBackend(file, "m")._answers
        assert answers[("b",)] == Answer(TEXT, "stop")
        error = answers[("a",)]
        assert isinstance(error, RequestError) and not error.retryable
        assert "the answer is too long: its line has over 1,600,000 characters" in str(error)
    assert isinstance(ReplayBackend(file, "m", max_answer=1_000_000)._answers[("a",)], RequestError)
    file.write_text(json.dumps({"product_id": "P1", "text": "x" * 3_000_000}))
    with pytest.raises(InputError, match=r"a line is too long: .*results.jsonl:1\)\. Allow longer ones"):
        ReplayBackend(file)
    assert len(ReplayBackend(file, max_answer=1_000_000)._answers) == 1


NAMES = [
    *("choices", "message", "content", "finish_reason", "error", "code", "type", "usage", "prompt_tokens", "status"),
    *(
        "logprobs",
        "top_logprobs",
        "token",
        "logprob",
        "text",
        "refusal",
        "reasoning",
        "detail",
        "custom_id",
        "response",
    ),
]
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**300, 10**400)
    | st.floats()
    | st.text(st.characters(exclude_categories=[]), max_size=8)
    | st.sampled_from(["error", "stop", "429", "Yes"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None)
@given(body=json_values, shape=st.integers(0, 3))
def test_any_json_is_an_answer_or_an_error(body: Any, shape: int) -> None:
    wrapped = [
        body,
        {"choices": [body]},
        {"choices": [{"message": body}]},
        {"choices": [{"message": {"content": body}}]},
    ]
    text = json.dumps(wrapped[shape])
    found = outcome(read_json(text))
    if isinstance(found, Answer):
        found.text.encode()
        assert all(math.isfinite(logprob) and logprob <= 0 for _, logprob in found.first or ())
    else:
        assert "\n" not in str(found)
    batch_outcome({"custom_id": "k", "response": body, "error": None})
    batch_outcome({"custom_id": "k", "response": {"status_code": 200, "body": wrapped[shape]}})
    assert server_words(text.encode()).isprintable()
