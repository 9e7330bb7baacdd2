"""Text hygiene for titles, brands, categories, descriptions and ids; ``generations.text`` never comes here."""

from __future__ import annotations

import contextlib
import html
import json
import re
import unicodedata
from collections.abc import Callable
from html.entities import html5

import pyarrow as pa
import pyarrow.compute as pc

# an ampersand that was encoded again and again goes in one step: one round each would take forever
_ENTITY = re.compile(r"&(?:(?:amp|#38|#[xX]26);)*(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"  # control characters that are no white space
    "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0001-\U000e007f"
    "\ud800-\udfff]"
)
_LINE_BREAK = re.compile("\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_SUSPECT = r"[^ -~]|&|  |^ | $"
_SUSPECT_IN_LINES = r"[^ -~\n]|^[ \n]|[ \n]\z"


def clean(text: str) -> str:
    """Return ``text`` on one line: entities decoded, NFC, control and zero-width characters out, white space single.

    >>> clean(" Tom &amp;amp; Jerry\\u200b\\r\\n mug ")
    'Tom & Jerry mug'
    """
    while True:
        # a removed character can complete an entity, and a decoded one can be an entity again
        cleaned = _INVISIBLE.sub("", _ENTITY.sub(_decoded, text))
        cleaned = " ".join(unicodedata.normalize("NFC", cleaned).split())
        if cleaned == text:
            return cleaned
        text = cleaned


def _decoded(entity: re.Match[str]) -> str:
    """Return the character of an entity; unlike html.unescape, leave ``&copy2;`` alone."""
    known = entity[1].startswith("#") or f"{entity[1]};" in html5
    return html.unescape(f"&{entity[1]};") if known else f"&{entity[1]};"


def clean_lines(text: str) -> str:
    r"""Return ``text`` with its line breaks (as ``\n``), NFC, without control and zero-width characters.

    >>> clean_lines("A mug.\r\n\r\nIt is blue.\x00\n")
    'A mug.\n\nIt is blue.'
    """
    lines = _LINE_BREAK.sub("\n", text).replace("\t", " ").replace("\x1f", " ")
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", lines)).strip()


def category_path(text: str) -> list[str]:
    """Return the parts of a path of categories: a JSON list, or names with ``>`` (or U+001F) between them.

    >>> category_path("Electronics > Cables &amp; Adapters"), category_path('["Toys", "Games"]'), category_path("")
    (['Electronics', 'Cables & Adapters'], ['Toys', 'Games'], [])
    """
    parts = [text]
    if "\x1f" in text:
        parts = text.split("\x1f")
    elif text.lstrip().startswith("["):
        with contextlib.suppress(ValueError, RecursionError):
            parts = [str(part) for part in json.loads(text) if part is not None]
    else:
        parts = re.split(r"\s>\s|&gt;", text)
    return [cleaned for part in parts if (cleaned := clean(part))]


def clean_column(column: pa.Array) -> pa.Array:
    """Return :func:`clean` of every value of a string column, shape (rows,); only suspect values are touched."""
    return _apply(column, _SUSPECT, clean)


def clean_lines_column(column: pa.Array) -> pa.Array:
    """Return :func:`clean_lines` of every value of a string column, shape (rows,)."""
    return _apply(column, _SUSPECT_IN_LINES, clean_lines)


def _apply(column: pa.Array, suspect: str, function: Callable[[str], str]) -> pa.Array:
    mask = pc.fill_null(pc.match_substring_regex(column, suspect), False)
    if not pc.any(mask).as_py():
        return column
    encoded = column.filter(mask).dictionary_encode()
    cleaned = pa.array([function(value) for value in encoded.dictionary.to_pylist()], column.type)
    return pc.replace_with_mask(column, mask, cleaned.take(encoded.indices))
