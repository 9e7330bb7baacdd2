"""What a model thinks before it answers, by the delimiters of ontology/thoughts.toml: the one place that removes it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from string import ascii_letters
from typing import Any, Final, NamedTuple

from mindkg.resources import data_folder

_ROLES: Final = ("open", "weak", "close", "end", "whole")
_WORDS: Final = 4
"""Words from which on a box holds a whole answer; what is shorter may complete the sentence around it."""

_DOLLARS: Final = re.compile(r"\$+|\\+[()\[\]]")
_BRACE: Final = re.compile(r"[{}]")
_SENTENCE: Final = re.compile(r"[.!?][\"'”’)*]{0,3}\s+|\n")


class Thought(NamedTuple):
    """Where a thought stands in a text, delimiters included, and what separates the words around it without it."""

    start: int
    end: int
    instead: str = "\n"


@dataclass(frozen=True, slots=True)
class Delimiters:
    """One way of writing thoughts: regular expressions, with NAME where one of ``names`` stands.

    ``open`` begins a thought. ``close`` ends it, and without an ``open`` before it all of the text before it is a
    thought. ``end`` ends only the thought it stands in; ``weak`` begins one only where it ends; ``whole`` is all of a
    thought. Each match contains one of ``signs`` or begins the text with one of ``starts``.
    """

    open: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    close: tuple[str, ...] = ()
    end: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    signs: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads((data_folder("ontology") / "thoughts.toml").read_text("utf-8"))


@cache
def delimiters() -> tuple[Delimiters, ...]:
    """Return the table of delimiters, those with NAME first."""
    rows = (*_table()["forms"], *_table()["formats"])
    return tuple(Delimiters(**{name: tuple(entries) for name, entries in row.items()}) for row in rows)


def names() -> tuple[str, ...]:
    """Return the regular expressions of the names of thoughts."""
    return tuple(_table()["names"])


@cache
def _signs() -> tuple[tuple[str, ...], tuple[tuple[str, str], ...], frozenset[str], re.Pattern[str]]:
    """Return the signs of all rows without those that contain another one, and the pattern of all starts.

    First come signs of one character, then longer ones, each after its rarest character: one character is found ten
    times as fast as two, and a text of average length that has none is looked through in less than a microsecond. No
    start begins with one of the letters before the pattern.
    """
    signs = {sign for row in delimiters() for sign in row.signs} | set(_table()["boxed"]["signs"])
    least = [sign for sign in sorted(signs) if not any(other in sign for other in signs - {sign})]
    longer = tuple((min(sign, key=lambda letter: (letter.isalpha(), letter)), sign) for sign in least if len(sign) > 1)
    starts = tuple(start for row in delimiters() for start in row.starts)
    others = frozenset(ascii_letters) - {letter for start in starts for letter in (start[0], start[0].upper())}
    return tuple(sign for sign in least if len(sign) == 1), longer, others, _start(starts)


def _start(starts: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"[\s*#_]*(?:{'|'.join(map(re.escape, starts))})", re.I)


@dataclass(frozen=True, slots=True)
class _Mark:
    """What one group of the pattern stands for; ``named`` says whether the name is part of it."""

    row: int
    role: str
    named: bool


@cache
def _pattern(rows: tuple[int, ...]) -> tuple[re.Pattern[str], dict[str, _Mark]]:
    """Return the pattern of the delimiters in ``rows`` and what its groups stand for; the name of gN is in ngN."""
    name = f"(?:{'|'.join(map(_plain, sorted(names(), key=len, reverse=True)))})"
    marks: dict[str, _Mark] = {}
    parts = []
    for number in rows:
        for role in _ROLES:
            for expression in getattr(delimiters()[number], role):
                group = f"g{len(marks)}"
                marks[group] = _Mark(number, role, "NAME" in expression)
                named = _plain(expression).replace("NAME", f"(?P<n{group}>{name})")
                parts.append(f"(?P<{group}>{named})")
    return re.compile("|".join(parts), re.I | re.S), marks


def _plain(expression: str) -> str:
    """Return ``expression`` without groups that capture."""
    return re.sub(r"(?<!\\)\((?!\?)", "(?:", expression)


@cache
def _searched() -> tuple[tuple[int, tuple[str, ...], re.Pattern[str] | None], ...]:
    """Return the number, the signs and the starts of each row."""
    return tuple((n, row.signs, _start(row.starts) if row.starts else None) for n, row in enumerate(delimiters()))


def _rows(text: str) -> tuple[int, ...]:
    """Return the numbers of the delimiters whose signs ``text`` contains."""
    found = []
    for number, signs, start in _searched():
        if any(map(text.__contains__, signs)) or (start and start.match(text)):
            found.append(number)
    return tuple(found)


def _may_think(text: str) -> bool:
    letters, longer, others, starts = _signs()
    for letter in letters:  # a loop is faster than any()
        if letter in text:
            return True
    for letter, sign in longer:
        if letter in text and sign in text:
            return True
    return text[:1] not in others and starts.match(text) is not None


def thoughts(text: str) -> list[Thought]:
    """Return the thoughts in ``text``, in order and without overlap.

    An answer in a box of TeX makes a thought of what is around it.

    >>> [thoughts(text)[0].end for text in ("<think>Hm.</think>Yes", "So yes.</think>No", "[THINK]So")]
    [18, 15, 9]
    """
    if not _may_think(text):
        return []
    found = _delimited(text)
    return (_around_box(text, found) if "{" in text else None) or found


def without_thoughts(text: str) -> str:
    r"""Return the answer in ``text``: each thought is a line break.

    >>> without_thoughts("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.")
    '\nYes.'
    >>> without_thoughts(r"Tents need pegs. \boxed{\text{Yes}}")
    '\nYes'
    """
    parts: list[str] = []
    last = 0
    for start, end, instead in thoughts(text):
        parts += (text[last:start], instead)
        last = end
    return "".join((*parts, text[last:])) if parts else text


def _delimited(text: str) -> list[Thought]:
    """Return the thoughts between delimiters.

    A thought may hold others: it ends with its own delimiter. A closing one that fits no open one proves that the model
    has been thinking since the beginning of the text.
    """
    if not (rows := _rows(text)):
        return []
    pattern, marks = _pattern(rows)
    found = [(match, marks[str(match.lastgroup)]) for match in pattern.finditer(text)]
    last_end = {mark.row: match.start() for match, mark in found if mark.role in ("close", "end")}
    spans: list[Thought] = []
    inside: list[tuple[int, str]] = []
    begin = 0
    for match, mark in found:
        name = match[f"n{match.lastgroup}"].lower() if mark.named else ""
        if mark.role in ("open", "weak"):
            ends = mark.role == "open" or last_end.get(mark.row, -1) > match.start()
            if ends and (mark.row, name) not in inside:
                begin = begin if inside else match.start()
                inside.append((mark.row, name))
        elif mark.role == "whole":
            spans += [] if inside else [Thought(*match.span())]
        elif fits := [n for n, (row, opened) in enumerate(inside) if row == mark.row and name in ("", opened)]:
            del inside[fits[-1] :]
            if not inside:
                spans.append(Thought(begin, match.end()))
        elif mark.role == "close":
            spans, inside = [Thought(0, match.end())], []
    return [*spans, Thought(begin, len(text))] if inside else spans


@cache
def _boxed() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the pattern of a box's beginning, and of the commands in it."""
    boxed = _table()["boxed"]
    return re.compile(boxed["box"]), re.compile(rf"{boxed['inner']}|\}}")


