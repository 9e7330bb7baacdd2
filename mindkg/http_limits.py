"""What a client of a server over HTTP keeps to: bodies of bounded size, read in bounded time, and masked secrets."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import Final

import httpx

_SHORTEST: Final = 6
"""Characters of the beginning or end of a secret that are masked too."""


class LimitError(Exception):
    """A body that is larger, slower or packed more often than the client reads."""


def read_body(response: httpx.Response, largest: int, seconds: float, *, cut: bool = False) -> bytes:
    """Return the unpacked body of a response that is being streamed: at most ``largest`` bytes, within ``seconds``.

    A longer body is cut there with ``cut``. Raises LimitError otherwise, after ``seconds``, and for a body that is
    packed more than once: each packing can make a thousand bytes of one.
    """
    if "," in response.headers.get("content-encoding", ""):
        raise LimitError("its body is packed more than once")
    until = time.monotonic() + seconds
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > largest:
            if cut:
                return bytes(body[:largest])
            raise LimitError(f"its answer has more than {largest:,} bytes")
        if time.monotonic() > until:
            raise LimitError(f"its answer takes more than {seconds:,.0f} s")
    return bytes(body)


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return ``text`` with ``***`` for each of ``secrets``, in any case, and for a beginning or end of one.

    >>> masked("wrong key S3CRET-TOK… of 12", ["s3cret-token"])
    'wrong key ***… of 12'
    """
    for secret in sorted({secret for secret in secrets if secret}, key=len, reverse=True):
        least = min(len(secret), max(_SHORTEST, len(secret) // 2))
        text = re.sub(_beginning(secret, least), "***", text, flags=re.IGNORECASE)
        text = re.sub(_beginning(secret[::-1], least), "***", text[::-1], flags=re.IGNORECASE)[::-1]
    return text


def _beginning(secret: str, least: int) -> str:
    """Return a pattern for the first ``least`` characters of ``secret`` and as many more as follow."""
    rest = secret[least:]
    return re.escape(secret[:least]) + "".join(f"(?:{re.escape(c)}" for c in rest) + ")?" * len(rest)
