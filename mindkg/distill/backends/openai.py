"""Any OpenAI-compatible chat server (vLLM, SGLang, Ollama, transformers serve, a hosted one) as a backend."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from math import inf
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from mindkg.distill.backends.base import Outcome, Probed
from mindkg.distill.backends.openai_chat import chat_answer, chat_body, picture_url
from mindkg.distill.backends.openai_client import ChatClient
from mindkg.distill.backends.parameters import Parameters
from mindkg.distill.backends.server_errors import one_line
from mindkg.distill.requests import MAX_ANSWER, Answer, Picture, Prompt, Request, RequestError, Sampling, Subject
from mindkg.distill.scores import answer_word
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
    sampling=Sampling(),
    model="",
)

_SPELLINGS: Final = tuple(space + word for space in ("", " ") for word in ("Yes", "yes", "YES", "No", "no", "NO"))
"""The spellings of the two words that are asked for by their tokens."""

_ID: Final = re.compile(r"token_id:\d+")
"""How vLLM names a token where it is told to name it by its id."""

_REMEDIES: Final[tuple[tuple[dict[str, Any], str], ...]] = (
    ({"return_tokens_as_token_ids": False}, "the server names tokens by their ids: it is asked for their text"),
    ({"separate_reasoning": False}, "log-probabilities come only with thoughts: the server is asked not to part them"),
)
"""What makes vLLM and SGLang give the log-probabilities of words, and the line that reports it."""


class OpenAIBackend:
    """A chat server at ``address`` (http://HOST/v1), asked over kept connections by a thread of its own.

    ``model`` is the only one that the server has unless given. At most ``concurrency`` requests are between being sent
    and being taken by the caller; one attempt takes at most ``timeout`` seconds, and ``retries`` follow where another
    may succeed, the first after at most ``backoff`` seconds. A body of over 8 times ``max_answer`` bytes is not read to
    its end. ``extra`` are further parameters of each request, as ``probe`` finds them to be needed, and ``parameters``
    are what the server is known to refuse. The key is in OPENAI_API_KEY; MINDKG_API_KEY goes before it.
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
        extra: Mapping[str, Any] | None = None,
        parameters: Parameters | None = None,
        backoff: float = 0.5,
        max_answer: int = MAX_ANSWER,
    ) -> None:
        if concurrency < 1 or not 0 < timeout < inf or retries < 0:
            raise InputError("concurrency is at least 1, timeout more than 0 and finite, retries at least 0")
        self._concurrency = concurrency
        self._client = ChatClient(
            address, concurrency=concurrency, timeout=timeout, retries=retries, backoff=backoff, max_answer=max_answer
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chat", daemon=True)
        self._thread.start()
        self._encoders = ThreadPoolExecutor(min(8, os.cpu_count() or 1), "pictures")
        self._urls: OrderedDict[tuple[Picture, ...], bytes] = OrderedDict()
        self.parameters = self._reported = parameters or Parameters()
        self.extra = dict(extra or {})
        self._news: list[str] = []
        self._probed: dict[Sampling, Probed] = {}
        self.revision = revision
        try:
            self.model = model or self._only_model()
        except BaseException:
            self.close()
            raise

    def probe(self, sampling: Sampling) -> Probed:
        """Return what the model does with a request of ``sampling``: see ``Backend``.

        Where no log-probabilities come that were asked for, the known reasons are tried one after the other.
        """
        if sampling not in self._probed:
            self._probed[sampling] = self._run(self._found_out(sampling))
        found = self._probed[sampling]
        known, notes = self.parameters, tuple(self.notes())
        return replace(
            found, omitted=tuple(sorted(known.omitted)), lowered=tuple(sorted(known.lowered.items())), notes=notes
        )

    def token_ids(self) -> tuple[int, ...]:
        """Return the tokens that spell yes or no, where the server gives their log-probabilities (vLLM), else none."""
        return self._run(self._spellings())

    def notes(self) -> list[str]:
        """Return what has been found out of the server since this was asked before, a line each."""
        news = [*self.parameters.news(self._reported), *self._news]
        self._reported, self._news = self.parameters, []
        return news

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
        if len(names) == 1 and names[0].isprintable():
            return names[0]
        listed = one_line(", ".join(names[:20])) or "none"
        hint = f"Name one with --model. It has: {listed}"
        if len(names) == 1:
            raise InputError("the name of the server's model has control characters", record=self._client.address)
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
            outcome = await self._chat(turn.request)
        except asyncio.CancelledError:
            outcome = MindKGError("the connection was closed", record=self._client.address)
        except Exception as error:
            outcome = error
        back.put((turn, outcome))

    async def _chat(self, request: Request) -> Answer:
        """Return the answer to ``request``; what the server refuses of its parameters is left out, now and later."""
        parameters = self.parameters
        while True:
            body = parameters.applied(chat_body(request, _PLACE) | self.extra)
            try:
                answer = await self._client.chat(await self._content(request, body))
            except RequestError as error:
                if (without := parameters.without_what(error, body)) is None:
                    raise
                parameters = without
            else:
                self.parameters |= parameters
                return answer

    async def _found_out(self, sampling: Sampling) -> Probed:
        request = replace(_PROBE, sampling=sampling, model=self.model)
        answer, refused = await self._tried(request)
        if not sampling.logprobs:
            if refused and not answer:
                self._news.append(f"what the server supports could not be found out: {refused.args[0]}")
            return Probed(thinks=bool(answer and answer.thought))
        thinks = bool(answer and answer.thought) or bool(refused and "thought" in refused.args[0])
        if answer and answer.first and not any(map(_is_id, answer.first)):
            return Probed(thinks=thinks)
        for extra, note in _REMEDIES if answer else ():
            if bool(answer and answer.first) == ("separate_reasoning" in extra):
                continue
            before, self.extra = self.extra, self.extra | extra
            again, _ = await self._tried(request)
            if again and again.first and not any(map(_is_id, again.first)):
                self._news.append(note)
                return Probed(thinks=thinks or again.thought, remedied=True)
            self.extra = before
        return Probed(False, await self._why(request, answer, refused), thinks)

    async def _spellings(self) -> tuple[int, ...]:
        tokens = [await self._client.tokens(self.model, word) for word in _SPELLINGS]
        ids = tuple(sorted({one[0] for one in tokens if len(one) == 1}))
        if ids:
            asked = Sampling(temperature=0.0, max_tokens=1, logprobs=20, token_ids=ids)
            answer, _ = await self._tried(replace(_PROBE, sampling=asked, model=self.model))
            others = [token for token, _ in (answer.first if answer and answer.first else ()) if not answer_word(token)]
            if answer and answer.first and len(others) <= 1 and "logprob_token_ids" not in self.parameters.omitted:
                return ids
        self._news.append("the server knows no logprob_token_ids (vLLM does): the likeliest tokens are asked for")
        return ()

    async def _tried(self, request: Request) -> tuple[Answer | None, RequestError | None]:
        """Return the answer to a probe, or why it was refused; raises RequestError where trying again may help."""
        try:
            return await self._chat(request), None
        except RequestError as error:
            if error.status not in (200, 400, 422):
                raise
            return None, error

    async def _why(self, request: Request, answer: Answer | None, refused: RequestError | None) -> str:
        """Return why a probe brought no log-probabilities, as far as that is known."""
        if answer and answer.first:
            return "the server names tokens by their ids: start vLLM without --return-tokens-as-token-ids"
        if answer and answer.thought:
            return "the server gives no log-probabilities of a model that thinks: start it without --reasoning-parser"
        if answer:
            return "the model gives no log-probabilities"
        plain, _ = await self._tried(replace(request, sampling=replace(request.sampling, logprobs=0)))
        said = refused.args[0] if refused else ""
        if plain:
            return f"the server refuses to give log-probabilities ({said})"
        return f"whether the model gives log-probabilities could not be found out ({said})"

    async def _content(self, request: Request, body: dict[str, Any]) -> bytes:
        """Return the body to send; pictures are encoded in other threads, once for requests that follow each other."""
        if not request.pictures:
            return json.dumps(body).encode()
        url = self._urls.get(request.pictures)
        if url is None:
            url = await self._loop.run_in_executor(self._encoders, _encoded, request.pictures)
            self._urls[request.pictures] = url
            while len(self._urls) > 2 * self._concurrency:
                self._urls.popitem(last=False)
        # a picture is put in afterwards: looking for what JSON must escape in it takes longer than all the rest
        return json.dumps(body).encode().replace(_PLACE.encode(), url, 1)

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


def _is_id(alternative: tuple[str, float]) -> bool:
    return _ID.fullmatch(alternative[0]) is not None


def _encoded(pictures: tuple[Picture, ...]) -> bytes:
    return picture_url(pictures).encode()


def _cancel(tasks: set[asyncio.Task[Any]]) -> None:
    for task in list(tasks):
        task.cancel()
