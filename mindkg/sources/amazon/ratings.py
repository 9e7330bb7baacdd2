"""Files of ratings alone, which all three collections offer beside the reviews: person, product, stars and time.

Those of 2014 begin with the person, those of 2018 with the product, and neither says so; those of 2023 name their
columns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from mindkg.sources.amazon.lines import pieces

_SAMPLE: Final = 100
_ROW: Final = re.compile(rb'[^,{}\[\]]+,[^,{}\[\]]+,"?\d(\.\d*)?"?,"?\d{8,14}"?\s*')
_ASIN: Final = re.compile("[0-9A-Za-z]{10}")
_NAMES: Final = (
    {"user_id", "userid", "user", "reviewerid"},
    {"parent_asin", "asin", "item", "productid", "product_id"},
    {"timestamp", "unixreviewtime"},
)


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a line of ``width`` fields says who rated which product when; ``named``: the first line names them."""

    person: int
    product: int
    time: int
    width: int
    named: bool

    def said(self, line: bytes) -> tuple[str, str, str] | tuple[str, str]:
        """Return person, product and time as they stand on a line, or the damage as (reason, detail)."""
        try:
            fields = _fields(line)
        except UnicodeDecodeError as error:
            return "bad_encoding", f"not UTF-8 at byte {error.start} of the row: {error.reason}"
        if len(fields) != self.width:
            return "bad_syntax", f"{len(fields)} fields where the file has {self.width}"
        return fields[self.person], fields[self.product], fields[self.time]


def columns_of(path: Path) -> Columns | None:
    """Return the columns of a file of ratings, None where it is none."""
    lines = (line for piece in pieces(path) for line in piece.data.split(b"\n") if line and not line.isspace())
    sample = list(islice(lines, _SAMPLE))
    if not sample or sample[0].lstrip().startswith((b"{", b"[")):
        return None
    if named := _named(sample[0]):
        return named
    rows = [_fields(line) for line in sample if _ROW.fullmatch(line) and line.isascii()]
    if 2 * len(rows) <= len(sample):
        return None
    first, second = (sum(bool(_ASIN.fullmatch(row[place])) for row in rows) for place in (0, 1))
    return Columns(1, 0, 3, 4, False) if first > second else Columns(0, 1, 3, 4, False)


def _named(line: bytes) -> Columns | None:
    """Return the columns that a first line names, None where it does not name all three."""
    names = [name.lower() for name in _fields(line, "replace")]
    person, product, time = (_place(names, known) for known in _NAMES)
    if person is None or product is None or time is None:
        return None
    return Columns(person, product, time, len(names), True)


def _place(names: Sequence[str], known: set[str]) -> int | None:
    return next((place for place, name in enumerate(names) if name in known), None)


def _fields(line: bytes, errors: str = "strict") -> list[str]:
    return [field.strip(' "') for field in line.decode("utf-8", errors).strip().split(",")]
