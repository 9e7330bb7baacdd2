"""What one object of a metadata file says of its product, in the words of all three years."""

from __future__ import annotations

import ast
import contextlib
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from mindkg.sources.blocks import LIST_SEPARATOR

YEAR_2014, YEAR_2018, YEAR_2023 = "amazon-2014", "amazon-2018", "amazon-2023"

_OLD: Final = frozenset({"related", "imUrl", "salesRank", "categories"})
_BY = re.compile(r"^\s*by\s*\n\s*")
_SIZE = re.compile(r"^(https?://[^/]*amazon\.com/images/I/[^/]*?)\._[^/]*_(\.\w+)$")
_NO_PICTURE = "/no-img"

LONGEST_LITERAL: Final = 1 << 20
"""Characters of the longest Python literal that is read: its syntax tree takes a hundred times its size."""

Row = Mapping[str, Any]


_PACKED: Final = (
    *("related", "category", "categories", "description", "image", "images", "imageURL", "imageURLHighRes", "details"),
    *("also_buy", "also_bought", "bought_together"),
)
"""The keys whose values are lists or objects, which tables hold as text."""
_STRING = r"""(?:'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+")"""
_BESIDE = re.compile(rf"({_STRING})(?=\s+['\"])", re.DOTALL)
_ARRAY = re.compile(rf"({_STRING})|\barray\(|(?:,\s*dtype=[^()]*)?\)", re.DOTALL)


def unpacked(row: Row) -> Row:
    """Return ``row`` with the lists and objects that were written as text: JSON, Python's literals or numpy's arrays.

    >>> unpacked({"title": "['A']", "category": "['Toys', 'Games']", "also_buy": "['B0' 'B1']"})
    {'title': "['A']", 'category': ['Toys', 'Games'], 'also_buy': ['B0', 'B1']}
    """
    packed = {name: found for name in _PACKED if (found := _unpacked(row.get(name))) is not None}
    return {**row, **packed} if packed else row


def _unpacked(value: object) -> list[Any] | dict[str, Any] | None:
    """Return the list or object that a text writes, None where it writes none."""
    if not isinstance(value, str) or len(value) > LONGEST_LITERAL:
        return None
    text = value.strip()
    if not text.startswith(("[", "{", "array(")) or text[-1] not in "])}":
        return None
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(text)
        return found if isinstance(found, list | dict) else None
    # numpy writes its strings side by side, which Python would take for one
    plain = _ARRAY.sub(lambda match: match[1] or "", text) if "array(" in text else text
    text = _BESIDE.sub(r"\1,", plain)
    with (
        contextlib.suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of unknown escapes in strings
        found = ast.literal_eval(text)
        return found if isinstance(found, list | dict) else None
    return None


def year(row: Row, literal: bool) -> str:
    """Return which year's layout a row has: 2023 names parents, 2014 wrote Python or has keys that 2018 lacks."""
    if "parent_asin" in row:
        return YEAR_2023
    return YEAR_2014 if literal or not _OLD.isdisjoint(row) else YEAR_2018


def identifier(value: object) -> str:
    """Return an id as text; a number lost the zeros that an ISBN starts with.

    >>> identifier(594451647), identifier(594451647.0), identifier("B00A"), identifier(None), identifier({"asin": "B0"})
    ('0594451647', '0594451647', 'B00A', '', 'B0')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        value = value.get("parent_asin") or value.get("asin")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value).zfill(10)
    return value if isinstance(value, str) else ""


def product_id(row: Row) -> str:
    """Return the id of the product: of 2023 that of all its variants."""
    return identifier(row.get("parent_asin")) or identifier(row.get("asin"))


def text(value: object) -> str:
    """Return a text, the parts of a list behind each other; what is no text is empty.

    >>> text(["Tea,", "and more."]), text(1984), text(float("nan")), text(None)
    ('Tea, and more.', '1984', '', '')
    """
    # lists in lists are no texts, and may be nested deeper than Python calls can be
    values = value if isinstance(value, list | tuple) else [value]
    return " ".join(part for part in map(_plain, values) if part)


def _plain(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def brand(row: Row) -> str:
    """Return the brand: of 2023 from the details, else the store."""
    named = text(row.get("brand"))
    if not named.strip():
        details = _object(row.get("details"))
        named = text(details.get("Brand")) or text(row.get("store"))
    return _BY.sub("", named)


def category(row: Row) -> str:
    """Return the path of categories with U+001F behind each name: of several paths the first that is not empty."""
    for value in (row.get("category"), row.get("categories"), row.get("main_cat"), row.get("main_category")):
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, list | tuple):
            paths = [part for part in value if isinstance(part, list | tuple) and part]
            names = [name for part in (paths[0] if paths else value) if (name := text(part)).strip()]
            if names:
                return "".join(name + LIST_SEPARATOR for name in names)
    return ""


def picture(row: Row) -> str:
    """Return the URL or path of the first picture, in its full size where the years' habits give that.

    >>> picture({"imageURL": ["https://images-na.ssl-images-amazon.com/images/I/31T._SX38_SY50_CR,0,0,38,50_.jpg"]})
    'https://images-na.ssl-images-amazon.com/images/I/31T.jpg'
    """
    places = [*_variants(row.get("images")), *_strings(row.get("imageURLHighRes"))]
    # 2018 shows thumbnails; without the size in its name it is the picture that imageURLHighRes has
    places += [_SIZE.sub(r"\1\2", place) for name in ("imageURL", "image") for place in _strings(row.get(name))]
    places += _strings(row.get("imUrl"))
    return next((place for place in places if _NO_PICTURE not in place), "")


def _variants(images: object) -> Iterator[str]:
    """Yield the pictures of 2023, the main one first, of each the large size, then the largest, then the smallest."""
    if isinstance(images, dict):  # as columns: {"large": […], "variant": […]}
        columns = {key: value for key, value in images.items() if isinstance(value, list)}
        length = max(map(len, columns.values()), default=0)
        images = [{k: v[i] for k, v in columns.items() if i < len(v)} for i in range(length)]
    if not isinstance(images, list):
        return
    objects = [image for image in images if isinstance(image, dict)]
    for image in sorted(objects, key=lambda image: image.get("variant") != "MAIN"):
        for size in ("large", "hi_res", "thumb"):
            yield from _strings(image.get(size))
    yield from _strings([image for image in images if isinstance(image, str)])


def _strings(value: object) -> list[str]:
    """Return the strings of a list, or the one string, that are not blank."""
    values = value if isinstance(value, list | tuple) else [value]
    return [v.strip() for v in values if isinstance(v, str) and v.strip()]


def listed(row: Row, names: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield each entry of the lists ``names``: the number of its list, and the product's id as it stands there."""
    related = _object(row.get("related"))
    for number, name in enumerate(names):
        for holder in (related, row):
            value = holder.get(name)
            if isinstance(value, str):
                value = _entries(value)
            if isinstance(value, list | tuple):
                yield from ((number, identifier(entry)) for entry in value)


def _entries(value: str) -> list[object]:
    """Return the entries of a list that was written as a string.

    >>> _entries("['B00A', 'B00B']"), _entries("B00A, B00B")
    (['B00A', 'B00B'], ['B00A', 'B00B'])
    """
    if value.lstrip().startswith("["):
        with contextlib.suppress(ValueError, RecursionError):
            return list(json.loads(value))
    return [entry for entry in re.split(r"[,\s\[\]'\"]+", value) if entry]


def _object(value: object) -> Row:
    """Return a dictionary, also one that was written as a string; an empty one for anything else."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(value)
    return value if isinstance(value, dict) else {}
