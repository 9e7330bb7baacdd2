"""The labels: real texts by row and span, our own sentences by markup, senses as sets of concepts."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from mindkg.link.phrases import chunker

_HERE: Final = Path(__file__).parent
_MARKED: Final = re.compile(r"\[([^\]=]+)=(~?)([^\]]+)\]")
MIND: Final = "mind/mind_llava_sample.csv.gz"
QA: Final = "intentionqa/QA_fullInfo_task1_byRelation.jsonl.gz"


class Phrase(NamedTuple):
    """A phrase to link: text[start:end], its sense, and whether a linker may leave it out."""

    start: int
    end: int
    sense: str
    optional: bool


@dataclass(frozen=True)
class Item:
    """A text with its labels; ``held_out`` items are not looked at while rules are made."""

    key: str
    source: str
    relation: str
    text: str
    titles: tuple[str, ...]
    phrases: tuple[Phrase, ...]

    @property
    def held_out(self) -> bool:
        """Two of five items, by a hash of their key."""
        return hashlib.sha256(self.key.encode()).digest()[0] % 5 < 2

    @property
    def required(self) -> list[Phrase]:
        return [phrase for phrase in self.phrases if not phrase.optional]


def read(data: Path | None) -> list[Item]:
    """Return the labelled items: our own sentences, and with ``data`` the real texts too."""
    return [*_own(), *(_real(data) if data else ())]


def _own() -> Iterator[Item]:
    for number, (relation, titles, marked) in enumerate(_rows("sentences.tsv")):
        text, phrases, end = "", [], 0
        for match in _MARKED.finditer(marked):
            text += marked[end : match.start()]
            phrases.append(Phrase(len(text), len(text) + len(match[1]), match[3], bool(match[2])))
            text += match[1]
            end = match.end()
        text += marked[end:]
        yield Item(f"own {number}", "own", relation, text, tuple(titles.split(" | ")), tuple(phrases))


def _real(data: Path) -> Iterator[Item]:
    csv.field_size_limit(10**9)
    with gzip.open(data / MIND, "rt", encoding="utf-8", newline="") as lines:
        mind = list(csv.DictReader(lines))
    with gzip.open(data / QA, "rt", encoding="utf-8") as lines:
        asked = {row["id"]: row for row in map(json.loads, lines)}
    for line in (_HERE / "labels.jsonl").read_text("utf-8").splitlines():
        label: dict[str, Any] = json.loads(line)
        source, row = label["source"], label["row"]
        if source == "intentionqa":
            record, field = asked[row], "assertion"
            titles = (record["item_a_name"], record["item_b_name"])
        else:
            record, field = mind[row], source.removeprefix("mind.")
            titles = (record["Product_a"], record["Product_b"])
        begin, end = label["span"]
        phrases = tuple(Phrase(a - begin, b - begin, sense, bool(rest)) for a, b, sense, *rest in label["phrases"])
        relation = record.get("Relation") or record.get("relation") or ""
        yield Item(f"{source} {row}", source, relation, record[field][begin:end], titles, phrases)


def _rows(name: str) -> Iterator[list[str]]:
    for line in (_HERE / name).read_text("utf-8").splitlines():
        if not line.startswith("# "):
            yield line.split("\t")


@cache
def _senses() -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    return {
        sense: (frozenset(good.split("|")), frozenset(bad.split("|")) - {""})
        for sense, good, bad in _rows("senses.tsv")
    }


@cache
def _vague() -> tuple[frozenset[str], tuple[str, ...]]:
    labels = [label for (label,) in _rows("vague.txt")]
    return frozenset(labels), tuple(label[:-1] for label in labels if label.endswith("*"))


def verdict(item: Item, start: int, end: int, concept: str) -> str:
    """Return what the annotator says of ``concept`` for text[start:end]: good, forbidden, poor or stray.

    Stray is a link where no phrase is labelled; forbidden a vague concept or one of a wrong sense; poor all else.
    """
    over = [phrase for phrase in item.phrases if phrase.start < end and start < phrase.end]
    if any(concept in _senses()[phrase.sense][0] or concept in _heads(item, phrase) for phrase in over):
        return "good"
    labels, prefixes = _vague()
    if concept in labels or concept.startswith(prefixes) or any(concept in _senses()[p.sense][1] for p in over):
        return "forbidden"
    return "poor" if over else "stray"


def _heads(item: Item, phrase: Phrase) -> set[str]:
    """Return the shorter ends of a phrase of several words: an extension cable is a cable."""
    words = item.text[phrase.start : phrase.end].lower().split()
    last = chunker().noun_lemma(words[-1])
    ends = {" ".join([*words[first:-1], last]) for first in range(1, len(words))}
    return ends - _vague()[0]
