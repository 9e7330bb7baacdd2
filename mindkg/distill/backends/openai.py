"""Any OpenAI-compatible chat server (vLLM, SGLang, Ollama, transformers serve, a hosted one) as a backend."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import inf
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from mindkg.distill.backends.base import Outcome
from mindkg.distill.backends.openai_chat import chat_answer, chat_body, picture_url
from mindkg.distill.backends.openai_client import ChatClient
from mindkg.distill.requests import Picture, Prompt, Request, RequestError, Sampling, Subject
from mindkg.errors import InputError, MindKGError

__all__ = ["OpenAIBackend", "chat_answer", "chat_body"]

_T = TypeVar("_T")

_HELD: Final = 1024
"""Requests that are drawn and wait for the first of their group."""

_PLACE: Final = f"picture {secrets.token_hex(16)}"
"""Where a picture goes in a body."""

_PROBE: Final = Request(
    key="",
    stage="filter",
    subject=Subject(),
    group="",
    prompt=Prompt("probe", "1", "", "Is water wet? Answer with Yes or No."),
    pictures=(),
    sampling=Sampling(temperature=0.0, max_tokens=1, logprobs=20),
    model="",
)


class OpenAIBackend:
    """A chat server at ``address`` (http://HOST/v1), asked over kept connections by a thread of its own.

    ``model`` is the only one that the server has unless given. At most ``concurrency`` requests are between being sent
    and being taken by the caller; one attempt takes at most ``timeout`` seconds, and ``retries`` follow where another
    may succeed. The key is MINDKG_API_KEY or OPENAI_API_KEY.
    """

    def __init__(
        self,
        address: str,
        model: str | None = None,
        revision: str = "",
        *,
        concurrency: int = 16,
        timeout: float = 300.0,
        retries: int = 6,
    ) -> None:
        if concurrency < 1 or not 0 < timeout < inf or retries < 0:
            raise InputError("concurrency is at least 1, timeout more than 0 and finite, retries at least 0")
        self._concurrency = concurrency
        self._client = ChatClient(address, concurrency=concurrency, timeout=timeout, retries=retries)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chat", daemon=True)
        self._thread.start()
        self._encoders = ThreadPoolExecutor(min(8, os.cpu_count() or 1), "pictures")
        self._urls: OrderedDict[tuple[Picture, ...], bytes] = OrderedDict()
        self._logprobs: bool | None = None
        self.revision = revision
        try:
            self.model = model or self._only_model()
        except BaseException:
            self.close()
            raise

    def logprobs(self) -> bool:
        """Return whether the first token comes with log-probabilities; one request finds it out.

        A server that refuses to be asked for them gives none.
        """
        if self._logprobs is None:
            body = chat_body(_PROBE) | {"model": self.model}
            try:
                self._logprobs = self._run(self._client.chat(json.dumps(body).encode())).first is not None
            except RequestError as error:
                if error.status not in (200, 400, 422):
                    raise
                self._logprobs = False
        return self._logprobs

    def answers(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Outcome]]:
        """Yield each request with its outcome as the outcomes come in; see ``Backend``.

        The first request of a group is sent alone, the others when it has come back; other groups go on meanwhile.
        """
        plan = _Plan(iter(requests))
        back: SimpleQueue[tuple[_Turn, Outcome | BaseException]] = SimpleQueue()
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                while plan.running < self._concurrency and (turn := plan.next()):
                    self._loop.call_soon_threadsafe(self._start, turn, back, tasks)
                if not plan.running:
                    return
                turn, outcome = back.get()
                plan.done(turn)
                if isinstance(outcome, BaseException) and not isinstance(outcome, RequestError):
                    raise outcome
                yield turn.request, outcome
        finally:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(_cancel, tasks)

    def close(self) -> None:
        """Close the connections and end the threads; what is being asked is given up."""
        if self._loop.is_closed():
            return
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._encoders.shutdown(wait=False, cancel_futures=True)

    def _only_model(self) -> str:
        names = self._run(self._client.models())
        if len(names) == 1:
            return names[0]
        listed = ", ".join(names[:20]) or "none"
        hint = f"Name one with --model. It has: {listed}"
        raise InputError("the server has not just one model", record=self._client.address, hint=hint)

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _start(
        self, turn: _Turn, back: SimpleQueue[tuple[_Turn, Outcome | BaseException]], tasks: set[asyncio.Task[None]]
    ) -> None:
        task = self._loop.create_task(self._ask(turn, back))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _ask(self, turn: _Turn, back: SimpleQueue[tuple[_Turn, Outcome | BaseException]]) -> None:
        outcome: Outcome | BaseException
        try:
            outcome = await self._client.chat(await self._content(turn.request))
        except asyncio.CancelledError:
            outcome = MindKGError("the connection was closed", record=self._client.address)
        except Exception as error:
            outcome = error
        back.put((turn, outcome))

    async def _content(self, request: Request) -> bytes:
        """Return the body to send; pictures are encoded in other threads, once for requests that follow each other."""
        if not request.pictures:
            return json.dumps(chat_body(request)).encode()
        url = self._urls.get(request.pictures)
        if url is None:
            url = await self._loop.run_in_executor(self._encoders, _encoded, request.pictures)
            self._urls[request.pictures] = url
            while len(self._urls) > 2 * self._concurrency:
                self._urls.popitem(last=False)
        # a picture is put in afterwards: looking for what JSON must escape in it takes longer than all the rest
        return json.dumps(chat_body(request, _PLACE)).encode().replace(_PLACE.encode(), url, 1)

    async def _end(self) -> None:
        _cancel(asyncio.all_tasks() - {asyncio.current_task()})
        await self._client.close()


@dataclass(slots=True)
class _Group:
    """Requests that stand next to each other and share the beginning of their prompt."""

    name: str
    begun: bool = False
    waiting: list[_Turn] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Turn:
    """A request that was drawn; ``first_of`` is the group whose other requests wait for it."""

    request: Request
    first_of: _Group | None = None


class _Plan:
    """Which request is next: the first of a group alone, the others, when it is back, before those of later groups."""

    def __init__(self, requests: Iterator[Request]) -> None:
        self.running = 0
        self._requests = requests
        self._ready: deque[_Turn] = deque()
        self._group = _Group("")
        self._held = 0

    def next(self) -> _Turn | None:
        """Return the next request to send, None where there is none now."""
        while not self._ready and self._held < _HELD:
            request = next(self._requests, None)
            if request is None:
                break
            self._place(request)
        if not self._ready:
            return None
        self.running += 1
        return self._ready.popleft()

    def done(self, turn: _Turn) -> None:
        """Take note that ``turn`` is back."""
        self.running -= 1
        if group := turn.first_of:
            group.begun = True
            self._ready.extendleft(reversed(group.waiting))
            self._held -= len(group.waiting)
            group.waiting = []

    def _place(self, request: Request) -> None:
        if not request.group or request.group != self._group.name:
            self._group = _Group(request.group)
            self._ready.append(_Turn(request, self._group))
        elif self._group.begun:
            self._ready.append(_Turn(request))
        else:
            self._group.waiting.append(_Turn(request))
            self._held += 1


def _encoded(pictures: tuple[Picture, ...]) -> bytes:
    return picture_url(pictures).encode()


def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    for task in list(tasks):
        task.cancel()
