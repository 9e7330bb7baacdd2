"""A server's key or password, kept out of everything that is shown or stored, in whatever form a server repeats it."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterable
from math import ceil
from typing import Final
from urllib.parse import quote

MASK: Final = "***"

_OTHER: Final = re.compile(r"[^A-Za-z0-9]+")
_LETTER: Final = re.compile(r"[A-Za-z0-9]")
_SHORTEST: Final = 4
"""Letters and digits of a key below which it is a word such as ``x``, which stands in messages for other reasons."""

_FRAGMENT: Final = 8
"""Letters and digits in a row of a key that are masked."""

_END: Final = 6
"""Characters of the beginning or end of a secret that are masked, punctuation among them."""

_WORD: Final = 16
"""Letters of a key without digits or punctuation below which it is a word such as ``placeholder``."""

_LOGGERS: Final = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy")


class KeyMask:
    """Masks ``key`` in texts: whole or in part, in any case, split by blanks or punctuation, or encoded.

    Compared are letters and digits alone, so case, quoting, escapes and separators make no difference; percent, hex,
    base64, HTML and JSON encodings are looked for as well. What has fewer than 8 letters and digits of the key is not
    masked: it reveals nothing, and servers show the ends of a key on purpose. Punctuation of the key itself is masked
    too where half of it stands. A ``password`` is masked even where it is a common word.

    >>> mask = KeyMask("sk-proj-7Hq2xW9z41")
    >>> mask("wrong key SK-PROJ-7HQ2XW9"), mask("c2stcHJvai03SHEyeFc5ejQx"), mask("a key sk-p…41")
    ('wrong key ***', '***', 'a key sk-p…41')
    """

    def __init__(self, key: str, *, password: bool = False) -> None:
        self._key = key
        self.secret = len(key) >= _FRAGMENT and not (key.isalpha() and len(key) < _WORD)
        plain = _letters(key)
        word = key.isalpha() and not self.secret
        self._fragments = frozenset() if word or len(plain) < _SHORTEST else _fragments(key, plain, _FRAGMENT)
        self._whole = bool(key) and (self.secret or password)
        self._halves = _fragments(key, plain, max(_FRAGMENT, len(plain) // 2)) if self.secret else frozenset()

    def __call__(self, text: str) -> str:
        """Return a message of the server or about it without the key."""
        return _masked(_without_ends(text, self._key) if self._whole else text, self._fragments)

    def answer(self, text: str) -> str:
        """Return an answer without the key: masked where half of a secret stands, so that no other words are."""
        return _masked(text, self._halves)

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the key in a line that the HTTP library logs; return True, since all lines are kept."""
        text = record.getMessage()
        if (masked := self(text)) != text:
            record.msg, record.args = masked, ()
        return True

    def watch_logs(self) -> None:
        """Mask what the HTTP library logs from now on."""
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(self.filter)

    def leave_logs(self) -> None:
        """Stop masking what the HTTP library logs."""
        for name in _LOGGERS:
            logging.getLogger(name).removeFilter(self.filter)


def masked(text: str, passwords: Iterable[str]) -> str:
    """Return ``text`` without any of ``passwords``.

    >>> masked("wrong key S3CRET-TOK… of 12", ["s3cret-token"])
    'wrong key ***… of 12'
    """
    for password in sorted(set(passwords), key=len, reverse=True):
        text = KeyMask(password, password=True)(text)
    return text


def _without_ends(text: str, key: str) -> str:
    """Return ``text`` with ``MASK`` for the key in any case, and for a beginning or end of at least half of it."""
    least = min(len(key), max(_END, len(key) // 2))
    return _without_beginning(_without_beginning(text, key, least)[::-1], key[::-1], least)[::-1]


def _without_beginning(text: str, key: str, least: int) -> str:
    made, end = [], 0
    for match in re.finditer(re.escape(key[:least]), text, re.IGNORECASE):
        start, stop = match.span()
        if start < end:
            continue
        for letter in key[least:]:
            if text[stop : stop + 1].lower() != letter.lower():
                break
            stop += 1
        made += [text[end:start], MASK]
        end = stop
    return "".join([*made, text[end:]])


def _letters(text: str) -> str:
    return _OTHER.sub("", text).lower()


def _fragments(key: str, plain: str, length: int) -> frozenset[str]:
    """Return all runs of ``length`` letters and digits of the key, and as much of each of its encodings."""
    return frozenset(
        form[start : start + size]
        for form in _forms(key)
        for size in [min(len(form), ceil(length * len(form) / len(plain)))]
        for start in range(len(form) - size + 1)
        if size
    )


def _forms(key: str) -> list[str]:
    """Return the letters and digits of the key in each encoding."""
    raw = key.encode()
    encoded = [
        quote(key, safe=""),
        raw.hex(),  # of %73%6b too
        "".join(f"u{byte:04x}" for byte in raw),
        "".join(f"x{byte:02x}" for byte in raw),
        "".join(str(byte) for byte in raw),  # &#115;&#107;
    ]
    for offset in range(3):  # base64 of a text in which the key stands at any place
        whole = base64.b64encode(bytes(offset) + raw).decode()
        # the first and the last characters hold bits of the neighbours too
        encoded.append(whole[ceil(offset * 8 / 6) : (offset + len(raw)) * 8 // 6])
    return [_letters(form) for form in (key, *encoded)]


def _masked(text: str, fragments: frozenset[str]) -> str:
    """Return ``text`` with ``MASK`` for each run of letters and digits that is made of ``fragments``."""
    letters = _letters(text)
    found = sorted(_found(letters, fragments))
    if not found:
        return text
    places = [match.start() for match in _LETTER.finditer(text)]
    made, end = [], 0
    spans: list[list[int]] = []
    for start, stop in found:
        if spans and start <= spans[-1][1]:
            spans[-1][1] = max(stop, spans[-1][1])
        else:
            spans.append([start, stop])
    for start, stop in spans:
        made += [text[end : places[start]], MASK]
        end = places[stop - 1] + 1
    return "".join([*made, text[end:]])


def _found(letters: str, fragments: frozenset[str]) -> list[tuple[int, int]]:
    spans = []
    for fragment in fragments:
        start = letters.find(fragment)
        while start >= 0:
            spans.append((start, start + len(fragment)))
            start = letters.find(fragment, start + 1)
    return spans
