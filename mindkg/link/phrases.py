"""Noun phrases of a text: which words belong together and which word is the head, without a trained model.

The tokens are spaCy's, with words joined by hyphens put back together. What each word is follows from its possible parts
of speech (words.py) and the word before and behind it; a phrase is a run of nouns and what stands in front of them.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa

from mindkg.link import words as w
from mindkg.link.words import Words, prepositional_to, stops

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LONGEST: Final = 5
"""Words of the longest phrase that is looked up."""

_INSIDE: Final = "nagp#o"
"""Tags of words inside a phrase: noun, adjective, -ing form, participle, number, possessive mark."""

PHRASE: Final = pa.struct(
    [("starts", pa.list_(pa.int32())), ("ends", pa.list_(pa.int32())), ("words", pa.string()), ("tags", pa.string())]
)
PARSED: Final = pa.struct([("heads", pa.list_(pa.string())), ("phrases", pa.list_(PHRASE))])


class Phrase(NamedTuple):
    """A noun phrase: code points where its words start and end, the words in lower case, one tag a word."""

    starts: list[int]
    ends: list[int]
    words: list[str]
    tags: str


class Chunker:
    """Tokens, tags and phrases; made once a process."""

    def __init__(self) -> None:
        import spacy

        self._tokenize = spacy.blank("en").tokenizer
        self._words = Words()

    def phrases(self, text: str) -> list[Phrase]:
        """Return the noun phrases of ``text`` in order; a phrase never crosses a mark of punctuation."""
        starts, ends, words = self._tokens(text)
        tags = self._tags(words)
        found = []
        begin = 0
        for i in range(len(tags) + 1):
            here = tags[i] if i < len(tags) else "q"
            alone = here == "G"
            if here in _INSIDE and not alone:
                continue
            if (phrase := _trimmed(starts, ends, words, tags, begin, i)) is not None:
                found.append(phrase)
            if alone:
                found.append(Phrase([starts[i]], [ends[i]], [words[i]], "n"))
            begin = i + 1
        return found

    def noun_lemma(self, word: str) -> str:
        """Return the singular of the lower-case noun ``word``."""
        return self._words.noun_lemma(word)

    def _tokens(self, text: str) -> tuple[list[int], list[int], list[str]]:
        starts: list[int] = []
        ends: list[int] = []
        words: list[str] = []
        glue = False
        for token in self._tokenize(text):
            start, piece = token.idx, token.text
            end = start + len(piece)
            if piece.isspace():
                continue
            if words and start == ends[-1] and (glue or (piece == "-" and words[-1][-1].isalnum())):
                words[-1] += piece.lower()
                ends[-1] = end
            else:
                starts.append(start)
                ends.append(end)
                words.append(piece.lower())
            glue = piece == "-" and words[-1] != "-"
        return starts, ends, words

    def _tags(self, words: Sequence[str]) -> str:
        kinds = [self._words.kind(word) for word in words]
        kinds.append(w.MARK)
        tags = ""
        for i, word in enumerate(words):
            before = tags[-1] if tags else "^"
            if kinds[i] == w.TO:
                tags += "i" if i and prepositional_to(words[i - 1]) else "t"
            elif word in _BOTH and before == "s":
                tags += "s"
            else:
                tags += _FIXED.get(kinds[i]) or self._open_tag(kinds[i], kinds[i + 1], word, before)
        return tags

    def _open_tag(self, kind: str, behind: str, word: str, before: str) -> str:
        """Return the tag of a word of an open class from its neighbours.

        A verb is expected behind "to", a modal and a subject; a noun behind a determiner, adjective or preposition.
        """
        if kind == w.NOUN:
            return "n"
        if kind == w.GERUND:
            return _gerund(behind, before)
        if kind == w.PRESENT:
            return "g" if behind in _NOMINAL and before not in "mse" else "v"
        if kind == w.PARTICIPLE:
            return "p" if behind in _NOMINAL and before not in "ns" else "v"
        if kind == w.ADJECTIVE:
            return "a"
        if kind == w.ADJECTIVE_NOUN:
            return "n" if before in "dai" and behind not in _NOMINAL else "a"
        if kind == w.PLURAL_VERB:
            return "v" if before in "sw" or (before == "n" and (behind in _OBJECT or behind == w.TO)) else "n"
        if before in "mtsw":
            return "v"
        if before in "^cr" and (behind in _OBJECT or self._words.verb_weight(word) > 0.8):
            return "v"
        return "v" if before == "n" and behind in _OBJECT and self._words.verb_weight(word) > 0.3 else "n"


_FIXED: Final = {
    w.DETERMINER: "d",
    w.PREPOSITION: "i",
    w.CONJUNCTION: "c",
    w.MODAL: "m",
    w.BE_HAVE: "e",
    w.SUBJECT: "s",
    w.RELATIVE: "w",
    w.POSSESSIVE: "o",
    w.NUMBER: "#",
    w.MARK: "q",
    w.ADVERB: "r",
    w.VERB: "v",
}
_NOMINAL: Final = frozenset(
    {w.NOUN, w.NOUN_VERB, w.PLURAL_VERB, w.ADJECTIVE, w.ADJECTIVE_NOUN, w.GERUND, w.PRESENT, w.PARTICIPLE, w.NUMBER}
)
_BOTH: Final = frozenset({"both", "all", "each"})
"""Behind a subject these belong to it: "they both feature" has a verb."""

_OBJECT: Final = frozenset({w.DETERMINER, w.SUBJECT})


def _gerund(behind: str, before: str) -> str:
    """Tag an -ing form: alone in front of an object ("cleaning the floor"), inside or ending a phrase, or a verb."""
    if before in "ms":
        return "v"
    if behind in _OBJECT:
        return "G"
    return "g" if behind in _NOMINAL else "n"


def _trimmed(starts: list[int], ends: list[int], words: list[str], tags: str, begin: int, end: int) -> Phrase | None:
    """Return tokens ``begin`` to ``end`` as a phrase that ends in a noun and starts with no mark, None without a noun."""
    while end > begin and tags[end - 1] != "n":
        end -= 1
    while begin < end and tags[begin] in "o#":
        begin += 1
    begin = max(begin, end - _KEPT)
    if begin >= end:
        return None
    return Phrase(starts[begin:end], ends[begin:end], words[begin:end], tags[begin:end])


_KEPT: Final = LONGEST + 2
"""Words of a phrase that are kept: the longest that is looked up, with two stop words behind it."""


def candidates(words: Sequence[str], tags: str, lemma: Callable[[str], str]) -> Iterator[tuple[int, int, str, str]]:
    """Yield (first, behind last, as written, with its last word in the singular) of the parts to look up, best first.

    Longest first, always up to the head; a head that is a stop word counts only inside a longer phrase; then, for a head
    that the table lacks, the same for the nouns in front of it.

    >>> [form for *_, form in candidates(["usb", "extension", "cables"], "nnn", lambda word: word.rstrip("s"))]
    ['usb extension cable', 'extension cable', 'cable', 'usb extension', 'extension', 'usb']
    """
    for end in range(len(words), 0, -1):
        if tags[end - 1] != "n" and not (tags[end - 1] == "g" and end < len(words)):
            continue
        head = lemma(words[end - 1])
        stop = head in stops("head") or words[end - 1] in stops("head")
        for first in range(max(0, end - LONGEST), end):
            if tags[first] in "o#" or words[first] in stops("modifier") or (stop and first == end - 1):
                continue
            front = words[first : end - 1]
            yield first, end, " ".join((*front, words[end - 1])), " ".join((*front, head))


@cache
def chunker() -> Chunker:
    """Return this process's chunker."""
    return Chunker()


