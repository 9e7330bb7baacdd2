"""The chat backend against a real server in another process that fails in every way servers do."""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import math
import threading
import time
import traceback
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
from lvlm_server import LvlmServer, running

from mindkg.distill.backends import openai_client
from mindkg.distill.backends.openai import OpenAIBackend, chat_answer, chat_body
from mindkg.distill.backends.openai_chat import server_words
from mindkg.distill.backends.server_errors import one_line
from mindkg.distill.requests import Answer, Picture, Prompt, Request, RequestError, Sampling, Subject, request_key
from mindkg.errors import InputError, MindKGError

KEY = "sk-Secret0123456789"
SCORED = Sampling(logprobs=20)


@pytest.fixture(autouse=True)
def keyless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take no key from the developer's environment."""
    for name in openai_client.KEYS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def server() -> Iterator[LvlmServer]:
    with running() as started:
        yield started


def request(text: str, *, group: str = "", pictures: tuple[Picture, ...] = (), logprobs: int = 0) -> Request:
    prompt, sampling = Prompt("features", "1", "", text), Sampling(logprobs=logprobs)
    key = request_key("stub", "", prompt, pictures, sampling, 0)
    return Request(key, "features", Subject(product_id=text), group, prompt, pictures, sampling, "stub")


def open_backend(*given: Any, **options: Any) -> OpenAIBackend:
    """Return a backend that tries again soon."""
    return OpenAIBackend(*given, **{"backoff": 0.02, **options})


def asked(address: str, *texts: str, **options: Any) -> dict[str, Any]:
    """Return the outcome of each text: the answer's text or the error."""
    backend = open_backend(address, "stub", **options)
    try:
        outcomes = list(backend.answers(map(request, texts)))
    finally:
        backend.close()
    assert sorted(r.prompt.text for r, _ in outcomes) == sorted(texts)
    return {r.prompt.text: o.text if isinstance(o, Answer) else o for r, o in outcomes}


def failure(address: str, text: str, **options: Any) -> RequestError:
    """Return the error of ``text``, asked when another request has been answered."""
    backend = open_backend(address, "stub", concurrency=1, **options)
    try:
        outcome = list(backend.answers(map(request, ("hello", text))))[1][1]
    finally:
        backend.close()
    assert isinstance(outcome, RequestError)
    assert "\n" not in str(outcome)
    return outcome


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    from PIL import Image

    path = tmp_path / "p.jpg"
    Image.new("RGB", (33, 44), (200, 30, 30)).save(path)
    return Picture(hashlib.sha256(path.read_bytes()).hexdigest(), path)


def test_every_request_gets_its_own_answer(server: LvlmServer) -> None:
    texts = [f"question {number}" for number in range(200)]
    assert asked(server.address, *texts) == {text: f"answer to {text}" for text in texts}


def test_an_answer_tells_reason_tokens_and_time(server: LvlmServer) -> None:
    backend = open_backend(server.address)
    assert backend.model == "stub"
    ((_, answer),) = backend.answers([request("one two three", logprobs=20)])
    backend.close()
    assert answer == Answer("answer to one two three", "stop", 3, 3, (("Yes", -0.25), (" no", -1.75)))
    assert isinstance(answer, Answer) and answer.seconds and answer.seconds > 0


def test_the_body_has_system_then_picture_then_text(picture: Picture) -> None:
    prompt = Prompt("filter", "1", "You shop.", "Would you?")
    sampling = Sampling(temperature=0.0, max_tokens=1, seed=7, logprobs=20)
    made = Request("k", "filter", Subject(), "g", prompt, (picture,), sampling, "m")
    body = json.loads(json.dumps(chat_body(made)))
    url = body["messages"][1]["content"][0]["image_url"]["url"]
    assert url.startswith("data:image/jpeg;base64,/9j/")
    assert body == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "You shop."},
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "Would you?"}],
            },
        ],
        "temperature": 0.0,
        "max_tokens": 1,
        "seed": 7,
        "logprobs": True,
        "top_logprobs": 20,
    }
    assert chat_body(request("hi")) == {
        "model": "stub",
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.2,
        "max_tokens": 512,
        "seed": 0,
    }


