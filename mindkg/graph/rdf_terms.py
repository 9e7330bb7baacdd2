"""Arrow columns as RDF terms: escaping and percent-encoding that touch only the rows which need it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

STRING: Final = pa.large_string()
"""The type of every column of terms: 64-bit offsets, since a batch of long texts may pass 2 GiB."""

_SPECIAL = r'["\\\x00-\x1f\x7f\x{FFFE}\x{FFFF}]'
_RESERVED = r"[^A-Za-z0-9._~ -]|^\.{1,2}$"
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
_ESCAPED = re.compile('["\\\\\x00-\x1f\x7f\ufffe\uffff]')


def text_scalar(value: str) -> pa.Scalar:
    """Return ``value`` as a scalar that joins with columns of terms."""
    return pa.scalar(value, STRING)


def as_text(values: pa.Array) -> pa.Array:
    """Return ``values`` as strings: integers, booleans and texts as they are, doubles as XML Schema writes them."""
    texts = values.cast(STRING)
    if not pa.types.is_floating(values.type):
        return texts
    special = pc.replace_substring(pc.replace_substring(texts, "nan", "NaN"), "inf", "INF")
    # JSON-LD readers take a double without a point for an integer
    whole = pc.invert(pc.match_substring_regex(texts, "[.e]"))
    return pc.if_else(pc.is_finite(values), pc.if_else(whole, join(texts, ".0"), texts), special)


def escape(texts: pa.Array) -> pa.Array:
    r"""Return ``texts`` as they stand between the quotes of N-Triples, Turtle and JSON alike.

    >>> escape(pa.array(['a "b"\n', "plain"])).to_pylist()
    ['a \\"b\\"\\n', 'plain']
    """
    return _change(texts.cast(STRING), _SPECIAL, lambda text: _ESCAPED.sub(_escaped, text))


def percent_encode(ids: pa.Array) -> pa.Array:
    """Return ``ids`` as the last part of an IRI: all but unreserved characters (RFC 3986, section 2.3) percent-encoded.

    A lone ``.`` or ``..`` is encoded too, since a parser may take it for a step up the path.

    >>> percent_encode(pa.array(["usb cable", "café/bar", ".."])).to_pylist()
    ['usb%20cable', 'caf%C3%A9%2Fbar', '%2E%2E']
    """
    changed = _change(ids.cast(STRING), _RESERVED, encode_id)
    return pc.replace_substring(changed, " ", "%20")


def encode_id(text: str) -> str:
    """Return one id as ``percent_encode`` does.

    >>> encode_id("5% off")
    '5%25%20off'
    """
    return text.replace(".", "%2E") if text in (".", "..") else quote(text, safe="~")


def join(*parts: pa.Array | str) -> pa.Array:
    """Return the rows of ``parts`` joined without separator; null where a part is null."""
    return pc.binary_join_element_wise(*_scalars(parts), text_scalar(""), null_handling="emit_null")


def join_present(*parts: pa.Array | str) -> pa.Array:
    """Return the rows of ``parts`` joined without separator; a null part counts for nothing."""
    return pc.binary_join_element_wise(*_scalars(parts), text_scalar(""), null_handling="skip")


def contents(texts: pa.Array) -> memoryview:
    """Return the bytes of all rows of ``texts`` (no nulls, ``STRING``), one behind the other, without copying them."""
    if not len(texts):
        return memoryview(b"")
    _, offsets, data = texts.buffers()
    ends = memoryview(offsets).cast("q")
    return memoryview(data)[ends[texts.offset] : ends[texts.offset + len(texts)]] if data else memoryview(b"")


def _scalars(parts: tuple[pa.Array | str, ...]) -> list[pa.Array | pa.Scalar]:
    merged: list[pa.Array | str] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    return [text_scalar(part) if isinstance(part, str) else part for part in merged]


def _change(texts: pa.Array, pattern: str, change: Callable[[str], str]) -> pa.Array:
    """Return ``texts`` with ``change`` applied to the rows in which ``pattern`` is found."""
    found = pc.fill_null(pc.match_substring_regex(texts, pattern), False)
    if not pc.any(found).as_py():
        return texts
    values = texts.filter(found).dictionary_encode()
    changed = pa.array([change(text) for text in values.dictionary.to_pylist()], STRING)
    return pc.replace_with_mask(texts, found, changed.take(values.indices))


def _escaped(match: re.Match[str]) -> str:
    character = match.group()
    return _ESCAPES.get(character) or f"\\u{ord(character):04X}"
