"""A record as a line of JSON with a checksum at its end, which is that of its row in a Parquet file too."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any, Final

import pyarrow as pa

AT: Final = "_at"
"""The sequence number of a record: of two records with one key the one with the greater number counts.

It is the time in nanoseconds since 1970, but greater than all that were in the folder when its segment was begun: a
clock that was set back changes no order.
"""

CRC: Final = "_crc32"
"""The CRC-32 of a record's line before this field, which is the last: 8 hexadecimal digits."""

_END: Final = len(f',"{CRC}":"01234567"}}')
_TAIL: Final = 1 << 16


def line_of(record: Mapping[str, Any], columns: pa.Schema) -> bytes:
    """Return the values of ``columns`` in ``record`` (null where it is missing one) as a line of JSON.

    Half a surrogate pair, which no UTF-8 can hold, becomes U+FFFD.
    """
    body = _body(record, columns)
    return b'%b,"%b":"%08x"}\n' % (body, CRC.encode(), zlib.crc32(body))


def crc_of(record: Mapping[str, Any], columns: pa.Schema) -> str:
    """Return the checksum that the line of ``record`` has."""
    return f"{zlib.crc32(_body(record, columns)):08x}"


def _body(record: Mapping[str, Any], columns: pa.Schema) -> bytes:
    values = {
        column.name: float(value) if pa.types.is_floating(column.type) and value is not None else value
        for column in columns
        for value in [record.get(column.name)]
    }
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))[:-1]
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def is_intact(line: bytes) -> bool:
    """Return whether a line (without its line break) ends with its checksum.

    >>> line = line_of({"key": "a"}, pa.schema({"key": pa.string()})).rstrip()
    >>> is_intact(line), is_intact(line.replace(b"a", b"b"))
    (True, False)
    """
    body = line[:-_END]
    return line[-_END:] == b',"%b":"%08x"}' % (CRC.encode(), zlib.crc32(body))


def is_record(line: bytes, key: str) -> bool:
    """Return whether a line of a segment without checksums is a whole record."""
    return _number(line, key) is not None


def intact_parts(line: bytes, key: str, checked: bool) -> Iterator[tuple[int, int]]:
    """Yield where the whole records in a broken line begin and end: a lost line break joins two, a torn line is joined
    with the next.
    """
    beginning = f"{{{json.dumps(key)}:".encode()
    begin = line.find(beginning)
    while begin >= 0:
        following = line.find(beginning, begin + 1)
        end = len(line) if following < 0 else following
        for stop in (end, end - 1):
            if is_intact(line[begin:stop]) if checked else is_record(line[begin:stop], key):
                yield begin, stop
                break
        begin = following


def last_number(file: IO[bytes], key: str, checked: bool) -> int:
    """Return the sequence number of the last whole record of a segment, 0 where it has none."""
    size, tail = os.fstat(file.fileno()).st_size, _TAIL
    while True:
        start = max(0, size - tail)
        lines = os.pread(file.fileno(), size - start, start).split(b"\n")
        for line in reversed(lines if start == 0 else lines[1:]):
            number = _number(line, key) if not checked or is_intact(line) else None
            if number is not None:
                return number
        if start == 0:
            return 0
        tail *= 8


def _number(line: bytes, key: str) -> int | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(record, dict) and isinstance(record.get(key), str) and type(record.get(AT)) is int
    return int(record[AT]) if whole and abs(record[AT]) < 1 << 62 else None