def test_pictures_are_opened_when_sent_and_one_that_is_gone_fails_alone(
    server: LvlmServer, picture: Picture, tmp_path: Path
) -> None:
    sent = hashlib.sha256(picture.path.read_bytes()).hexdigest()[:8]
    gone = Picture("0" * 64, tmp_path / "gone.jpg")
    backend = open_backend(server.address, "stub")
    requests = [request("a", pictures=(picture,)), request("b", pictures=(gone,)), request("c")]
    outcomes = {r.prompt.text: o for r, o in backend.answers(requests)}
    backend.close()
    assert outcomes["a"] == Answer(f"answer to a with {sent}", "stop", 1, 3)
    assert isinstance(outcomes["b"], RequestError) and "does not open" in str(outcomes["b"])
    assert isinstance(outcomes["c"], Answer)


@pytest.mark.parametrize(
    "fault",
    [
        *("408", "409", "429", "500", "502-html,500,503", "529", "disconnect", "half,half", "unzipped"),
        *("no-choices", "error-in-200", "error-in-choice", "error-beside-message", "finish-error", "finish-null"),
        "crowded-in-200",
    ],
)
def test_what_may_pass_is_tried_again(server: LvlmServer, fault: str) -> None:
    text = f"again fault:{fault}"
    assert asked(server.address, "hello", text)[text] == f"answer to {text}"
    assert server.stats()["asked"].count(text) == 2 + fault.count(",")


@pytest.mark.parametrize("status", [400, 403, 404, 422, 413, 501])
def test_what_will_not_pass_is_not_tried_again(server: LvlmServer, status: int) -> None:
    text = f"never fault:{status}"
    error = failure(server.address, text)
    assert error.status == status and not error.retryable
    assert f"the server says ({status}): no: asked {text}" in str(error)
    assert server.stats()["asked"].count(text) == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("empty-object", "no choices: {}"),
        ("refused-in-200", "the server says (400): the prompt is too long"),
        ("list", "not a JSON object: [1, 2]"),
        ("null", 'no text: {"choices"'),
        ("thought", "thought and did not answer"),
        ("html", "not JSON: Login please"),
        ("cut", 'not JSON: {"choices": [{"message": {"content": "half an'),
        ("nothing", "(400): nothing"),
        ("latin1", "(400): caf\ufffd [31m"),
    ],
)
def test_an_odd_answer_is_an_error_in_the_servers_words(server: LvlmServer, fault: str, said: str) -> None:
    assert said in str(failure(server.address, f"odd fault:{fault}"))


@pytest.mark.parametrize(("fault", "text"), [("parts", "one two"), ("refusal", "I cannot."), ("empty", "")])
def test_answers_in_other_shapes_are_answers(server: LvlmServer, fault: str, text: str) -> None:
    assert asked(server.address, f"shape fault:{fault}") == {f"shape fault:{fault}": text}


def test_retry_after_is_that_of_one_request_while_others_are_answered(server: LvlmServer) -> None:
    text = "wait fault:429:0.7"
    outcomes = asked(server.address, text, *(f"meanwhile {n}" for n in range(20)), concurrency=4)
    assert all(outcome == f"answer to {asked_for}" for asked_for, outcome in outcomes.items())
    times = server.stats()["times"]
    first, second = times[text]
    assert second - first >= 0.7
    assert any(times[f"meanwhile {n}"][0] < second for n in range(20))


def test_retry_after_is_waited_for_by_all_where_nothing_is_answered(server: LvlmServer) -> None:
    texts = [f"all wait {n} fault:429:0.7" for n in range(4)]
    assert all(outcome == f"answer to {text}" for text, outcome in asked(server.address, *texts, concurrency=4).items())
    times = server.stats()["times"]
    assert min(times[text][1] for text in texts) - min(times[text][0] for text in texts) >= 0.7


