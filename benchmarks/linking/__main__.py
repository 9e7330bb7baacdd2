"""``python -m benchmarks.linking --data FOLDER --isa FILE``: the linker and the baselines against the labels."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from benchmarks.linking.labels import Item, read, verdict
from benchmarks.linking.methods import METHODS, Links, linker
from mindkg.link.isa import open_isa
from mindkg.link.steps import ALL


@dataclass(frozen=True)
class Score:
    """Shares, 0 to 1: of texts with a phrase to link (first, three, any), of phrases, of all links given."""

    texts: int
    first: float
    three: float
    phrases: float
    right: float
    forbidden: float
    stray: float


def score(items: Sequence[Item], links: Links) -> Score:
    """Return how ``links`` compare with the labels of ``items``; a text without an answer counts as wrong."""
    asked = [(item, given) for item, given in zip(items, links, strict=True) if item.required]
    first = [bool(given) and verdict(item, *given[0]) == "good" for item, given in asked]
    three = [verdict(item, *link) == "good" for item, given in asked for link in given[:3]]
    spans = [(item, phrase, given) for item, given in asked for phrase in item.required]
    over = [[link for link in given if link.start < p.end and p.start < link.end] for _, p, given in spans]
    right = [any(verdict(item, *link) == "good" for link in here) for (item, *_), here in zip(spans, over, strict=True)]
    given = Counter(verdict(item, *link) for item, links_ in zip(items, links, strict=True) for link in links_)
    every = max(given.total(), 1)
    return Score(
        len(asked),
        _share(first),
        _share(three),
        _share([bool(here) for here in over]),
        _share(right),
        given["forbidden"] / every,
        given["stray"] / every,
    )


def _share(values: Sequence[bool]) -> float:
    return sum(values) / max(len(values), 1)


def main() -> None:
    """Print a row for each method and part of the labels, for each step left out, and for each relation."""
    options = _options()
    items = read(options.data)
    isa = open_isa(options.isa)
    parts = {
        "development": [item for item in items if not item.held_out],
        "held out": [item for item in items if item.held_out],
    }
    print("| labels | method | texts | p@1 | p@3 | phrases found | phrases right | forbidden | stray |")
    print("|---|---|---|---|---|---|---|---|---|")
    for part, chosen in parts.items():
        groups = {part: chosen} | {
            f"{part}, {source}": [item for item in chosen if item.source == source]
            for source in sorted({item.source for item in chosen})
        }
        for method, link in METHODS.items():
            for name, group in groups.items():
                if name == part or method == "mindkg":
                    print(_row(name, method, score(group, link(group, isa))))
    if options.embed or options.spacy:
        print("\n| labels | step added | texts | p@1 | p@3 | phrases found | phrases right | forbidden | stray |")
        print("|---|---|---|---|---|---|---|---|---|")
        for part, chosen in parts.items():
            for step in ("embed", "spacy"):
                if name := getattr(options, step):
                    added = linker(chosen, isa, replace(ALL, **{step: name}))
                    print(_row(part, f"{step} {Path(name).name}", score(chosen, added)))
    print("\n| labels | step left out | texts | p@1 | p@3 | phrases found | phrases right | forbidden | stray |")
    print("|---|---|---|---|---|---|---|---|---|")
    for part, chosen in parts.items():
        for name in [step.name for step in fields(ALL) if step.default is True]:
            print(_row(part, name, score(chosen, linker(chosen, isa, replace(ALL, **{name: False})))))
    print("\n| relation | method | texts | p@1 | p@3 | phrases found | phrases right | forbidden | stray |")
    print("|---|---|---|---|---|---|---|---|---|")
    for relation in sorted({item.relation for item in items}):
        group = [item for item in items if item.relation == relation]
        print(_row(relation, "mindkg", score(group, METHODS["mindkg"](group, isa))))


def _row(name: str, method: str, found: Score) -> str:
    shares = (found.first, found.three, found.phrases, found.right, found.forbidden, found.stray)
    return f"| {name} | {method} | {found.texts} | " + " | ".join(f"{100 * share:.1f}" for share in shares) + " |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with mind/ and intentionqa/; without it our own sentences")
    parser.add_argument("--isa", type=Path, help="isA table; without it the shipped one")
    parser.add_argument("--embed", help="also with embeddings of this model of sentence-transformers")
    parser.add_argument("--spacy", help="also with this trained pipeline of spaCy")
    return parser.parse_args()


if __name__ == "__main__":
    main()
