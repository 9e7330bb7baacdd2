"""CSV of RFC 4180 in blocks: quoted texts of many lines, true line numbers, and damaged rows kept apart.

The fast way takes a piece of the file, finds the ends of its records (line breaks behind an even number of quotes) with
numpy, and leaves the fields to pyarrow. A piece in which a quote stands where none may, or a row has another
number of fields, goes through :mod:`mindkg.sources.csv_repair` first, which keeps its whole rows.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv as arrow_csv

from mindkg.errors import InputError
from mindkg.sources.blocks import Block, Damage, Rows, beginning
from mindkg.sources.csv_repair import Repaired, repair
from mindkg.sources.dialects import Dialect, detect
from mindkg.sources.encodings import UTF_8, Text
from mindkg.sources.files import CHUNK, CutOffError

_NEWLINE, _RETURN, _QUOTE = b'\n\r"'
_FIRST = re.compile(rb'[\r\n]*+(?:[^"\n]++|"[^"]*+")++\n')

Spans = npt.NDArray[np.int64]
_NONE: Spans = np.empty(0, np.int64)


def open_csv(path: Path, encoding: str | None = None) -> Rows:
    """Return the columns of a CSV file and its blocks; raises InputError where it has no header.

    The ``encoding`` is found from the content where it is None.
    """
    text = Text(path, encoding)
    sample, _ = _next(text.chunks())
    dialect = detect(sample or b"")
    header, _, _, _ = _header(text, dialect.standard(text.chunks()), dialect)
    return Rows(
        header,
        lambda wanted: _blocks(text, dialect, wanted),
        read_as=lambda: ", ".join(filter(None, ["" if text.encoding == UTF_8 else text.encoding, str(dialect)])),
    )


def _header(text: Text, pieces: Iterator[bytes], dialect: Dialect) -> tuple[tuple[str, ...], bytes, int, str | None]:
    """Return the column names, the bytes after them, the line where those start, and how the file was cut off."""
    buffer, cut, end = b"", None, -1
    while end < 0:
        piece, cut = _next(pieces)
        if piece is None:
            buffer += b"\n"
        buffer += piece or b""
        end = _record_end(buffer)
        if piece is None and end < 0:
            hint = "Its first line names the columns"
            raise InputError("this CSV file has no header", record=str(text.path), hint=hint)
    try:
        line = buffer[:end].decode("utf-8").strip("\r\n")
        names = next(csv.reader([line], delimiter=dialect.delimiter.decode("latin-1"), strict=True), [])
    except UnicodeDecodeError as error:
        problem = f"the header is not text in {text.encoding}"
        raise InputError(problem, record=str(text.path), hint="Name its encoding with --encoding") from error
    except csv.Error as error:
        hint = f"A quote that opens a column's name must close it, or be doubled ({error})"
        raise InputError("the header is not CSV", record=str(text.path), hint=hint) from error
    return tuple(name.strip() for name in names), buffer[end:], buffer[:end].count(b"\n") + 1, cut


def _record_end(buffer: bytes) -> int:
    """Return where the first record that is not blank ends, or -1."""
    match = _FIRST.match(buffer)
    return match.end() if match else -1


def _next(pieces: Iterator[bytes]) -> tuple[bytes | None, str | None]:
    """Return the next piece, None at the end, and how the file is cut off there."""
    try:
        return next(pieces, None), None
    except CutOffError as error:
        return None, str(error)


def _blocks(text: Text, dialect: Dialect, wanted: Sequence[str]) -> Iterator[Block]:
    pieces = dialect.standard(text.chunks())
    header, buffer, line, cut = _header(text, pieces, dialect)
    fields = {name: header.index(name) for name in wanted}
    last = cut is not None
    while buffer or not last:
        if not last:
            piece, cut = _next(pieces)
            last = piece is None
            buffer += piece or b""
            if last and cut is None and not buffer.endswith(b"\n"):
                buffer += b"\n"
        found = _split(buffer, len(header), last and cut is None, dialect.delimiter)
        yield from _block(buffer, found, line, header, fields, dialect)
        line += buffer.count(b"\n", 0, found.consumed)
        buffer = buffer[found.consumed :]
        if last and not found.consumed:
            break
    if cut is not None:
        damage = Damage(line, "bad_syntax", f"cut off: {cut}", beginning(buffer))
        yield Block(_columns(b"", header, fields, dialect), np.empty(0, np.int64), [damage], str)


def _split(buffer: bytes, width: int, final: bool, delimiter: bytes) -> Repaired:
    """Return the records of ``buffer``, which starts with one: the fast way, or the careful one."""
    if not buffer:
        return Repaired(b"", _NONE, _NONE, (), 0)
    array = np.frombuffer(buffer, np.uint8)
    newlines, quotes = np.flatnonzero(array == _NEWLINE), np.flatnonzero(array == _QUOTE)
    ends = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    consumed = int(ends[-1]) + 1 if len(ends) else 0
    quotes = quotes[: np.searchsorted(quotes, consumed)]
    too_long = len(buffer) - consumed > CHUNK
    fits = _quotes_fit(array, quotes, delimiter[0]) and _utf8(buffer, consumed)
    if too_long or (final and consumed < len(buffer)) or not fits:
        return repair(buffer, width, final, too_long, delimiter)
    starts = np.concatenate(([0], ends + 1))[:-1]
    length, returns = ends - starts, array[starts] == _RETURN
    if ((length > 1) & returns).any():  # pyarrow would skip the return that a first field begins with
        return repair(buffer, width, final, too_long, delimiter)
    full = ~((length == 0) | ((length == 1) & returns))
    return Repaired(buffer[:consumed], starts[full], ends[full], (), consumed, sure=False)


def _quotes_fit(array: npt.NDArray[np.uint8], quotes: Spans, delimiter: int) -> bool:
    """Say whether each quote opens a field, closes one, or stands doubled in one."""
    opening, closing = quotes[0::2], quotes[1::2]
    before = array[np.maximum(opening - 1, 0)]
    behind = array[closing + 1]
    opens = (before == delimiter) | (before == _NEWLINE) | (before == _QUOTE) | (opening == 0)
    closes = (behind == delimiter) | (behind == _NEWLINE) | (behind == _QUOTE) | (behind == _RETURN)
    return bool(opens.all() and closes.all())


def _utf8(buffer: bytes, end: int) -> bool:
    text = pa.LargeStringArray.from_buffers(1, pa.py_buffer(np.array([0, end], np.int64)), pa.py_buffer(buffer))
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _block(
    buffer: bytes, found: Repaired, line: int, header: tuple[str, ...], fields: dict[str, int], dialect: Dialect
) -> Iterator[Block]:
    """Yield the block of the records ``found``; a row with another number of fields sends it back for repair."""
    columns = None
    try:
        columns = _columns(found.text, header, fields, dialect)
    except pa.ArrowInvalid:
        if found.sure:
            raise
    if not found.sure and (columns is None or any(len(c) != len(found.starts) for c in columns.values())):
        found = repair(buffer[: found.consumed], len(header), True, True, dialect.delimiter)
        columns = _columns(found.text, header, fields, dialect)
    assert columns is not None
    newlines = np.flatnonzero(np.frombuffer(buffer, np.uint8, found.consumed) == _NEWLINE)
    lines = np.searchsorted(newlines, found.starts) + line
    damages = [
        Damage(int(np.searchsorted(newlines, d.start)) + line, d.reason, d.detail, beginning(buffer[d.start : d.end]))
        for d in found.damages
    ]
    starts, ends = found.starts, found.ends
    if len(lines) or damages:
        yield Block(columns, lines, damages, lambda row: beginning(buffer[starts[row] : ends[row]]))


def _columns(
    text: bytes, header: tuple[str, ...], fields: dict[str, int], dialect: Dialect
) -> dict[str, pa.StringArray]:
    """Return the wanted fields of whole records; raises ArrowInvalid where a row has another number of fields."""
    if not text:
        return {name: pa.array([], pa.string()) for name in fields}
    # names of our own: a header may name two columns the same
    places = {name: str(place) for name, place in fields.items()}
    table = arrow_csv.read_csv(
        pa.BufferReader(text),
        read_options=arrow_csv.ReadOptions(
            column_names=[str(place) for place in range(len(header))], block_size=len(text) + 1
        ),
        parse_options=arrow_csv.ParseOptions(delimiter=dialect.delimiter.decode("latin-1"), newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            check_utf8=False,  # the whole piece has been checked
            column_types=dict.fromkeys(places.values(), pa.string()),
            include_columns=sorted(set(places.values())),
            strings_can_be_null=False,
        ),
    )
    return {name: dialect.restored(table[place].combine_chunks()) for name, place in places.items()}
