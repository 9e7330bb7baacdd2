"""Lines of Amazon files: in pieces of whole lines, however long or cut off, and each as JSON or a Python literal."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

from mindkg.errors import InputError
from mindkg.sources.amazon.fields import LONGEST_LITERAL
from mindkg.sources.blocks import Damage, beginning
from mindkg.sources.encodings import Text
from mindkg.sources.files import CutOffError, chunks
from mindkg.sources.reader import refuse

LONGEST: Final = 1 << 22
"""Bytes of the longest line that is read; the longest real ones have some 100,000."""

_BOM = b"\xef\xbb\xbf"
_SAMPLE = 100
_LITERAL = re.compile(r"\s*\{\s*u?'")


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole lines of a file, the first of which has the number ``first``, and what was too long or cut off."""

    first: int
    data: bytes = b""
    damages: list[Damage] = field(default_factory=list)


def pieces(path: Path, encoding: str | None = None) -> Iterator[Piece]:
    """Yield the whole lines of ``path`` in pieces of some megabytes, in order.

    A line longer than ``LONGEST`` that does not end in its piece, and the rest of a file that is cut off, are damages.
    Byte order marks go, also those inside, which files have that were put behind each other.
    """
    line, rest, too_long = 1, b"", b""
    try:
        for chunk in Text(path, encoding).chunks():
            buffer = rest + chunk
            end = buffer.find(b"\n") + 1 if too_long else 0
            if too_long and not end:
                continue
            if too_long:
                yield Piece(line, damages=[_too_long(line, too_long)])
                line, buffer, too_long = line + 1, buffer[end:], b""
            whole = buffer.rfind(b"\n") + 1
            if whole:
                yield Piece(line, _unmarked(buffer[:whole]))
            line, rest = line + buffer.count(b"\n"), buffer[whole:]
            if len(rest) > LONGEST:
                too_long, rest = rest[:LONGEST], b""
    except CutOffError as error:
        yield Piece(line, damages=[Damage(line, "bad_syntax", f"cut off: {error}", beginning(too_long or rest))])
        return
    if too_long:
        yield Piece(line, damages=[_too_long(line, too_long)])
    elif rest:
        yield Piece(line, _unmarked(rest) + b"\n")


def _unmarked(lines: bytes) -> bytes:
    """Return ``lines`` without byte order marks at their beginnings."""
    return lines.removeprefix(_BOM).replace(b"\n" + _BOM, b"\n")


def _too_long(line: int, raw: bytes) -> Damage:
    return Damage(line, "bad_syntax", f"longer than {LONGEST} bytes", beginning(raw))


def parse_line(line: bytes) -> dict[str, Any] | tuple[str, str]:
    """Return the object on a line, of JSON or of Python's constants, or the damage as (reason, detail).

    The detail quotes nothing of the line.

    >>> parse_line(b"{'asin': 'B00', 'price': 9.5, 'title': None}")
    {'asin': 'B00', 'price': 9.5, 'title': None}
    >>> parse_line(b"{'asin': open('B00')}")
    ('bad_syntax', 'not a Python literal')
    """
    if len(line) > LONGEST:
        return "bad_syntax", f"longer than {LONGEST} bytes"
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return "bad_encoding", f"not UTF-8 at byte {error.start} of the row: {error.reason}"
    if _LITERAL.match(text):
        return _literal(text)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return "bad_syntax", f"not JSON: {error}"
    return value if isinstance(value, dict) else ("bad_syntax", "not a JSON object")


def _literal(text: str) -> dict[str, Any] | tuple[str, str]:
    """Return the dictionary that ``text`` writes; Python itself refuses more than 200 brackets in each other."""
    if len(text) > LONGEST_LITERAL:
        return "bad_syntax", f"a Python literal of more than {LONGEST_LITERAL} characters"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unknown escapes in strings
            value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return "bad_syntax", "not a Python literal"
    return value if isinstance(value, dict) else ("bad_syntax", "not a Python dictionary")


def check_kind(path: Path, kind: Literal["metadata", "reviews"], encoding: str | None = None) -> None:
    """Raise InputError where the first lines of ``path`` are no objects, or those of the other ``kind``."""
    _refuse(path)
    lines = (
        line for piece in pieces(path, encoding) for line in piece.data.split(b"\n") if line and not line.isspace()
    )
    objects = [value for line in islice(lines, _SAMPLE) if isinstance(value := parse_line(line), dict)]
    if not objects:
        if any(piece.damages for piece in islice(pieces(path, encoding), 1)):
            return
        hint = "Amazon's files have one object on each line, as JSON or as a Python literal; ratings alone have commas"
        raise InputError("none of the first lines is an object", record=str(path), hint=hint)
    found = "reviews" if any("reviewerID" in value or "user_id" in value for value in objects) else "metadata"
    if found != kind:
        hint = "Give files of reviews with --reviews, and metadata without it"
        raise InputError(f"this file holds {found}, not {kind}", record=str(path), hint=hint)


def _refuse(path: Path) -> None:
    """Raise InputError for files that begin as a kind that is no lines."""
    try:
        head = next(chunks(path, 1 << 16), b"")
    except CutOffError:
        return
    if head.startswith(b"PAR1"):
        hint = "Write it as JSON Lines, for example with DuckDB: COPY (FROM 'FILE') TO 'FILE.jsonl'"
        raise InputError("this is a Parquet file", record=str(path), hint=hint)
    refuse(head, path)
