"""Rows of an isA file: bytes to Arrow columns and rejects, a block of lines at a time.

A row is ``concept TAB instance TAB count`` (or instance first). Quotes are just characters. Labels are folded the way
phrases are: lower case, NFC, control characters and runs of white space to one space.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.errors import InputError
from mindkg.link.folding import fold as fold

Order = Literal["concept-first", "instance-first"]

BLOCK: Final = 16 << 20
"""Bytes of text that are parsed at a time."""

MAX_COUNT: Final = 10**15
"""Larger counts are refused: their sums could leave 64 bits."""

_TEXT_SHOWN: Final = 200
_REJECTS: Final = pa.schema(
    [("line", pa.int64()), ("reason", pa.string()), ("detail", pa.string()), ("text", pa.string())]
)
ROWS: Final = pa.schema([("instance", pa.string()), ("concept", pa.string()), ("count", pa.int64())])


@dataclass(frozen=True)
class Block:
    """What some lines hold: ``rows`` (instance, concept, count) and ``rejects`` (line, reason, detail, text)."""

    rows: pa.Table
    rejects: pa.Table


def read_blocks(path: Path) -> Iterator[tuple[bytes, bool]]:
    """Yield the whole lines of ``path`` (.gz and .zst are unpacked) in blocks, and whether the file was cut off.

    The last line needs no newline, except in a file that is cut off: there it is yielded alone, marked True.
    Raises InputError where the file cannot be read at all.
    """
    rest = b""
    cut = False
    pieces = _pieces(path)
    while True:
        try:
            piece = next(pieces, b"")
        except (EOFError, zlib.error, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise InputError(f"cannot read {path}", hint=str(error.strerror)) from None
            piece, cut = b"", True
        if not piece:
            break
        end = piece.rfind(b"\n") + 1
        if end:
            yield rest + piece[:end], False
            rest = piece[end:]
        else:
            rest += piece
    if rest or cut:
        yield rest, cut


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        if magic[:2] == b"\x1f\x8b":
            yield from _gunzip(file)
        elif magic == b"\x28\xb5\x2f\xfd":
            stream = pa.CompressedInputStream(pa.PythonFile(file), "zstd")
            while piece := stream.read(BLOCK):
                yield piece
        else:
            while piece := file.read(BLOCK):
                yield piece


def _gunzip(file: IO[bytes]) -> Iterator[bytes]:
    """Unpack all members; what was unpacked before a broken end is yielded before the error is raised."""
    unpack = zlib.decompressobj(31)
    while packed := file.read(BLOCK // 8):
        while packed:
            if unpack.eof:
                if not packed.strip(b"\0"):
                    return
                unpack = zlib.decompressobj(31)
            if piece := unpack.decompress(packed):
                yield piece
            packed = unpack.unused_data if unpack.eof else b""
    if not unpack.eof:
        raise EOFError("cut off")


def parse_block(data: bytes, first_line: int, order: Order, cut: bool = False) -> Block:
    """Return the rows and rejects of the lines ``data``, the first of which has the number ``first_line``."""
    if cut:
        rejects = [(first_line, "bad_syntax", "the file is cut off here", data)]
        return Block(ROWS.empty_table(), _reject_table(rejects))
    if not data.endswith(b"\n"):
        data += b"\n"
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw == 10)
    starts = np.concatenate(([0], ends[:-1] + 1))
    tabs = np.flatnonzero(raw == 9)
    before = np.searchsorted(tabs, ends)
    per_line = np.diff(before, prepend=0)
    right = per_line == 2
    first = before - per_line
    rejects = [
        (first_line + int(i), "bad_syntax", f"{int(per_line[i])} tabs, not 2", data[starts[i] : ends[i]])
        for i in np.flatnonzero(~right)
    ]
    lines = np.flatnonzero(right)
    left, middle = tabs[first[lines]], tabs[first[lines] + 1]
    stop = ends[lines]
    stop = stop - (raw[stop - 1] == 13)
    columns = [_slices(data, starts[lines], left), _slices(data, left + 1, middle), _slices(data, middle + 1, stop)]
    if order == "instance-first":
        columns[0], columns[1] = columns[1], columns[0]
    rows, refused = _check(*columns)
    rejects += [
        (first_line + int(lines[i]), reason, detail, data[starts[lines[i]] : ends[lines[i]]])
        for i, reason, detail in refused
    ]
    return Block(rows, _reject_table(sorted(rejects)))


def _slices(data: bytes, starts: np.ndarray[Any, Any], ends: np.ndarray[Any, Any]) -> pa.Array:
    """Return the byte ranges as one binary array: fields and the gaps between them share the buffer, then gaps go."""
    if not len(starts):
        return pa.array([], pa.binary())
    bounds = np.empty(2 * len(starts) + 1, np.int32)
    bounds[0:-1:2], bounds[1::2], bounds[-1] = starts, ends, ends[-1]
    whole = pa.Array.from_buffers(
        pa.binary(), 2 * len(starts), [None, pa.py_buffer(bounds.tobytes()), pa.py_buffer(data)]
    )
    return whole.take(pa.array(np.arange(0, 2 * len(starts), 2)))


def _check(concept: pa.Array, instance: pa.Array, count: pa.Array) -> tuple[pa.Table, list[tuple[int, str, str]]]:
    """Return the sound rows, folded, and (index, reason, detail) of the others."""
    bad: dict[int, tuple[str, str]] = {}
    concept, instance, count = (_text(column, bad) for column in (concept, instance, count))
    number = pc.and_(pc.ascii_is_decimal(count), pc.less(pc.binary_length(count), 17))
    for i in _where(pc.invert(number)):
        bad.setdefault(i, ("bad_number", "the count is not a positive whole number"))
    counts = pc.if_else(number, count, "0").cast(pa.int64()).to_numpy()
    for i in np.flatnonzero((counts < 1) | (counts > MAX_COUNT)).tolist():
        bad.setdefault(i, ("bad_number", "the count is not a positive whole number"))
    concept, instance = _folded(concept), _folded(instance)
    for name, column in (("concept", concept), ("instance", instance)):
        for i in _where(pc.equal(column, "")):
            bad.setdefault(i, ("missing_field", f"no {name}"))
    for i in _where(pc.equal(concept, instance)):
        bad.setdefault(i, ("self_pair", "concept and instance are the same"))
    rows = pa.table({"instance": instance, "concept": concept, "count": counts}, schema=ROWS)
    if bad:
        keep = np.ones(len(counts), bool)
        keep[list(bad)] = False
        rows = rows.filter(pa.array(keep))
    return rows, [(i, *bad[i]) for i in sorted(bad)]


def _where(mask: pa.Array) -> list[int]:
    return list(np.flatnonzero(mask.to_numpy(zero_copy_only=False)).tolist())


def _text(column: pa.Array, bad: dict[int, tuple[str, str]]) -> pa.Array:
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        values: list[str] = []
        for i, value in enumerate(column.to_pylist()):
            try:
                values.append(value.decode())
            except UnicodeDecodeError as error:
                bad.setdefault(i, ("bad_encoding", f"not UTF-8: {error.reason}"))
                values.append("")
        return pa.array(values, pa.string())


def _folded(column: pa.Array) -> pa.Array:
    lowered = pc.ascii_lower(column)
    odd = pc.invert(_is_plain(column))
    if not pc.any(odd).as_py():
        return lowered
    mended = [fold(text) for text in column.filter(odd).to_pylist()]
    return pc.replace_with_mask(lowered, odd, pa.array(mended, pa.string()))


def _is_plain(column: pa.Array) -> pa.BooleanArray:
    """Return whether each value is printable ASCII without outer or doubled spaces."""
    buffers = column.buffers()
    data = np.frombuffer(buffers[2], np.uint8) if buffers[2] is not None else np.empty(0, np.uint8)
    offsets = np.frombuffer(buffers[1], np.int32)[column.offset : column.offset + len(column) + 1]
    data = data[offsets[0] : offsets[-1]]
    offsets = offsets - offsets[0]
    space = data == 32
    strange = (data < 32) | (data > 126)
    strange[1:] |= space[1:] & space[:-1]
    filled = np.flatnonzero(np.diff(offsets))
    strange[offsets[filled]] |= space[offsets[filled]]
    strange[offsets[filled + 1] - 1] |= space[offsets[filled + 1] - 1]
    plain = np.ones(len(column), bool)
    plain[np.searchsorted(offsets, np.flatnonzero(strange), side="right") - 1] = False
    return pa.array(plain)


def _reject_table(rejects: list[tuple[int, str, str, bytes]]) -> pa.Table:
    columns = list(zip(*rejects, strict=True)) or [(), (), (), ()]
    texts = [text.decode(errors="replace").replace("\0", "\ufffd")[:_TEXT_SHOWN] for text in columns[3]]
    return pa.table([columns[0], columns[1], columns[2], texts], schema=_REJECTS)
