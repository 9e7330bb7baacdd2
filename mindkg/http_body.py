"""The body of an HTTP response, read piece by piece and never more of it than is allowed, packed or unpacked."""

from __future__ import annotations

import socket
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import httpx

_WINDOWS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""The window bits that zlib reads an encoding with."""


class BodyTooLargeError(Exception):
    """A body of more than ``most`` bytes; ``size`` is what the server announced, None where it did not."""

    def __init__(self, size: int | None, most: int) -> None:
        super().__init__("the body is too large")
        self.size, self.most = size, most


class BodyEncodingError(Exception):
    """A body that is encoded in a way that was not asked for, or is broken; ``broken`` tells which."""

    def __init__(self, message: str, *, broken: bool) -> None:
        super().__init__(message)
        self.broken = broken


class BodyTimeoutError(Exception):
    """A body that takes longer than is allowed."""


class _Unpacking:
    """Unpacks the body of ``response`` as it comes, and counts its bytes before and after."""

    def __init__(self, response: httpx.Response, most: int) -> None:
        length = response.headers.get("content-length", "")
        if length.isdecimal() and int(length) > most:
            raise BodyTooLargeError(int(length), most)
        self._encoding = _encoding(response)
        self.packed = self._encoding not in ("", "identity")
        if "," in self._encoding:  # each packing can make a thousand bytes of one
            raise BodyEncodingError("packed more than once", broken=False)
        if self.packed and self._encoding not in _WINDOWS:
            raise BodyEncodingError(f"encoded as {self._encoding[:20]!r}, which was not asked for", broken=False)
        self._most, self._read, self._made = most, 0, 0
        self._zlib = zlib.decompressobj(_WINDOWS[self._encoding]) if self.packed else None

    def feed(self, chunk: bytes) -> bytes:
        """Return what ``chunk`` adds to the body."""
        self._read += len(chunk)
        piece = chunk
        if self._zlib:
            try:
                piece = self._zlib.decompress(chunk, self._most - self._made + 1)
            except zlib.error as error:
                raise BodyEncodingError(f"its {self._encoding} encoding is broken", broken=True) from error
        self._made += len(piece)
        if max(self._read, self._made) > self._most:
            raise BodyTooLargeError(None, self._most)
        return piece


async def pieces(response: httpx.Response, most: int) -> AsyncIterator[bytes]:
    """Yield the body of a streamed ``response`` as it comes, unpacked: at most ``most`` bytes before and after that.

    Raises BodyTooLargeError and BodyEncodingError.
    """
    unpacking = _Unpacking(response, most)
    async for chunk in response.aiter_raw():
        yield unpacking.feed(chunk)


async def read_body(
    response: httpx.Response, most: int, *, beginning: int = 0, check: Callable[[bytes], None] | None = None
) -> bytes:
    """Return the body of a streamed ``response``, of at most ``most`` bytes before and after it is unpacked.

    ``check`` is called once with the first bytes of a body that is not packed, as soon as there are ``beginning``; what
    it raises ends the reading. Raises BodyTooLargeError and BodyEncodingError.
    """
    body, packed = bytearray(), _encoding(response) not in ("", "identity")
    async for piece in pieces(response, most):
        seen = len(body)
        body += piece
        if check and not packed and seen < beginning <= len(body):
            check(bytes(body))
    return bytes(body)


async def read_beginning(response: httpx.Response, most: int) -> bytes:
    """Return the first ``most`` bytes of a streamed body at most, b"" where its encoding cannot be read."""
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= most:
            break
    return _beginning(response, bytes(body), most)


def read_body_within(response: httpx.Response, most: int, until: float) -> bytes:
    """Do as ``read_body`` in a client without an event loop; raises BodyTimeoutError at ``until`` (time.monotonic)."""
    body, unpacking = bytearray(), _Unpacking(response, most)
    for chunk in _chunks_until(response, until):
        body += unpacking.feed(chunk)
    return bytes(body)


def read_beginning_within(response: httpx.Response, most: int, until: float) -> bytes:
    """Do as ``read_beginning`` in a client without an event loop; reading ends at ``until`` (time.monotonic)."""
    body = bytearray()
    with suppress(BodyTimeoutError):
        for chunk in _chunks_until(response, until):
            body += chunk
            if len(body) >= most:
                break
    return _beginning(response, bytes(body), most)


def _chunks_until(response: httpx.Response, until: float) -> Iterator[bytes]:
    """Yield the body as it comes; raises BodyTimeoutError at ``until``, though the server has fallen silent.

    A client's own timeout begins anew with each chunk, so the connection is shut down from outside.
    """
    connection = response.extensions["network_stream"].get_extra_info("socket")
    late = threading.Event()

    def shut_down() -> None:
        late.set()
        with suppress(OSError):  # it is closed already
            socket.socket.shutdown(connection, socket.SHUT_RDWR)  # not TLS's own, which another thread is reading with

    timer = threading.Timer(max(0.0, until - time.monotonic()), shut_down)
    timer.daemon = True
    timer.start()
    try:
        for chunk in response.iter_raw():
            if late.is_set():
                break
            yield chunk
    except Exception as error:
        if not late.is_set():
            raise
        raise BodyTimeoutError("the time is up") from error
    finally:
        timer.cancel()
    if late.is_set():
        raise BodyTimeoutError("the time is up")


def _encoding(response: httpx.Response) -> str:
    return str(response.headers.get("content-encoding", "")).strip().lower()


def _beginning(response: httpx.Response, body: bytes, most: int) -> bytes:
    encoding = _encoding(response)
    if encoding not in _WINDOWS:
        return body[:most] if encoding in ("", "identity") else b""
    try:
        return zlib.decompressobj(_WINDOWS[encoding]).decompress(body, most)
    except zlib.error:
        return b""
