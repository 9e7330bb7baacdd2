"""The filter's free text → yes, no or unparsable (PARSING.md, section 7)."""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

from mindkg.parse.clean import READ, clean
from mindkg.parse.intention import refuses
from mindkg.parse.language import is_foreign, may_be_foreign
from mindkg.parse.result import ParsedVerdict
from mindkg.parse.structured import booleans
from mindkg.parse.turns import echo, markers
from mindkg.parse.wordings import pattern, table
from mindkg.thoughts import without_thoughts

_VISIBLE = re.compile(r"[^\W_]")
_FAST = re.compile(r"(Yes|No)(?:\Z|(?=[.,!;:](?:[ \n]|\Z)))")
_FIELD = re.compile(
    r"^(?:final[ _]?)?(?:answer|verdict|output|decision|result|response|label|judge?ment"
    r"|prediction|encourage[sd]?|would_encourage.*|yes_or_no|choice|value|agree(?:ment)?"
    r"|would_buy.*|buy_both|is_.*|accept(?:ed)?)$",
    re.I,
)
_TAGGED = re.compile(
    r"<(answer|verdict|output|decision|result|response|final_answer|final)>\s*(.*?)\s*(?:</\1>|\Z)", re.I | re.S
)
_SIGNS = re.compile(r"[{<]|&lt|\[/?INST|###")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*")
_LEAD = re.compile(r"[\s\"'“”‘’*_#>()\[\]`.,:;!-]*")
_GOES_ON = re.compile(r"[\s\"'”’*_)\]]*(?:\Z|[.,!;:\n–—-]|\s)")
_NO_NOUN = re.compile(r"[ \t]+(?P<next>[^\W\d_][\w'’-]*)")
_ONLY_QUESTION = re.compile(r"[^.!?\n]*\?\s*\Z")
_LAST_WORD = re.compile(r"[,;–—-]\s*(?:(?:so|thus|hence|therefore|then)\s+)?[\"'“]?(yes|no)[\"'”]?[\s.!]*\Z", re.I)
_NOT_SAID = re.compile(r"\b(?:or|and|not|never|neither|either|maybe|perhaps|say|with|between)\s*[\"'“]?\s*\Z", re.I)
# the question and how to answer it, without an answer
_ONLY_ECHO = re.compile(
    r"[^.!?\n]*\?\s*(?:please\s+)?(?:answer|output|respond|reply|say|choose)\b[^.?!:,\n]*[.?!]?\s*\Z"
    r"|(?:[^.!?\n]*\?)?[\s\"'“(]*(?:(?:please\s+)?(?:answer|output|respond|reply|say|choose)\b[^.?!:,\n]{0,30}\s)?[\"'“]?yes"
    r"[\"'”]?(?:,?\s+or\s+|\s*/\s*)[\"'“]?no\b[^.?!:,\n]{0,40}[.?!]?\s*\Z",
    re.I,
)


def parse_verdict(text: str) -> ParsedVerdict:
    """Return what the filter decided in ``text``, and by which rule.

    >>> parse_verdict("Yes. However, I would not."), parse_verdict("It depends.")
    (ParsedVerdict(verdict='yes', reason='start'), ParsedVerdict(verdict='unparsable', reason='hedge'))
    """
    text = without_thoughts(text[:READ])
    fast = _FAST.match(text)
    if fast and not _structured(text) and (":" not in text or markers().search(text) is None):
        behind = text[fast.end() : 200]
        if may_be_foreign(behind) and is_foreign(text):
            return _unparsable("wrong_language")
        return _verdict(fast.group(1).lower() == "yes", "start")
    return _read(text)


def _structured(text: str) -> bool:
    signs = "<" in text or "{" in text or "[" in text or "#" in text or "&" in text
    return signs and _SIGNS.search(text) is not None


def _verdict(yes: bool, reason: str) -> ParsedVerdict:
    return ParsedVerdict("yes" if yes else "no", reason)


def _unparsable(reason: str) -> ParsedVerdict:
    return ParsedVerdict("unparsable", reason)


def _read(raw: str) -> ParsedVerdict:
    if (found := _field(raw)) is not None:
        return found
    tagged = _TAGGED.search(raw)
    view, only_prompt = clean(tagged.group(2) if tagged and _VISIBLE.search(tagged.group(2)) else raw)
    text = view.text
    if not _VISIBLE.search(text):
        return _unparsable("empty")
    if only_prompt:
        return _unparsable("prompt_echo")
    text = _beyond_echo(text)
    if not _VISIBLE.search(text):
        return _unparsable("prompt_echo")
    return _decide(text)


def _field(raw: str) -> ParsedVerdict | None:
    """Return the verdict in the answer field of an object, where there is one."""
    fields = booleans(raw) if "{" in raw else {}
    named = [v for k, v in fields.items() if _FIELD.match(k.strip())] or (
        list(fields.values()) if len(fields) == 1 else []
    )
    for value in (*named, *(v for v in fields.values() if isinstance(v, bool))):
        if isinstance(value, bool):
            return _verdict(value, "json")
        if isinstance(value, str) and (found := _explicit(value, _skip_labels(value))):
            return _verdict(found == "yes", "json")
        if isinstance(value, int) and value in (0, 1):
            return _verdict(bool(value), "json")
    return None


