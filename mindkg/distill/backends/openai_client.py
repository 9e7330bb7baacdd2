"""The connection to an OpenAI-compatible server: sending, waiting and trying again, and never telling the key."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Final
from urllib.parse import urlsplit

import httpx

from mindkg.distill.backends.event_stream import assembled, is_stream
from mindkg.distill.backends.json_text import read_json
from mindkg.distill.backends.openai_chat import chat_answer, server_words
from mindkg.distill.backends.server_errors import one_line
from mindkg.distill.requests import PASSING, Answer, RequestError
from mindkg.errors import InputError, MindKGError
from mindkg.retry_after import retry_after

KEYS: Final = ("MINDKG_API_KEY", "OPENAI_API_KEY")
"""The environment variables that may hold the server's key; the first that is set counts."""

BACKOFF: Final = 0.5
"""Seconds before the second attempt, at most; doubled before each further one."""

_LONGEST_PAUSE: Final = 30.0
_LONGEST_WAIT: Final = 600.0
_CONNECT: Final = 15.0
_IDLE: Final = 4.0
"""Seconds that an idle connection is kept: uvicorn closes it after 5, and a request sent then would be lost."""

_CROWDED: Final = frozenset({429, 503, 529})
_SECRET: Final = 8
"""Characters that a secret has at least."""

_USELESS: Final = frozenset({*range(300, 400), 401, 403, 404, 405})
"""What says, at the start, that no request will be answered: a wrong key or a wrong address."""


class ChatClient:
    """Sends bodies to ``ADDRESS/chat/completions``; all methods but the constructor belong to one event loop.

    At most ``concurrency`` requests are at the server at once: half as many when it says that it is crowded or does not
    answer in time, and one more again for each round of answers.
    """

    def __init__(self, address: str, *, concurrency: int, timeout: float, retries: int) -> None:
        self.address = _checked(address)
        self._url = httpx.URL(f"{self.address}/chat/completions")
        self._concurrency, self._timeout, self._retries = concurrency, timeout, retries
        self._key = _key()
        self._limit = float(concurrency)
        self._active = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._resume = self._slowed = 0.0
        self._answered = False
        self._idle: list[httpx.AsyncClient] = []
        self._all: list[httpx.AsyncClient] = []

    async def chat(self, content: bytes) -> Answer:
        """Return the answer to the body ``content``.

        Raises RequestError for what concerns this request alone, MindKGError where going on is useless.
        """
        attempt = 0
        while True:
            await self._enter()
            started = time.monotonic()
            try:
                answer = await self._once(content, started)
            except RequestError as error:
                attempt += 1
                error.seconds = time.monotonic() - started
                if not error.retryable or attempt > self._attempts(error):
                    self._give_up(error)
                    raise
                again = error
            else:
                self._answered = True
                self._limit = min(self._concurrency, self._limit + 1 / self._limit)
                return answer
            finally:
                self._leave()
            await self._pause(again, attempt)

    async def models(self) -> list[str]:
        """Return the names that ``ADDRESS/models`` tells; raises MindKGError where it tells none."""
        try:
            with self._connection() as http:
                response = await http.get(f"{self.address}/models", timeout=_CONNECT)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from None
        if response.status_code in (401, 403):
            raise self._useless(response.status_code, self._hidden(server_words(response.content)))
        try:
            return [str(model["id"]) for model in response.json()["data"]]
        except (ValueError, KeyError, TypeError):
            said = self._hidden(server_words(response.content))
            message = f"the server lists no models, it says ({response.status_code}): {said}"
            if response.status_code in _USELESS:
                raise self._useless(response.status_code, message) from None
            raise MindKGError(message, record=self.address, hint="Give the model's name with --model") from None

    async def tokens(self, model: str, text: str) -> list[int]:
        """Return the ids of the tokens of ``text``, as vLLM's ``/tokenize`` gives them; none where it is not there."""
        body = {"model": model, "prompt": text, "add_special_tokens": False}
        try:
            with self._connection() as http:
                response = await http.post(f"{self.address.removesuffix('/v1')}/tokenize", json=body, timeout=_CONNECT)
            found = response.json()["tokens"] if response.status_code == 200 else []
        except (httpx.HTTPError, ValueError, KeyError, TypeError, RecursionError):
            return []
        return found if isinstance(found, list) and all(type(token) is int for token in found) else []

    async def close(self) -> None:
        """Close the connections."""
        for http in self._all:
            await http.aclose()

    async def _once(self, content: bytes, started: float) -> Answer:
        """Send ``content`` one time."""
        try:
            with self._connection() as http:
                async with asyncio.timeout(self._timeout):
                    response = await http.post(self._url, content=content)
        except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout):
            self._slow_down(started)
            raise RequestError(f"no answer within {self._timeout:g} s", retryable=True) from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise _NoServerError(self._hidden(one_line(str(error)) or "no connection"), retryable=True) from None
        except httpx.RequestError as error:
            said = self._hidden(one_line(str(error)) or type(error).__name__)
            raise RequestError(f"the connection broke: {said}", retryable=True) from None
        if response.status_code != 200:
            raise self._refused(response, started)
        try:
            kind = response.headers.get("content-type", "")
            streamed = is_stream(response.content, kind)
            answer = chat_answer(assembled(response.content) if streamed else read_json(response.content))
        except ValueError:
            said = self._hidden(server_words(response.content))
            raise RequestError(f"the answer is not JSON: {said}", status=200) from None
        except RequestError as error:
            if error.status in _CROWDED:
                self._slow_down(started)
            said = self._hidden(error.args[0])
            raise RequestError(said, status=error.status, retryable=error.retryable, hint=error.hint) from None
        text = self._hidden(answer.text) if _is_secret(self._key) else answer.text
        return replace(answer, text=text, seconds=time.monotonic() - started)

    def _refused(self, response: httpx.Response, started: float) -> RequestError:
        """Return what a status other than 200 means."""
        status = response.status_code
        if status in _CROWDED:
            self._slow_down(started)
        said = self._hidden(server_words(response.content))
        error = RequestError(f"the server says ({status}): {said}", status=status, retryable=status in PASSING)
        wait = retry_after(response.headers.get("retry-after", ""))
        if error.retryable and wait is not None:
            if wait > _LONGEST_WAIT:
                error.retryable = False
            else:
                self._resume = max(self._resume, time.monotonic() + wait)
        if status == 429 and b"insufficient_quota" in response.content:
            error.retryable = False
        return error

    def _attempts(self, error: RequestError) -> int:
        """Return how often to try again: longer where others would fare no better, shortly where nothing ever came."""
        if isinstance(error, _NoServerError):
            return 2 * self._retries if self._answered else min(2, self._retries)
        return 2 * self._retries if error.status in _CROWDED else self._retries

    def _give_up(self, error: RequestError) -> None:
        """Raise MindKGError where ``error`` says that no request will be answered."""
        if isinstance(error, _NoServerError):
            raise self._unreachable(error) from None
        if error.status and (error.status == 401 or (error.status in _USELESS and not self._answered)):
            raise self._useless(error.status, error.args[0]) from None

    def _unreachable(self, error: Exception) -> MindKGError:
        said = self._hidden(one_line(str(error))) or type(error).__name__
        hint = "Is it running, and is the address right?"
        return MindKGError(f"the server does not answer: {said}", record=self.address, hint=hint)

    def _useless(self, status: int, said: str) -> MindKGError:
        if status in (401, 403):
            hint = f"Put the server's key into the environment variable {KEYS[0]}"
        else:
            hint = "Look at --model and at the address, which mostly ends in /v1"
        return MindKGError(said, record=self.address, hint=hint)

    async def _enter(self) -> None:
        """Wait until one more request may be at the server."""
        while True:
            if (pause := self._resume - time.monotonic()) > 0:
                # not all at once
                await asyncio.sleep(pause + random.uniform(0, BACKOFF))
            elif self._active >= int(self._limit):
                turn = asyncio.get_running_loop().create_future()
                self._waiting.append(turn)
                await turn
            else:
                self._active += 1
                return

    def _leave(self) -> None:
        self._active -= 1
        free = int(self._limit) - self._active
        while free > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1

    async def _pause(self, error: RequestError, attempt: int) -> None:
        longest = min(_LONGEST_PAUSE, BACKOFF * 2 ** (attempt - 1))
        await asyncio.sleep(random.uniform(longest / 2, longest))

    def _slow_down(self, started: float) -> None:
        """Halve the limit, once for all requests that were at the server together."""
        if started >= self._slowed:
            self._limit, self._slowed = max(1.0, self._limit / 2), time.monotonic()

    @contextmanager
    def _connection(self) -> Iterator[httpx.AsyncClient]:
        """Give a client with one connection, the one that was used last: its connection is likely to be open still.

        One client with all connections would look at each of them for each of them at every request.
        """
        http = self._idle.pop() if self._idle else self._connect()
        try:
            yield http
        finally:
            self._idle.append(http)

    def _connect(self) -> httpx.AsyncClient:
        key = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            http = httpx.AsyncClient(
                headers={"Content-Type": "application/json", **key},
                timeout=httpx.Timeout(None, connect=_CONNECT),
                limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_IDLE),
                verify=_certificates(),
            )
        except (ImportError, ValueError, OSError, httpx.InvalidURL) as error:
            hint = "Look at ALL_PROXY, HTTP_PROXY and HTTPS_PROXY, which NO_PROXY='*' switches off, and SSL_CERT_FILE"
            message = f"the environment lets no connection be made: {one_line(str(error))}"
            raise InputError(message, record=self.address, hint=hint) from error
        self._all.append(http)
        return http

    def _hidden(self, text: str) -> str:
        """Return ``text`` without the key, which some servers repeat."""
        return text.replace(self._key, "***") if self._key else text


