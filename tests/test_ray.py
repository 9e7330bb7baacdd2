"""On a real Ray cluster of two workers: the same tables as on this machine, and nothing asked twice, killed or not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asking import questions
from kb_equality import SAMPLE, assert_equal
from lvlm_server import LvlmServer, running
from ray_cluster import cluster_address
from s3_server import S3Server

from mindkg import distillation, pipeline
from mindkg.distill.backends.openai import OpenAIBackend
from mindkg.distill.backends.spread import SpreadBackend
from mindkg.distill.ledger import Ledger
from mindkg.distill.requests import Answer
from mindkg.object_store import Objects

pytest.importorskip("ray")
pytest_plugins = ["s3_server"]
pytestmark = pytest.mark.xdist_group("ray")

HERE = Path(__file__).parent
SHOP = SAMPLE.parent / "shop"
CONCURRENCY, WORKERS = 4, 2
ASKED: dict[str, Any] = {"relations": ["usedFor"], "model": "stub", "options": {"concurrency": CONCURRENCY}}


@pytest.fixture(scope="module")
def cluster() -> str:
    return cluster_address()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop with its pictures, made on this machine, before any model was asked."""
    kb = tmp_path_factory.mktemp("native") / "shop"
    pipeline.ingest(SHOP / "metadata.jsonl", kb, reviews=SHOP / "reviews.jsonl", limit=12)
    pipeline.images(kb, base=SHOP.parents[1])
    return kb


@pytest.fixture
def server() -> Iterator[LvlmServer]:
    with running() as started:
        yield started


def driver(cluster: str, *steps: list[Any]) -> subprocess.Popen[str]:
    command = [sys.executable, str(HERE / "ray_driver.py"), cluster, *map(json.dumps, steps)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def distilled(kb: Path, server: LvlmServer) -> list[Any]:
    return ["distill", str(kb), server.address, ASKED | {"workers": WORKERS}]


def answers_in(folder: Path) -> int:
    """Return how many answers the ledger in ``folder`` holds; none of them an error."""
    with Ledger(folder) as ledger:
        summary = ledger.summary()
    assert not any(summary["errors"].to_pylist())
    return int(sum(summary["answers"].to_pylist()))


def copies(kb: Path, folder: Path, number: int) -> list[Path]:
    return [Path(shutil.copytree(kb, folder / f"kb{n}")) for n in range(number)]


def test_workers_need_no_credentials_of_an_object_store(cluster: str, s3: S3Server, tmp_path: Path) -> None:
    Objects("s3://bucket").put("in/metadata.jsonl", SHOP / "metadata.jsonl")
    working = driver(cluster, ["ingest", "s3://bucket/in/*.jsonl", "s3://bucket/kb", {"limit": 12}])
    pipeline.ingest(SHOP / "metadata.jsonl", tmp_path / "kb", limit=12)
    said = working.communicate()[0]
    assert working.returncode == 0, said
    assert_equal(tmp_path / "kb", "s3://bucket/kb")


def test_a_killed_run_goes_on_and_all_tables_are_those_of_one_machine(
    cluster: str, shop: Path, server: LvlmServer, tmp_path: Path
) -> None:
    native, spread = copies(shop, tmp_path, 2)
    distillation.distill(native, server.address, **ASKED)
    before = Counter(server.stats()["paid"])
    first = server.count(10**9) + 25
    working = driver(cluster, distilled(spread, server))
    while server.count(first) < first:
        assert working.poll() is None, working.communicate()[0]
        time.sleep(0.02)
    working.kill()
    working.wait()
    held = answers_in(spread / "ledger")
    assert held >= 25 - CONCURRENCY * WORKERS
    server.count(10**9)
    read = {"reviews": str(SHOP / "reviews.jsonl"), "limit": 12}
    again = driver(
        cluster,
        distilled(spread, server),
        ["build", str(SAMPLE), str(tmp_path / "sample-spread"), {}],
        ["ingest", str(SHOP / "metadata.jsonl"), str(tmp_path / "shop-spread"), read],
    )
    pipeline.build(SAMPLE, tmp_path / "sample")
    pipeline.ingest(SHOP / "metadata.jsonl", tmp_path / "shop", **read)
    said = again.communicate()[0]
    assert again.returncode == 0, said
    paid = Counter(server.stats()["paid"]) - before
    assert paid.keys() == before.keys()
    assert sum(paid.values()) - len(paid) <= CONCURRENCY * WORKERS
    assert answers_in(spread / "ledger") == len(paid)
    for one, other in [("sample", "sample-spread"), ("shop", "shop-spread"), (native, spread)]:
        assert_equal(tmp_path / one, tmp_path / other)


def test_another_worker_takes_over_from_one_that_dies(cluster: str, server: LvlmServer, tmp_path: Path) -> None:
    import ray

    ray.init(cluster, log_to_driver=False)
    first = OpenAIBackend(server.address)
    backend = SpreadBackend(
        first, server.address, tmp_path / "ledger", workers=2, concurrency=4, options={"concurrency": 4}
    )

    def kill_one() -> None:
        while server.count(100) < 100:
            time.sleep(0.02)
        ray.kill(backend._workers[0])
        server.count(10**9)

    server.count(100)
    killing = threading.Thread(target=kill_one)
    killing.start()
    came = [request.key for request, outcome in backend.answers(questions(300)) if isinstance(outcome, Answer)]
    killing.join()
    backend.close()
    ray.shutdown()
    assert len(came) == len(set(came)) == 300
    assert answers_in(tmp_path / "ledger") == 300
    assert sum(server.stats()["paid"].values()) <= 300 + CONCURRENCY


def test_a_cluster_that_is_not_there_is_a_mistake_of_one_line(tmp_path: Path) -> None:
    command = ["build", str(SAMPLE), "-o", str(tmp_path / "kb"), "--runner", "ray", "--ray-address", "127.0.0.1:1"]
    done = subprocess.run([sys.executable, "-m", "mindkg", *command], capture_output=True, text=True)
    assert done.returncode == 1 and "the Ray cluster is not reached" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "kb").exists()
