"""What servers do in their own ways: parameters they forbid, thoughts, and log-probabilities in other shapes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lvlm_server import running

from mindkg.distill.backends.batch import BatchWriter
from mindkg.distill.backends.openai import OpenAIBackend
from mindkg.distill.backends.openai_chat import NO_THINKING, chat_answer
from mindkg.distill.backends.parameters import FORBIDDABLE, Parameters
from mindkg.distill.requests import Answer, Prompt, Request, RequestError, Sampling, Subject, request_key
from mindkg.distill.runs import run_of, sampling
from mindkg.distill.settings import Settings
from mindkg.errors import InputError

SCORED = Sampling(temperature=0.2, max_tokens=64, seed=3, logprobs=20)


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MINDKG_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def request(text: str, sampling: Sampling) -> Request:
    prompt = Prompt("filter", "1", "", text)
    key = request_key("stub", "", prompt, (), sampling, 0)
    return Request(key, "filter", Subject(), "", prompt, (), sampling, "stub")


def asked(backend: OpenAIBackend, *texts: str, sampling: Sampling = SCORED) -> list[Answer]:
    outcomes = [outcome for _, outcome in backend.answers(request(text, sampling) for text in texts)]
    assert all(isinstance(outcome, Answer) for outcome in outcomes), outcomes
    return [outcome for outcome in outcomes if isinstance(outcome, Answer)]


@pytest.mark.parametrize(
    ("forbidden", "omitted", "lowered"),
    [
        ({"seed": True}, ("seed",), ()),
        ({"temperature": 1}, ("temperature",), ()),
        ({"top_logprobs": 5}, (), (("top_logprobs", 5),)),
        ({"max_tokens": 32}, (), (("max_tokens", 32),)),
        ({"max_tokens": True}, ("max_tokens",), ()),
        ({"seed": True, "temperature": 1, "top_logprobs": 5}, ("seed", "temperature"), (("top_logprobs", 5),)),
    ],
)
def test_what_a_server_forbids_is_left_out_or_lowered_and_reported_once(
    forbidden: dict[str, Any], omitted: tuple[str, ...], lowered: tuple[tuple[str, int], ...]
) -> None:
    with running(forbidden=forbidden) as server:
        backend = OpenAIBackend(server.address, "stub")
        found = backend.probe(SCORED)
        assert (found.logprobs, found.omitted, found.lowered) == (True, omitted, lowered)
        assert len(found.notes) == len(forbidden) and all(
            any(name in note for name in forbidden) for note in found.notes
        )
        before = server.stats()["requests"]
        asked(backend, *(f"question {n}" for n in range(5)))
        stats = server.stats()
        assert stats["requests"] == before + 5 and not backend.notes()
        for body in stats["bodies"]:
            assert not set(omitted) & set(body) and all(body[name] <= most for name, most in lowered)
        backend.close()


def test_what_is_not_sent_cannot_be_refused() -> None:
    settings = Settings("stub", omit=("temperature", "seed", "max_tokens"))
    with running(forbidden={"seed": True, "temperature": True, "max_tokens": True}) as server:
        backend = OpenAIBackend(server.address, "stub")
        found = backend.probe(replace(sampling("intentions", settings), logprobs=20))
        assert found.logprobs and not found.omitted and server.stats()["requests"] == 1
        backend.close()


def test_a_run_is_named_by_what_is_sent() -> None:
    plain, omitting = Settings("m"), Settings("m", omit=("seed",))
    assert run_of("features", plain).run_id != run_of("features", omitting).run_id
    assert '"seed": null' in run_of("features", omitting).parameters
    lower, thinking = Settings("m", top_logprobs=5), Settings("m", thinking="off")
    assert '"top_logprobs": 5' in run_of("filter", lower).parameters
    assert '"thinking": "off"' in run_of("features", thinking).parameters
    assert len({run_of("filter", one).run_id for one in (plain, omitting, lower, thinking)}) == 4
    with pytest.raises(InputError, match="unknown parameter 'sead'"):
        Settings("m", omit=("sead",))


def test_a_refusal_that_repeats_the_request_teaches_nothing() -> None:
    known, sent = Parameters(), dict.fromkeys(FORBIDDABLE, 512)
    assert known.without_what(RequestError("the server says (400): garden seed", status=400), sent) is not None
    with running() as server:  # the guess is dropped, since the server refuses the request without it too
        backend = OpenAIBackend(server.address, "stub")
        ((_, outcome),) = backend.answers([request("garden seed fault:400,400", SCORED)])
        assert isinstance(outcome, RequestError)
        asked(backend, "another")
        assert server.stats()["bodies"][-1]["seed"] == 3 and not backend.notes()
        backend.close()


@pytest.mark.parametrize(
    "words", ["the context length is 4096 tokens, you asked for max_tokens 512", "no such model", "prompt too long"]
)
def test_what_concerns_one_request_changes_no_parameter(words: str) -> None:
    error = RequestError(f"the server says (400): {words}", status=400)
    assert Parameters().without_what(error, {"max_tokens": 512, "seed": 0}) is None


def test_tokens_named_by_ids_are_asked_for_as_text() -> None:
    with running(profile="token-ids") as server:
        backend = OpenAIBackend(server.address, "stub")
        found = backend.probe(SCORED)
        assert found.logprobs and found.remedied and "ids" in found.notes[0]
        (answer,) = asked(backend, "hello")
        assert answer.first == (("Yes", -0.25), (" no", -1.75))
        backend.close()
    with running(profile="token-ids", forbidden={"return_tokens_as_token_ids": False}) as server:
        backend = OpenAIBackend(server.address, "stub")
        assert backend.probe(SCORED).logprobs
        backend.close()


def test_sglang_with_a_reasoning_parser_is_asked_not_to_part_thoughts() -> None:
    with running(profile="parser") as server:
        backend = OpenAIBackend(server.address, "stub")
        found = backend.probe(SCORED)
        assert found.logprobs and found.remedied and "thoughts" in found.notes[0]
        assert asked(backend, "hello")[0].first
        backend.close()
    with running(profile="parser", forbidden={"separate_reasoning": True}) as server:
        backend = OpenAIBackend(server.address, "stub")
        found = backend.probe(SCORED)
        assert not found.logprobs and "gives no log-probabilities" in found.why
        backend.close()


def test_a_chosen_token_alone_is_no_score() -> None:
    with running(profile="alone") as server:
        backend = OpenAIBackend(server.address, "stub")
        assert not backend.probe(SCORED).logprobs
        assert asked(backend, "hello")[0].first is None
        backend.close()


@pytest.mark.parametrize("profile", ["thinks", "separated"])
def test_a_model_that_thinks_is_scored_after_its_thought(profile: str) -> None:
    with running(profile=profile) as server:
        backend = OpenAIBackend(server.address, "stub")
        found = backend.probe(SCORED)
        assert found.thinks and found.logprobs
        (answer,) = asked(backend, "hello", sampling=sampling("filter", Settings("stub", thinking="on")))
        assert answer.first == (("Yes", -0.25), (" no", -1.75)) and answer.thought
        off = sampling("filter", Settings("stub", thinking="off"))
        assert off.max_tokens == 1 and not asked(backend, "hello", sampling=off)[0].thought
        assert NO_THINKING.items() <= server.stats()["bodies"][-1].items()
        backend.close()


def test_a_stream_is_read_as_one_answer() -> None:
    with running() as server:
        backend = OpenAIBackend(server.address, "stub")
        plain = asked(backend, "one two three")
        backend.close()
    with running(profile="stream") as server:
        backend = OpenAIBackend(server.address, "stub")
        assert asked(backend, "one two three") == plain
        assert plain[0].first and plain[0].completion_tokens == 3 and plain[0].finish_reason == "stop"
        backend.close()


def test_nothing_that_vllm_ignores_is_sent() -> None:
    with running() as server:
        backend = OpenAIBackend(server.address, "stub")
        backend.probe(SCORED)
        asked(backend, "hello")
        assert not [name for body in server.stats()["bodies"] for name in body if name.startswith("guided_")]
        backend.close()


def test_parts_that_are_thoughts_are_not_the_answer() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "reasoning", "text": "No."},
        {"type": "text", "text": "Yes."},
    ]
    assert chat_answer({"choices": [{"message": {"content": parts}, "finish_reason": "stop"}]}).text == "Yes."


@pytest.mark.parametrize(
    ("model", "bound"),
    [("gpt-4o", "max_tokens"), ("o3-mini", "max_completion_tokens"), ("openai/gpt-5.1", "max_completion_tokens")],
)
def test_a_batch_file_names_the_longest_answer_as_the_model_does(tmp_path: Path, model: str, bound: str) -> None:
    with BatchWriter(tmp_path / "batch.jsonl", model) as writer:
        list(writer.answers([request("hello", SCORED)]))
    body = json.loads((tmp_path / "batch.jsonl").read_text("utf-8"))["body"]
    assert {"max_tokens", "max_completion_tokens"} & set(body) == {bound}


def test_vllm_is_asked_for_the_tokens_of_yes_and_no() -> None:
    with running(profile="vllm") as server:
        backend = OpenAIBackend(server.address, "stub")
        ids = backend.token_ids()
        assert ids == (1, 2, 3, 4) and not backend.notes()
        scored = Settings("stub", token_ids=ids)
        (answer,) = asked(backend, "hello", sampling=sampling("filter", scored))
        assert answer.first and {"Yes", " yes", "No", " no"} <= {token for token, _ in answer.first}
        assert '"logprob_token_ids": [1, 2, 3, 4]' in run_of("filter", scored).parameters
        backend.close()
    for options in ({}, {"profile": "vllm", "forbidden": {"logprob_token_ids": True}}):
        with running(**options) as server:
            backend = OpenAIBackend(server.address, "stub")
            assert backend.token_ids() == () and any("logprob_token_ids" in note for note in backend.notes())
            backend.close()
