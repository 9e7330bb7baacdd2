"""When a server may be asked again, as it says in the header that chat servers and hosts of pictures both send."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d*)?", re.ASCII)
_NEVER: Final = 1e9
"""Seconds that stand for any longer time: thirty years."""


def retry_after(told: str) -> float | None:
    """Return how many seconds from now a Retry-After header means (RFC 9110, 10.2.3), None where it says nothing.

    Fractions of a second count: there are servers that send them. A time that is over is 0, a date without a zone UTC.

    >>> retry_after("120"), retry_after("0.5"), retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), retry_after("soon")
    (120.0, 0.5, 0.0, None)
    """
    text = told.strip()
    if _NUMBER.fullmatch(text):
        seconds = float(text)
    else:
        try:
            when = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        seconds = (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(0.0, seconds), _NEVER)
