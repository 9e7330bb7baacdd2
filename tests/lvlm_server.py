"""A chat server in a process of its own, with faults: what it does with a request stands in the request's text.

``fault:A,B`` in a text: its first attempt gets A, its second B, any further one an answer. ``GET /stats`` tells what
was asked. An answer repeats the text and names the picture, so that a test sees that the right one came.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import math
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import httpx


@dataclass
class Options:
    """How the server is: seconds that an answer takes, models, log-probabilities, the key it wants, most at once.

    ``bound`` is the name that it has for the longest answer. ``forbidden`` parameters are refused with 422 (true), but
    for one value, or above a number. ``profile`` is one of the ways of servers: ``token-ids`` (vLLM), ``parser``
    (SGLang with a reasoning parser), ``thinks``, ``separated`` (thoughts in reasoning_content), ``alone`` (the chosen
    token without others), ``stream`` (no answer but as a stream).
    ``bound`` is the name that it has for the longest answer. ``bucket`` is a token bucket: requests a second and at
    once. ``flaky`` is the share of attempts that fail with status 500. ``outage`` is from which to which second after
    the first request all fail with status 503.
    """

    delay: float = 0.0
    models: list[str] = field(default_factory=lambda: ["stub"])
    logprobs: bool = True
    key: str | None = None
    most: int | None = None
    bound: str = "max_tokens"
    forbidden: dict[str, Any] = field(default_factory=dict)
    profile: str = ""
    fault: str = ""
    bucket: tuple[float, float] | None = None
    flaky: float = 0.0
    outage: tuple[float, float] | None = None


class LvlmServer:
    """A running server; ``address`` is what a backend takes."""

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.port, self.process = port, process
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}")
        self.address = f"http://127.0.0.1:{port}/v1"

    @classmethod
    def start(cls, port: int = 0, **options: Any) -> Self:
        command = [sys.executable, __file__, str(port), json.dumps(options)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout
        return cls(int(process.stdout.readline()), process)

    def stats(self) -> dict[str, Any]:
        told: dict[str, Any] = self._http.get("/stats").json()
        return told

    def count(self, most: int) -> int:
        """Return how many requests were answered; behind ``most`` answers others wait until this is called again."""
        return int(self._http.get(f"/count/{most}").json())

    def stop(self) -> None:
        self._http.close()
        self.process.kill()
        self.process.wait()


@contextmanager
def running(**options: Any) -> Iterator[LvlmServer]:
    server = LvlmServer.start(**options)
    try:
        yield server
    finally:
        server.stop()


class _Server:
    def __init__(self, options: Options) -> None:
        self.options = options
        self.asked: list[str] = []
        self.paid: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.attempts: Counter[str] = Counter()
        self.active = self.most = self.connections = self.requests = 0
        self.times: dict[str, list[float]] = {}
        self.total, self.allowed = 0, math.inf
        self.begun = self.filled = 0.0
        self.tokens = options.bucket[1] if options.bucket else 0.0
        self.chance = random.Random(7)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1")
                length = re.search(r"(?i)content-length: (\d+)", head)
                content = await reader.readexactly(int(length[1]) if length else 0)
                if not await self.turn(head, content, writer):
                    break
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def turn(self, head: str, content: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer one request and return whether the connection stays."""
        way, path = head.split(" ", 2)[:2]
        if path == "/stats":
            return self.send(writer, 200, self.stats())
        if path.startswith("/count/"):
            self.allowed = int(path.removeprefix("/count/"))
            return self.send(writer, 200, self.total)
        auth = re.search(r"(?i)\r\nauthorization: ([^\r]*)", head)
        if self.options.key and (not auth or auth[1] != f"Bearer {self.options.key}"):
            return self.send(writer, 401, {"error": {"message": f"wrong key: {auth and auth[1]}"}})
        if path == "/v1/models":
            return self.send(writer, 200, {"data": [{"id": name} for name in self.options.models]})
        if path == "/tokenize" and self.options.profile == "vllm":
            word = json.loads(content)["prompt"]
            return self.send(writer, 200, {"tokens": [_IDS[word]] if word in _IDS else [7, 8]})
        if (way, path) != ("POST", "/v1/chat/completions"):
            return self.send(writer, 404, {"detail": "Not Found"})
        self.requests += 1
        self.active += 1
        self.most = max(self.most, self.active)
        try:
            return await self.chat(json.loads(content), auth[1] if auth else "", writer)
        finally:
            self.active -= 1

    async def chat(self, body: dict[str, Any], auth: str, writer: asyncio.StreamWriter) -> bool:
        text, picture = _said(body["messages"][-1]["content"])
        self.asked.append(text)
        self.times.setdefault(text, []).append(time.monotonic())
        faults = (re.search(r"fault:(\S+)", text) or [0, self.options.fault])[1].split(",")
        number = self.attempts[text]
        self.attempts[text] += 1
        fault = faults[number] if number < len(faults) else ""
        if self.options.bound not in body and "max_tokens" not in self.options.forbidden:
            words = f"Unsupported parameter: 'max_tokens' is not supported with this model. Use '{self.options.bound}'"
            return self.send(writer, 400, {"error": {"message": words, "code": "unsupported_parameter"}})
        if words := self.refusal(body):
            return self.send(writer, 422, words)
        if self.options.most and self.active > self.options.most:
            return self.send(writer, 429, {"error": {"message": "too many requests"}})
        if (refused := self.refused()) is not None:
            status, wait = refused
            return self.send(writer, status, {"error": {"message": "not now"}}, wait)
        if fault == "slow":
            await asyncio.sleep(30)
        await asyncio.sleep(self.options.delay)
        if fault in _ODD:
            return self.send(writer, 200, _ODD[fault])
        if fault in _RAW:
            return self.raw(writer, *_RAW[fault])
        if fault == "disconnect":
            return False
        if fault == "half":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{")
            return False
        if fault:
            status, _, wait = fault.partition(":")
            return self.send(writer, int(status), {"error": {"message": f"no: {auth}\nasked {text}"}}, wait)
        while self.total >= self.allowed:
            await asyncio.sleep(0.002)
        self.paid[text] += 1
        self.total += 1
        self.bodies.append({name: value for name, value in body.items() if name != "messages"})
        answer = self.answer(body, text, picture)
        if body.get("stream"):
            return self.raw(writer, 200, "text/event-stream", _events(answer))
        return self.send(writer, 200, answer)

    def refusal(self, body: dict[str, Any]) -> dict[str, Any] | None:
        if self.options.profile == "stream" and not body.get("stream"):
            return {"error": {"message": "Only streaming is supported: set 'stream' to true"}}
        for name, rule in self.options.forbidden.items():
            value = body.get(name)
            if value is None or (value == rule and rule is not True):
                continue
            if rule is True:
                return {"detail": [{"type": "extra_forbidden", "loc": ["body", name], "msg": "not permitted"}]}
            if name in ("temperature", "seed") or value > rule:
                return {"error": {"message": f"Unsupported value: '{name}' must be at most {rule}, not {value}"}}
        return None

    def refused(self) -> tuple[int, str] | None:
        """Return status and Retry-After of an attempt that the server takes no part in now, None where it does."""
        now = time.monotonic()
        self.begun = self.begun or now
        if self.options.outage and self.options.outage[0] <= now - self.begun < self.options.outage[1]:
            return 503, ""
        if self.chance.random() < self.options.flaky:
            return 500, ""
        if self.options.bucket:
            rate, burst = self.options.bucket
            self.tokens = min(burst, self.tokens + rate * (now - (self.filled or now)))
            self.filled = now
            if self.tokens < 1:
                return 429, str(math.ceil((1 - self.tokens) / rate))
            self.tokens -= 1
        return None

    def answer(self, body: dict[str, Any], text: str, picture: str) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
        choice["message"] = {"role": "assistant", "content": f"answer to {text}{picture}"}
        if body.get("logprobs") and self.options.logprobs:
            others = [{"token": "Yes", "logprob": -0.25}, {"token": " no", "logprob": -1.75}]
            first = {"token": "Yes", "logprob": -0.25, "bytes": None, "top_logprobs": others[: body["top_logprobs"]]}
            choice["logprobs"] = {"content": [first]}
        if self.options.profile:
            _in_profile(self.options.profile, choice, body)
        usage = {"prompt_tokens": len(text.split()), "completion_tokens": 3, "total_tokens": 0}
        return {"id": "x", "object": "chat.completion", "model": body["model"], "choices": [choice], "usage": usage}

    def stats(self) -> dict[str, Any]:
        names = ("asked", "paid", "bodies", "most", "connections", "requests", "times")
        return {name: getattr(self, name) for name in names}

    def send(self, writer: asyncio.StreamWriter, status: int, body: Any, wait: str = "") -> bool:
        return self.raw(writer, status, "application/json", json.dumps(body).encode(), wait)

    def raw(self, writer: asyncio.StreamWriter, status: int, kind: str, content: bytes, wait: str = "") -> bool:
        head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}\r\n"
        head += f"retry-after: {wait}\r\n" if wait else ""
        writer.write(head.encode() + b"\r\n" + content)
        return True


