"""JSON as servers and batch services write it, with what strict readers stop at: broken bytes and huge numbers."""

from __future__ import annotations

import json
from typing import Any, Final

_DIGITS: Final = 18
"""Digits that an integer of 64 bits always holds."""


def read_json(content: bytes | str) -> Any:
    """Return what ``content`` says: bytes that are not text become U+FFFD, an integer of over 18 digits a float.

    Raises ValueError for what is not JSON or is nested too deeply.

    >>> read_json(b'{"text": "caf\\xe9", "logprob": -1e400}')
    {'text': 'caf\ufffd', 'logprob': -inf}
    """
    text = content.decode(json.detect_encoding(content), "replace") if isinstance(content, bytes) else content
    try:
        return json.loads(text.removeprefix("\ufeff"), parse_int=_integer)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def well_formed(text: str) -> str:
    """Return ``text`` with U+FFFD for each half of a surrogate pair, which UTF-8 cannot hold.

    >>> well_formed("caf\\udce9")
    'caf\ufffd'
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _DIGITS else float(digits)
