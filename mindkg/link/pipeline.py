"""A trained spaCy pipeline in place of our rules: what each word is, and where noun phrases begin and end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mindkg.errors import InputError
from mindkg.link.words import GERUND, Words

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

_TAGS: Final = {
    "NOUN": "n",
    "PROPN": "n",
    "ADJ": "a",
    "NUM": "#",
    "DET": "d",
    "ADP": "i",
    "SCONJ": "w",
    "CCONJ": "c",
    "AUX": "e",
    "PRON": "s",
    "ADV": "r",
    "VERB": "v",
    "PART": "t",
    "PUNCT": "q",
}
"""Tags of phrases.py by universal part of speech."""

_HINT: Final = "Give the folder of a trained pipeline, or the name of one that is installed"
_MODIFIES: Final = frozenset({"amod", "compound"})


class Tagged(NamedTuple):
    """Tokens of a text as phrases.Chunker has them, a tag for each, and the places between which a phrase lies."""

    starts: list[int]
    ends: list[int]
    words: list[str]
    tags: str
    cuts: list[int]


def check_pipeline(name: str) -> None:
    """Raise InputError where no pipeline ``name`` is installed or in that folder, without loading it."""
    if (Path(name) / "config.cfg").is_file() or (name.isidentifier() and find_spec(name) is not None):
        return
    raise InputError(f"no spaCy pipeline {name}", hint=_HINT)


class Pipeline:
    """A trained pipeline by its name or folder.

    Raises InputError where spaCy cannot open it, and for texts where it does not say what part of speech a word is.
    """

    def __init__(self, name: str, words: Words) -> None:
        import spacy

        try:
            self._nlp = spacy.load(name, exclude=["ner", "lemmatizer"])
        except (OSError, ValueError) as error:
            raise InputError(f"no spaCy pipeline {name}", hint=_HINT) from error
        self._name = name
        self._kind = words.kind

    def read(self, texts: Iterable[str]) -> Iterator[Tagged]:
        """Yield the tokens of each of ``texts``, words joined by hyphens put back together."""
        for doc in self._nlp.pipe(texts):
            if len(doc) and not doc.has_annotation("POS"):
                hint = "Give one with a tagger or morphologizer, and an attribute ruler"
                raise InputError(f"the spaCy pipeline {self._name} gives no parts of speech", hint=hint)
            yield self._tagged(doc)

    def _tagged(self, doc: Doc) -> Tagged:
        starts: list[int] = []
        ends: list[int] = []
        words: list[str] = []
        tags: list[str] = []
        place: dict[int, int] = {}
        glue = False
        for token in doc:
            place[token.i] = len(words)
            if token.is_space:
                continue
            word, start, end = token.text.lower(), token.idx, token.idx + len(token)
            if words and start == ends[-1] and (glue or (word == "-" and words[-1][-1].isalnum())):
                place[token.i] = len(words) - 1
                words[-1], ends[-1] = words[-1] + word, end
                glue = word == "-"
                tags[-1] = tags[-1] if glue else self._tag(token)
            else:
                starts.append(start)
                ends.append(end)
                words.append(word)
                tags.append(self._tag(token))
                glue = False
        place[len(doc)] = len(words)
        return Tagged(starts, ends, words, "".join(tags), _cuts(doc, place, len(words)))

    def _tag(self, token: Token) -> str:
        behind: Any = token.doc[token.i + 1] if token.i + 1 < len(token.doc) else None
        if token.pos_ == "VERB":
            if token.dep_ in _MODIFIES:
                return "g" if token.lower_.endswith("ing") else "p"
            if behind is not None and behind.pos_ in {"DET", "PRON"} and self._kind(token.lower_) == GERUND:
                return "G"
        if token.pos_ == "PART" and token.lower_ in {"'s", "'", "\u2019s", "\u2019"}:
            return "o"
        if token.pos_ == "PRON" and "Yes" in token.morph.get("Poss", []):
            return "d"
        return _TAGS.get(token.pos_, "q")


def _cuts(doc: Doc, place: dict[int, int], size: int) -> list[int]:
    """Return where the pipeline's noun chunks begin and end, in tokens; the whole text where it has no parser."""
    cuts = {0, size}
    if doc.has_annotation("DEP"):
        cuts.update(place[edge] for chunk in doc.noun_chunks for edge in (chunk.start, chunk.end))
    return sorted(cuts)
