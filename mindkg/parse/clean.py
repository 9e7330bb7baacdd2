"""Raw answer → clean text: what a reader would see, without wrappers and tokens (PARSING.md, section 1)."""

from __future__ import annotations

import html
import re
from typing import Final

from mindkg.parse.lexicon import words
from mindkg.parse.mapped import Mapped
from mindkg.parse.structured import unwrap
from mindkg.parse.turns import answer_turn, markers
from mindkg.thoughts import thoughts, without_thoughts

READ: Final = 200_000
"""Code points of an answer that are read: more than any model writes at once, and a second or two of work."""

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\ufff9-\ufffc\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\U000e0000-\U000e0fff"
    "\u2190-\u21ff\u2300-\u23ff\u2460-\u24ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff\u3030\u303d\u3297\u3299"
    "\U0001f000-\U0001faff]"
)
_SPACES = re.compile(r"[^\S\n]*(?:\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029\n])\s*|[^\S\n ]+ *| {2,}[^\S\n]*| [^\S\n]+")
_HYPHEN = re.compile("\u2011")
_BLOCK = re.compile(r"</?(?:br|p|div|li|ul|ol|h[1-6]|tr|table|hr|blockquote)\b[^<>]*>", re.I)
_TAG = re.compile(
    r"<[|｜][^<>\n]{1,40}[|｜]>|</?[A-Za-z][^<>\n]{0,200}>|<!--.*?-->|\[/?INST\]|<<?/?SYS>>?|<!\[CDATA\[|\]\]>|<image>",
    re.S,
)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~)[\w+-]*[ \t]*$|```", re.M)
_LINE_MARK = re.compile(
    r"^[ \t]*(?:>[ \t]?)*(?:#{1,6}[ \t]+|(?:[-*+•‣◦·●▪–—][ \t]+|\(?\d{1,2}[.):][ \t]+"
    r"|\(?[a-hA-H][.)][ \t]+)(?=\S))*(?:>[ \t]?|#{1,6}[ \t]+)*"
    r"(?:\[[ xX]\][ \t]+)?",
    re.M,
)
_RULE = re.compile(r"^[ \t]*(?:[-*_=][ \t]*){3,}$", re.M)
_EMPHASIS = re.compile(
    r"(?<![\w*])(\*{1,3})(?=[^\s*])([^*\n]*[^\s*])\1(?![\w*])|(?<![\w*])\*\*(?=\S)|(?<=\S)\*\*(?![\w*])|\*\*"
)
_UNDERSCORE = re.compile(r"(?<![\w_])(_{1,3})(?=[^\s_])([^_\n]*[^\s_])\1(?![\w_])")
_CODE = re.compile(r"(~~|`+)([^`~\n]+)\1|`")
_LINK = re.compile(r"!?\[([^\]\n]*)\]\((?:https?:|www\.|/|#)[^)\s]*\)")

_QUOTES = {'"': '"', "“": "”", "'": "'", "‘": "’", "«": "»", "「": "」", "”": "”"}
# a sentence without any of these is clean as it stands; the first is the second's part that is scanned fastest
_ASCII_SUSPECT = re.compile("[<>{}\\[\\]`~*_#|\\\\\x00-\x1f\x7f&]")
_SUSPECT = re.compile("[<>{}\\[\\]`~*_#|\\\\\x00-\x1f\x7f-\x9f\xa0\xad\u0300-\U0010ffff&]")


def is_dirty(sentence: str) -> bool:
    """Say whether ``sentence``, which begins with a letter, holds anything that ``clean`` might change."""
    return "  " in sentence or (_ASCII_SUSPECT if sentence.isascii() else _SUSPECT).search(sentence) is not None


def clean(raw: str) -> tuple[Mapped, bool]:
    """Return ``raw`` without wrappers, tokens, marks and needless space; line breaks stay as one ``\\n``.

    The second value says that nobody but the prompt speaks in it.

    >>> clean("**They** are &amp; stay<br/>here</s> ###Human: more")[0].text
    'They are & stay\\nhere'
    """
    if _is_plain(raw):
        return trim(Mapped(raw)), False
    text = Mapped(raw).sub(_ENTITY, lambda m: html.unescape(m.group()))
    if found := thoughts(text.text):
        text = text.replaced(found)
    text = text.sub(_INVISIBLE, "").sub(_HYPHEN, "-")
    text, only_prompt = answer_turn(text)
    text = unwrap(text)
    text = text.sub(_BLOCK, "\n").sub(_TAG, "")
    text = text.sub(
        _SPACES, lambda m: "\n" if any(c in m.group() for c in "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029") else " "
    )
    text = _markdown(text).sub(_WRAP, _unwrapped)
    return unquote(trim(text)), only_prompt


def _is_plain(raw: str) -> bool:
    """Say whether all of ``raw`` are words of the model that are clean as they stand."""
    # "A. Tents" opens with a list mark
    if not raw[:1].isalpha() or raw[1:2] in (".", ")") or is_dirty(raw) or thoughts(raw):
        return False
    return ":" not in raw or markers().search(raw) is None


def without_tokens(raw: str) -> str:
    """Return the words of ``raw``, whoever says them: without thoughts, chat tokens, tags and invisible characters."""
    text = without_thoughts(html.unescape(raw))
    return _INVISIBLE.sub("", _TAG.sub(" ", text))


_WRAP = re.compile(r"\n(?=[a-z])")
_LAST = re.compile(r"([\w'’-]+|,)\Z")


def _unwrapped(match: re.Match[str]) -> str:
    """Return a space for a line break inside a sentence: behind a comma or a word that nothing ends with."""
    last = _LAST.search(match.string[max(0, match.start() - 20) : match.start()])
    goes_on = last and (last.group() == "," or last.group().lower() in words("function_word"))
    return " " if goes_on else "\n"


def _markdown(text: Mapped) -> Mapped:
    text = text.sub(_FENCE, "").sub(_RULE, "").sub(_LINE_MARK, "").sub(_LINK, _inner)
    for pattern in (_EMPHASIS, _UNDERSCORE, _CODE):
        text = _drop_marks(text, pattern)
    return text.sub(_SPACES, lambda m: "\n" if "\n" in m.group() else " ")


def _inner(match: re.Match[str]) -> str:
    return match.group(1)


def _drop_marks(text: Mapped, pattern: re.Pattern[str]) -> Mapped:
    """Drop what stands around group 2 of each match, so that the words between keep their places."""
    for _ in range(3):
        marks: list[tuple[int, int]] = []
        for m in pattern.finditer(text.text):
            if m.lastindex and m.lastindex >= 2:
                marks += [(m.start(), m.start(2)), (m.end(2), m.end())]
            else:
                marks.append(m.span())
        if not marks:
            return text
        text = text.without(marks)
    return text


def trim(text: Mapped) -> Mapped:
    """Return ``text`` without outer white space."""
    stripped = text.text.strip()
    if len(stripped) == len(text.text):
        return text
    start = len(text.text) - len(text.text.lstrip())
    return text.slice(start, start + len(stripped))


_DOUBLED = re.compile(r'"(?=")')


def unquote(text: Mapped) -> Mapped:
    """Undo CSV quoting and drop quotes that go around the whole text."""
    for _ in range(3):
        inner = text.text
        if len(inner) < 2 or inner[0] not in _QUOTES:
            return text
        closing = _QUOTES[inner[0]]
        if inner[0] == '"' and '""' in inner[1:-1]:
            text = text.slice(1, len(inner) - (inner[-1] == '"')).sub(_DOUBLED, "")
        elif inner[-1] == closing and closing not in inner[1:-1] and inner[0] not in inner[1:-1]:
            text = text.slice(1, len(inner) - 1)
        else:
            return text
        text = trim(text)
    return text
