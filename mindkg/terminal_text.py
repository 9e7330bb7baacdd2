"""Text that a terminal may show: what would control it, or forge a line, is escaped."""

from __future__ import annotations

import re
from typing import Final

CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]")
"""C0, DEL and C1 controls, marks and overrides of direction, separators of lines and paragraphs, lone surrogates."""

_NAMED: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def printable(text: str) -> str:
    r"""Return ``text`` with an escape in place of each character that could control a terminal or forge a line.

    A byte of a file name that is not UTF-8 (a surrogate in Python) is written as that byte.

    >>> import os
    >>> print(printable("red \x1b[31m\nmindkg: \u202egpj"), printable(os.fsdecode(b"caf\xe9")))
    red \x1b[31m\nmindkg: \u202egpj caf\xe9
    """
    return CONTROLS.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:
        number -= 0xDC00
    return _NAMED.get(character) or (f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}")
