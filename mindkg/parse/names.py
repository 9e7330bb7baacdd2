"""Whether the capital of a tail's first word belongs to it: a name, or a word that is mostly written small."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from mindkg.parse.lexicon import words
from mindkg.resources import data_folder

# common-words.txt leaves out what these endings give away, and what is another of its words with one of those below
_DERIVED = re.compile(
    r"\w{3,}(?:tion|sion|ness|less|ful|able|ible|ment|ity|ous|ship|logy|ism|ography|ically|ive|ward|wise|itis|idae|aceae)s?\Z"
)
_INFLECTED = (
    ("s", ""), ("es", ""), ("ies", "y"), ("ves", "f"), ("ves", "fe"), ("men", "man"),
    ("ed", ""), ("ed", "e"), ("ied", "y"), ("ing", ""), ("ing", "e"),
    ("er", ""), ("er", "e"), ("ier", "y"), ("est", ""), ("est", "e"), ("iest", "y"),
    ("ly", ""), ("ily", "y"), ("bly", "ble"),
)  # fmt: skip
_DOUBLED = re.compile(r"(\w+?([bdgklmnprtz]))\2(?:ed|ing|er|est)\Z")
_CAPITAL = re.compile(r"[A-Z][a-z]+")
_STEPS = 3


@cache
def _listed() -> frozenset[str]:
    lines = (data_folder("ontology") / "common-words.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#")) | words("common")


def _bases(word: str) -> list[str]:
    found = [word[: -len(end)] + base for end, base in _INFLECTED if word.endswith(end) and len(word) > len(end) + 1]
    doubled = _DOUBLED.match(word)
    return [*found, doubled.group(1)] if doubled else found


def is_common(word: str, steps: int = _STEPS, without: frozenset[str] = frozenset()) -> bool:
    """Say whether the small ``word`` is English and no name, itself or as a form of another word.

    At most ``steps`` endings go; ``without`` are words not to look up.

    >>> [is_common(w) for w in ("cooking", "earrings", "happiness", "casio")]
    [True, True, True, False]
    """
    if len(word) < 2 or (word in _listed() and word not in without) or _DERIVED.match(word):
        return len(word) > 1
    return steps > 0 and any(is_common(base, steps - 1, without) for base in _bases(word))


@lru_cache(maxsize=4096)
def keeps_capital(word: str) -> bool:
    """Say whether ``word``, written with a capital, is written so everywhere: I, USB, Casio, T-shirt."""
    if word == "I" or any(c.isupper() or c.isdigit() for c in word[1:]):
        return True
    stem = re.split(r"[-'’]", word.lower(), maxsplit=1)[0]
    return stem != "a" and not is_common(stem)


def is_brand(text: str) -> bool:
    """Say whether ``text`` begins with a name that is a word as well (Apple): the capital tells them apart."""
    first = _CAPITAL.match(text) if text[:1].isupper() else None
    return first is not None and first.group().lower() in words("name")
