"""Whether a sentence breaks off inside its tail (PARSING.md, section 6)."""

from __future__ import annotations

import re
from typing import Final

from mindkg.parse.lexicon import words

LONGEST: Final = 25
"""Words of a sentence without an end mark that still count as a whole phrase, boilerplate included."""

_DANGLING = re.compile(r"(?:[,\-–—(\[{:&/]|(?:^|\s)[\"“'‘(\[])\Z")
_OPEN_QUOTE = re.compile(r"(?:(?:^|[\s(])[\"“‘][^\s\"”’][^\"”]*|[(\[][^)\]]*)\Z")
_LAST = re.compile(r"([\w'’-]+)\W*\Z")


def breaks_off(text: str, begin: int, stop: int, ended: bool) -> bool:
    """Say whether the sentence ``text[begin:stop]`` ends in the middle; ``ended`` says that a mark ends it."""
    sentence = text[begin:stop].rstrip()
    dots = sentence.endswith(("...", "…"))
    if ended and not dots and sentence[-1:] in ".!?\"'”’)]。！？":
        return False
    if dots:
        sentence = sentence.rstrip(".… ")
    if _DANGLING.search(sentence) or _OPEN_QUOTE.search(sentence):
        return True
    last = _LAST.search(sentence)
    if last and last.group(1).lower() in words("function_word"):
        return True
    return not ended and len(sentence.split()) > LONGEST
