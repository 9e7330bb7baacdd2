"""Paths that users give: which of them can be used."""

from __future__ import annotations

import os
from pathlib import Path

from mindkg.errors import InputError


def check_utf8(path: str | Path) -> None:
    """Raise InputError where ``path`` is not UTF-8: tables, RDF and the libraries that read files need text.

    >>> check_utf8("café")
    """
    try:
        os.fspath(path).encode("utf-8")
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise InputError("the name is not UTF-8", record=shown, hint="Rename it, for example with convmv") from None
