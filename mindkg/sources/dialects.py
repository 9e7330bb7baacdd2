"""How a CSV file separates fields, ends lines and escapes quotes, found from its content.

The one way of reading (:mod:`mindkg.sources.csv_rows`) takes quotes that are doubled and lines that end in a line feed;
files of other dialects are turned into that form while they are read.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import pyarrow as pa

from mindkg.sources.csv_repair import repair
from mindkg.sources.files import CHUNK

_DELIMITERS: Final = {b",": "commas", b";": "semicolons", b"\t": "tabs", b"|": "vertical bars"}
_SAMPLE: Final = 1 << 18
_FIRST_END = re.compile(rb'[\r\n]*+(?:[^"\r\n]++|"[^"]*+")++(\r\n|\r|\n)')
_ESCAPE = re.compile(rb'\\(["\\])')
_SEPARATOR = re.compile(rb'"?sep=(.)"?\r?\n', re.IGNORECASE | re.DOTALL)
_SWAP: Final = bytes.maketrans(b"\r\n", b"\n\r")
_HEADER = re.compile(rb'[\r\n]*+((?:[^"\n]++|"[^"]*+")++)\n')
# files separated by these may have quotes that mean nothing: titles seldom have such a character, so nothing is quoted
_RAW: Final = (b"\t", b"|")
# the beginning and the rest of a field, written for tabs
_START: Final = rb"(?<![^\t\n])"
_TO_END: Final = rb"(?:[^\t\r\n]|\r(?!\n))*+"
_WITH_QUOTE: Final = _START + rb'(?:[^\t\r\n"]|\r(?!\n))*+"' + _TO_END
_OPENED: Final = _START + rb'"' + _TO_END
_CLOSED = re.compile(rb'"(?:(?:[^"\\]|""|\\.)*+"|(?:[^"]|"")*+")', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Dialect:
    """The dialect of a CSV file.

    ``delimiter`` stands between fields; ``escaped``: a backslash before a quote makes it part of the text (as in
    Spark); ``returns``: lines end in a carriage return alone; ``separator``: the first line is ``sep=`` with it;
    ``raw``: quotes are characters of the text, and no field is quoted.
    """

    delimiter: bytes = b","
    escaped: bool = False
    returns: bool = False
    separator: bool = False
    raw: bool = False

    def __str__(self) -> str:
        """Return what differs from the usual dialect, in words; empty where nothing does."""
        named = _DELIMITERS.get(self.delimiter, self.delimiter.decode("latin-1"))
        words = [f"separated by {named}"] if self.delimiter != b"," else []
        words += ["quotes escaped by backslashes"] if self.escaped else []
        words += ["quotes taken as characters"] if self.raw else []
        words += ["lines ending in carriage returns"] if self.returns else []
        return ", ".join(words)

    def standard(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the text in ``pieces`` with lines and quotes as RFC 4180 has them; the delimiter stays.

        Where lines end in carriage returns, they and line feeds change places: :meth:`restored` undoes that in values.
        """
        if self.separator:
            pieces = _without_separator(pieces)
        if self.returns:
            pieces = (piece.translate(_SWAP) for piece in pieces)
        if self.raw:
            return _quoted(pieces, self.delimiter)
        return _unescaped(pieces) if self.escaped else pieces

    def restored(self, column: pa.StringArray) -> pa.StringArray:
        """Return the values of a column as the file has them."""
        if not self.returns or column.buffers()[2] is None:
            return column
        validity, offsets, data = column.buffers()
        swapped = pa.py_buffer(bytes(data).translate(_SWAP))
        return pa.StringArray.from_buffers(len(column), offsets, swapped, validity, offset=column.offset)


