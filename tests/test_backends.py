"""What every backend must do, asked of each of them."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
from lvlm_server import running
from ray_cluster import cluster_address

from mindkg.distill import backends
from mindkg.distill.backends import Backend
from mindkg.distill.backends.batch import BatchWriter
from mindkg.distill.backends.local import LocalBackend
from mindkg.distill.backends.openai import OpenAIBackend
from mindkg.distill.backends.replay import ReplayBackend
from mindkg.distill.backends.spread import SpreadBackend
from mindkg.distill.requests import Answer, Picture, Prompt, Request, RequestError, Sampling, Subject

pytestmark = pytest.mark.xdist_group("ray")  # one Ray at a time


def request(number: int, *pictures: Picture) -> Request:
    prompt, subject = Prompt("features", "1", "You shop.", f"What is {number}?"), Subject(product_id=f"P{number}")
    sampling = Sampling(temperature=0, max_tokens=2)
    return Request(f"{number:032x}", "features", subject, f"P{number // 3}", prompt, pictures, sampling, "stub")


@contextmanager
def _openai(folder: Path) -> Iterator[OpenAIBackend]:
    with running() as server:
        yield OpenAIBackend(server.address)


@contextmanager
def _replay(folder: Path) -> Iterator[ReplayBackend]:
    records = [{"product_id": f"P{number}", "text": "A mug."} for number in range(100)]
    file = folder / "answers.jsonl"
    file.write_text("\n".join(map(json.dumps, records)))
    yield ReplayBackend(file)


@contextmanager
def _batch(folder: Path) -> Iterator[BatchWriter]:
    with BatchWriter(folder / "batch.jsonl", "stub") as writer:
        yield writer


@contextmanager
def _local(folder: Path) -> Iterator[LocalBackend]:
    pytest.importorskip("torch")
    from tests.tiny_llava import make_llava

    yield LocalBackend(str(make_llava(folder / "llava")), device="cpu", batch_tokens=2000)


@contextmanager
def _spread(folder: Path) -> Iterator[SpreadBackend]:
    ray = pytest.importorskip("ray")
    ray.init(cluster_address(), log_to_driver=False)
    with _replay(folder) as first:
        file, ledger = folder / "answers.jsonl", folder / "ledger"
        yield SpreadBackend(first, f"replay:{file}", ledger, workers=2, concurrency=4, options={})
    ray.shutdown()


OPENED = {
    OpenAIBackend: _openai,
    ReplayBackend: _replay,
    BatchWriter: _batch,
    LocalBackend: _local,
    SpreadBackend: _spread,
}


@pytest.fixture(scope="module", params=OPENED, ids=lambda kind: kind.__name__)
def backend(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with OPENED[request.param](tmp_path_factory.mktemp("backend")) as opened:
        yield opened
        opened.close()
        opened.close()


def test_none_is_left_out() -> None:
    modules = [
        importlib.import_module(f"{backends.__name__}.{m.name}") for m in pkgutil.iter_modules(backends.__path__)
    ]
    found = {
        thing
        for module in modules
        for thing in vars(module).values()
        if isinstance(thing, type) and thing.__module__ == module.__name__ and hasattr(thing, "probe")
    }
    assert found - {Backend} == OPENED.keys()


def test_it_names_its_model(backend: Backend) -> None:
    assert isinstance(backend.model, str) and backend.model
    assert isinstance(backend.revision, str)


def test_every_request_comes_back_once(backend: Backend) -> None:
    asked = [request(number) for number in range(40)]
    got = list(backend.answers(iter(asked)))
    assert sorted(r.key for r, _ in got) == [r.key for r in asked]
    assert all(any(r is one for one in asked) for r, _ in got)
    kinds = {type(outcome) for _, outcome in got}
    assert kinds == ({type(None)} if isinstance(backend, BatchWriter) else {Answer})


def test_no_requests_are_no_answers(backend: Backend) -> None:
    assert list(backend.answers([])) == []


def test_requests_are_drawn_as_they_are_sent_and_a_run_can_be_left(backend: Backend) -> None:
    drawn = 0

    def endless() -> Iterator[Request]:
        nonlocal drawn
        for number in count():
            drawn += 1
            yield request(number)

    assert len(list(islice(backend.answers(endless()), 3))) == 3
    assert drawn <= 2048
    assert len(list(backend.answers([request(7)]))) == 1


def test_what_the_source_of_requests_raises_reaches_the_caller(backend: Backend) -> None:
    def broken() -> Iterator[Request]:
        yield request(1)
        raise OSError("the shelf fell")

    with pytest.raises(OSError, match="the shelf fell"):
        list(backend.answers(broken()))


def test_a_picture_that_is_gone_concerns_its_request_alone(backend: Backend, tmp_path: Path) -> None:
    gone = Picture("0" * 64, tmp_path / "gone.jpg")
    outcomes = dict(backend.answers([request(1), request(2, gone), request(3)]))
    assert len(outcomes) == 3
    if isinstance(backend, OpenAIBackend | LocalBackend):
        assert isinstance(outcomes[request(2, gone)], RequestError)
    assert not any(isinstance(outcomes[request(number)], RequestError) for number in (1, 3))


def test_log_probabilities_are_there_or_not(backend: Backend) -> None:
    found = backend.probe(Sampling(logprobs=20))
    assert found.logprobs in (True, False) and found == backend.probe(Sampling(logprobs=20))
