"""From raw metadata to a queried graph: pictures from a real server, answers from a real, tiny model behind one."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import free_port
from PIL import Image
from tiny_llava import make_llava, overfit

import mindkg
from mindkg import distillation, pipeline
from mindkg.distill.backends import Outcome, Probed
from mindkg.distill.pictures import picture_bytes
from mindkg.distill.requests import Answer, Request, Sampling

PRODUCTS = {"P1": ("Red Tea Mug", "red"), "P2": ("Blue Kettle", "blue"), "P3": ("Green Lantern", "green")}
PAIRS = {"P1": ["P2"], "P2": ["P3"]}
LIKED = "they are both used for making tea."
REFUSED = "they are both used for flying."


class Teacher:
    """Gives the answers that the model is to learn, and keeps the questions."""

    model, revision = "teacher", ""

    def __init__(self) -> None:
        self.lessons: list[tuple[Any, str, str]] = []

    def probe(self, sampling: Sampling) -> Probed:
        return Probed(False)

    def answers(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Outcome]]:
        for request in requests:
            said = self._say(request)
            picture = Image.open(io.BytesIO(picture_bytes(request.pictures)))
            self.lessons.append((picture, request.prompt.system + request.prompt.text, said))
            yield request, Answer(said)

    def _say(self, request: Request) -> str:
        if request.stage == "features":
            return f"It is {PRODUCTS[request.subject.product_id][1]}."
        if request.stage == "intentions":
            return f"The potential co-buy intention could be {LIKED if 'Mug' in request.prompt.text else REFUSED}"
        return "Yes." if LIKED in request.prompt.text else "No."

    def close(self) -> None:
        pass


@contextmanager
def _running(command: list[str], port: int, path: str, **options: Any) -> Iterator[str]:
    """Run a server until the end of the block and give its address once it answers."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options) as server:
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(600):
                if server.poll() is not None:
                    pytest.fail(f"{command[0]} ended with {server.returncode}")
                try:
                    httpx.get(address + path, timeout=5)
                    break
                except httpx.TransportError:
                    time.sleep(0.2)
            yield address
        finally:
            server.terminate()
            server.wait(30)


def _ingested(folder: Path, pictures: str) -> Path:
    """Return a KB of the made-up metadata with its pictures fetched."""
    rows = [
        {"parent_asin": asin, "title": title, "images": [{"large": f"{pictures}/{colour}.png", "variant": "MAIN"}],
         "bought_together": PAIRS.get(asin), "main_category": "Home", "categories": ["Home"]}
        for asin, (title, colour) in PRODUCTS.items()
    ]  # fmt: skip
    meta = folder / "meta.jsonl"
    meta.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    pipeline.ingest(meta, folder / "kb")
    fetched, _ = pipeline.images(folder / "kb", allow_private=True)
    assert fetched.ok == len(PRODUCTS)
    return folder / "kb"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("pictures")
    for _, colour in PRODUCTS.values():
        Image.new("RGB", (40, 40), colour).save(folder / f"{colour}.png")
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    with _running(command, port, "/") as address:
        yield address


def test_from_metadata_to_a_queried_graph(tmp_path: Path, pictures: str) -> None:
    asked: dict[str, Any] = {"relations": ["usedFor"], "filter_mode": "paper", "temperature": 0.0, "max_tokens": 100}
    (tmp_path / "taught").mkdir()
    teacher = Teacher()
    taught = _ingested(tmp_path / "taught", pictures)
    distillation.distill(taught, teacher, **asked)  # type: ignore[arg-type] # a Backend of its own
    model = make_llava(tmp_path / "llava", [prompt for _, prompt, _ in teacher.lessons])
    assert overfit(model, teacher.lessons) < 0.1

    (tmp_path / "served").mkdir()
    kb = _ingested(tmp_path / "served", pictures)
    port, home = free_port(), tmp_path / "hub"
    (home / "hub").mkdir(parents=True)
    serve = [str(Path(sys.executable).parent / "transformers"), "serve", str(model), "--device", "cpu",
             "--host", "127.0.0.1", "--port", str(port)]  # fmt: skip
    env = {**os.environ, "HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    with _running(serve, port, "/health", env=env) as address:
        command = ["distill", str(kb), "--backend", f"{address}/v1", "--model", str(model), "--relations", "usedFor",
                   "--temperature", "0", "--max-tokens", "100", "--concurrency", "2"]  # fmt: skip
        ran = subprocess.run([sys.executable, "-m", "mindkg", *command], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        assert "no log-probabilities" in ran.stderr  # found out at the start and said
        again = subprocess.run([sys.executable, "-m", "mindkg", *command], capture_output=True, text=True, check=False)
        assert "nothing to do" in again.stderr

    with mindkg.KnowledgeBase.open(kb) as served, mindkg.KnowledgeBase.open(taught) as wanted:
        for name in ("assertions", "intentions", "mentions", "concepts"):
            assert served.table(name).equals(wanted.table(name)), name
        assert sorted(served.table("features")["text"].to_pylist()) == ["It is blue.", "It is green.", "It is red."]
        assert served.table("generations")["pictures"].to_pylist() == [2, 2]
        found = served.cypher(
            "MATCH (p:Product)<-[:HAS_PRODUCT]-(c:CoBuy)-[r:USED_FOR]->(i:Intention) "
            "RETURN p.title AS title, i.text AS why ORDER BY title"
        )
        assert found.to_pylist() == [{"title": t, "why": "making tea"} for t in ("Blue Kettle", "Red Tea Mug")]
        assert sorted(served.table("assertions")["accepted"].to_pylist()) == [False, True]
