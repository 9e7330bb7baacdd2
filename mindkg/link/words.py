"""What a word can be: its possible parts of speech and its lemma, from tables alone.

Tables: WordNet's tag counts by part of speech (wordnet/words.tsv.gz), spaCy's lemma look-ups, closed.tsv.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from mindkg.errors import InputError
from mindkg.link.folding import fold
from mindkg.paths import check_utf8

_HERE: Final = Path(__file__).parent

NOUN, NOUN_VERB, PLURAL_VERB, ADJECTIVE, ADJECTIVE_NOUN = "N", "X", "Z", "A", "B"
GERUND, PARTICIPLE, ADVERB, VERB, NUMBER, MARK = "G", "P", "R", "V", "#", "Q"
DETERMINER, PREPOSITION, CONJUNCTION, TO, MODAL, BE_HAVE = "D", "I", "C", "T", "M", "E"
SUBJECT, RELATIVE, POSSESSIVE, PRESENT = "S", "W", "O", "F"
"""GERUND is an -ing form that is a noun as well ("cooking"), PRESENT one that is a verb only ("providing")."""

_CLASSES: Final = {
    "determiner": DETERMINER,
    "preposition": PREPOSITION,
    "conjunction": CONJUNCTION,
    "to": TO,
    "modal": MODAL,
    "be_have": BE_HAVE,
    "subject": SUBJECT,
    "relative": RELATIVE,
    "possessive": POSSESSIVE,
}


_ADDRESS: Final = re.compile(r"^www\.|://|@|\w\.(?:com|net|org)\b")
"""Addresses on the web: where things are sold, never what they are."""


def table(path: Path) -> Iterator[list[str]]:
    """Yield the fields of each line of a TSV file of ours; lines that begin with ``#`` are comments."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("# "):
                yield line.rstrip("\n").split("\t")


@cache
def stops(kind: str) -> frozenset[str]:
    """Return the words of stops.tsv of ``kind`` (head, end, modifier or title)."""
    return frozenset(word for word, of, _ in table(_HERE / "stops.tsv") if of == kind)


@cache
def vague_concepts() -> frozenset[str]:
    """Return the labels of vague.tsv; one that ends in ``*`` stands for all that begin so."""
    return frozenset(label for label, _ in table(_HERE / "vague.tsv"))


def own_vague_concepts(path: Path) -> frozenset[str]:
    """Return the labels of a user's list in the form of vague.tsv, folded as those of isA tables are.

    One label a line; what stands behind a tab and lines that begin with ``# `` are remarks. Raises InputError where
    the file cannot be read.
    """
    check_utf8(path.absolute())  # the manifest names it
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        hint = "Give a text file of UTF-8 with one concept a line"
        raise InputError("cannot read the vague concepts", record=str(path), hint=hint) from error
    labels = (fold(line.split("\t")[0]) for line in lines if not line.startswith("# "))
    return frozenset(label for label in labels if label)


def prepositional_to(before: str) -> bool:
    """Return whether "to" after the word ``before`` takes a noun ("related to shoes").

    >>> prepositional_to("related"), prepositional_to("used")
    (True, False)
    """
    return before in _before_to()


@cache
def _plural_only() -> frozenset[str]:
    return frozenset(word for word, of in table(_HERE / "closed.tsv") if of == "plural_only")


@cache
def _plural_same() -> frozenset[str]:
    return frozenset(word for word, of in table(_HERE / "closed.tsv") if of == "plural_same")


@cache
def _before_to() -> frozenset[str]:
    return frozenset(word for word, of in table(_HERE / "closed.tsv") if of == "before_to")


@cache
def lemmas(name: str) -> dict[str, Any]:
    """Return a table of spaCy's English lemmas, ``lookup`` or ``exc``; spaCy itself takes a second to import.

    Raises InputError where the package that has them is not installed.
    """
    package = find_spec("spacy_lookups_data")
    if package is None or not package.submodule_search_locations:
        raise InputError("the package spacy-lookups-data is not installed", hint="pip install spacy-lookups-data")
    path = Path(package.submodule_search_locations[0]) / "data" / f"en_lemma_{name}.json.gz"
    with gzip.open(path, "rb") as file:
        tables: dict[str, Any] = json.load(file)
    return tables


