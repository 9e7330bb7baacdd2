"""Metadata and reviews as CSV with a header, as pandas and others write them: which files those are, and their rows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.compute as pc

from mindkg.errors import InputError
from mindkg.sources.amazon.cobuys import is_entry
from mindkg.sources.blocks import Block, Damage, Rows
from mindkg.sources.csv_rows import open_csv
from mindkg.sources.encodings import Text
from mindkg.sources.files import CutOffError, chunks

_PERSONS: Final = ("user_id", "userid", "user", "reviewerid", "customer_id")
_PRODUCTS: Final = ("parent_asin", "asin", "item", "productid", "product_id")
_TIMES: Final = ("timestamp", "unixreviewtime", "time")
_METADATA: Final = frozenset(
    (
        *("title", "brand", "store", "category", "categories", "main_cat", "main_category", "description", "price"),
        *(
            "related",
            "also_buy",
            "also_bought",
            "bought_together",
            "imUrl",
            "imageURL",
            "images",
            "details",
            "salesRank",
        ),
    )
)
"""Columns of which a table of metadata has at least one beside the product's id."""

_IDS: Final = ("parent_asin", "asin")
_NUMBER = re.compile(r"(\d{1,9})(?:\.0)?")


@dataclass(frozen=True, slots=True)
class Reviews:
    """A table of reviews, and its columns that say who reviewed which product when."""

    rows: Rows
    person: str
    product: str
    time: str


def open_reviews(path: Path, encoding: str | None = None) -> Reviews | None:
    """Return the table of reviews in ``path``, None where it is no CSV whose first line names the three columns."""
    rows = _opened(path, encoding)
    if rows is None:
        return None
    named = {name.lower(): name for name in reversed(rows.header)}
    found = [next((named[one] for one in known if one in named), None) for known in (_PERSONS, _PRODUCTS, _TIMES)]
    return None if None in found else Reviews(rows, *map(str, found))


def open_metadata(path: Path, encoding: str | None = None) -> Rows | None:
    """Return the table of metadata in ``path``, None where it is no CSV whose first line names columns of metadata."""
    rows = _opened(path, encoding)
    if rows is None or not is_metadata(rows.header):
        return None
    return rows


def is_metadata(header: Sequence[str]) -> bool:
    """Return whether the columns ``header`` are those of metadata.

    >>> is_metadata(["asin", "title"]), is_metadata(["asin", "reviewerID", "title"])
    (True, False)
    """
    names = set(header)
    persons = {name.lower() for name in header} & set(_PERSONS)
    return bool(names & set(_IDS)) and bool(names & _METADATA) and not persons


def _opened(path: Path, encoding: str | None) -> Rows | None:
    """Return a file as CSV, None where it begins as something else."""
    try:
        if next(chunks(path, 1 << 16), b"").startswith((b"PAR1", b"PK\x03\x04")):
            return None
        head = next(Text(path, encoding).chunks(), b"").lstrip()
    except CutOffError:
        return None
    if not head or head.startswith((b"{", b"[")):
        return None
    try:
        return open_csv(path, encoding)
    except InputError:
        return None


def metadata_lines(rows: Rows) -> Iterator[tuple[list[tuple[int, bytes]], list[Damage]]]:
    """Yield the rows of a table of metadata in pieces: number and JSON of each, and the damages of the piece.

    A row whose product is no id is made of fragments of other rows, and is a damage.
    """
    ids = [name for name in _IDS if name in rows.header]
    for block in rows.blocks(list(dict.fromkeys(rows.header))):
        damages = list(block.damages)
        bad = fragments(block, ids)
        lines = []
        columns = [column.to_pylist() for column in block.columns.values()]
        for number, values in enumerate(zip(*columns, strict=True)):
            line = int(block.lines[number])
            if bad[number]:
                damages.append(Damage(line, "bad_syntax", "the product's id is not an id", block.raw(number)))
                continue
            row = {name: value or None for name, value in zip(block.columns, values, strict=True)}
            row |= {name: _padded(row[name]) for name in ids}
            lines.append((line, json.dumps(row, ensure_ascii=False).encode()))
        yield lines, damages


def fragments(block: Block, ids: Sequence[str]) -> list[bool]:
    """Return which rows have something in a column of ``ids`` that cannot be an id."""
    bad = np.zeros(len(block), bool)
    for name in ids:
        trimmed = pc.utf8_trim_whitespace(block.columns[name])
        bad |= ~np.asarray(pc.or_(pc.equal(trimmed, ""), is_entry(trimmed)))
    return list(bad.tolist())


def _padded(value: str | None) -> str | None:
    """Return an id with the zeros back that an ISBN loses where a program takes it for a number."""
    found = _NUMBER.fullmatch(value or "")
    return found[1].zfill(10) if found else value