def _beyond_echo(text: str) -> str:
    echoes = list(echo().finditer(text))
    if not echoes:
        return text
    last = echoes[-1]
    if re.compile(r"for example, the output should be", re.I).match(text, last.start()):
        m = re.compile(
            r"for example, the output should be\s+[\"'“]?yes,?\s*(?:\.\.\.|…)?[\"'”]?\s+or\s+[\"'“]?no,?\s*(?:\.\.\."
            r"|…)?[\"'”.]*",
            re.I,
        ).match(text, last.start())
        return text[m.end() :] if m else text[last.end() :]
    mark = re.compile(r"[.?!](?=\s|\Z)|\n").search(text, last.end())
    return text[mark.end() :] if mark else ""


@cache
def _pattern(name: str, template: str = r"(?<![\w'’-]){}(?![\w-])") -> re.Pattern[str]:
    return pattern("verdict", name, template)


@cache
def _determiner_exceptions() -> frozenset[str]:
    return frozenset(table()["verdict"]["no_noun_except"].split())


def _skip_labels(text: str) -> int:
    at = 0
    while True:
        lead = _LEAD.match(text, at)
        at = lead.end() if lead else at
        m = _pattern("labels", r"{}").match(text, at)
        if m is None or m.end() == at or not _VISIBLE.search(text, m.end()):
            return at
        at = m.end()


def _explicit(text: str, at: int) -> Literal["yes", "no", "hedge"] | None:
    """Return the explicit verdict that stands at ``at``, if one does."""
    if _pattern("hedges").match(text, at):
        return "hedge"
    no, yes = _pattern("no").match(text, at), _pattern("yes").match(text, at)
    if no and (yes is None or no.end() >= yes.end()) and not _is_determiner(text, no):
        return "no"
    if yes and _plain_yes(text, yes):
        return "yes"
    return None


def _is_determiner(text: str, no: re.Match[str]) -> bool:
    if no.group().lower() != "no":
        return False
    behind = _NO_NOUN.match(text, no.end())
    if behind is None:
        return False
    word = behind.group("next").replace("’", "'")
    return word[0].islower() and word.lower() not in _determiner_exceptions()


_ALONE = frozenset(
    [
        "sure",
        "likely",
        "probably",
        "true",
        "correct",
        "positive",
        "indeed",
        "totally",
        "most likely",
        "very likely",
        "most probably",
    ]
)


def _plain_yes(text: str, yes: re.Match[str]) -> bool:
    """Say whether a word that has other uses stands for a yes here ("sure", "likely" behind nothing else)."""
    behind = text[yes.end() :].lstrip("\"'*”’)")
    return yes.group().lower() not in _ALONE or not behind or behind[0] in ".,!;:\n–—-"


def _decide(text: str) -> ParsedVerdict:
    if _ONLY_ECHO.fullmatch(text):
        return _unparsable("prompt_echo")
    at = _skip_labels(text)
    first = _explicit(text, at)
    if is_foreign(text):
        return _unparsable("wrong_language")
    if first in ("yes", "no"):
        return _verdict(first == "yes", "start")
    sentences = [s for s in _SENTENCE.findall(text) if _VISIBLE.search(s)]
    if refuses(sentences[0]) and not _inside(text):
        return _unparsable("refusal")
    if len(sentences) > 1 and (last := _explicit(sentences[-1], _skip_labels(sentences[-1]))) in ("yes", "no"):
        return _verdict(last == "yes", "end")
    if (said := _LAST_WORD.search(text)) and not _NOT_SAID.search(text[: said.start()]):
        return _verdict(said.group(1).lower() == "yes", "end")
    _, colon, behind = sentences[-1].rpartition(":")
    if (
        colon
        and (last := _explicit(behind, _skip_labels(behind))) in ("yes", "no")
        and not _ONLY_ECHO.fullmatch(behind)
    ):
        return _verdict(last == "yes", "end")
    if inside := _inside(text):
        return _verdict(inside == "yes", "statement")
    if first == "hedge" or (
        _pattern("hedges").search(text)
        and not _pattern("stance_yes").search(text)
        and not _pattern("stance_no").search(text)
    ):
        return _unparsable("hedge")
    stance = _stance(text)
    if stance:
        return _verdict(stance == "yes", "stance")
    if _ONLY_QUESTION.fullmatch(text):
        return _unparsable("prompt_echo")
    return _unparsable("refusal" if refuses(text) else "no_stance")


def _inside(text: str) -> Literal["yes", "no"] | None:
    """Return the last verdict that a statement names ("I would say yes")."""
    found: list[tuple[int, Literal["yes", "no"]]] = []
    for m in _pattern("statement_yes").finditer(text):
        if not re.match(r"[\"'”’]?\s+(?:or|and|/)\s+[\"']?no\b", text[m.end() :], re.I):
            found.append((m.start(), "yes"))
    for m in _pattern("statement_no").finditer(text):
        if not _NO_NOUN.match(text, m.end()) or not _is_noun_behind(text, m.end()):
            found.append((m.start(), "no"))
    return max(found)[1] if found else None


def _is_noun_behind(text: str, at: int) -> bool:
    behind = _NO_NOUN.match(text, at)
    return (
        bool(behind)
        and behind is not None
        and behind.group("next")[0].islower()
        and behind.group("next").replace("’", "'") not in _determiner_exceptions()
    )


def _stance(text: str) -> Literal["yes", "no"] | None:
    no = _pattern("stance_no").search(text)
    yes = _pattern("stance_yes").search(text)
    if no and yes:
        # "would not encourage me" holds "encourage me": the earlier one says it, a tie is a no
        return "no" if no.start() <= yes.start() else "yes"
    return "no" if no else "yes" if yes else None
