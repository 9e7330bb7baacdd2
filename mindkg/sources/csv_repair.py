"""The careful way through damaged CSV: whole rows kept, each damaged one named, and on from the next whole row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

# inside a field that does not start with a quote, a quote is just a character, and so is a lone carriage return
_FIELD = rb'(?>"(?:[^"]++|"")*+"|(?:[^",\r\n]|\r(?!\n))(?:[^,\r\n]++|\r(?!\n))*+|)'
_LONE_RETURN = re.compile(rb"\r(?!\n)")
_UNQUOTED = rb'(?>("(?:[^"]++|"")*+")|((?:[^",\r\n]|\r(?!\n))(?:[^,\r\n]++|\r(?!\n))*+))'
_BLANK = re.compile(rb"\r?\n")


@dataclass(frozen=True, slots=True)
class Span:
    """A damaged stretch of a piece of a file, and what is wrong with it."""

    start: int
    end: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Repaired:
    """The records of a piece of a file.

    ``text`` is the records that pyarrow may read, one behind the other; ``starts`` and ``ends`` are where they stand
    in the piece, shape (records,); ``consumed`` is how much of the piece is done with; ``sure`` says that each record
    has the right number of fields.
    """

    text: bytes
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    damages: Sequence[Span]
    consumed: int
    sure: bool = True


def _written(source: bytes, delimiter: bytes) -> bytes:
    """Return the source of a pattern that is written with commas, for another delimiter."""
    return source.replace(b",", re.escape(delimiter))


@cache
def _record(width: int, delimiter: bytes) -> re.Pattern[bytes]:
    field = _written(_FIELD, delimiter)
    return re.compile(field + rb"(?:" + re.escape(delimiter) + field + rb"){%d}\r?\n" % (width - 1))


@cache
def _any(delimiter: bytes) -> re.Pattern[bytes]:
    field = _written(_FIELD, delimiter)
    return re.compile(field + rb"(?:" + re.escape(delimiter) + field + rb")*+\r?\n")


def repair(piece: bytes, width: int, final: bool, whole: bool, delimiter: bytes = b",") -> Repaired:
    """Return the whole records of ``width`` fields in ``piece``, which starts with a record, and what is damaged.

    ``final``: nothing follows. ``whole``: do not wait for the rest of a first record that does not end in the piece.
    """
    record = _record(width, delimiter)
    good: list[tuple[int, int]] = []
    damages: list[Span] = []
    at, stop = 0, piece.rfind(b"\n") + 1
    while at < stop:
        if blank := _BLANK.match(piece, at):
            at = blank.end()
        elif match := record.match(piece, at):
            _keep(piece, at, match.end(), good, damages)
            at = match.end()
        else:
            damage = _damage(piece, at, stop, record, width, delimiter)
            if damage.reason == "" and not (final or (whole and not at)):
                break
            damages.append(Span(at, damage.end, "bad_syntax", damage.detail))
            at = damage.end
    starts, ends = np.array(good, np.int64).reshape(-1, 2).T
    return Repaired(b"".join(_plain(piece[s:e], delimiter) for s, e in good), starts, ends - 1, damages, at)


@cache
def _unquoted(delimiter: bytes) -> re.Pattern[bytes]:
    return re.compile(_written(_UNQUOTED, delimiter))


def _plain(row: bytes, delimiter: bytes) -> bytes:
    """Return a row as pyarrow reads it, which takes a lone carriage return outside quotes for the end of a row."""
    if not _LONE_RETURN.search(row):
        return row
    return _unquoted(delimiter).sub(lambda m: m[1] or b'"' + m[2].replace(b'"', b'""') + b'"', row)


def _keep(piece: bytes, start: int, end: int, good: list[tuple[int, int]], damages: list[Span]) -> None:
    try:
        piece[start:end].decode("utf-8")
    except UnicodeDecodeError as error:
        damages.append(Span(start, end, "bad_encoding", f"not UTF-8 at byte {error.start} of the row: {error.reason}"))
    else:
        good.append((start, end))


def _damage(piece: bytes, start: int, stop: int, record: re.Pattern[bytes], width: int, delimiter: bytes) -> Span:
    """Return the damaged stretch that starts at ``start``; its reason is empty where its end is a guess."""
    row = _any(delimiter).match(piece, start)
    last = row.end() if row else stop
    line = piece.find(b"\n", start) + 1
    while line < last:
        # a row that lost a quote swallows the next ones: go on where a line is a whole row again
        if record.match(piece, line):
            return Span(start, line, "bad_syntax", "a quote is not closed, or stands inside a quoted field")
        line = piece.find(b"\n", line) + 1 or last
    if row:
        count = _fields(row[0], delimiter)
        return Span(start, last, "bad_syntax", f"{count} fields where the header has {width}")
    return Span(start, stop, "", "a quote is not closed, or stands inside a quoted field")


def _fields(row: bytes, delimiter: bytes) -> int:
    field = _written(_FIELD, delimiter)
    return sum(1 for _ in re.finditer(field + rb"(?:" + re.escape(delimiter) + rb"|\r?\n)", row))
