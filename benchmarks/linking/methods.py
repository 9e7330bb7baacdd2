"""What is compared: the linker, and three baselines over the same isA table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from benchmarks.linking.labels import Item
from mindkg.link.isa import IsaTable
from mindkg.link.phrases import candidates, chunker
from mindkg.link.scores import p_concept, p_instance, rep
from mindkg.link.steps import ALL, Steps
from mindkg.link.tables import link_texts

KEPT: Final = 5
"""Concepts a method gives for a text, best first."""


class Link(NamedTuple):
    """A concept for text[start:end]."""

    start: int
    end: int
    concept: str


Links = list[list[Link]]
Spans = list[tuple[int, int, str]]


def linker(items: Sequence[Item], isa: IsaTable, steps: Steps = ALL) -> Links:
    """The project's linker."""
    found = link_texts(
        [item.text for item in items],
        isa,
        relations=[item.relation for item in items],
        titles=[" ".join(item.titles) for item in items],
        top_k=KEPT,
        steps=steps,
    )
    return [[Link(m.start, m.end, m.concept) for m in mentions] for mentions in found]


def longest(items: Sequence[Item], isa: IsaTable) -> Links:
    """Longest n-gram of the text that the table has, with its most frequent concept (FolkScope, ASER)."""
    return _scored(items, isa, _ngrams, lambda count, *_: count, longest_first=True)


def heads(items: Sequence[Item], isa: IsaTable) -> Links:
    """The head word of each noun phrase with P(c|e)."""
    return _scored(items, isa, _head_words, lambda count, total, *_: p_concept(count, total))


def rep_alone(items: Sequence[Item], isa: IsaTable) -> Links:
    """The longest part of each noun phrase that the table has, with Rep and no context."""

    def score(count: int, total: int, concept_total: int) -> float:
        return float(rep(p_concept(count, total), p_instance(count, concept_total, isa.instances)))

    return _scored(items, isa, _parts, score)


def _scored(
    items: Sequence[Item],
    isa: IsaTable,
    spans: Callable[[str], list[Spans]],
    score: Callable[[int, int, int], float],
    *,
    longest_first: bool = False,
) -> Links:
    """Link, of each list of ``spans`` of a text, the first that the table has; rank all concepts by ``score``."""
    wanted = [spans(item.text) for item in items]
    rows = defaultdict(list)
    for row in isa.lookup(sorted({form for lists in wanted for each in lists for *_, form in each})).to_pylist():
        rows[row["instance"]].append(row)
    labels = sorted({row["concept"] for several in rows.values() for row in several})
    totals = {row["concept"]: row["total"] for row in isa.concept_totals(labels).to_pylist()}
    found = []
    for lists in wanted:
        scored = []
        for each in lists:
            start, end, form = next((span for span in each if span[2] in rows), (0, 0, ""))
            for row in rows.get(form, ()):
                value = score(row["count"], row["total"], totals[row["concept"]])
                order = (-len(form.split()), -value) if longest_first else (0, -value)
                scored.append((*order, row["concept"], Link(start, end, row["concept"])))
        best = {link.concept: link for *_, link in sorted(scored, reverse=True)}
        ranked = sorted(scored)
        found.append([link for *_, link in ranked if best[link.concept] is link][:KEPT])
    return found


def _ngrams(text: str) -> list[Spans]:
    """Yield for each place of the text its n-grams, longest first; words of the closed classes end none."""
    starts, ends, words = chunker().tokens(text)
    free = [chunker().is_open(word) for word in words]
    lists = []
    for first in range(len(words)):
        each: Spans = []
        for last in range(min(len(words), first + 5), first, -1):
            if free[first] and free[last - 1]:
                form = " ".join([*words[first : last - 1], chunker().noun_lemma(words[last - 1])])
                each += [(starts[first], ends[last - 1], form)]
        lists.append(each)
    return lists


def _head_words(text: str) -> list[Spans]:
    lemma = chunker().noun_lemma
    return [[(p.starts[-1], p.ends[-1], lemma(p.words[-1]))] for p in chunker().phrases(text)]


def _parts(text: str) -> list[Spans]:
    return [
        [
            (p.starts[first], p.ends[last - 1], form)
            for first, last, *_, form in candidates(p.words, p.tags, chunker().noun_lemma)
        ]
        for p in chunker().phrases(text)
    ]


METHODS: Final = {
    "longest n-gram, most frequent": longest,
    "head word, P(c|e)": heads,
    "longest part, Rep": rep_alone,
    "mindkg": linker,
}