class Words:
    """The word tables, loaded once a process."""

    def __init__(self) -> None:
        self._lemma = lemmas("lookup")
        irregular = lemmas("exc")
        self._plurals: dict[str, str] = {w: forms[0] for w, forms in irregular["noun"].items() if forms[0] != w}
        self._past: dict[str, str] = {
            w: forms[0] for w, forms in irregular["verb"].items() if forms[0] != w and not w.endswith(("s", "ing"))
        }
        self._parts = {
            w: (int(n), int(v), int(a), int(r)) for w, n, v, a, r in table(_HERE / "wordnet" / "words.tsv.gz")
        }
        self._kinds = {word: _CLASSES[of] for word, of in table(_HERE / "closed.tsv") if of in _CLASSES}
        self._nouns: dict[str, str] = {}

    def kind(self, word: str) -> str:
        """Return what the lower-case ``word`` can be, one of the constants above."""
        known = self._kinds.get(word)
        if known is None:
            known = self._kinds[word] = self._classify(word)
        return known

    def noun_lemma(self, word: str) -> str:
        """Return the singular of the lower-case noun ``word``."""
        known = self._nouns.get(word)
        if known is None:
            known = self._nouns[word] = self._singular(word)
        return known

    def verb_weight(self, word: str) -> float:
        """Return how often the word is a verb among its uses as noun and verb, 0 to 1."""
        n, v, *_ = self._parts.get(word) or self._parts.get(self._lemma.get(word, word)) or (1, 0, 0, 0)
        return v / max(n + v, 1)

    def other_form(self, word: str) -> str:
        """Return the singular of a lower-case noun that means the same in the plural ("jeans"), else ``word``."""
        if word not in _plural_same():
            return word
        return word[:-2] if word.endswith("sses") else word[:-1]

    def _singular(self, word: str) -> str:
        if word in _plural_only():
            return word
        if word.endswith("women"):
            return word[:-2] + "an"
        if word in self._plurals:
            return self._plurals[word]
        if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
            return word
        if found := self._lemma.get(word):
            return str(found)
        if word.endswith("ies") and len(word) > 4:
            return word[:-3] + "y"
        return word[:-2] if word.endswith(("ches", "shes", "xes", "sses")) else word[:-1]

    def _classify(self, word: str) -> str:
        if not any(c.isalpha() for c in word):
            return NUMBER if any(c.isdigit() for c in word) else MARK
        if _ADDRESS.search(word):
            return MARK
        if "-" in word:
            return self._hyphened(word)
        lemma = self._lemma.get(word, word)
        base = self._parts.get(lemma, (1, 0, 0, 0))
        own = self._parts.get(word)
        if word.endswith("ing") and base[1] and (lemma != word or self._lemma.get(word)):
            return GERUND if own and own[0] and own[0] >= own[2] else PRESENT
        verb = (
            self._parts.get(self._past.get(word, lemma), (1, 0, 0, 0))[1] if word != lemma or word in self._past else 0
        )
        if (word.endswith("ed") or word in self._past) and (own is None or 3 * own[0] < max(verb, 1)):
            if own and own[2] > 1 and own[2] >= own[1]:
                return ADJECTIVE
            return PARTICIPLE if (self._past.get(word) or base[1]) else ADJECTIVE
        if own:
            return _open_kind(*own)
        if word.endswith("s") and lemma != word:
            return (PLURAL_VERB if base[0] else VERB) if base[1] else NOUN
        if word.endswith(("er", "est")) and lemma != word and base[2]:
            return ADJECTIVE
        return ADVERB if word.endswith("ly") and len(word) > 4 else NOUN

    def _hyphened(self, word: str) -> str:
        last = word.rsplit("-", 1)[1]
        kind = self.kind(last) if last else NUMBER
        if kind in {PARTICIPLE, ADJECTIVE, GERUND, PREPOSITION, VERB} or word[0].isdigit():
            return ADJECTIVE
        if word.split("-", 1)[0] in {"high", "low", "long", "non", "anti", "multi", "full", "all"}:
            return ADJECTIVE
        return NOUN


def _open_kind(noun: int, verb: int, adjective: int, adverb: int) -> str:
    if not noun:
        if verb >= max(adjective, adverb):
            return VERB
        return ADJECTIVE if adjective >= adverb else ADVERB
    if adverb > 2 * (noun + verb + adjective):
        return ADVERB
    if adjective > noun and adjective >= verb:
        return ADJECTIVE_NOUN if noun * 4 > adjective else ADJECTIVE
    if verb > 20 * noun:
        return VERB
    return NOUN_VERB if verb else NOUN
