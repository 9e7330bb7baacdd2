"""Lines of reviews to who reviewed which product on which day; of the person only a hash goes on.

The fast way leaves a piece of the file to pyarrow's JSON reader. A piece in which a line is not one whole object of the
usual types goes line by line, which finds what is wrong with which.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv
from pyarrow import json as arrow_json

from mindkg.engine import daft
from mindkg.sources.amazon.csv_tables import Reviews as Table
from mindkg.sources.amazon.csv_tables import fragments
from mindkg.sources.amazon.fields import identifier
from mindkg.sources.amazon.lines import LONGEST, Piece, parse_line, pieces
from mindkg.sources.amazon.ratings import Columns
from mindkg.sources.amazon.staged import Reading, identifiers
from mindkg.sources.blocks import Block, Damage

_SECONDS: Final = 100_000_000_000
"""Times from here on are milliseconds: as seconds they lie behind the year 5000, as milliseconds before 1974."""
_PER_DAY: Final = 86_400
_LAST: Final = 253_402_300_800
"""Seconds from 1970 to the year 10,000."""

_FIELDS: Final = pa.schema(
    [
        ("user_id", pa.string()),
        ("reviewerID", pa.string()),
        ("parent_asin", pa.string()),
        ("asin", pa.string()),
        ("timestamp", pa.int64()),
        ("unixReviewTime", pa.int64()),
    ]
)
_PARSE: Final = arrow_json.ParseOptions(explicit_schema=_FIELDS, unexpected_field_behavior="ignore")
_NUMBER = re.compile(r"\s*\d{1,18}(\.0*)?\s*")
_BAD: Final = -1
"""Stands for a time that is no number."""


_Said = tuple[str, str, int | None]
"""Person, product and time."""


@dataclass(frozen=True, slots=True)
class _Reviews:
    """Reviews of one piece: person, product and time as they stand there, and the line of each, shape (rows,)."""

    person: pa.Array
    product: pa.Array
    time: pa.Array
    lines: npt.NDArray[np.int64]
    damages: Sequence[Damage]


def read_reviews(
    reading: Reading, files: Mapping[Path, Table | Columns | None], progress: Callable[[int], None]
) -> None:
    """Stage person, product and day of each review of ``files``, and the rejects, without what is written there.

    A table comes opened, a file of ratings alone with its columns.
    """
    for path, kind in files.items():
        for found in _ahead(_found(path, kind, reading.encoding)):
            rows = len(found.lines) + len(found.damages)
            reading.count(path, rows)
            reading.reject(path, [replace(damage, text="") for damage in found.damages])
            if len(found.lines):
                _stage(reading, found, path)
            progress(rows)


def _found(path: Path, kind: Table | Columns | None, encoding: str | None) -> Iterator[_Reviews]:
    if isinstance(kind, Table):
        return map(partial(_of_table, kind), kind.rows.blocks([kind.person, kind.product, kind.time]))
    return map(_parsed if kind is None else partial(_rated, kind), pieces(path, encoding))


def _ahead(found: Iterator[_Reviews]) -> Iterator[_Reviews]:
    """Yield what is ``found``, the next piece being parsed while the caller works on this one."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, found, None)
        while (reviews := waiting.result()) is not None:
            waiting = pool.submit(next, found, None)
            yield reviews


def _stage(reading: Reading, found: _Reviews, file: Path) -> None:
    products, persons = identifiers(found.product), pc.utf8_trim_whitespace(found.person)
    lacks = pc.or_(pc.equal(persons, ""), pc.or_(pc.equal(products, ""), pc.is_null(found.time)))
    late = pc.greater_equal(found.time, _SECONDS)
    seconds = pc.if_else(late, pc.divide(found.time, 1000), found.time)
    bad = pc.fill_null(pc.or_(pc.less_equal(seconds, 0), pc.greater_equal(seconds, _LAST)), False)
    refused = np.flatnonzero(np.asarray(pc.or_(lacks, bad)))
    lacking = np.asarray(lacks)
    damages = [
        Damage(int(found.lines[i]), "missing_field", "no person, no product or no time", "")
        if lacking[i]
        else Damage(int(found.lines[i]), "bad_number", "the time is no number of seconds or milliseconds", "")
        for i in refused.tolist()
    ]
    reading.reject(file, damages)
    good = pc.invert(pc.or_(lacks, bad))
    table = pa.table(
        {
            "person": daft.Series.from_arrow(persons).hash().to_arrow().cast(pa.uint64()),
            "product": products,
            "day": pc.divide(seconds, _PER_DAY).cast(pa.int32(), safe=False),
        }
    ).filter(good)
    reading.notes["reviews"] += len(table)
    reading.staging.write("reviews", table)


def _parsed(piece: Piece) -> _Reviews:
    fast = _fast(piece)
    return fast if fast is not None else _careful(piece)


def _fast(piece: Piece) -> _Reviews | None:
    """Return the reviews of a piece all of whose lines are one object of the usual types, else None."""
    if not _objects(piece.data) or not _utf8(piece.data):
        return None
    options = arrow_json.ReadOptions(block_size=1 << 20)
    try:
        table = arrow_json.read_json(io.BytesIO(piece.data), options, _PARSE).combine_chunks()
    except pa.ArrowInvalid:
        return None
    if len(table) != piece.data.count(b"\n"):
        return None
    text = {name: pc.fill_null(_column(table, name), "") for name in _FIELDS.names[:4]}
    times = [_column(table, name) for name in _FIELDS.names[4:]]
    return _Reviews(
        _first(text["user_id"], text["reviewerID"]),
        _first(text["parent_asin"], text["asin"]),
        pc.coalesce(*times),
        np.arange(len(table), dtype=np.int64) + piece.first,
        (),
    )


