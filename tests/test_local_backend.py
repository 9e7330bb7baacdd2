"""A model in this process answers as a plain generate of one prompt does, and its answer depends on the picture."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny_llava import make_llava, overfit

from mindkg.distill.backends import open_backend
from mindkg.distill.backends.local import LocalBackend, batches
from mindkg.distill.requests import Answer, Picture, Prompt, Request, RequestError, Sampling, Subject
from mindkg.errors import InputError, MindKGError

SURE = Sampling(temperature=0, max_tokens=24)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Picture]:
    folder = tmp_path_factory.mktemp("pictures")
    made = {}
    for colour in ("red", "blue"):
        path = folder / f"{colour}.png"
        Image.new("RGB", (28, 28), colour).save(path)
        made[colour] = Picture(hashlib.sha256(path.read_bytes()).hexdigest(), path)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, pictures: dict[str, Picture]) -> Path:
    from mindkg.distill.pictures import picture_bytes

    seen = {colour: _opened(picture_bytes((picture,))) for colour, picture in pictures.items()}
    made = make_llava(tmp_path_factory.mktemp("llava"))
    lessons = [
        (seen["red"], "What?", "A red mug."),
        (seen["blue"], "What?", "A blue kettle."),
        (None, "What is it, without any picture at hand?", "Yes"),
    ]
    assert overfit(made, lessons) < 0.2
    return made


@pytest.fixture(scope="module")
def backend(folder: Path) -> Iterator[LocalBackend]:
    opened = open_backend(f"local:{folder}", device="cpu", batch_tokens=400)
    assert isinstance(opened, LocalBackend)
    yield opened
    opened.close()


def _opened(data: bytes) -> Image.Image:
    import io

    return Image.open(io.BytesIO(data))


def request(text: str, *pictures: Picture, sampling: Sampling = SURE) -> Request:
    prompt = Prompt("test", "1", "", text)
    return Request(f"{text}{len(pictures)}", "features", Subject("P1"), "P1", prompt, pictures, sampling, "tiny")


def answer(backend: LocalBackend, asked: Request) -> Answer:
    [(_, outcome)] = backend.answers([asked])
    assert isinstance(outcome, Answer)
    return outcome


def test_the_answer_depends_on_the_picture(backend: LocalBackend, pictures: dict[str, Picture]) -> None:
    assert answer(backend, request("What?", pictures["red"])).text == "A red mug."
    assert answer(backend, request("What?", pictures["blue"])).text == "A blue kettle."


def test_batches_answer_as_plain_generate_does(
    backend: LocalBackend, folder: Path, pictures: dict[str, Picture]
) -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    asked = [
        request(f"What{'?' * (1 + 7 * n % 40)} {n}", *([pictures[c]] if c else []))
        for n in range(4)
        for c in ("red", "blue", None)
    ]
    told = {r.key: o.text for r, o in backend.answers(iter(asked)) if isinstance(o, Answer)}
    processor: Any = AutoProcessor.from_pretrained(folder)
    net: Any = AutoModelForImageTextToText.from_pretrained(folder).eval()
    assert told == {r.key: _plain(processor, net, r) for r in asked}


def _plain(processor: Any, net: Any, asked: Request) -> str:
    import torch

    from mindkg.distill.pictures import picture_bytes

    text = ("<image>" if asked.pictures else "") + asked.prompt.text + "|"
    images = [_opened(picture_bytes(asked.pictures))] if asked.pictures else None
    inputs = processor(text=[text], images=images, return_tensors="pt")
    with torch.inference_mode():
        made = net.generate(**inputs, do_sample=False, max_new_tokens=asked.sampling.max_tokens)
    said: str = processor.tokenizer.decode(made[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return said


def test_the_first_token_comes_with_log_probabilities(backend: LocalBackend) -> None:
    one = Sampling(temperature=0, max_tokens=1, logprobs=20)
    told = answer(backend, request("What is it, without any picture at hand?", sampling=one))
    assert told.text == "Y" and told.finish_reason == "length" and told.completion_tokens == 1
    assert told.first is not None and len(told.first) == 20
    assert told.first[0][0] == "Y" and told.first[0][1] > math.log(0.5)
    assert [p for _, p in told.first] == sorted((p for _, p in told.first), reverse=True)
    assert sum(math.exp(p) for _, p in told.first) <= 1 + 1e-6


def test_a_finished_answer_says_stop_and_counts_its_tokens(backend: LocalBackend, pictures: dict[str, Picture]) -> None:
    told = answer(backend, request("What?", pictures["red"]))
    assert told.finish_reason == "stop" and told.completion_tokens == len("A red mug.") + 1
    short = answer(backend, request("What?", pictures["red"], sampling=Sampling(temperature=0, max_tokens=3)))
    assert short.text == "A r" and short.finish_reason == "length"


def test_one_seed_gives_one_answer(backend: LocalBackend) -> None:
    warm = Sampling(temperature=2.0, max_tokens=16, seed=7)
    asked = request("Say something", sampling=warm)
    assert answer(backend, asked).text == answer(backend, asked).text
    other = request("Say something", sampling=Sampling(temperature=2.0, max_tokens=16, seed=8))
    assert answer(backend, other).text != answer(backend, asked).text


def test_a_broken_picture_costs_its_own_request(
    backend: LocalBackend, pictures: dict[str, Picture], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    told = {r.key: o for r, o in backend.answers([request("1", Picture("0", broken)), request("2", pictures["red"])])}
    assert isinstance(told["11"], RequestError) and isinstance(told["21"], Answer)


def test_what_the_model_fails_at_costs_its_own_request(backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    generate, process = backend._net.generate, backend._processor.apply_chat_template

    def failing(**inputs: Any) -> Any:
        if any("too long" in backend._processor.tokenizer.decode(one) for one in inputs["input_ids"]):
            raise IndexError("index out of range")
        return generate(**inputs)

    def picky(messages: Any, **options: Any) -> Any:
        if "thin" in str(messages):
            raise ValueError("aspect ratio of 768")
        return process(messages, **options)

    monkeypatch.setattr(backend._net, "generate", failing)
    monkeypatch.setattr(backend._processor, "apply_chat_template", picky)
    told = {r.prompt.text: o for r, o in backend.answers(map(request, ("one", "too long", "two", "thin")))}
    assert isinstance(told["one"], Answer) and isinstance(told["two"], Answer)
    for text, words in (("too long", "index out of range"), ("thin", "aspect ratio of 768")):
        assert isinstance(error := told[text], RequestError) and words in str(error) and error.status == 422


def test_a_batch_without_memory_ends_the_run_with_what_to_do(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def full(**inputs: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(backend._net, "generate", full)
    with pytest.raises(MindKGError, match="--batch-tokens"):
        list(backend.answers([request("one"), request("two")]))


def test_batches_keep_to_their_tokens(backend: LocalBackend) -> None:
    asked = [request("x" * n, sampling=Sampling(max_tokens=1 + n % 2)) for n in range(1, 60)]
    ready = [backend._ready(one) for one in asked]
    made = list(batches(ready, 200))
    assert sorted(one.request.key for batch in made for one in batch) == sorted(one.key for one in asked)
    for batch in made:
        assert len({one.request.sampling for one in batch}) == 1
        assert len(batch) == 1 or len(batch) * (batch[0].tokens + batch[0].request.sampling.max_tokens) <= 200
    assert len(made) < len(asked) / 2


def test_what_is_no_model_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the model cannot be loaded"):
        open_backend(f"local:{tmp_path}")
