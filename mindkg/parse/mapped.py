"""Text that remembers where each of its characters stood in the raw text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mapped:
    """``text`` and, for each of its characters, the code point of the raw text that it came from.

    ``at`` is None where ``text`` is the raw text itself.
    """

    text: str
    at: list[int] | None = None

    def origins(self) -> list[int]:
        """Return the raw position of each character, shape (len(text),)."""
        return list(range(len(self.text))) if self.at is None else self.at

    def slice(self, start: int, end: int | None = None) -> Mapped:
        """Return the part from ``start`` to before ``end``."""
        if start == 0 and (end is None or end >= len(self.text)):
            return self
        return Mapped(self.text[start:end], self.origins()[start:end])

    def sub(self, pattern: re.Pattern[str], replacement: str | Callable[[re.Match[str]], str]) -> Mapped:
        """Return the text with every match of ``pattern`` replaced; what is put in stands where the match began."""
        parts: list[str] = []
        origins: list[int] = []
        at, last = self.at, 0
        for match in pattern.finditer(self.text):
            start, end = match.span()
            new = replacement if isinstance(replacement, str) else replacement(match)
            if new == match.group() and start != end:
                continue
            if at is None:
                at = self.origins()
            parts += (self.text[last:start], new)
            origins += at[last:start]
            origins += [at[min(start, len(at) - 1)] if at else 0] * len(new)
            last = end
        if not parts:
            return self
        assert at is not None
        parts.append(self.text[last:])
        origins += at[last:]
        return Mapped("".join(parts), origins)

    def keep(self, match: re.Match[str], group: int | str = 0) -> Mapped:
        """Return the part of the text that ``group`` of ``match`` covers."""
        return self.slice(*match.span(group))

    def raw_span(self, raw: str, start: int, end: int) -> tuple[int, int] | tuple[None, None]:
        """Return where ``text[start:end]`` stands word for word in ``raw``, or (None, None)."""
        if self.at is None:
            return start, end
        if start >= end:
            return None, None
        first, last = self.at[start], self.at[end - 1] + 1
        return (first, last) if raw[first:last] == self.text[start:end] else (None, None)

    def without(self, spans: Iterable[tuple[int, int]]) -> Mapped:
        """Return the text without ``spans`` (in order, not overlapping)."""
        return self.replaced((start, end, "") for start, end in spans)

    def replaced(self, spans: Iterable[tuple[int, int, str]]) -> Mapped:
        """Return the text with another one in place of each span (in order, not overlapping)."""
        at, last = self.origins(), 0
        parts: list[str] = []
        origins: list[int] = []
        for start, end, instead in spans:
            parts += (self.text[last:start], instead)
            origins += (*at[last:start], *at[start : start + 1] * len(instead))
            last = end
        parts.append(self.text[last:])
        return Mapped("".join(parts), origins + at[last:])