def test_a_server_that_wants_too_long_a_wait_fails_the_request(server: LvlmServer) -> None:
    started = time.monotonic()
    assert failure(server.address, "wait fault:503:86400").status == 503
    assert time.monotonic() - started < 30


def test_attempts_end(server: LvlmServer) -> None:
    text = "always fault:" + ",".join(["500"] * 50)
    error = failure(server.address, text, retries=3)
    assert error.status == 500 and error.retryable
    assert server.stats()["asked"].count(text) == 4


def test_a_slow_answer_is_given_up(server: LvlmServer) -> None:
    error = failure(server.address, "slow fault:slow,slow", timeout=0.3, retries=1)
    assert "no answer within 0.3 s" in str(error)


def test_a_crowded_server_gets_fewer_requests_at_once() -> None:
    with running(delay=0.02, most=4) as server:
        texts = [f"question {n}" for n in range(150)]
        assert asked(server.address, *texts, concurrency=32) == {text: f"answer to {text}" for text in texts}
        stats = server.stats()
    assert 150 < stats["requests"] < 150 * 2.5


def test_connections_are_kept_and_requests_bounded() -> None:
    with running(delay=0.01) as server:
        asked(server.address, *(f"question {n}" for n in range(100)), concurrency=5)
        stats = server.stats()
    assert stats["most"] == 5
    assert stats["connections"] <= 6  # that of the stats among them


def test_requests_are_drawn_as_they_are_sent() -> None:
    drawn = 0

    def endless() -> Iterator[Request]:
        nonlocal drawn
        for number in count():
            drawn += 1
            yield request(f"question {number}")

    with running() as server:
        backend = open_backend(server.address, "stub", concurrency=8)
        for _ in islice(backend.answers(endless()), 50):
            assert drawn <= 50 + 8
        backend.close()
        assert server.stats()["requests"] <= 50 + 8


def test_an_answer_that_was_not_taken_counts_as_being_asked() -> None:
    with running() as server:
        backend = open_backend(server.address, "stub", concurrency=3)
        answers = backend.answers(request(f"question {n}") for n in range(20))
        next(answers)
        time.sleep(0.3)
        assert server.stats()["requests"] == 3
        assert len(list(answers)) == 19
        backend.close()


def test_the_first_of_a_group_goes_alone_and_others_meanwhile() -> None:
    requests = [request(f"{group} {n}", group=group) for group in "abc" for n in range(5)]
    with running(delay=0.05) as server:
        backend = open_backend(server.address, "stub", concurrency=8)
        assert len(list(backend.answers(requests))) == 15
        backend.close()
        stats = server.stats()
    assert sorted(stats["asked"][:3]) == ["a 0", "b 0", "c 0"]
    for group in "abc":
        first, *others = (stats["times"][f"{group} {n}"][0] for n in range(5))
        assert min(others) - first >= 0.05


def test_a_group_goes_on_when_its_first_fails(server: LvlmServer) -> None:
    texts = ["first fault:400", "second", "third"]
    backend = open_backend(server.address, "stub", concurrency=2)
    next(backend.answers([request("hello")]))
    outcomes = dict(backend.answers(request(text, group="g") for text in texts))
    backend.close()
    assert [isinstance(o, Answer) for o in outcomes.values()] == [False, True, True]


def test_an_endless_group_is_not_drawn_at_once(server: LvlmServer) -> None:
    backend = open_backend(server.address, "stub", concurrency=4)
    drawn = 0

    def endless() -> Iterator[Request]:
        nonlocal drawn
        for number in count():
            drawn += 1
            yield request(f"endless {number}", group="g")

    assert len(list(islice(backend.answers(endless()), 100))) == 100
    assert drawn < 1200
    backend.close()