def _column(table: pa.Table, name: str) -> pa.Array:
    return pa.concat_arrays(table[name].chunks) if table[name].num_chunks else pa.nulls(0, table[name].type)


def _first(one: pa.Array, other: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(one, ""), other, one)


def _objects(data: bytes) -> bool:
    """Return whether each line begins and ends as an object; an object of several lines cannot look so."""
    array = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(array == ord("\n"))
    starts = np.insert(ends[:-1] + 1, 0, 0)
    if not len(ends) or (ends - starts).min() < 3 or (ends - starts).max() > LONGEST:
        return False
    last = array[ends - 1]
    last = np.where(last == ord("\r"), array[ends - 2], last)
    return bool((array[starts] == ord("{")).all() and (last == ord("}")).all())


def _utf8(data: bytes) -> bool:
    text = pa.LargeStringArray.from_buffers(1, pa.py_buffer(np.array([0, len(data)], np.int64)), pa.py_buffer(data))
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _careful(piece: Piece) -> _Reviews:
    """Return the reviews of a piece, and its damages by line."""
    return _each(piece, _said)


def _of_table(table: Table, block: Block) -> _Reviews:
    """Return the reviews of a block of a table, and its damages; a row whose ids are no ids is made of fragments."""
    bad = np.array(fragments(block, [table.person, table.product]), bool)
    damages = [*block.damages]
    damages += [Damage(line, "bad_syntax", "the person or the product is not an id", "") for line in block.lines[bad]]
    good = pa.array(~bad)
    person, product, time = (block.columns[name].filter(good) for name in (table.person, table.product, table.time))
    encoded = time.dictionary_encode()
    times = pa.array([_time(value.strip()) for value in encoded.dictionary.to_pylist()], pa.int64())
    return _Reviews(person, product, times.take(encoded.indices), block.lines[~bad], damages)


def _rated(columns: Columns, piece: Piece) -> _Reviews:
    """Return the ratings of a piece, and its damages by line."""
    fast = _rated_fast(columns, piece)
    return fast if fast is not None else _rated_careful(columns, piece)


def _rated_fast(columns: Columns, piece: Piece) -> _Reviews | None:
    """Return the ratings of a piece all of whose lines are whole and without quotes, else None."""
    data = piece.data
    if b'"' in data or piece.damages or not _utf8(data):
        return None
    person, product, time = (str(place) for place in (columns.person, columns.product, columns.time))
    types = {person: pa.string(), product: pa.string(), time: pa.int64()}
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            arrow_csv.ReadOptions(column_names=[str(n) for n in range(columns.width)], block_size=len(data) + 1),
            arrow_csv.ParseOptions(quote_char=False),
            arrow_csv.ConvertOptions(column_types=types, include_columns=list(types), null_values=[""]),
        )
    except pa.ArrowInvalid:
        return None
    if len(table) != data.count(b"\n"):
        return None
    found = {name: _column(table, name) for name in types}
    lines = np.arange(len(table), dtype=np.int64) + piece.first
    return _Reviews(found[person], found[product], found[time], lines, ())


def _rated_careful(columns: Columns, piece: Piece) -> _Reviews:
    """Return the ratings of a piece line by line, and its damages."""

    def said(line: bytes) -> _Said | tuple[str, str]:
        told = columns.said(line)
        return told if len(told) == 2 else (*told[:2], _time(told[2]))

    return _each(piece, said)


def _said(line: bytes) -> _Said | tuple[str, str]:
    """Return who reviewed which product when, or the damage as (reason, detail)."""
    value = parse_line(line)
    if isinstance(value, tuple):
        return value
    person = _account(value.get("user_id")) or _account(value.get("reviewerID"))
    product = identifier(value.get("parent_asin")) or identifier(value.get("asin"))
    time = _time(value.get("timestamp"))
    time = _time(value.get("unixReviewTime")) if time is None else time
    return (person, product, time) if _is_unicode(person + product) else ("bad_encoding", "half of a surrogate pair")


def _each(piece: Piece, said: Callable[[bytes], _Said | tuple[str, str]]) -> _Reviews:
    """Return what each line of a piece says, and its damages by line."""
    rows: list[tuple[str, str, int | None, int]] = []
    damages = list(piece.damages)
    for number, line in enumerate(piece.data.split(b"\n"), piece.first):
        if not line or line.isspace():
            continue
        value = said(line)
        if len(value) == 2:
            damages.append(Damage(number, *value, ""))
        else:
            rows.append((*value, number))
    persons, products, times, lines = zip(*rows, strict=True) if rows else ((), (), (), ())
    return _Reviews(
        pa.array(persons, pa.string()),
        pa.array(products, pa.string()),
        pa.array(times, pa.int64()),
        np.array(lines, np.int64),
        damages,
    )


def _account(value: object) -> str:
    """Return the name of an account as text."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _time(value: Any) -> int | None:
    """Return a time as a whole number, None where there is none, ``_BAD`` where it is no number."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value.strip().partition(".")[0])
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1 << 62:
        return int(value)
    return _BAD


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
