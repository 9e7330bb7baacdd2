"""How labels are compared; apart from the tables, so that a look-up from the command line needs no heavy package."""

from __future__ import annotations

import unicodedata
from typing import Final


def fold(label: str) -> str:
    """Return ``label`` as it is compared: NFC, lower case, one space for controls and white space,
    none outside, no invisible format characters.

    >>> fold("  USB\\u00a0 Cable\\x00")
    'usb cable'
    """
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", label).lower())
    return " ".join("".join(_INSTEAD.get(unicodedata.category(c), c) for c in text).split())


_INSTEAD: Final = {"Cc": " ", "Zs": " ", "Zl": " ", "Zp": " ", "Cf": ""}
