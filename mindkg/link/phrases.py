"""Noun phrases of a text: which words belong together and which word is the head, without a trained model.

The tokens are spaCy's, with words joined by hyphens put back together. What each word is follows from its possible
parts of speech (words.py) and its neighbours; a phrase is a run of nouns and what stands in front of them.
"""

from __future__ import annotations

import re
from functools import cache, cached_property
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa

from mindkg.link import words as w
from mindkg.link.pipeline import Pipeline, Tagged
from mindkg.link.words import Words, prepositional_to, stops

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LONGEST: Final = 5
"""Words of the longest phrase that is looked up."""

_PHRASE: Final = re.compile("(?![o#])[nagp#o]*n|G")
"""A phrase in tags: nouns with adjectives, -ing forms, participles, numbers and possessive marks in front of them, and
an -ing form with an object behind it."""

_MARKS: Final = frozenset("<>&|*\\")
_MARKUP: Final = re.compile(
    r"(?:&#39;|&#x27;|&apos;|&rsquo;)(?P<own>s?)"
    r"|(?:<|&lt;|\\u003c)\\?/?[a-z]\w*/?(?:>|&gt;|\\u003e?|$)|&#?\w+;|&nbsp|\\[nrt]\b|[|*>\\]+|<",
    re.IGNORECASE,
)
"""What LLaVA and shops leave in a text: tags, entities, escapes. Without blanks around it spaCy takes it for a word."""

NAME: Final = "N"
"""Tag of the last word of a phrase that ends as names do: in two nouns with capitals ("Star Trek")."""

_SMALL: Final = re.compile(r"(?:\b[a-z]{4}.*?){2}", re.DOTALL)
"""Two words of four letters or more without capital ones, so that capitals tell names: not in a heading, where each
word of that length has one."""

_REMEMBERED: Final = 100_000
"""Pieces between spaces whose tokens are kept at hand."""

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


class _Word(NamedTuple):
    """A token of a piece between spaces: where it starts and ends there, its lower case, what it can be (words.py)."""

    start: int
    end: int
    word: str
    kind: str


_Token = tuple[int, int, str]
"""Where a token of a piece starts and ends there, and its lower case."""


class Chunker:
    """Tokens, tags and phrases; made once a process. A trained pipeline finds the phrases if one is named."""

    def __init__(self, pipeline: str | None = None) -> None:
        self._words = Words()
        self._pipeline = Pipeline(pipeline, self._words) if pipeline else None
        self._known: dict[str, tuple[_Word, ...]] = {}

    @cached_property
    def _tokenize(self) -> Callable[[str], Any]:
        # imported by those who read texts only: a second, and 100 MB
        import spacy

        return spacy.blank("en").tokenizer

    def phrases(self, text: str) -> list[Phrase]:
        """Return the noun phrases of ``text`` in order; a phrase never crosses a mark of punctuation."""
        return next(self.all_phrases([text]))

    def all_phrases(self, texts: Sequence[str]) -> Iterator[list[Phrase]]:
        """Yield the noun phrases of each of ``texts``."""
        read = self._pipeline.read(texts) if self._pipeline else map(self._tagged, texts)
        yield from map(_found, texts, read)

    def tagged(self, text: str) -> tuple[list[str], str]:
        """Return the tokens of ``text`` in lower case, and a tag for each."""
        _, _, words, tags, _ = self._tagged(text)
        return words, tags

    def _tagged(self, text: str) -> Tagged:
        starts, ends, words, kinds = self._read(text)
        return Tagged(starts, ends, words, self._tags(words, kinds), [0, len(words)])

    def noun_lemma(self, word: str) -> str:
        """Return the singular of the lower-case noun ``word``."""
        return self._words.noun_lemma(word)

    def other_form(self, word: str) -> str:
        """Return the singular of a lower-case noun that means the same in the plural ("jeans"), else ``word``."""
        return self._words.other_form(word)

    def is_open(self, word: str) -> bool:
        """Return whether the lower-case ``word`` is of an open class: a noun, verb, adjective or the like."""
        return self._words.kind(word) in _OPEN

    def tokens(self, text: str) -> tuple[list[int], list[int], list[str]]:
        """Return where each token starts and ends, and its lower case; words joined by hyphens are one token."""
        return self._read(text)[:3]

    def _read(self, text: str) -> tuple[list[int], list[int], list[str], list[str]]:
        """Return tokens, and what each can be.

        spaCy cuts a text at white space before all else, so each piece between spaces is asked for once.
        """
        starts: list[int] = []
        ends: list[int] = []
        words: list[str] = []
        kinds: list[str] = []
        known = self._known
        place = 0
        for piece in text.split(" "):
            for start, end, word, kind in known.get(piece) or self._learn(piece):
                starts.append(place + start)
                ends.append(place + end)
                words.append(word)
                kinds.append(kind)
            place += len(piece) + 1
        return starts, ends, words, kinds

    def _learn(self, piece: str) -> tuple[_Word, ...]:
        """Return the tokens of what stands between two spaces, words joined by hyphens put back together."""
        found: list[tuple[int, int, str]] = []
        glue = False
        for start, stop, text in self._plain(piece, 0) if _MARKS.isdisjoint(piece) else self._tokens(piece):
            begin, end, before = found[-1] if found else (0, -1, "")
            if start == end and (glue or (text == "-" and before[-1].isalnum())):
                found[-1] = (begin, stop, before + text)
                glue = text == "-"
            else:
                found.append((start, stop, text))
                glue = False
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        kind = self._words.kind
        self._known[piece] = words = tuple(_Word(*one, kind(one[2])) for one in found)
        return words

    def _tokens(self, piece: str) -> Iterator[_Token]:
        """Yield spaCy's tokens; what is left of HTML and of escapes is a mark each."""
        place = 0
        for markup in _MARKUP.finditer(piece):
            begin, end = markup.span()
            yield from self._plain(piece[place:begin], place)
            yield begin, end, f"'{markup['own']}" if markup["own"] is not None else "|"
            place = end
        yield from self._plain(piece[place:], place)

    def _plain(self, piece: str, place: int) -> list[_Token]:
        tokens = self._tokenize(piece) if piece else ()
        spans = ((place + token.idx, token.text) for token in tokens)
        return [(start, start + len(text), text.lower()) for start, text in spans if not text.isspace()]

    def _tags(self, words: Sequence[str], kinds: list[str]) -> str:
        kinds = [*kinds, w.MARK]
        tags: list[str] = []
        before = "^"
        for i, kind in enumerate(kinds[:-1]):
            if kind == w.TO:
                before = "i" if i and prepositional_to(words[i - 1]) else "t"
            elif not (before in "se" and words[i] in _BOTH):
                before = _FIXED.get(kind) or self._open_tag(kind, kinds[i + 1], words[i], before)
            tags.append(before)
        return "".join(tags)

    def _open_tag(self, kind: str, behind: str, word: str, before: str) -> str:
        """Return the tag of a word of an open class from its neighbours.

        A verb is expected behind "to", a modal and a subject; a noun behind a determiner, adjective or preposition.
        """
        if kind == w.GERUND:
            return _gerund(behind, before)
        if kind == w.PRESENT:
            if before == "i" and behind == w.MARK:
                return "n"
            return "g" if behind in _NOMINAL and before not in "mse" else "v"
        if kind == w.PARTICIPLE:
            return "p" if behind in _NOMINAL and before not in "ns" else "v"
        if kind == w.ADJECTIVE_NOUN:
            return "n" if before in "dai" and behind not in _NOMINAL else "a"
        if kind == w.PLURAL_VERB:
            return "v" if before in "sw" or (before == "n" and (behind in _OBJECT or behind == w.TO)) else "n"
        if before in "mtsw":
            return "v"
        if before in "^cr" and (behind in _OBJECT or self._words.verb_weight(word) > 0.8):
            return "v"
        return "v" if before == "n" and behind in _OBJECT and self._words.verb_weight(word) > 0.3 else "n"


