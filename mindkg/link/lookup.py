"""The concepts of one phrase, looked up in place: no heavy package is imported and no table is read whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindkg.errors import InputError
from mindkg.link.folding import fold
from mindkg.link.isa import open_isa
from mindkg.link.scores import p_concept, p_instance, rep
from mindkg.link.stored import Stored
from mindkg.link.words import Words, lemmas

if TYPE_CHECKING:
    from mindkg.link.rows import Order


@dataclass(frozen=True)
class Concept:
    """A concept of an instance: how often it was counted, P(c|e), P(e|c) and Rep (scores.py)."""

    concept: str
    count: int
    p_concept: float
    p_instance: float
    rep: float


@dataclass(frozen=True)
class Found:
    """What a table says of ``phrase``.

    ``instance`` is what it has rows of: the phrase as labels are compared, or where it lacks that the longest of its
    ends; ``known`` is how many concepts it has, ``concepts`` those that were asked for, most often counted first.
    """

    phrase: str
    instance: str
    whole: bool
    known: int
    concepts: tuple[Concept, ...]


def lookup_concepts(
    phrase: str,
    isa: Path | str | None = None,
    *,
    order: Order = "concept-first",
    limit: int = 10,
    cache: Path | None = None,
) -> Found:
    """Return the ``limit`` concepts of ``phrase`` most often counted in the table ``isa`` (None: the shipped one).

    The last word is tried in the singular first, as in linking; where the table lacks the phrase, the longest of its
    ends is taken ("braided usb cable": usb cable). Raises InputError where it has none of them, or where there is
    nothing to look up.
    """
    if limit < 1:
        raise InputError(f"limit cannot be {limit}", hint="It is at least 1")
    words = fold(phrase).split()
    if not words:
        raise InputError("there is no phrase to look up", hint='Give one, such as "usb cable"')
    table = open_isa(isa, order=order, cache=cache)
    instances = Stored(table.folder / "instances.index")
    for first in range(len(words)):
        for form in _forms(words[first:]):
            if rows := instances.rows(form):
                best = sorted((-int(count), str(concept)) for concept, count in rows)
                whole = -sum(count for count, _ in best)
                totals = Stored(table.folder / "concepts.index")
                found = [_scored(concept, -count, whole, totals, table.instances) for count, concept in best[:limit]]
                return Found(phrase, form, first == 0, len(rows), tuple(found))
    ends = f', nor of "{words[-1]}"' if len(words) > 1 else ""
    raise InputError(
        f'{table.name} has no concept of "{" ".join(words)}"{ends}',
        hint="Look for another word, or give a larger table with --isa",
    )


def _scored(concept: str, count: int, instance_total: int, totals: Stored, instances: int) -> Concept:
    ((total, _),) = totals.rows(concept)
    typicality = p_concept(count, instance_total)
    back = p_instance(count, int(total), instances)
    return Concept(concept, count, typicality, back, rep(typicality, back))


def _forms(words: list[str]) -> Iterator[str]:
    """Yield the forms under which linking looks for a phrase: its last word in the singular, as written, and "jean"."""
    head = _nouns().noun_lemma(words[-1])
    for last in dict.fromkeys((head, words[-1], _nouns().other_form(head))):
        yield " ".join([*words[:-1], last])


@cache
def _nouns() -> _Nouns:
    return _Nouns()


class _Nouns(Words):
    """The singular of nouns alone: WordNet's table and, but for words that end in s, spaCy's are not read."""

    def __init__(self) -> None:
        self._lemma: Any = _Lazy("lookup")
        self._plurals = {word: forms[0] for word, forms in lemmas("exc")["noun"].items() if forms[0] != word}
        self._nouns = {}


class _Lazy:
    """A table of lemmas that is read when it is first asked: only words that end in s need it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def get(self, word: str) -> Any:
        return lemmas(self._name).get(word)