def detect(sample: bytes) -> Dialect:
    r"""Return the dialect in which most of ``sample``, the beginning of a CSV file as UTF-8, is whole rows.

    >>> detect(b'a;b\n1;"x, y"\n'), detect(b'a,b\n1,"say \\"so\\", twice"\n')
    (Dialect(delimiter=b';', escaped=False, returns=False, separator=False, raw=False), Dialect(delimiter=b',', escaped=True, returns=False, separator=False, raw=False))
    """  # noqa: E501
    given = _SEPARATOR.match(sample)
    text = sample[given.end() - 1 :] if given else sample
    ended = _FIRST_END.match(text)
    returns = ended is not None and ended[1] == b"\r"
    text = text.translate(_SWAP) if returns else text
    head = _HEADER.match(text + b"\n")
    if head is None:
        return Dialect(separator=given is not None, returns=returns)
    delimiters = [given[1]] if given else [one for one in _DELIMITERS if one in head[1]] or [b","]
    # a backslash before a quote may be the end of a Windows path as well
    escapes = (False, True) if b'\\"' in text else (False,)
    found = [Dialect(delimiter, escaped, returns, given is not None) for delimiter in delimiters for escaped in escapes]
    # of a long piece the part where the first backslash stands before a quote
    first = max(text.find(b'\\"'), 0)
    best = found[0] if len(found) == 1 else max(found, key=lambda dialect: _share(text, dialect, first))
    return _raw(text, best) if best.delimiter in _RAW and b'"' not in head[1] else best


def _raw(text: bytes, best: Dialect) -> Dialect:
    """Return the dialect ``best``, or that of raw quotes where they are not quotes of CSV.

    A file whose quoted fields are mostly whole has rows that are damaged, not raw quotes.
    """
    opened = list(_pattern(_OPENED, best.delimiter).finditer(text))
    whole = [_CLOSED.fullmatch(match[0]) is not None for match in opened]
    if 2 * sum(whole) >= len(whole):
        return best
    raw, first = replace(best, escaped=False, raw=True), opened[whole.index(False)].start()
    return raw if _share(text, raw, first) > _share(text, best, first) else best


def _share(text: bytes, dialect: Dialect, first: int) -> float:
    """Return how much of ``text`` from the row at ``first`` is whole rows; 0 where its header is one column."""
    header = _HEADER.match(text)
    width = len(_fields(header[1], dialect)) if header else 0
    if width < 2 or header is None:
        return 0.0
    start = max(header.end(), text.rfind(b"\n", 0, first) + 1)
    sample = text[start : start + _SAMPLE].rstrip(b"\r\n") + b"\n"
    if dialect.escaped or dialect.raw:
        sample = b"".join(replace(dialect, returns=False, separator=False).standard(iter([sample])))
    found = repair(sample, width, True, True, dialect.delimiter)
    good = int((found.ends - found.starts).sum())
    # rows that have the same width by chance are told from real ones by the number of columns
    return good / max(len(sample), 1) + width / 1e6


def _fields(header: bytes, dialect: Dialect) -> list[str]:
    line = header.decode("utf-8", "replace").strip("\r\n")
    try:
        return next(csv.reader([line], delimiter=dialect.delimiter.decode("latin-1")), [])
    except csv.Error:
        return []


def _unescape(match: re.Match[bytes]) -> bytes:
    return b'""' if match[1] == b'"' else b"\\"


def _unescaped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield ``pieces`` with quotes doubled in place of a backslash before them, and single backslashes for double."""
    rest = b""
    for piece in pieces:
        text = rest + piece
        last = len(text) - len(text.rstrip(b"\\"))
        rest = b"\\" if last % 2 else b""  # what it escapes comes with the next piece
        yield _ESCAPE.sub(_unescape, text.removesuffix(rest))
    if rest:
        yield rest


@cache
def _pattern(source: bytes, delimiter: bytes) -> re.Pattern[bytes]:
    """Return the pattern ``source``, which is written for tabs, for another delimiter."""
    return re.compile(source.replace(rb"\t", re.escape(delimiter)))


def _quoted(pieces: Iterator[bytes], delimiter: bytes) -> Iterator[bytes]:
    """Yield ``pieces`` with each field that has a quote in quotes, and its own quotes doubled."""
    pattern = _pattern(_WITH_QUOTE, delimiter)
    rest = b""
    for piece in pieces:
        text = rest + piece
        end = max(text.rfind(b"\n"), text.rfind(delimiter)) + 1
        end = end if len(text) - end <= CHUNK else len(text)  # no row is that long
        rest = text[end:]
        yield pattern.sub(_quote, text[:end])
    yield pattern.sub(_quote, rest)


def _quote(match: re.Match[bytes]) -> bytes:
    return b'"' + match[0].replace(b'"', b'""') + b'"'


def _without_separator(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield ``pieces`` with an empty first line: lines keep their numbers."""
    first = next(pieces, b"")
    found = _SEPARATOR.match(first)
    yield first[found.end() - 1 :] if found else first
    yield from pieces
