"""What web pages left in texts: tags go, and a text that is a script or a style sheet is no text."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from mindkg.sources.text import clean, clean_column

_INLINE = "a|abbr|b|big|code|em|font|i|s|small|span|strike|strong|sub|sup|tt|u"
_BLOCK = (
    "article|aside|blockquote|body|br|button|center|dd|div|dl|dt|fieldset|footer|form|h[1-6]|head|header|hr|html|iframe|"
    "img|input|label|li|link|main|meta|nav|noscript|object|ol|option|p|param|pre|script|section|select|style|svg|table|"
    "tbody|td|textarea|tfoot|th|thead|tr|ul|video"
)
_PICTURE = re.compile(r"""<img\b[^<>]*\balt\s*=\s*(?:"([^"]*)"|'([^']*)')[^<>]*>""", re.IGNORECASE)
_HIDDEN = re.compile(r"<(script|style)\b[^<>]*>.*?(?:</\1\s*>|$)|<!--.*?(?:-->|$)", re.IGNORECASE)
# inside a word a tag that only marks letters stands between no words
_MARK = re.compile(rf"</?(?:{_INLINE})(?:\s[^<>]*)?/?>", re.IGNORECASE)
_BREAK = re.compile(rf"</?(?:{_BLOCK})(?:\s[^<>]*)?/?>", re.IGNORECASE)

_CODE = r"\.getTime\(|\bfunction\s*\w*\s*\([\w\s,$]*\)\s*\{|(^|\s)var \w+ ?=|(^|[\s}])[.#][\w-]+\{[\w-]+:"


def without_markup(text: str) -> str:
    """Return ``text`` cleaned, and without HTML tags; an image leaves its alternative text.

    >>> without_markup("<b>Tea</b> &amp; &lt;i&gt;Mug&lt;/i&gt; <3 12<20")
    'Tea & Mug <3 12<20'
    >>> without_markup('<img src="a.png" alt="Amazon Fashion"/><script>go()</script>')
    'Amazon Fashion'
    """
    while True:
        found = _HIDDEN.sub(" ", clean(text))
        found = _PICTURE.sub(lambda m: f" {m[1] or m[2] or ''} ", found)
        found = clean(_BREAK.sub(" ", _MARK.sub("", found)))
        if found == text:
            return found
        text = found


def plain_column(column: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return the values of a string column cleaned and without tags, and which of them were code, shape (rows,).

    Code becomes the empty string.
    """
    cleaned = clean_column(column)
    tagged = pc.fill_null(pc.match_substring(cleaned, "<"), False)
    if pc.any(tagged).as_py():
        plain = [without_markup(value) for value in cleaned.filter(tagged).to_pylist()]
        cleaned = pc.replace_with_mask(cleaned, tagged, pa.array(plain, cleaned.type))
    code = pc.fill_null(pc.match_substring_regex(cleaned, _CODE), False)
    return pc.if_else(code, pa.scalar("", cleaned.type), cleaned), code
