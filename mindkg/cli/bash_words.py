"""Completion as bash needs it: bash splits a word at = and :, and takes what it is given without quoting it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import Final

from mindkg.cli.terminal import result

_SPECIAL: Final = re.compile(r"""[\s"'\\`$&|;()<>*?\[\]{}#~!^]""")
_BREAKS: Final = re.compile("[=:]+")


@contextmanager
def bash_completion() -> Iterator[None]:
    r"""Let the completions that are printed inside the block fit bash's words; do nothing where bash is not asking.

    ``-p concept=baked`` arrives as the words ``concept``, ``=`` and ``baked``. They are joined here, and of the
    completion ``concept=baked goods`` bash gets ``baked\ goods``, which takes the place of its last word.
    """
    words, at = os.environ.get("COMP_WORDS", "").split("\n"), os.environ.get("COMP_CWORD", "")
    if os.environ.get("_MINDKG_COMPLETE") != "complete_bash" or not at.isdecimal() or int(at) >= len(words):
        yield
        return
    joined = joined_words(words[: int(at) + 1])
    before, quote, quoted = _at_open_quote(joined[-1])
    last = shlex.quote(before + quoted) if quote else joined[-1]
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = "\n".join([*joined[:-1], last]), str(len(joined) - 1)
    found = StringIO()
    try:
        with redirect_stdout(found):
            yield
    finally:
        for line in filter(None, found.getvalue().splitlines()):
            result(replacement(line, joined[-1]))


def joined_words(words: list[str]) -> list[str]:
    """Return the words of a command line with those joined that bash split at = and :.

    >>> joined_words(["-p", "concept", "=", "ba"]), joined_words(["-p", "concept", "="])
    (['-p', 'concept=ba'], ['-p', 'concept='])
    """
    joined: list[str] = []
    after_break = False
    for word in words:
        is_break = bool(_BREAKS.fullmatch(word))
        if joined and (is_break or (after_break and word)):
            joined[-1] += word
        else:
            joined.append(word)
        after_break = is_break
    return joined


def replacement(completion: str, word: str) -> str:
    r"""Return what takes the place of the last part of ``word`` as bash splits it: quoted, unless a quote is open.

    >>> print(replacement("concept=baked goods", "concept=ba"), replacement("concept=baked goods", 'concept="ba'))
    baked\ goods baked goods
    """
    unquoted, quote, _ = _at_open_quote(word)
    start = max((match.end() for match in _BREAKS.finditer(unquoted)), default=0)
    part = completion[start:] if completion.startswith(unquoted[:start]) else completion  # --focus=ba: baked goods
    return part if quote else _SPECIAL.sub(r"\\\g<0>", part)


def _at_open_quote(word: str) -> tuple[str, str, str]:
    """Return what stands before the quotation mark in ``word``, the mark or "", and what follows it."""
    mark = re.search("[\"']", word)
    return word.partition(mark[0]) if mark else (word, "", "")
