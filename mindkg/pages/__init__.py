"""The HTML pages that mindkg writes and serves: Jinja2 templates with autoescaping and a Content-Security-Policy.

A page loads nothing and runs no script but its own: styles and scripts are inline and allowed by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mindkg.xml_text import xml_text

_ENDS_SCRIPT: Final = re.compile(r"<(?=/script|!--)", re.IGNORECASE)
"""What would end an inline script, or change how the rest of it is read (HTML, section 4.12.1.3)."""


def render(
    template: str, *, style: str, scripts: Sequence[str] = (), form: str = "'none'", allow: str = "", **values: Any
) -> str:
    """Return the page of ``template``, a file of this folder, with ``values`` escaped.

    ``style`` is its style sheet and ``scripts`` are its scripts, in their order; the policy allows nothing else.
    ``form`` is where forms may be sent, as in ``form-action``; ``allow`` are further directives.
    """
    source = [Markup(_inline(script)) for script in scripts]
    return (
        environment()
        .get_template(template)
        .render(policy=policy(style, source, form, allow), style=Markup(style), scripts=source, **values)
    )


def policy(style: str, scripts: Sequence[str] = (), form: str = "'none'", allow: str = "") -> str:
    """Return the Content-Security-Policy of a page with these inline styles and scripts.

    >>> policy("p { color: red }")
    "default-src 'none'; style-src 'sha256-...'; base-uri 'none'; form-action 'none'"
    """
    allowed = f"default-src 'none'; style-src {_hash(style)}; "
    if scripts:
        allowed += f"script-src {' '.join(map(_hash, scripts))}; "
    return f"{allowed}{allow}base-uri 'none'; form-action {form}"


def part(name: str) -> str:
    """Return the text of a style sheet or script of this folder."""
    loader = environment().loader
    assert loader is not None
    return loader.get_source(environment(), name)[0]


@cache
def environment() -> Environment:
    """Return the environment of the templates: everything is escaped, and what XML forbids is replaced."""
    made = Environment(
        loader=PackageLoader("mindkg", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    made.policies["json.dumps_kwargs"] = {}  # ASCII only, so that U+2028 and U+2029 are escapes
    return made


def _finalized(value: Any) -> Any:
    """Return what a template writes for ``value``; markup of ours is written as it is."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else xml_text(value)


def _inline(script: str) -> str:
    return _ENDS_SCRIPT.sub(r"\\x3C", script)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
