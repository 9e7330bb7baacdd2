"""SERVICE clauses in the text of a SPARQL query, found in linear time whatever the text is."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import Final

_KEYWORD: Final = re.compile("service", re.IGNORECASE)
_SPACE: Final = re.compile(r"\s*")
_SILENT: Final = "silent"


def has_service(text: str) -> bool:
    """Return whether ``text`` has SERVICE, SILENT or not, an IRI, variable or prefixed name, and a brace in a row.

    No part of a clause can be escaped or left out, and only spaces and comments can stand between them. A clause in a
    string or a comment counts too: where these begin cannot be seen without the engine's own parser.

    >>> has_service("SELECT * { SERVICE#c\\n silent <http://x> { ?s ?p ?o } }")
    True
    >>> has_service("SELECT ?service { ?service a <urn:service> }")
    False
    """
    return _Scan(text).finds()


class _Scan:
    """One look through a text: each stretch is read once, since many keywords can lead to the same one."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._spaces: dict[int, int] = {}
        self._lines, self._angles, self._colons, self._stops = (
            [match.start() for match in re.finditer(pattern, text)]
            for pattern in (r"[\n\r]", "[<>]", ":", r"[\s{}<>\"]|(?<!\\)#")
        )

    def finds(self) -> bool:
        return any(self._clause(match.end()) for match in _KEYWORD.finditer(self.text))

    def _clause(self, place: int) -> bool:
        first = self._after_space(place)
        names = [first]
        if self.text[first : first + len(_SILENT)].lower() == _SILENT:
            names.append(self._after_space(first + len(_SILENT)))
        ends = [self._after_name(name) for name in names]
        return any(end and self.text.startswith("{", self._after_space(end)) for end in ends)

    def _after_space(self, place: int) -> int:
        """Return the place after spaces and comments."""
        passed = []
        while place not in self._spaces:
            passed.append(place)
            found = _SPACE.match(self.text, place)
            place = found.end() if found else place
            if self.text[place : place + 1] != "#":
                break
            place = self._next(self._lines, place)
        place = self._spaces.get(place, place)
        self._spaces |= dict.fromkeys(passed, place)
        return place

    def _after_name(self, place: int) -> int | None:
        """Return the place after an IRI, a variable or a prefixed name, None where there is none."""
        begin = self.text[place : place + 1]
        if begin == "<":
            end = self._next(self._angles, place + 1)
            return end + 1 if self.text[end : end + 1] == ">" else None
        end = self._next(self._stops, place)
        return end if begin in ("?", "$") or self._next(self._colons, place) < end else None

    def _next(self, places: list[int], place: int) -> int:
        """Return the first of ``places`` from ``place`` on, the length of the text where there is none."""
        at = bisect_left(places, place)
        return places[at] if at < len(places) else len(self.text)
