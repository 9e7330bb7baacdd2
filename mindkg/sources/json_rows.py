"""JSON Lines in blocks: one object a line, each line read on its own so that a bad one costs only itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mindkg.errors import InputError
from mindkg.sources.blocks import Block, Damage, Rows, beginning, joined
from mindkg.sources.encodings import UTF_8, Text
from mindkg.sources.files import CutOffError
from mindkg.sources.formats import INGEST

_SAMPLE = 100
_LITERAL = re.compile(rb"\s*\{\s*u?'")
"""How the metadata of 2014 begins, which is no JSON but Python."""


def open_jsonl(path: Path, encoding: str | None = None) -> Rows:
    """Return the keys of the first objects of a JSON Lines file, and its blocks.

    The ``encoding`` is found from the content where it is None. Raises InputError where none of its first lines is an
    object.
    """
    keys: dict[str, None] = {}
    text = Text(path, encoding)
    for line in islice((line for lines, _ in _pieces(text) for line in lines), _SAMPLE):
        value = _parse(line)
        if isinstance(value, dict):
            keys.update(dict.fromkeys(value))
    if not keys:
        if _LITERAL.match(next(text.chunks(), b"")):
            raise InputError("this is a file of Amazon metadata", record=str(path), hint=INGEST["metadata"])
        raise InputError(
            "none of the first lines is a JSON object", record=str(path), hint="JSON Lines has one object on each line"
        )
    return Rows(
        tuple(keys),
        lambda wanted: _blocks(text, wanted),
        complete=False,
        read_as=lambda: "" if text.encoding == UTF_8 else text.encoding,
    )


def _pieces(text: Text) -> Iterator[tuple[list[bytes], str | None]]:
    """Yield the whole lines of each piece of the file; of a file that is cut off, its rest and how, at the end."""
    rest = b""
    try:
        for piece in text.chunks():
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()
            yield lines, None
    except CutOffError as error:
        yield [rest], str(error)
    else:
        if rest:
            yield [rest], None


def _parse(line: bytes) -> Any:
    """Return the value of a line of JSON, or the damage as (reason, detail)."""
    try:
        return json.loads(line)
    except UnicodeDecodeError as error:
        return "bad_encoding", f"not UTF-8 at byte {error.start} of the row: {error.reason}"
    except (ValueError, RecursionError) as error:
        return "bad_syntax", f"not JSON: {error}"


def _blocks(text: Text, wanted: Sequence[str]) -> Iterator[Block]:
    line = 1
    for lines, cut in _pieces(text):
        if cut is not None:
            damages = [Damage(line, "bad_syntax", f"cut off: {cut}", beginning(lines[0]))]
            yield Block({name: pa.array([], pa.string()) for name in wanted}, np.empty(0, np.int64), damages, str)
        else:
            yield _block(lines, line, wanted)
            line += len(lines)


def _block(lines: list[bytes], first: int, wanted: Sequence[str]) -> Block:
    places: list[int] = []
    rows: list[list[str]] = []
    damages: list[Damage] = []
    for place, line in enumerate(lines):
        if not line or line.isspace():
            continue
        value = _parse(line)
        if isinstance(value, dict):
            row = [v if type(v := value.get(name)) is str else _text(v) for name in wanted]
            if b"\\u" not in line or _is_unicode(row):
                places.append(place)
                rows.append(row)
                continue
            value = "bad_encoding", "half of a surrogate pair"
        elif not isinstance(value, tuple):
            value = "bad_syntax", "not a JSON object"
        reason, detail = value
        damages.append(Damage(first + place, reason, detail, beginning(line)))
    columns = zip(*rows, strict=True) if rows else ([] for _ in wanted)
    return Block(
        {name: pa.array(values, pa.string()) for name, values in zip(wanted, columns, strict=True)},
        np.array(places, np.int64) + first,
        damages,
        lambda row: beginning(lines[places[row]]),
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return joined(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_unicode(row: list[str]) -> bool:
    try:
        "".join(row).encode()
    except UnicodeEncodeError:
        return False
    return True