@pytest.mark.parametrize(
    ("path", "key", "said"),
    [
        ("", None, r"\(404\): Not Found"),
        ("/v1", "sk-other", r"\(401\): wrong key: Bearer \*\*\*"),
        ("/v1", None, r"\(401\): wrong key: None"),
    ],
)
def test_a_wrong_key_or_address_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, path: str, key: str | None, said: str
) -> None:
    if key:
        monkeypatch.setenv("OPENAI_API_KEY", key)
    with running(key=KEY if "401" in said else None) as server, pytest.raises(MindKGError, match=said) as caught:
        asked(f"http://127.0.0.1:{server.port}{path}", *map(str, range(100)))
    assert not isinstance(caught.value, RequestError)
    assert "\n" not in str(caught.value) and caught.value.hint


def test_no_server_ends_the_run_at_once() -> None:
    with running() as server:
        address = server.address
    with pytest.raises(MindKGError, match="the server does not answer") as caught:
        asked(address, "a", "b")
    assert not isinstance(caught.value, RequestError)
    with pytest.raises(MindKGError, match="the server does not answer"):
        open_backend(address)


def test_a_server_that_comes_back_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    first = LvlmServer.start()
    backend = open_backend(first.address, "stub", concurrency=2, backoff=0.3)
    answers = backend.answers(request(f"question {n}") for n in range(30))
    got = [next(answers) for _ in range(10)]
    first.stop()
    started: list[LvlmServer] = []
    timer = threading.Timer(1, lambda: started.append(LvlmServer.start(first.port)))
    timer.start()
    got += answers
    backend.close()
    timer.join()
    started[0].stop()
    assert len(got) == 30 and all(isinstance(outcome, Answer) for _, outcome in got)


def test_the_key_is_sent_and_never_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    told = []
    with running(key=KEY) as server:
        backend = open_backend(server.address)
        for text in ("hello", "echo fault:400", f"echo {KEY}", "echo fault:500,500,500,500,500,500,500"):
            (outcome,) = [o for _, o in backend.answers([request(text)])]
            if isinstance(outcome, RequestError):
                told += traceback.format_exception(outcome)
            told += [str(outcome), repr(outcome), repr(vars(backend))]
        backend.close()
    with running(fault="401") as server, pytest.raises(MindKGError) as caught:
        asked(server.address, "hello")
    told += [*traceback.format_exception(caught.value), caplog.text, *capfd.readouterr()]
    assert sum("***" in text for text in told) >= 4
    assert not [text for text in told if "Secret" in text]


def test_the_first_variable_that_is_set_is_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-theirs")
    monkeypatch.setenv("MINDKG_API_KEY", f" {KEY}\n")
    with running(key=KEY) as server:
        assert asked(server.address, "hello") == {"hello": "answer to hello"}
    monkeypatch.setenv("MINDKG_API_KEY", "sk-two\nlines")
    with pytest.raises(InputError) as caught:
        open_backend("http://127.0.0.1:1/v1", "m")
    assert "MINDKG_API_KEY" in str(caught.value) and "two" not in str(caught.value)


