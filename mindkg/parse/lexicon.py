"""What kind of phrase this is, from word lists and endings; no tagger could read 40,000 texts a second."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Literal

from mindkg.parse.wordings import table

# one word of a phrase; those in front of which a phrase ends are told by the letters that it begins with
_ITEM = re.compile(r"(?=[\w'’.&/$#%+\"-])(\w*+)[\w'’.&/$#%+\"-]*+\s*")
_ENDS = (
    "of for in to with from by on at that which who whose as than because since when while if so but among "
    "across within into during between without under about around like such enough designed used made worn "
    "found are is can could will would have has making featuring known intended meant suited created "
    "inspired sold produced manufactured based given aimed geared through toward towards regardless where "
    "often"
)
_ENDS_PHRASE = frozenset(_ENDS.split())
_DETERMINER = re.compile(
    r"(?:a|an|the|his|her|their|its|some|two|one|several|many|different\s+\w+|various|pieces?|examples|types|kinds|forms)\b",
    re.I,
)
_VERBAL = re.compile(
    r"(?:being|getting|looking|going|trying|used|made|found|sold|worn|seen|based|bought|given|shown|held|kept|\w{2,}ed|\w{3,}ing)$",
    re.I,
)
_PLURAL = re.compile(r"(?<!ou)(?<!les)(?<!s)s$", re.I)


@cache
def words(name: str) -> frozenset[str]:
    """Return a list of the section ``words`` of ontology/wordings.toml."""
    return frozenset(table()["words"][name].lower().split())


@cache
def adjective_ending() -> re.Pattern[str]:
    """Return the pattern of words whose ending gives an adjective away."""
    return re.compile(rf"\w{{2}}(?:{'|'.join(table()['words']['adjective_suffix'].split())})$")


@lru_cache(maxsize=4096)
def is_adjective(word: str) -> bool:
    """Say whether ``word`` is an adjective, from the list and from its ending."""
    low = word.lower().strip(".")
    if low in words("mass_noun") or low in words("not_adjective") or low.endswith("ment"):
        return False
    return low in words("adjective") or bool(adjective_ending().search(low))


_COMMA = re.compile(
    r"\s*,\s*(?!(?:(?:and|or)\s+)?(?:they|it|he|she|we|you|people|customers|consumers|so|yet)\b)(?:(?:and|or)\s+)?",
    re.I,
)


def _phrase_end(text: str, start: int) -> int:
    """Return where the words that stand at ``start`` end, up to a preposition, a verb or a mark."""
    while item := _ITEM.match(text, start):
        if item.group(1).lower() in _ENDS_PHRASE:
            break
        start = item.end()
    return start


def _item_behind(text: str, at: int) -> Literal["noun"] | None:
    """Say that the adjective that ends at ``at`` begins a list before a noun ("warm, light shoes")."""
    comma = _COMMA.match(text, at)
    start = comma.end() if comma else at
    end = _phrase_end(text, start) if comma else at
    if end == start or _DETERMINER.match(text[start:end]):
        return None
    found = text[start:end].split()
    if is_adjective(found[-1].rstrip(".\"'’")):
        return _item_behind(text, end)
    return "noun" if len(found) > 1 and adjective_phrase(text, start) == "noun" else None


def adjective_phrase(text: str, start: int) -> Literal["noun", "adjective", "other"]:
    """Say whether a noun phrase, an adjective or something else stands at ``start``, behind "they are".

    >>> [adjective_phrase(t, 0) for t in ("stylish and light.", "stylish hats for men", "inspired by", "a hit")]
    ['adjective', 'noun', 'other', 'noun']
    """
    end = _phrase_end(text, start)
    if end == start:
        return "other"
    if _DETERMINER.match(text, start):
        return "noun"
    chunk = text[start:end].split()
    if len(chunk) > 1 and chunk[-1] in ("and", "or"):
        chunk.pop()
    # "watches suitable for men": the noun stands before its adjective
    if len(chunk) > 1 and chunk[-1].lower() in words("elaborating_adjective") and _PLURAL.search(chunk[-2]):
        chunk = chunk[:-1]
    last = chunk[-1].rstrip(".\"'’")
    if is_adjective(last):
        return _item_behind(text, end) or "adjective"
    if last.lower() in words("mass_noun") or _PLURAL.search(last) or last[:1].isupper() or last[-1:].isdigit():
        return "noun"
    if _VERBAL.match(chunk[0]) or _VERBAL.match(last):
        return "other"
    if len(chunk) == 1 or chunk[-2].lower() in ("and", "or", "very", "highly", "more", "most", "so", "quite"):
        return _item_behind(text, end) or "adjective"
    return "noun"
