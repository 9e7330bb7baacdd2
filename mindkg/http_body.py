"""The body of an HTTP response, read piece by piece and never more of it than is allowed, packed or unpacked."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import httpx

_WINDOWS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""The window bits that zlib reads an encoding with."""


class BodyTooLargeError(Exception):
    """A body of more bytes than are allowed; ``size`` is what the server announced, None where it did not."""

    def __init__(self, size: int | None) -> None:
        super().__init__("the body is too large")
        self.size = size


class BodyEncodingError(Exception):
    """A body that is encoded in a way that was not asked for, or is broken; ``broken`` tells which."""

    def __init__(self, message: str, *, broken: bool) -> None:
        super().__init__(message)
        self.broken = broken


async def read_body(
    response: httpx.Response, most: int, *, beginning: int = 0, check: Callable[[bytes], None] | None = None
) -> bytes:
    """Return the body of a streamed ``response``, of at most ``most`` bytes before and after it is unpacked.

    ``check`` is called once with the first bytes of a body that is not packed, as soon as there are ``beginning``; what
    it raises ends the reading. Raises BodyTooLargeError and BodyEncodingError.
    """
    length, encoding = response.headers.get("content-length", ""), response.headers.get("content-encoding", "").lower()
    if length.isdecimal() and int(length) > most:
        raise BodyTooLargeError(int(length))
    packed = encoding not in ("", "identity")
    if packed and encoding not in _WINDOWS:
        raise BodyEncodingError(f"encoded as {encoding[:20]!r}, which was not asked for", broken=False)
    body = bytearray()
    async for chunk in response.aiter_raw():
        seen = len(body)
        body += chunk
        if len(body) > most:
            raise BodyTooLargeError(None)
        if check and not packed and seen < beginning <= len(body):
            check(bytes(body))
    return unpacked(bytes(body), encoding, most) if packed else bytes(body)


async def read_beginning(response: httpx.Response, most: int) -> bytes:
    """Return the first ``most`` bytes of a streamed body at most, b"" where its encoding cannot be read."""
    encoding, body = response.headers.get("content-encoding", "").lower(), bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= most:
            break
    if encoding not in _WINDOWS:
        return bytes(body[:most]) if encoding in ("", "identity") else b""
    try:
        return zlib.decompressobj(_WINDOWS[encoding]).decompress(bytes(body), most)
    except zlib.error:
        return b""


def unpacked(body: bytes, encoding: str, most: int) -> bytes:
    """Return ``body`` unpacked; raises BodyTooLargeError for more than ``most`` bytes, BodyEncodingError if broken.

    >>> unpacked(zlib.compress(b"tea"), "deflate", 3)
    b'tea'
    """
    try:
        data = zlib.decompressobj(_WINDOWS[encoding]).decompress(body, most + 1)
    except zlib.error as error:
        raise BodyEncodingError(f"its {encoding} encoding is broken", broken=True) from error
    if len(data) > most:
        raise BodyTooLargeError(None)
    return data
