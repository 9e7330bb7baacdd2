"""What XML 1.0 cannot hold, not even escaped, replaced for GraphML, GEXF, SVG, pages and SPARQL results in XML.

Formats that can hold every character (N-Triples, Turtle, JSON, CSV, Parquet) do not need this.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pyarrow as pa

REPLACEMENT: Final = "\ufffd"
FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""The code points that are no ``Char`` of XML 1.0 (section 2.2): control characters, surrogates, U+FFFE and U+FFFF."""

FORBIDDEN_RE2: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x{fffe}\x{ffff}]"
"""The same for Arrow, whose texts have no surrogates."""


def xml_text(text: str) -> str:
    r"""Return ``text`` with U+FFFD in place of each character that XML cannot hold.

    >>> xml_text("usb\ufffe cable\x00\n")
    'usb\ufffd cable\ufffd\n'
    """
    return FORBIDDEN.sub(REPLACEMENT, text)


def xml_id(text: str) -> str:
    r"""Return ``text`` with ``%`` and what XML cannot hold percent-encoded, so that different ids stay different.

    >>> xml_id("5% off\x01")
    '5%25 off%01'
    """
    return FORBIDDEN.sub(lambda m: "".join(f"%{byte:02X}" for byte in m[0].encode("utf-8", "surrogatepass")),
                         text.replace("%", "%25"))  # fmt: skip


def xml_column(texts: pa.Array) -> tuple[pa.Array, int]:
    """Return a column of texts as ``xml_text`` gives them, and how many characters were replaced."""
    import pyarrow.compute as pc

    replaced = pc.sum(pc.count_substring_regex(texts, FORBIDDEN_RE2)).as_py() or 0
    return (pc.replace_substring_regex(texts, FORBIDDEN_RE2, REPLACEMENT) if replaced else texts), replaced


def xml_values(value: Any) -> Any:
    r"""Return ``value``, lists and dicts included, with ``xml_text`` applied to every text and key in it.

    >>> xml_values({"rows": [{"concept": "a\x01"}, 3]})
    {'rows': [{'concept': 'a\ufffd'}, 3]}
    """
    if isinstance(value, str):
        return xml_text(value)
    if isinstance(value, dict):
        return {xml_values(key): xml_values(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [xml_values(one) for one in value]
    return value