def parse(texts: pa.Array) -> pa.Array:
    """Return the heads and phrases of each of ``texts``, type PARSED."""
    tool = chunker()
    heads: list[str] = []
    head_offsets = [0]
    starts: list[int] = []
    ends: list[int] = []
    word_offsets = [0]
    words: list[str] = []
    tags: list[str] = []
    for text in texts.to_pylist():
        for phrase in tool.phrases(text):
            heads.append(tool.noun_lemma(phrase.words[-1]))
            starts += phrase.starts
            ends += phrase.ends
            word_offsets.append(len(starts))
            words.append(" ".join(phrase.words))
            tags.append(phrase.tags)
        head_offsets.append(len(heads))
    offsets = pa.array(word_offsets, pa.int32())
    found = pa.StructArray.from_arrays(
        [
            pa.ListArray.from_arrays(offsets, pa.array(starts, pa.int32())),
            pa.ListArray.from_arrays(offsets, pa.array(ends, pa.int32())),
            pa.array(words, pa.string()),
            pa.array(tags, pa.string()),
        ],
        fields=list(PHRASE),
    )
    outer = pa.array(head_offsets, pa.int32())
    return pa.StructArray.from_arrays(
        [pa.ListArray.from_arrays(outer, pa.array(heads, pa.string())), pa.ListArray.from_arrays(outer, found)],
        fields=list(PARSED),
    )
