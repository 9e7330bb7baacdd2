"""The chat client's rate, beside a bare httpx loop against the same server: ``python -m benchmarks.client``.

The server is a stub in a process of its own that answers after ``--delay`` seconds; each request has a 336-pixel JPEG
of its own. The bare loop opens, encodes and posts the same pictures from as many coroutines and writes nothing down.
The two take turns, so that what else runs on the machine disturbs both alike. Then the memory of a process that plans
10,000, and of one that plans 1,000,000 intentions of pairs whose products have features of 1,500 characters.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from mindkg.distill.ask import ask
from mindkg.distill.backends.openai import OpenAIBackend
from mindkg.distill.ledger import Ledger
from mindkg.distill.passes import run_pass
from mindkg.distill.requests import Picture, Prompt, Request, Sampling, Subject, request_key
from mindkg.distill.rows import Rows
from mindkg.distill.runs import run_of
from mindkg.distill.settings import Settings
from mindkg.identity import cobuy_key
from mindkg.schema import TABLES
from mindkg.vocabulary import relations

_PIXELS = 336
_PICTURES = 500
_PART = 10_000
_TEXT = "What is this product, what is it made of, and what would somebody use it for? " * 10
_WORDS = "It is a sturdy mug for coffee and tea. " * 20


def main() -> None:
    """Measure and print."""
    options = _options()
    if options.role == "server":
        asyncio.run(_serve(options.delay))
    elif options.role == "queued":
        print(_queued(options.tables))
    else:
        with tempfile.TemporaryDirectory(prefix="mindkg-client-") as folder:
            _compare(options, Path(folder))
        _memory()


def _compare(options: argparse.Namespace, folder: Path) -> None:
    """Let the client and the bare loop take turns and print both rates, and the median of their ratios."""
    pictures = _pictures(folder)
    command = [sys.executable, "-m", "benchmarks.client", "--role", "server", "--delay", str(options.delay)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        address = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        turns: dict[str, list[tuple[float, float, float]]] = {"mindkg": [], "bare": []}
        numbers = count()
        for _ in range(options.turns):
            for name, way in (("mindkg", _client), ("bare", _bare)):
                requests = [_request(next(numbers), pictures) for _ in range(options.requests)]
                work = partial(way, address, requests, options.concurrency, folder)
                turns[name].append(_measured(work, server.pid))
        server.kill()
    print(f"{options.requests} requests, {options.concurrency} at once, answers after {options.delay} s")
    for name, times in turns.items():
        wall, *cpu = (statistics.median(column) for column in zip(*times, strict=True))
        ours, stub = (seconds / options.requests * 1e6 for seconds in cpu)
        rate = f"{options.requests / wall:7.0f} requests/s"
        print(f"{name:>7}: {rate}, {ours:5.0f} µs of processor time a request, {stub:4.0f} µs of the stub's")
    ratios = [bare[0] / ours[0] for ours, bare in zip(turns["mindkg"], turns["bare"], strict=True)]
    print(f"  ratio: {statistics.median(ratios):.2f} of the bare loop's rate (to reach: 0.95)")


def _measured(work: Callable[[], None], server: int) -> tuple[float, float, float]:
    """Return the seconds that ``work`` takes, and the processor time of this process and of ``server``."""
    started, used, its = time.perf_counter(), time.process_time(), _processor_time(server)
    work()
    return time.perf_counter() - started, time.process_time() - used, _processor_time(server) - its


def _processor_time(process: int) -> float:
    """Return the seconds that a process has used; 0 where the system has no /proc."""
    file = Path(f"/proc/{process}/stat")
    if not file.exists():
        return 0.0
    user, system = file.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _client(address: str, requests: list[Request], concurrency: int, folder: Path) -> None:
    backend = OpenAIBackend(address, "stub", concurrency=concurrency)
    with Ledger(folder / "ledger") as ledger:
        told = ask(iter(requests), backend, ledger)
    backend.close()
    assert told.answered == len(requests)


def _bare(address: str, requests: list[Request], concurrency: int, folder: Path) -> None:
    asyncio.run(_bare_loop(address, iter(requests), concurrency))


async def _bare_loop(address: str, requests: Iterator[Request], concurrency: int) -> None:
    limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    async with httpx.AsyncClient(limits=limits, timeout=300) as client:

        async def post() -> None:
            for request in requests:
                url = "data:image/jpeg;base64," + base64.b64encode(request.pictures[0].path.read_bytes()).decode()
                content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": _TEXT}]
                body = {"model": "stub", "messages": [{"role": "user", "content": content}], "max_tokens": 512}
                response = await client.post(f"{address}/chat/completions", json=body)
                assert response.json()["choices"][0]["message"]["content"] == _WORDS

        await asyncio.gather(*(post() for _ in range(concurrency)))


def _pictures(folder: Path) -> list[Picture]:
    """Return different pictures of some 30 kB, as a shop's are."""
    made, noise = [], np.random.default_rng(0)
    for number in range(_PICTURES):
        coarse = Image.fromarray(noise.integers(0, 255, (42, 42, 3), np.uint8))
        data = io.BytesIO()
        coarse.resize((_PIXELS, _PIXELS), Image.Resampling.BICUBIC).save(data, "JPEG", quality=90)
        path = folder / f"{number}.jpg"
        path.write_bytes(data.getvalue())
        made.append(Picture(hashlib.sha256(data.getvalue()).hexdigest(), path))
    return made