def _around_box(text: str, found: list[Thought]) -> list[Thought] | None:
    """Return what surrounds the answer in the last box outside the thoughts ``found``; None where there is no box."""
    box, commands = _boxed()
    boxes = [m for m in box.finditer(text) if not any(one.start <= m.start() < one.end for one in found)]
    if not boxes:
        return None
    first, start = boxes[-1].span()
    stop, after = _closed(text, start)
    tex = [Thought(start + m.start(), start + m.end(), "") for m in commands.finditer(text[start:stop])]
    if len(text[start:stop].split()) >= _WORDS:
        return _joined([Thought(0, start), *tex, Thought(stop, len(text))])
    # "The answer is $\boxed{Yes}$." stays whole
    begin = max([0, *(m.end() for m in _SENTENCE.finditer(text, 0, first)), *(o.end for o in found if o.end <= start)])
    following = _SENTENCE.search(text, after)
    end = following.start() if following else len(text)
    dollars = [Thought(m.start(), m.end(), "") for m in _DOLLARS.finditer(text, begin, end)]
    around = [Thought(0, begin), *dollars, Thought(first, start, ""), *tex, Thought(stop, after, "")]
    return _joined([*around, Thought(end, len(text))])


def _closed(text: str, start: int) -> tuple[int, int]:
    """Return where the brace that was opened before ``start`` closes, and where the text goes on after it."""
    depth = 1
    for brace in _BRACE.finditer(text, start):
        depth += 1 if brace.group() == "{" else -1
        if not depth:
            return brace.start(), brace.end()
    return len(text), len(text)


def _joined(parts: list[Thought]) -> list[Thought]:
    """Return ``parts`` in order, those that touch or overlap as one, none empty."""
    joined: list[Thought] = []
    for part in sorted(part for part in parts if part.start < part.end):
        if joined and part.start <= joined[-1].end:
            before = joined.pop()
            part = Thought(before.start, max(part.end, before.end), max(before.instead, part.instead))
        joined.append(part)
    return joined
