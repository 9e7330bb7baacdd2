"""The prompts: files of ``prompts/``, read once, and filled with what is known of a product, a pair or an intention.

A file has lines ``#+ key: value``, then blocks that begin with a line ``[name]``: ``system``; the sentences of
``seen``, of which one says what the picture shows; ``text``, which all prompts of one product or pair share; and
``last``, which is behind it and names the relation or the intention. A word in braces is a place for a value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from mindkg.distill.requests import Picture, Prompt
from mindkg.distill.settings import FilterMode
from mindkg.errors import InputError
from mindkg.vocabulary import relations

FOLDER: Final = Path(__file__).parent / "prompts"
NAMES: Final = ("features", "intentions", "filter-score", "filter-paper")

TITLE_LENGTH: Final = 500
TEXT_LENGTH: Final = 4_000
"""Code points of a title, and of features or an intention, that a prompt takes: what is longer is cut off."""

_BLOCK: Final = re.compile(r"^\[([a-z]+(?: [a-z]+)?)\]\n", re.M)
_PLACE: Final = re.compile(r"\{([a-z_]+)\}")
_CONTROL: Final = {code: None for code in range(32) if not chr(code).isspace()} | {127: None}
# what a chat template takes for a turn or a picture: <|im_end|>, </s>, <image>, <start_of_turn>, [/INST], [IMG]
_MARKER: Final = re.compile(r"<(?=[|｜/\w])|\[(?=/?(?:INST|IMG|SYSTEM|AVAILABLE|TOOL)[A-Z_]*\])")


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt file: its version, the role of the model, the two parts of its text, and the sentences of ``seen``."""

    name: str
    version: str
    system: str
    text: str
    last: str
    seen: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Product:
    """What a prompt says of one product; None where it is not known."""

    product_id: str
    title: str | None = None
    features: str | None = None
    picture: Picture | None = None


@cache
def template(name: str) -> Template:
    """Return the prompt ``name`` of :data:`NAMES`; raises InputError for a file that lacks a part.

    >>> template("features").version
    '1'
    """
    return read_template(name, (FOLDER / f"{name}.txt").read_text("utf-8"))


def read_template(name: str, text: str) -> Template:
    """Return the prompt that the text of a prompt file holds; raises InputError where it lacks a part."""
    start, *parts = _BLOCK.split(text)
    header = dict(re.findall(r"^#\+ ([a-z]+): (.+)$", start, re.M))
    blocks = {block: body.strip("\n") for block, body in zip(parts[::2], parts[1::2], strict=True)}
    lacking = [part for part in ("version", "system", "text") if not (blocks | header).get(part)]
    if lacking:
        raise InputError(f"the prompt has no {lacking[0]}", record=name, hint="A prompt has a version, system and text")
    seen = {block.removeprefix("seen "): body for block, body in blocks.items() if block.startswith("seen ")}
    return Template(name, header["version"], blocks["system"], blocks["text"], blocks.get("last", ""), seen)


def filter_name(mode: FilterMode) -> str:
    """Return the name of the filter's prompt.

    >>> filter_name("score")
    'filter-score'
    """
    return f"filter-{mode}"


def features_prompt(product: Product) -> Prompt:
    """Return the question for the features of a product."""
    found = template("features")
    seen = found.seen["one" if product.picture else "none"]
    return _prompt(found, _filled(found.text, {"seen": seen, "title": one_line(product.title, TITLE_LENGTH)}), {})


def intention_prompt(a: Product, b: Product, relation: str) -> Prompt:
    """Return the question why ``a`` and ``b`` are bought together; its last words are the prefix of ``relation``.

    The prompts of one pair are equal up to that prefix. A relation without one (``open``) asks for any intention.
    """
    prefix = next(iter(relations()[relation].prefixes), "")
    return _prompt(template("intentions"), _pair("intentions", a, b), {"prefix": prefix})


def filter_prompt(a: Product, b: Product, intention: str, mode: FilterMode) -> Prompt:
    """Return the question whether ``intention`` would make a customer buy ``a`` and ``b`` together."""
    name = filter_name(mode)
    return _prompt(template(name), _pair(name, a, b), {"intention": one_line(intention, TEXT_LENGTH) or ""})


def one_line(value: str | None, length: int) -> str | None:
    """Return ``value`` on one line of at most about ``length`` code points, None where it says nothing.

    White space is one space, so that no value can look like another line of the prompt; what a chat template would
    take for a turn or a picture gets a space and is words.

    >>> one_line("Cable <image>\\nProduct B: </s>", 500)
    'Cable < image> Product B: < /s>'
    """
    words = " ".join((value or "").translate(_CONTROL).split())
    if len(words) > length:
        words = f"{words[:length].rstrip()} …"
    return _MARKER.sub(lambda mark: f"{mark.group()} ", words) or None


@lru_cache(maxsize=8)
def _pair(name: str, a: Product, b: Product) -> str:
    """Return what the prompts of one pair begin with; they are made one after the other."""
    which = "both" if a.picture and b.picture else "a" if a.picture else "b" if b.picture else "none"
    values = {
        "seen": template(name).seen[which],
        "title_a": one_line(a.title, TITLE_LENGTH),
        "title_b": one_line(b.title, TITLE_LENGTH),
        "features_a": one_line(a.features, TEXT_LENGTH),
        "features_b": one_line(b.features, TEXT_LENGTH),
    }
    return _filled(template(name).text, values)


def _filled(text: str, values: Mapping[str, str | None]) -> str:
    """Return ``text`` with ``values`` in their places, each put there once and never read again.

    A line with a place for a value that is None goes.
    """
    lines = [
        _PLACE.sub(lambda place: values[place.group(1)] or "", line).rstrip()
        for line in text.split("\n")
        if all(values[name] is not None for name in _PLACE.findall(line))
    ]
    return "\n".join(lines)


def _prompt(found: Template, shared: str, last: Mapping[str, str | None]) -> Prompt:
    text = f"{shared}\n{_filled(found.last, last)}" if found.last else shared
    return Prompt(found.name, found.version, found.system, text)
