"""Pictures over HTTP: politely, a few at a time from each host, again where that may help, and never too much."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import version
from types import TracebackType
from typing import Final, Self

import httpx

from mindkg.http_body import BodyEncodingError, BodyTooLargeError, read_body
from mindkg.images.addresses import CheckedTransport, checked_url
from mindkg.images.files import too_large
from mindkg.images.picture import BEGINNING, PictureError, check_beginning
from mindkg.retry_after import retry_after

LONGEST_WAIT: Final = 120.0
"""Seconds that a server may ask us to wait; one that asks for more is left alone until the next call."""

_TRANSIENT: Final = frozenset({408, 425, 429})
_REDIRECTS: Final = 5
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
_BEGINNING: Final = 512
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
_HEADERS: Final = {
    "User-Agent": f"mindkg/{version('mindkg')}",
    "Accept": "image/jpeg, image/png, image/webp, image/gif",
    "Accept-Encoding": "identity",
}


@dataclass(frozen=True, slots=True)
class Manners:
    """How servers are asked: pictures at once, in all and of one host; seconds and bytes for each; tries after a first.

    ``timeout`` is for one try from connecting to the last byte.
    """

    concurrency: int
    per_host: int
    timeout: float
    retries: int
    max_bytes: int
    allow_private: bool


class _Host:
    """How many may ask a host at once, and until when (by the loop's clock) it wants to be left alone."""

    def __init__(self, at_once: int) -> None:
        self.limit = asyncio.Semaphore(at_once)
        self.resume = 0.0


class Web:
    """All servers that pictures are asked of."""

    def __init__(self, manners: Manners) -> None:
        self._manners = manners
        self._limit = asyncio.Semaphore(manners.concurrency)
        self._hosts: defaultdict[str, _Host] = defaultdict(lambda: _Host(manners.per_host))
        self._client = httpx.AsyncClient(
            transport=CheckedTransport(allow_private=manners.allow_private, idle=manners.concurrency),
            timeout=manners.timeout,
            headers=_HEADERS,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def read(self, url: str) -> bytes:
        """Return the bytes that ``url`` gives; raises PictureError after the last try, or where none can help.

        Its ``wait`` is over ``LONGEST_WAIT`` where the server wants to be left alone for longer than that.
        """
        for tried in range(self._manners.retries + 1):
            try:
                return await self._follow(url)
            except PictureError as error:
                if not error.retryable or error.wait > LONGEST_WAIT or tried == self._manners.retries:
                    raise
            pause = min(_FIRST_PAUSE * 2**tried, _LONGEST_PAUSE)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
        raise AssertionError("unreachable")

    async def _follow(self, text: str) -> bytes:
        """Return what ``text`` gives after at most ``_REDIRECTS`` redirects, each target checked as it was."""
        for _ in range(_REDIRECTS + 1):
            url = checked_url(text)
            async with self._asked(url) as response:
                if not response.has_redirect_location:
                    return await self._body(response)
                text = _target(url, response.headers["location"])
        raise PictureError(f"more than {_REDIRECTS} redirects")

    @asynccontextmanager
    async def _asked(self, url: httpx.URL) -> AsyncIterator[httpx.Response]:
        """Give the answer of ``url``, a success or a redirect; a mishap of any kind becomes a PictureError."""
        host = self._hosts[url.raw_host.decode()]
        async with host.limit:
            await _patience(host)
            async with self._limit:
                try:
                    async with asyncio.timeout(self._manners.timeout), self._client.stream("GET", url) as response:
                        _check_status(response, host)
                        yield response
                except (TimeoutError, httpx.TimeoutException) as error:
                    message = f"no whole answer within {self._manners.timeout:g} s"
                    raise PictureError(message, retryable=True) from error
                except httpx.TransportError as error:
                    again = not isinstance(error, httpx.LocalProtocolError)
                    what = "cannot connect" if isinstance(error, httpx.ConnectError) else "broken connection"
                    raise PictureError(f"{what}: {_why(error)}", retryable=again) from error
                except (httpx.InvalidURL, ValueError) as error:
                    raise PictureError(f"cannot be asked for: {_why(error)}") from error

    async def _body(self, response: httpx.Response) -> bytes:
        """Return the body; it is left as soon as it is too large or no picture, whatever the headers say."""
        most, kind = self._manners.max_bytes, response.headers.get("content-type", "")[:80]

        def check(body: bytes) -> None:
            check_beginning(body[:_BEGINNING], kind)

        try:
            data = await read_body(response, most, beginning=BEGINNING, check=check)
        except BodyTooLargeError as error:
            raise too_large(most) from error
        except BodyEncodingError as error:
            raise PictureError(str(error)) from error
        check(data)
        return data


async def _patience(host: _Host) -> None:
    """Wait until the host may be asked; raises PictureError where that is too long."""
    clock = asyncio.get_running_loop().time
    while (left := host.resume - clock()) > 0:
        if left > LONGEST_WAIT:
            raise PictureError(f"the server asks to wait {left:.0f} s", retryable=True, wait=left)
        await asyncio.sleep(left)


def _check_status(response: httpx.Response, host: _Host) -> None:
    """Raise PictureError for an answer that is neither a success nor a redirect, and note how long to wait."""
    status = response.status_code
    if response.is_success or response.has_redirect_location:
        return
    reason, again = f"{status} {_PHRASES.get(status, '')}".rstrip(), status in _TRANSIENT or status >= 500
    wait = (retry_after(response.headers.get("retry-after", "")) or 0.0) if again else 0.0
    if wait:
        host.resume = max(host.resume, asyncio.get_running_loop().time() + wait)
    if wait > LONGEST_WAIT:
        reason += f", and the server asks to wait {wait:.0f} s"
    raise PictureError(reason, retryable=again, wait=wait)


def _target(url: httpx.URL, location: str) -> str:
    try:
        return str(url.join(location))
    except (httpx.InvalidURL, ValueError) as error:
        raise PictureError(f"a redirect to what is not a URL: {error}") from error


def _why(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
