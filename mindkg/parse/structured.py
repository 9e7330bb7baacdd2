"""JSON objects, Python dicts, code fences and tags around an answer: keep the value that holds the intention."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator

from mindkg.parse.mapped import Mapped

_KEY = re.compile(r"""["']([\w -]{1,60})["']\s*:\s*""")
_ESCAPE = re.compile(r"""\\(["'/\\nrt]|u[0-9a-fA-F]{4})""")
# which key holds the answer: the first that fits
_WANTED = [
    re.compile(p, re.I)
    for p in (
        r"^(potential|possible|likely)?[ _-]*(co[ _-]?buy(ing)?|co[ _-]?purchase)?[ _-]*(intention|intent)s?$",
        r"intent",
        r"^co[ _-]?(buy|purchase)",
        r"^(final[ _-]?)?answer$",
        r"^(final[ _-]?)?(output|response|result|tail|assertion|completion|prediction|statement"
        r"|sentence|text|content|value|phrase)$",
        r"^(reason|explanation|rationale|description|motivation|purpose|reasoning)s?$",
    )
]
_MAYBE = re.compile(r"""[\[{]\s*(?:\{\s*)?["'][\w -]{1,60}["']\s*:""")


def unwrap(text: Mapped) -> Mapped:
    """Return the value of the intention key where ``text`` holds an object, else ``text`` itself.

    >>> unwrap(Mapped('Sure: {"intention": "they are both hats", "score": 1}')).text
    'they are both hats'
    """
    found = _MAYBE.search(text.text)
    if found is None:
        return text
    values = list(_values(text.text, found.start()))
    for wanted in _WANTED:
        for key, start, end in values:
            if wanted.search(key.strip()) and text.text[start:end].strip():
                return _unescape(text.slice(start, end))
    if len(values) == 1 and values[0][1] < values[0][2]:
        return _unescape(text.slice(values[0][1], values[0][2]))
    return text


def _values(text: str, begin: int) -> Iterator[tuple[str, int, int]]:
    """Yield (key, start, end) of every string value; a value that breaks off reaches to the end of the text."""
    at = begin
    while found := _KEY.search(text, at):
        at = found.end()
        if at < len(text) and text[at] == "[":
            item = re.compile(r"\[\s*(?=[\"'])").match(text, at)
            at = item.end() if item else at
        quote = text[at : at + 1]
        if quote not in ('"', "'") or not quote:
            continue
        end = _closing(text, at + 1, quote)
        yield found.group(1), at + 1, end
        at = end


def _closing(text: str, at: int, quote: str) -> int:
    """Return where the string that began before ``at`` ends: a quote followed by what may follow a value."""
    pattern = re.compile(r"(?<!\\)(?:\\\\)*" + quote + r"(?=\s*(?:[,}\]]\s*(?:[\"'}\]{`,]|$|\n)|$))")
    found = pattern.search(text, at)
    return found.end() - 1 if found else len(text)


def _unescape(text: Mapped) -> Mapped:
    def plain(match: re.Match[str]) -> str:
        code = match.group(1)
        if code[0] == "u" and len(code) == 5:
            return chr(int(code[1:], 16))
        return {"n": "\n", "r": "\n", "t": " "}.get(code, code)

    return text.sub(_ESCAPE, plain)


def booleans(text: str) -> dict[str, object]:
    """Return the fields of the first object in ``text`` (JSON or Python), or an empty dictionary."""
    begin, end = text.find("{"), text.rfind("}")
    if begin < 0 or end < begin:
        return {}
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text[begin : end + 1])
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
        if isinstance(value, dict):
            return {str(k): v for k, v in value.items()}
    return {}
