"""Whose words these are: chat turns, answer markers and echoes of the prompt (PARSING.md, sections 1 and 2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from mindkg.parse.mapped import Mapped
from mindkg.parse.wordings import either, table

_VISIBLE = re.compile(r"[^\W_]")
_LINE = r"^[\s>#*_\"'“({-]*"
_FRONT = r"(?:(?<=[.!?:;)\]}>…*\"'”’—-][ \n])|(?<=[.!?:;)\]}>…*\"'”’][ \n]{2})|(?<=[>*])|^[\s>#*_\"'“({-]*)"


@cache
def markers() -> re.Pattern[str]:
    """Return the pattern of everything that begins or ends somebody's turn."""
    turns = table()["turns"]
    return re.compile(
        f"(?P<answer>{either(turns['answer_token'])}|{_FRONT}{either(turns['answer'])}"
        f"|{_LINE}{either(turns['answer_line'])})"
        f"|(?P<end>{either(turns['end'])})"
        f"|(?P<user>{either(turns['user'])}|{_LINE}{either(turns['user_line'])})",
        re.IGNORECASE | re.MULTILINE,
    )


@cache
def echo() -> re.Pattern[str]:
    """Return the pattern of words that only the prompt says."""
    return re.compile(either(table()["turns"]["echo"]), re.IGNORECASE | re.MULTILINE)


def answer_turn(text: Mapped) -> tuple[Mapped, bool]:
    """Return the words of the model, and whether there are none but those of the prompt.

    They stand behind the last answer marker of its turn that has text behind it, before anyone else speaks.

    >>> answer_turn(Mapped("USER: Why? ASSISTANT: Because.</s> USER: And?"))[0].text
    ' Because.'
    """
    raw = text.text
    answer = before = prompt = None
    for role, start, end, following in _segments(raw):
        visible = _VISIBLE.search(raw, start, end)
        if role == "answer":
            answer = (start, end) if visible else answer
            if answer and following != "answer":
                break
        elif visible and role == "unknown" and following == "answer":
            before = (start, end)
        elif visible and role == "unknown" and (following is None or not echo().search(raw, start, end)):
            return text.slice(start, end), False
        elif visible and role != "over":
            prompt = prompt or (start, end)
    if answer or before:
        return text.slice(*(answer or before or (0, 0))), False
    return (text.slice(*prompt), True) if prompt else (text.slice(len(raw)), False)


def _segments(raw: str) -> Iterator[tuple[str, int, int, str | None]]:
    """Yield (role, start, end, what the next marker is) of each stretch between markers."""
    role, start, spoken = "unknown", 0, False
    for m in markers().finditer(raw):
        kind = str(m.lastgroup)
        yield role, start, m.start(), kind
        spoken = spoken or bool(_VISIBLE.search(raw, start, m.start()))
        role = {"answer": "answer", "end": "over" if spoken else "unknown", "user": "user"}[kind]
        start = m.end()
    yield role, start, len(raw), None
