"""The connection to an OpenAI-compatible server: sending, waiting and trying again, and never revealing the key."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

import httpx

from mindkg.distill.backends.event_stream import STREAM, EventStream, assembled, is_stream
from mindkg.distill.backends.failures import KEY, KEYS, connection_failure, first_failure_hint, status_hint
from mindkg.distill.backends.json_text import read_json
from mindkg.distill.backends.limiter import Limiter
from mindkg.distill.backends.openai_chat import chat_answer, server_words
from mindkg.distill.backends.server_errors import QUOTA, one_line
from mindkg.distill.requests import PASSING, TOO_LONG, TOO_LONG_HINT, Answer, RequestError, most_bytes
from mindkg.errors import InputError, MindKGError
from mindkg.http_body import BodyEncodingError, BodyTooLargeError, pieces, read_beginning, read_body
from mindkg.key_mask import KeyMask
from mindkg.retry_after import retry_after

_ERROR_BODY: Final = 1 << 16
"""Bytes of the body of an error that are read at most."""

_STREAM: Final = 16
"""How many times as long as a body at once a stream may be: each token is an event of a few hundred bytes."""

_LONGEST_WAIT: Final = 600.0
_LONGEST_OUTAGE: Final = 300.0
"""Seconds that a server which gave answers may be down before its requests are given up."""

_DISTINCT: Final = 3
"""Requests that must have failed since the last answer before the server is at fault and not one of them."""

_CONNECT: Final = 15.0
_IDLE: Final = 4.0
"""Seconds that an idle connection is kept: uvicorn closes it after 5, and a request sent then would be lost."""

_CROWDED: Final = frozenset({429, 503, 529})

_USELESS: Final = frozenset({*range(300, 400), 401, 403, 404, 405, 407})
"""What means, at the start, that no request will be answered: a wrong key or a wrong address."""


class ChatClient:
    """Sends bodies to ``ADDRESS/chat/completions``; all methods but the constructor belong to one event loop.

    At most ``concurrency`` requests are at the server at once, as fast as it takes them (see ``Limiter``). An attempt
    takes at most ``timeout`` seconds from connecting to the last byte; ``retries`` follow where another may succeed,
    the first after at most ``backoff`` seconds. ``max_answer`` is the longest text expected, in bytes: a body of over
    8 times as many (at least 1 MiB) is not read to its end, a stream is not read on after ``max_answer`` bytes of text:
    that bounds an answer where the server refuses ``max_tokens``.
    """

    def __init__(
        self, address: str, *, concurrency: int, timeout: float, retries: int, backoff: float, max_answer: int
    ) -> None:
        self.address = _checked(address)
        self._url = httpx.URL(f"{self.address}/chat/completions")
        self._timeout, self._retries, self._backoff = timeout, retries, backoff
        self._most, self._max_answer = most_bytes(max_answer), max_answer
        self._key_name, self._key = _key()
        self._mask = KeyMask(self._key)
        self._mask.watch_logs()
        self._limiter = Limiter(concurrency, backoff)
        self._answered = False
        self._failing: set[int] = set()
        self._idle: list[httpx.AsyncClient] = []
        self._all: list[httpx.AsyncClient] = []

    async def chat(self, content: bytes) -> Answer:
        """Return the answer to the body ``content``.

        Raises RequestError for what concerns this request alone, MindKGError where going on is useless.
        """
        try:
            with self._limiter.request():
                answer = await self._chat(content)
        except MindKGError as error:
            raise self._masked(error) from None
        return replace(answer, text=self._mask.answer(answer.text))

    async def models(self) -> list[str]:
        """Return the names that ``ADDRESS/models`` gives; raises MindKGError where it gives none."""
        try:
            names = await self._models()
        except MindKGError as error:
            raise self._masked(error) from None
        return [self._mask(name) for name in names]

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
        self._mask.leave_logs()
        for http in self._all:
            await http.aclose()

    async def _chat(self, content: bytes) -> Answer:
        failures, again = 0, False
        while True:
            started = await self._limiter.enter(again=again)
            try:
                answer = await self._once(content)
            except RequestError as error:
                error.seconds = time.monotonic() - started
                wait = error.wait
                if error.retryable:
                    self._note(error, started, id(content))
                failures += not self._outage(error)
                if not error.retryable or failures > self._attempts(error):
                    self._give_up(error)
                again = True
            else:
                self._answered = True
                self._failing.clear()
                self._limiter.answered()
                return replace(answer, seconds=time.monotonic() - started)
            finally:
                self._limiter.leave()
            if wait or not self._limiter.down:
                await asyncio.sleep(wait + random.uniform(self._backoff / 4, self._backoff / 2))

    async def _once(self, content: bytes) -> Answer:
        """Send ``content`` one time."""
        try:
            with self._connection() as http:
                async with asyncio.timeout(self._timeout), http.stream("POST", self._url, content=content) as response:
                    if response.status_code != 200:
                        raise _refused(response, await read_beginning(response, _ERROR_BODY))
                    parsed = await self._parsed(response)
        except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout):
            raise RequestError(f"no answer within {self._timeout:g} s", retryable=True) from None
        except httpx.RequestError as error:
            reason, hint = connection_failure(error, self.address)
            raise _NoConnectionError(reason, retryable=True, hint=hint, kind=type(error)) from None
        except BodyTooLargeError as error:
            raise RequestError(_too_large(error), status=200, hint=TOO_LONG_HINT) from None
        except BodyEncodingError as error:
            raise RequestError(f"the answer cannot be read: {error}", retryable=error.broken) from None
        return chat_answer(parsed)

    async def _parsed(self, response: httpx.Response) -> Any:
        """Return the JSON of an answer that comes at once or as a stream."""
        kind, body = response.headers.get("content-type", ""), b""
        try:
            if kind.startswith(STREAM):
                stream = EventStream(self._most, self._max_answer)
                async for body in pieces(response, _STREAM * self._most):
                    stream.feed(body)
                return stream.body()
            body = await read_body(response, self._most)
            return assembled(body) if is_stream(body, kind) else read_json(body)
        except ValueError:
            raise RequestError(f"the answer is not JSON: {server_words(body[:_ERROR_BODY])}", status=200) from None

    async def _models(self) -> list[str]:
        try:
            with self._connection() as http:
                async with asyncio.timeout(2 * _CONNECT), http.stream("GET", f"{self.address}/models") as response:
                    status = response.status_code
                    body = await (read_body if status == 200 else read_beginning)(response, self._most)
        except httpx.RequestError as error:
            raise self._unreachable(*connection_failure(error, self.address)) from None
        except TimeoutError:
            raise self._unreachable(f"no list of models within {2 * _CONNECT:g} s", "Is it a chat server?") from None
        except (BodyTooLargeError, BodyEncodingError) as error:
            message = f"the list of the server's models cannot be read: {error}"
            raise MindKGError(message, record=self.address, hint="Name one with --model") from None
        try:
            return [str(model["id"]) for model in read_json(body)["data"]]
        except (ValueError, KeyError, TypeError):
            said = server_words(body[:_ERROR_BODY])
        useless = status in _USELESS
        hint = status_hint(status, said, self._key_name) if useless else first_failure_hint(said, status)
        message = f"the server lists no models, it says ({status}): {said}"
        raise MindKGError(message, record=self.address, hint=hint)

    def _note(self, error: RequestError, started: float, request: int) -> None:
        """Let the limiter take note of a failure that may pass."""
        self._failing.add(request)
        if error.status in _CROWDED or "no answer within" in error.args[0]:
            self._limiter.crowded(started, error.wait)
        else:
            self._limiter.failed(started, error.wait)

    def _outage(self, error: RequestError) -> bool:
        """Return whether a failure is the server's alone: it gave answers, and gives none to anybody since a while."""
        since = self._limiter.silent_since
        alone = len(self._failing) < _DISTINCT and not isinstance(error, _NoConnectionError)
        if not (error.retryable and self._answered and since and self._limiter.down) or alone:
            return False
        return time.monotonic() - since < _LONGEST_OUTAGE

    def _attempts(self, error: RequestError) -> int:
        """Return how often a request may fail: more often where others fare no better."""
        if not self._answered and (isinstance(error, _NoConnectionError) or "no answer within" in error.args[0]):
            return min(2, self._retries)
        return self._limiter.attempts(self._retries * (2 if error.status in _CROWDED else 1))

    def _give_up(self, error: RequestError) -> NoReturn:
        """Raise ``error``, or MindKGError where it means that no request will be answered."""
        message, status = error.args[0], error.status
        if isinstance(error, _NoConnectionError) and (not self._answered or error.refused):
            raise self._unreachable(message, error.hint or "") from None
        if status == 401 or (status in _USELESS and not self._answered):
            assert status
            hint = status_hint(status, message, self._key_name)
            raise MindKGError(message, record=self.address, hint=hint) from None
        if not self._answered:
            error.record, error.hint = self.address, error.hint or first_failure_hint(message, status)
            if error.retryable or message.startswith("the answer is not JSON"):
                raise MindKGError(message, record=self.address, hint=error.hint) from None
        raise error

    def _unreachable(self, reason: str, hint: str) -> MindKGError:
        return MindKGError(f"the server does not answer: {reason}", record=self.address, hint=hint)

    def _masked(self, error: MindKGError) -> MindKGError:
        """Return ``error`` without the key, which some servers repeat."""
        error.args = (self._mask(str(error.args[0])), *error.args[1:])
        error.hint = self._mask(error.hint) if error.hint else error.hint
        return error

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
                headers={"Content-Type": "application/json", "Accept-Encoding": "gzip, deflate", **key},
                timeout=httpx.Timeout(None, connect=_CONNECT),
                limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=_IDLE),
                verify=_certificates(*(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))),
            )
        except (ImportError, ValueError, OSError, httpx.InvalidURL) as error:
            hint = "Look at ALL_PROXY, HTTP_PROXY and HTTPS_PROXY, which NO_PROXY='*' switches off, and SSL_CERT_FILE"
            message = f"the environment lets no connection be made: {one_line(str(error))}"
            raise InputError(message, record=self.address, hint=hint) from error
        self._all.append(http)
        return http