def test_a_word_for_a_key_stays_in_answers(server: LvlmServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for word in ("x", "answer"):
        monkeypatch.setenv("OPENAI_API_KEY", word)
        assert asked(server.address, "an extra box") == {"an extra box": "answer to an extra box"}


@pytest.mark.parametrize("address", ["http://host:port/v1", "http://[::1/v1", "http://xn--a/v1", "http://\u2603/v1"])
def test_what_is_no_address_is_said(address: str) -> None:
    with pytest.raises(InputError, match="Give http://HOST/v1"):
        open_backend(address, "m")


@pytest.mark.parametrize("address", ["http:///v1", "http://me:secret@host/v1", "https://host/v1?key=secret"])
def test_an_address_that_may_hold_a_key_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(InputError) as caught:
        open_backend(address, "m")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("options", [{"concurrency": 0}, {"timeout": 0}, {"timeout": math.nan}, {"retries": -1}])
def test_options_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        open_backend("http://127.0.0.1:1/v1", "m", **options)


def test_several_models_are_listed() -> None:
    with running(models=["llava", "qwen"]) as server, pytest.raises(InputError, match="llava, qwen"):
        open_backend(server.address)
    with running(models=[]) as server, pytest.raises(InputError, match="It has: none"):
        open_backend(server.address)


@pytest.mark.parametrize(
    ("name", "value"),
    [("ALL_PROXY", "socks://127.0.0.1:9"), ("HTTP_PROXY", "http://host:port"), ("SSL_CERT_FILE", "/no")],
)
def test_an_environment_without_a_way_out_is_said(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    for model in (None, "m"):
        with pytest.raises(InputError, match=name):
            open_backend("http://127.0.0.1:1/v1", model).probe(SCORED)


def test_an_address_without_v1_is_told_from_a_server_without_a_list(server: LvlmServer) -> None:
    with pytest.raises(MindKGError, match=r"lists no models.*\(404\): Not Found.*mostly ends in /v1"):
        open_backend(server.address.removesuffix("/v1"))


def test_a_server_that_calls_the_longest_answer_otherwise_is_asked_so() -> None:
    texts = ['say "max_tokens": 3', *(f"question {number}" for number in range(20))]
    with running(bound="max_completion_tokens") as server:
        assert asked(server.address, *texts, concurrency=4) == {text: f"answer to {text}" for text in texts}
        stats = server.stats()
        assert sorted(stats["paid"]) == sorted(texts) and stats["requests"] <= len(texts) + 4
    with running(bound="max_length") as server:  # a name that is not ours is not tried
        (error,) = asked(server.address, "once").values()
        assert error.status == 400 and server.stats()["requests"] <= 2


def test_logprobs_are_found_out_once() -> None:
    with running() as server:
        backend = open_backend(server.address)
        assert backend.probe(SCORED).logprobs and backend.probe(SCORED).logprobs
        assert server.stats()["requests"] == 1
        backend.close()


@pytest.mark.parametrize("options", [{"logprobs": False}, {"fault": "400"}, {"fault": "422"}, {"fault": "null"}])
def test_a_server_without_logprobs_is_found_out(options: dict[str, Any]) -> None:
    with running(**options) as server:
        backend = open_backend(server.address)
        found = backend.probe(SCORED)
        assert not found.logprobs and "log-probabilities" in found.why
        assert found == backend.probe(SCORED) and server.stats()["requests"] <= 3
        backend.close()


def test_a_run_that_is_left_ends_what_it_asked(server: LvlmServer) -> None:
    backend = open_backend(server.address, "stub")
    next(backend.answers(request(f"left {n} fault:slow") if n else request("left") for n in range(16)))
    gc.collect()
    assert dict(backend.answers([request("after")]))
    backend.close()
    backend.close()
    assert not [thread for thread in threading.enumerate() if thread is backend._thread]


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b'{"error": null}', b'{"detail": [{"msg": "bad"}]}', b"\x00\xff\xfe", b"[" * 100_000],
)
def test_any_words_of_a_server_are_one_short_line(content: bytes) -> None:
    said = server_words(content)
    assert said and len(said) <= 300 and said.isprintable()


def test_words_are_cut() -> None:
    assert one_line("x " * 1000).endswith("…") and len(one_line("x" * 1000)) == 300


@pytest.mark.parametrize("first", [{}, {"token": 1}, {"token": "a", "logprob": None}, {"token": "a", "logprob": True}])
def test_broken_logprobs_are_none(first: dict[str, Any]) -> None:
    choice = {"message": {"content": "Yes"}, "logprobs": {"content": [first]}}
    assert chat_answer({"choices": [choice], "usage": {"prompt_tokens": "7"}}) == Answer("Yes")


def test_what_one_backend_found_out_another_need_not() -> None:
    with running(forbidden={"seed": True, "temperature": True}) as server:
        first = open_backend(server.address, "stub")
        assert [outcome for _, outcome in first.answers([request("one")])] == [Answer("answer to one", "stop", 1, 3)]
        before = server.stats()["requests"]
        second = open_backend(server.address, "stub", parameters=first.parameters)
        list(second.answers([request("two")]))
        assert server.stats()["requests"] == before + 1
        assert first.notes() and not second.notes()
        for backend in (first, second):
            backend.close()
