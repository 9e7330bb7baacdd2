"""The chat client's rate, beside a bare httpx loop against the same server: ``python -m benchmarks.client``.

The server is a stub in a process of its own that answers after ``--delay`` seconds; each request has a 336-pixel JPEG
of its own. The bare loop opens, encodes and posts the same pictures from as many coroutines and writes nothing down.
The two take turns, so that what else runs on the machine disturbs both alike.
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
from PIL import Image

from mindkg.distill.ask import ask
from mindkg.distill.backends.openai import OpenAIBackend
from mindkg.distill.ledger import Ledger
from mindkg.distill.requests import Picture, Prompt, Request, Sampling, Subject, request_key

_PIXELS = 336
_PICTURES = 500
_TEXT = "What is this product, what is it made of, and what would somebody use it for? " * 10
_WORDS = "It is a sturdy mug for coffee and tea. " * 20


def main() -> None:
    """Measure and print."""
    options = _options()
    if options.role == "server":
        asyncio.run(_serve(options.delay))
    elif options.role == "queued":
        print(_queued(options.requests))
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
        turns: dict[str, list[tuple[float, float]]] = {"mindkg": [], "bare": []}
        numbers = count()
        for _ in range(options.turns):
            for name, way in (("mindkg", _client), ("bare", _bare)):
                requests = [_request(next(numbers), pictures) for _ in range(options.requests)]
                turns[name].append(_measured(partial(way, address, requests, options.concurrency, folder)))
        server.kill()
    print(f"{options.requests} requests, {options.concurrency} at once, answers after {options.delay} s")
    for name, times in turns.items():
        wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
        rate, each = options.requests / wall, cpu / options.requests * 1e6
        print(f"{name:>7}: {rate:7.0f} requests/s, {each:5.0f} µs of processor time a request")
    ratios = [bare[0] / ours[0] for ours, bare in zip(turns["mindkg"], turns["bare"], strict=True)]
    print(f"  ratio: {statistics.median(ratios):.2f} of the bare loop's rate (to reach: 0.95)")


def _measured(work: Callable[[], None]) -> tuple[float, float]:
    """Return the seconds and the processor time of this process that ``work`` takes."""
    started, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - started, time.process_time() - used


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
    """Print the memory of a process that has few, and one that has many, requests queued."""
    for number in (10_000, 1_000_000):
        command = [sys.executable, "-m", "benchmarks.client", "--role", "queued", "--requests", str(number)]
        peak = int(subprocess.check_output(command, env={**os.environ}))
        print(f"{number:>9,} queued: {peak / 1e6:.0f} MB at most")


def _queued(number: int) -> int:
    """Return the peak memory of a process that goes through ``number`` requests which are all unknown to a backend."""

    class Silent:
        model, revision = "stub", ""

        def answers(self, requests: Iterator[Request]) -> Iterator[tuple[Request, None]]:
            return ((request, None) for request in requests)

    backend: Any = Silent()
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder)) as ledger:
        assert ask((_request(n, []) for n in range(number)), backend, ledger).unknown == number
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.client", description=__doc__)
    parser.add_argument("--requests", type=int, default=3000, help="of each turn")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds until the server answers")
    parser.add_argument("--turns", type=int, default=5, help="of each of the two")
    parser.add_argument("--role", choices=["measure", "server", "queued"], default="measure", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