def _found(text: str, tagged: Tagged) -> list[Phrase]:
    starts, ends, words, tags, cuts = tagged
    found = []
    for match in chain.from_iterable(_PHRASE.finditer(tags, *part) for part in pairwise(cuts)):
        begin, end = match.span()
        begin = max(begin, end - _KEPT)
        kept = tags[begin:end] if end - begin > 1 else "n"
        if kept[-2:] == "nn" and all(text[start].isupper() for start in starts[end - 2 : end]) and _SMALL.search(text):
            kept = kept[:-1] + NAME
        found.append(Phrase(starts[begin:end], ends[begin:end], words[begin:end], kept))
    return found


_FIXED: Final = {
    w.NOUN: "n",
    w.ADJECTIVE: "a",
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
"""Behind a subject or a form of be these change nothing: "they both feature" has a verb, "are both safe" none."""

_OPEN: Final = _NOMINAL | {w.VERB}

_OBJECT: Final = frozenset({w.DETERMINER, w.SUBJECT})


def _gerund(behind: str, before: str) -> str:
    """Tag an -ing form: alone in front of an object ("cleaning the floor"), inside or ending a phrase, or a verb."""
    if before in "ms":
        return "v"
    if behind in _OBJECT:
        return "G"
    return "g" if behind in _NOMINAL else "n"


_KEPT: Final = LONGEST + 2
"""Words of a phrase that are kept: the longest that is looked up, with two stop words behind it."""


def candidates(words: Sequence[str], tags: str, lemma: Callable[[str], str]) -> Iterator[tuple[int, int, str, str]]:
    """Yield (first, behind last, as written, with its last word in the singular) of the parts to look up, best first.

    Longest first, always up to the head; a head that is a stop word or a letter counts only inside a longer phrase;
    then, for a head that the table lacks, the same for the nouns in front of it.

    >>> [form for *_, form in candidates(["usb", "extension", "cables"], "nnn", lambda word: word.rstrip("s"))]
    ['usb extension cable', 'extension cable', 'cable', 'usb extension', 'extension', 'usb']
    """
    for end in range(len(words), 0, -1):
        if tags[end - 1] not in ("n", NAME) and not (tags[end - 1] == "g" and end < len(words)):
            continue
        head = lemma(words[end - 1])
        stop = head in stops("head") or words[end - 1] in stops("head") or head in stops("end") or len(head) == 1
        for first in range(max(0, end - LONGEST), end):
            if tags[first] in "o#" or words[first] in stops("modifier") or (stop and first == end - 1):
                continue
            front = words[first : end - 1]
            singular = " ".join((*front, head))
            if singular not in stops("head"):
                yield first, end, " ".join((*front, words[end - 1])), singular
                if (other := chunker().other_form(head)) != head:
                    yield first, end, " ".join((*front, other)), " ".join((*front, other))


@cache
def chunker(pipeline: str | None = None) -> Chunker:
    """Return this process's chunker; with the trained ``pipeline`` of spaCy, by name or folder, if it is given."""
    return Chunker(pipeline)


def parse(texts: pa.Array, pipeline: str | None = None) -> pa.Array:
    """Return the heads and phrases of each of ``texts``, type PARSED; ``pipeline`` as in chunker."""
    tool = chunker(pipeline)
    heads: list[str] = []
    head_offsets = [0]
    starts: list[int] = []
    ends: list[int] = []
    word_offsets = [0]
    words: list[str] = []
    tags: list[str] = []
    for phrases in tool.all_phrases(texts.to_pylist()):
        for phrase in phrases:
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