class _NoConnectionError(RequestError):
    """A connection that was not made, or broke before the answer came; ``refused`` if it was not made."""

    def __init__(self, message: str, *, kind: type[BaseException], **where: Any) -> None:
        super().__init__(message, **where)
        self.refused = issubclass(kind, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError)


def _refused(response: httpx.Response, body: bytes) -> RequestError:
    """Return what a status other than 200 means."""
    status = response.status_code
    error = RequestError(f"the server says ({status}): {server_words(body)}", status=status)
    error.wait = retry_after(response.headers.get("retry-after", "")) or 0.0
    lasting = QUOTA.encode() in body or error.wait > _LONGEST_WAIT
    error.retryable = status in PASSING and not lasting
    return error


def _too_large(error: BodyTooLargeError) -> str:
    told = f"{error.size:,} bytes" if error.size else f"over {error.most:,} bytes"
    return f"{TOO_LONG}: its body has {told}, the limit is {error.most:,}"


@cache
def _certificates(file: str | None, folder: str | None) -> ssl.SSLContext:
    """Return what the environment names to check certificates by: reading it takes longer than a request."""
    return httpx.create_ssl_context()


def _checked(address: str) -> str:
    """Return ``address`` without a slash at its end; raises InputError for one that could hold a key."""
    hint = f"Give http://HOST/v1; a key goes into the environment variable {KEY}"
    try:
        parts, url = urlsplit(address), httpx.URL(address)
        plain = url.host and not (parts.username or parts.password or parts.query or parts.fragment)
    except (httpx.InvalidURL, ValueError):  # what looks like Punycode and is none shows only when the host is read
        plain = False
    if not plain:
        raise InputError("a server's address is a scheme, a host and a path", hint=hint) from None
    return address.rstrip("/").removesuffix("/chat/completions")


def _key() -> tuple[str | None, str]:
    """Return the name of the variable that holds the server's key, None without one, and the key."""
    for name in KEYS:
        key = os.environ.get(name, "").strip()
        if key and not (key.isascii() and key.isprintable()):
            raise InputError(f"the key in {name} has letters that no header can hold")
        if key:
            return name, key
    return None, ""