def _request(number: int, pictures: list[Picture]) -> Request:
    prompt, sampling = Prompt("features", "1", "", f"{number}: {_TEXT}"), Sampling()
    shown = (pictures[number % len(pictures)],) if pictures else ()
    key = request_key("stub", "", prompt, shown, sampling, 0)
    return Request(key, "features", Subject(product_id=str(number)), str(number), prompt, shown, sampling, "stub")


async def _serve(delay: float) -> None:
    """Answer every request with the same words."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": _WORDS}}
    usage = {"prompt_tokens": 800, "completion_tokens": 200, "total_tokens": 1000}
    content = json.dumps({"id": "x", "model": "stub", "choices": [choice], "usage": usage}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n".encode()

    async def turn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(asked.split(b"content-length:")[1].split(b"\r\n")[0]))
                await asyncio.sleep(delay)
                writer.write(head + content)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(turn, "127.0.0.1", 0, limit=1 << 20, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def _memory() -> None:
    """Print the memory of a process that plans few, and of one that plans many requests."""
    for number in (10_000, 1_000_000):
        with tempfile.TemporaryDirectory(prefix="mindkg-queued-") as folder:
            _write_tables(number // len(relations()), Path(folder))
            command = [sys.executable, "-m", "benchmarks.client", "--role", "queued", "--tables", folder]
            peak = int(subprocess.check_output(command))
        print(f"{number:>9,} queued: {peak / 1e6:.0f} MB at most")


def _write_tables(pairs: int, folder: Path) -> None:
    """Write ``pairs`` co-buys of nearly as many products, all with titles, features and pictures that nobody opens."""
    products, chance = pairs * 85 // 100, np.random.default_rng(0)
    words = "".join(map(chr, chance.integers(97, 123, 100_000)))
    run = run_of("features", Settings("stub")).run_id
    for start in range(0, products, _PART):
        ids = [f"P{number:08d}" for number in range(start, min(start + _PART, products))]
        places = chance.integers(0, len(words) - 1_500, len(ids))
        texts = [words[place : place + 1_500] for place in places.tolist()]
        named = [
            {"product_id": p, "title": t[:70], "category": [], "source": "s"} for p, t in zip(ids, texts, strict=True)
        ]
        told = [{"product_id": p, "run_id": run, "text": t} for p, t in zip(ids, texts, strict=True)]
        seen = [{"product_id": p, "url": "u", "path": f"{p}.jpg", "sha256": p * 7, "status": "ok"} for p in ids]
        for name, rows in (("products", named), ("features", told), ("images", seen)):
            _write(folder / name / f"{start}.parquet", name, rows)
    for start in range(0, pairs, _PART):
        ends = [
            (number % products, (number + 1 + number // products) % products)
            for number in range(start, min(start + _PART, pairs))
        ]
        both = [tuple(f"P{end:08d}" for end in sorted(pair)) for pair in ends]
        rows = [
            {"cobuy_id": cobuy_key(a, b), "product_a": a, "product_b": b, "support": 1, "source": "s"} for a, b in both
        ]
        _write(folder / "cobuys" / f"{start}.parquet", "cobuys", rows)


def _write(file: Path, name: str, rows: list[dict[str, Any]]) -> None:
    file.parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=TABLES[name]), file)


def _queued(folder: Path) -> int:
    """Return the peak memory of this process when it has planned all intentions, of which no backend knows anything."""

    class Silent:
        model, revision = "stub", ""

        def answers(self, requests: Iterator[Request]) -> Iterator[tuple[Request, None]]:
            return ((request, None) for request in requests)

    backend: Any = Silent()
    tables = {path.name: Rows.of(path) for path in folder.iterdir()}
    settings = Settings("stub", passes=("intentions",))
    with tempfile.TemporaryDirectory() as work, Ledger(Path(work) / "ledger") as ledger:
        done = run_pass("intentions", tables, settings, root=folder, ledger=ledger, staging=Path(work), backend=backend)
    assert done.counts.missing == done.counts.planned > 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.client", description=__doc__)
    parser.add_argument("--requests", type=int, default=3000, help="of each turn")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds until the server answers")
    parser.add_argument("--turns", type=int, default=5, help="of each of the two")
    parser.add_argument("--tables", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--role", choices=["measure", "server", "queued"], default="measure", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
