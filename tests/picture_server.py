"""A real server of pictures that behaves as badly as asked: ``python picture_server.py [KEY CERTIFICATE]``.

It prints its port and counts what it is asked; ``/stats`` tells the counts as JSON.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import ssl
import struct
import subprocess
import sys
import time
import urllib.request
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from typing import Any


def png(width: int, height: int, seed: int = 0) -> bytes:
    """A grey PNG of so many pixels: a few bytes for any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj()
    row = b"\0" + bytes([seed % 256]) * width
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    note = chunk(b"tEXt", b"Comment\0" + str(seed).encode())
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + note + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


class Stats:
    """What was asked: counts by path, times by path, and how many requests of a host were open at once at most."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.times: defaultdict[str, list[float]] = defaultdict(list)
        self.open: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()
        self.agents: Counter[str] = Counter()
        self.cookies = 0

    def begin(self, path: str, headers: dict[str, str]) -> None:
        host = headers["host"].rpartition(":")[0]
        self.asked[path] += 1
        self.times[path].append(time.monotonic())
        self.agents[headers.get("user-agent", "")] += 1
        self.cookies += "cookie" in headers
        for name in (host, "all"):
            self.open[name] += 1
            self.peak[name] = max(self.peak[name], self.open[name])

    def end(self, headers: dict[str, str]) -> None:
        for name in (headers["host"].rpartition(":")[0], "all"):
            self.open[name] -= 1

    def to_json(self) -> bytes:
        plain = {"asked": self.asked, "times": self.times, "peak": self.peak, "agents": self.agents}
        return json.dumps({**plain, "cookies": self.cookies}).encode()


STATS = Stats()
RAW = {
    "garbage": b"garbage\r\n\r\n",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
    "header": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    "punycode": b"HTTP/1.1 302 Found\r\nLocation: http://xn--a.com/\r\nContent-Length: 0\r\n\r\n",
    "port": b"HTTP/1.1 302 Found\r\nLocation: http://a.example:99999/\r\nContent-Length: 0\r\n\r\n",
    "encoded": b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 3\r\n\r\nabc",
}


@cache
def bomb() -> bytes:
    return png(20_000, 20_000)


async def answer(path: str, headers: dict[str, str], writer: asyncio.StreamWriter) -> bool:
    """Answer one request; return whether the connection goes on."""
    kind, _, rest = path.lstrip("/").partition("/")
    seed = zlib.crc32(path.encode())
    again = STATS.asked[path] > 1
    match kind:
        case "ok":
            return send(writer, png(8, 8, seed))
        case "slow":
            await asyncio.sleep(float(rest.partition("/")[0]))
            return send(writer, png(8, 8, seed))
        case "status":
            return send(writer, b"<html>", int(rest.partition("/")[0]))
        case "flaky":
            failing = STATS.asked[path] <= int(rest.partition("/")[0])
            return send(writer, b"oops", 500) if failing else send(writer, png(8, 8, seed))
        case "busy":
            return send(writer, png(8, 8, seed)) if again else send(writer, b"", 429, [f"Retry-After: {rest}"])
        case "busy-until":
            when = format_datetime(datetime.now(UTC) + timedelta(seconds=int(rest)), usegmt=True)
            return send(writer, png(8, 8, seed)) if again else send(writer, b"", 503, [f"Retry-After: {when}"])
        case "redirects":
            left, _, name = rest.partition("/")
            target = f"/redirects/{int(left) - 1}/{name}" if int(left) else f"/ok/{name}"
            return send(writer, b"", 302, [f"Location: {target}", "Set-Cookie: a=b"])
        case "loop":
            return send(writer, b"", 301, ["Location: /loop"])
        case "to":
            return send(writer, b"", 302, [f"Location: {rest}"])
        case "html":
            return send(writer, b"<!DOCTYPE html><html>sorry</html>", headers=["Content-Type: image/png"])
        case "named-html":
            return send(writer, png(8, 8, seed), headers=["Content-Type: text/html"])
        case "bomb":
            return send(writer, bomb())
        case "truncated":
            return send(writer, png(8, 8, seed), length=5000)
        case "endless":
            return await endless(writer, png(8, 8))
        case "large":
            return send(writer, png(8, 8) + bytes(3_000_000))
        case "drip":
            return await drip(writer)
        case "reset":
            return send(writer, png(8, 8, seed)) if again else False
        case "gzip":
            return send(writer, gzip.compress(png(8, 8, seed)), headers=["Content-Encoding: gzip"])
        case "gzip-bomb":
            return send(writer, gzip.compress(png(8, 8) + bytes(50_000_000)), headers=["Content-Encoding: gzip"])
        case "raw":
            writer.write(RAW[rest])
            return False
        case "empty":
            return send(writer, b"")
    return send(writer, b"", 404)


def send(
    writer: asyncio.StreamWriter, body: bytes, status: int = 200, headers: list[str] | None = None, length: int = -1
) -> bool:
    """Write a whole answer; a ``length`` beside the truth ends the connection."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body) if length < 0 else length}"]
    head = "\r\n".join([*lines, *(headers or ["Content-Type: image/png"])]) + "\r\n\r\n"
    writer.write(head.encode() + body)
    return length < 0


async def endless(writer: asyncio.StreamWriter, beginning: bytes) -> bool:
    """A picture that never ends, without a length."""
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = beginning
    for _ in range(100_000):
        writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await writer.drain()
        piece = bytes(65_536)
    return False


async def drip(writer: asyncio.StreamWriter) -> bool:
    """A picture of which a byte comes now and then."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for byte in png(8, 8):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.1)
    return False


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            first, *lines = head.decode().rstrip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            path = first.split(" ")[1]
            if path == "/stats":
                send(writer, STATS.to_json())
                continue
            STATS.begin(path, headers)
            try:
                await asyncio.sleep(random.uniform(0, 0.002))
                goes_on = await answer(path, headers, writer)
                await writer.drain()
            finally:
                STATS.end(headers)
            if not goes_on:
                break
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main(*certificate: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) if certificate else None
    if context:
        key, chain = certificate
        context.load_cert_chain(chain, key)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class PictureServer:
    """The server as its tests see it."""

    def __init__(self, port: int) -> None:
        self.port = port

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/{path}"

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.url("stats")) as response:
            return json.load(response)  # type: ignore[no-any-return]

    def asked(self) -> dict[str, int]:
        """How often each path was asked for."""
        return {path.lstrip("/"): n for path, n in self.stats()["asked"].items()}


@contextmanager
def running(*certificate: str) -> Iterator[PictureServer]:
    """Run the server, with the files of a key and its certificate over TLS, in a process of its own."""
    process = subprocess.Popen([sys.executable, str(Path(__file__)), *certificate], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield PictureServer(int(process.stdout.readline()))
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
