"""Files of ratings alone, which all three collections offer beside the reviews: person, product, stars and time.

Those of 2014 begin with the person, those of 2018 with the product, and neither says so. Those of 2023 name their
columns: they are tables of reviews (:mod:`mindkg.sources.amazon.csv_tables`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from mindkg.sources.amazon.lines import pieces

_SAMPLE: Final = 100
_ROW: Final = re.compile(rb'[^,{}\[\]]+,[^,{}\[\]]+,"?\d(\.\d*)?"?,"?\d{8,14}"?\s*')
_ASIN: Final = re.compile("[0-9A-Za-z]{10}")


@dataclass(frozen=True, slots=True)
class Columns:
    """Where a line of ``width`` fields says who rated which product when."""

    person: int
    product: int
    time: int
    width: int

    def said(self, line: bytes) -> tuple[str, str, str] | tuple[str, str]:
        """Return person, product and time as they stand on a line, or the damage as (reason, detail)."""
        try:
            fields = _fields(line)
        except UnicodeDecodeError as error:
            return "bad_encoding", f"not UTF-8 at byte {error.start} of the row: {error.reason}"
        if len(fields) != self.width:
            return "bad_syntax", f"{len(fields)} fields where the file has {self.width}"
        return fields[self.person], fields[self.product], fields[self.time]


def columns_of(path: Path, encoding: str | None = None) -> Columns | None:
    """Return the columns of a file of ratings, None where it is none."""
    lines = (
        line for piece in pieces(path, encoding) for line in piece.data.split(b"\n") if line and not line.isspace()
    )
    sample = list(islice(lines, _SAMPLE))
    if not sample or sample[0].lstrip().startswith((b"{", b"[")):
        return None
    rows = [_fields(line) for line in sample if _ROW.fullmatch(line) and line.isascii()]
    if 2 * len(rows) <= len(sample):
        return None
    first, second = (sum(bool(_ASIN.fullmatch(row[place])) for row in rows) for place in (0, 1))
    return Columns(1, 0, 3, 4) if first > second else Columns(0, 1, 3, 4)


def _fields(line: bytes) -> list[str]:
    return [field.strip(' "') for field in line.decode("utf-8").strip().split(",")]
