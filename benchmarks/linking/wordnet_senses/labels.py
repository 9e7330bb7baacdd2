"""Reading the labels of senses; README.md describes the files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

_HERE: Final = Path(__file__).parent


class Rule(NamedTuple):
    """What a word means under a condition; no senses where it links to nothing."""

    word: str
    when: str
    senses: tuple[str, ...]
    reason: str


class Mention(NamedTuple):
    """A labelled phrase: code points of the record's field, kind and acceptable senses."""

    start: int
    end: int
    kind: str
    senses: tuple[str, ...]
    optional: bool


@dataclass(frozen=True)
class Item:
    """A text of a record, ``record[field][start:end]``, with its phrases."""

    source: str
    row: int | str
    start: int
    end: int
    mentions: tuple[Mention, ...]


class Pair(NamedTuple):
    """Two intentions, each by record and relation, and what each annotator says: 1, 0 or ?."""

    a: str
    a_relation: str
    b: str
    b_relation: str
    first: str
    second: str


def lexicon() -> dict[str, list[Rule]]:
    """Return the rules of each word, that of ``*`` first."""
    rules: dict[str, list[Rule]] = {}
    for word, when, senses, reason in _rows("lexicon.tsv"):
        meant = () if senses == "-" else tuple(senses.split("|"))
        rules.setdefault(word, []).append(Rule(word, when, meant, reason))
    return rules


def mentions(file: str = "mentions.jsonl") -> list[Item]:
    """Return the labelled texts of a file, sorted by source and row."""
    return [_item(json.loads(line)) for line in (_HERE / file).read_text("utf-8").splitlines()]


def paraphrases() -> list[Pair]:
    """Return the labelled pairs of intentions."""
    return [Pair(*row) for row in _rows("paraphrases.tsv")]


def kinds() -> dict[str, tuple[str, ...]]:
    """Return the acceptable kinds of each product, by file and id."""
    return {key: () if names == "-" else tuple(names.split("|")) for key, names in _rows("kinds.tsv")}


def _item(label: dict[str, Any]) -> Item:
    found = tuple(
        Mention(*phrase["span"], phrase["kind"], tuple(phrase["senses"]), phrase.get("optional", False))
        for phrase in label["phrases"]
    )
    return Item(label["source"], label["row"], *label["span"], found)


def _rows(name: str) -> Iterator[list[str]]:
    for line in (_HERE / name).read_text("utf-8").splitlines():
        if not line.startswith("# "):
            yield line.split("\t")