_IDS = {"Yes": 1, " yes": 2, "No": 3, " no": 4}


def _in_profile(profile: str, choice: dict[str, Any], body: dict[str, Any]) -> None:
    """Change an answer as servers do that have ways of their own."""
    content = choice["logprobs"]["content"] if "logprobs" in choice else []
    off = (body.get("chat_template_kwargs") or {}).get("enable_thinking") is False
    if profile == "token-ids" and body.get("return_tokens_as_token_ids") is not False:
        for one in [top for first in content for top in (first, *first["top_logprobs"])]:
            one["token"] = f"token_id:{len(one['token'])}"
    elif profile == "parser" and body.get("separate_reasoning") is not False:
        choice.pop("logprobs", None)
    elif profile == "vllm" and body.get("logprob_token_ids"):
        words = {number: word for word, number in _IDS.items()}
        for one in content:
            one["top_logprobs"] = [{"token": words[n], "logprob": -n} for n in body["logprob_token_ids"]]
    elif profile == "alone":
        for one in content:
            one["top_logprobs"] = []
    elif profile in ("thinks", "separated") and not off:
        words = ["<think>", "No", ".", "</think>", "\n"]
        thought = [
            {"token": word, "logprob": -0.5, "top_logprobs": [{"token": "x", "logprob": -3.0}]} for word in words
        ]
        if content:
            choice["logprobs"]["content"] = [*thought, *content]
        if body.get("max_tokens") == 1:
            choice["message"]["content"], choice["finish_reason"] = "<think>", "length"
        elif profile == "thinks":
            choice["message"]["content"] = f"<think>No.</think>\n{choice['message']['content']}"
        else:
            choice["message"]["reasoning_content"] = "No."