class _NoServerError(RequestError):
    """Nothing listens at the address."""


@cache
def _certificates() -> ssl.SSLContext:
    """Return what certificates are checked by: reading them takes longer than a request."""
    return httpx.create_ssl_context()


def _checked(address: str) -> str:
    """Return ``address`` without a slash at its end; raises InputError for one that could hold a key."""
    hint = f"Give http://HOST/v1; a key goes into the environment variable {KEYS[0]}"
    try:
        parts, url = urlsplit(address), httpx.URL(address)
        plain = url.host and not (parts.username or parts.password or parts.query or parts.fragment)
    except (httpx.InvalidURL, ValueError):  # what looks like Punycode and is none shows only when the host is read
        plain = False
    if not plain:
        raise InputError("a server's address is a scheme, a host and a path", hint=hint) from None
    return address.rstrip("/").removesuffix("/chat/completions")


def _is_secret(key: str) -> bool:
    """Return whether ``key`` is one that nobody may read, and not a word for servers that want none.

    Such a word stands in answers too, and belongs there.

    >>> [_is_secret(key) for key in ("sk-proj-7Hq2", "EMPTY", "x", "placeholder")]
    [True, False, False, False]
    """
    return len(key) >= _SECRET and not key.isalpha()


def _key() -> str:
    for name in KEYS:
        key = os.environ.get(name, "").strip()
        if key and not (key.isascii() and key.isprintable()):
            raise InputError(f"the key in {name} has letters that no header can hold")
        if key:
            return key
    return ""