def _events(answer: dict[str, Any]) -> bytes:
    """Return an answer as a stream of events: a piece for each word, its log-probabilities in the first."""
    choice = answer["choices"][0]
    pieces = re.findall(r"\s*\S+", choice["message"]["content"])
    chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}]
    chunks += [{"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]} for piece in pieces]
    chunks[1]["choices"][0]["logprobs"] = choice.get("logprobs")
    chunks += [{"choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]}]
    chunks += [{"choices": [], "usage": answer["usage"]}]
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


def _choice(**message: Any) -> dict[str, Any]:
    return {"choices": [{"message": message, "finish_reason": "stop"}]}


_ODD = {
    "empty-object": {},
    "no-choices": {"choices": []},
    "error-in-200": {"error": {"message": "the engine died"}},
    "crowded-in-200": {"error": {"message": "too many requests", "code": "429"}, "choices": []},
    "refused-in-200": {"error": {"message": "the prompt is too long", "type": "invalid_request_error"}},
    "error-in-choice": {
        "choices": [{"message": {"content": "The pot"}, "finish_reason": "stop", "error": {"message": "provider died"}}]
    },
    "error-beside-message": {
        "choices": [{"message": {"content": "The pot", "error": "the worker died"}, "finish_reason": None}]
    },
    "finish-error": {"choices": [{"message": {"content": "The potential"}, "finish_reason": "error"}]},
    "finish-null": {"choices": [{"message": {"content": None}, "finish_reason": None}]},
    "list": [1, 2],
    "null": _choice(content=None),
    "thought": _choice(content=None, reasoning_content="hm"),
    "parts": _choice(content=[{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]),
    "refusal": _choice(content=None, refusal="I cannot."),
    "empty": _choice(content=""),
}
_RAW = {
    "html": (200, "text/html", b"<html><head><style>p {}</style></head><body><h1>Login</h1>\n<p>please</body></html>"),
    "cut": (200, "application/json", b'{"choices": [{"message": {"content": "half an'),
    "502-html": (502, "text/html", b"<html><h1>502 Bad Gateway</h1></html>"),
    "nothing": (400, "text/plain", b""),
    "unzipped": (200, "application/json\r\ncontent-encoding: gzip", b"{}"),
    "latin1": (400, "text/plain", b"caf\xe9 \x1b[31m"),
}


def _said(content: str | list[dict[str, Any]]) -> tuple[str, str]:
    """Return the text of a message and the hash of the picture before it."""
    if isinstance(content, str):
        return content, ""
    kinds = [part["type"] for part in content]
    assert kinds == ["image_url", "text"], kinds
    kind, _, data = content[0]["image_url"]["url"].partition(",")
    assert kind == "data:image/jpeg;base64", kind
    return content[1]["text"], " with " + hashlib.sha256(base64.b64decode(data)).hexdigest()[:8]


async def _main(port: int, options: Options) -> None:
    server = await asyncio.start_server(_Server(options).serve, "127.0.0.1", port, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await asyncio.wait_for(server.serve_forever(), 900)


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), Options(**json.loads(sys.argv[2]))))
