"""Mentions of a block of texts: phrases looked up once each, their concepts weighed in each text and ranked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.link.choice import LARGE, LEAST, Choice, choose
from mindkg.link.context import PULL, by_relation, spoken, subjects
from mindkg.link.ranking import first_of_each

if TYPE_CHECKING:
    from mindkg.link.isa import IsaTable
    from mindkg.link.steps import Steps

_WEIGHED: Final = 8
"""Concepts of a phrase that are weighed in its text."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Texts:
    """Texts and what is known of each: the phrases, the row of its relation, the place of its products' titles.

    ``spoken`` says of each distinct titles how often they speak of each domain (context.spoken).
    """

    text: pa.Array
    parsed: pa.StructArray
    relation: Ints
    titles: Ints
    spoken: Floats

    def slice(self, begin: int, size: int) -> Texts:
        """Return ``size`` texts from ``begin`` on."""
        return Texts(
            self.text.slice(begin, size),
            self.parsed.slice(begin, size),
            self.relation[begin : begin + size],
            self.titles[begin : begin + size],
            self.spoken,
        )


def mentions(texts: Texts, isa: IsaTable, vague: Collection[str], top_k: int, steps: Steps) -> pa.Table:
    """Return text (its place in ``texts``) and the columns of the table mentions but its key, by text and rank."""
    lists = pc.struct_field(texts.parsed, "phrases")
    text_of = pc.list_parent_indices(lists).to_numpy().astype(np.int64)
    flat = pc.list_flatten(lists)
    keys = pc.binary_join_element_wise(pc.struct_field(flat, "tags"), pc.struct_field(flat, "words"), " ")
    coded = keys.dictionary_encode()
    choice = choose(coded.dictionary, isa, vague, steps)
    occurrence, link = _expand(coded.indices.to_numpy().astype(np.int64), choice.phrase)
    start, end = _spans(flat, occurrence, choice.first[link], choice.last[link])
    mention, row = _spread(choice.code[link], choice.rows["code"].to_numpy())
    subject = subjects(spoken(texts.text, isa) + texts.spoken[texts.titles]) if steps.context else None
    score = _weighed(texts.relation, subject, text_of[occurrence[mention]], choice, row, steps)
    if isa.pairs >= LARGE:
        kept = np.flatnonzero(score >= LEAST)
        mention, row, score = mention[kept], row[kept], score[kept]
    where = text_of[occurrence]
    picked, rank = _rank(where[mention], occurrence[mention], score, choice.rows["concept_code"].to_numpy()[row], top_k)
    mention, row = mention[picked], row[picked]
    best = choice.rows.take(pa.array(row))
    return pa.table(
        {
            "text": where[mention],
            "concept": best["concept"],
            "surface": _surfaces(texts.text, where[mention], start[mention], end[mention]),
            "start": start[mention],
            "end": end[mention],
            "typicality": best["typicality"],
            "p_instance": best["p_instance"],
            "rep": best["rep"],
            "rank": rank,
        }
    )


def _expand(phrase: Ints, owner: Ints) -> tuple[Ints, Ints]:
    """Return (place in ``phrase``, place in ``owner``) of all pairs that are the same; ``owner`` is ascending."""
    begin = np.searchsorted(owner, phrase, side="left")
    width = np.searchsorted(owner, phrase, side="right") - begin
    place = np.repeat(np.arange(len(phrase)), width)
    within = np.arange(len(place)) - np.repeat(np.cumsum(width) - width, width)
    return place, np.repeat(begin, width) + within


def _spans(flat: pa.StructArray, occurrence: Ints, first: Ints, last: Ints) -> tuple[Ints, Ints]:
    starts, ends = pc.struct_field(flat, "starts"), pc.struct_field(flat, "ends")
    offsets = starts.offsets.to_numpy()[:-1][occurrence]
    start = starts.values.to_numpy()[offsets + first].astype(np.int64)
    return start, ends.values.to_numpy()[offsets + last - 1].astype(np.int64)


def _spread(code: Ints, row_code: Ints) -> tuple[Ints, Ints]:
    """Return (place in ``code``, row) for the best rows of each link's instance; rows are by code, best first."""
    begin = np.searchsorted(row_code, code, side="left")
    width = np.minimum(np.searchsorted(row_code, code, side="right") - begin, _WEIGHED)
    mention = np.repeat(np.arange(len(code)), width)
    within = np.arange(len(mention)) - np.repeat(np.cumsum(width) - width, width)
    return mention, np.repeat(begin, width) + within


def _weighed(relation: Ints, subject: Floats | None, text: Ints, choice: Choice, row: Ints, steps: Steps) -> Floats:
    """Return the score of each (text, row): that of the row, and what relation and subject add."""
    score: Floats = choice.rows["score"].to_numpy()[row]
    if steps.relation:
        score = score + by_relation(relation[text], choice.rows["class"].to_numpy()[row])
    if subject is not None:
        domain = choice.rows["domain"].to_numpy()[row]
        score = score + np.where(domain >= 0, PULL * subject[text, np.maximum(domain, 0)], 0.0)
    return score


def _rank(text: Ints, phrase: Ints, score: Floats, concept: Ints, top_k: int) -> tuple[Ints, Ints]:
    """Return which stay, by text and rank, and their ranks from 1.

    A concept counts once a text, with its best score. Each phrase's best concept comes before any phrase's second one
    while the ``top_k`` are chosen; those are then ranked by score alone, ties in the order of the text.
    """
    order = np.lexsort((np.arange(len(text)), -score, text))
    once = order[_firsts(text[order], concept[order])]
    second = np.ones(len(once), np.int64)
    second[_firsts(text[once], phrase[once])] = 0
    chosen = once[np.lexsort((np.arange(len(once)), second, text[once]))]
    chosen = chosen[first_of_each(text[chosen], top_k)]
    chosen = chosen[np.lexsort((chosen, -score[chosen], text[chosen]))]
    start = np.flatnonzero(np.diff(text[chosen], prepend=-1))
    rank = np.arange(len(chosen)) - np.repeat(start, np.diff(start, append=len(chosen))) + 1
    return chosen, rank


def _firsts(group: Ints, member: Ints) -> Ints:
    """Return the places where a (group, member) stands for the first time, in order."""
    if not len(group):
        return np.empty(0, np.int64)
    _, first = np.unique(group * (int(member.max()) + 1) + member, return_index=True)
    return np.sort(first)


def _surfaces(texts: pa.Array, text_of: Ints, start: Ints, end: Ints) -> pa.Array:
    distinct, which = np.unique(text_of, return_inverse=True)
    strings = texts.take(pa.array(distinct)).to_pylist()
    spans = zip(which.tolist(), start.tolist(), end.tolist(), strict=True)
    return pa.array([strings[text][begin:stop] for text, begin, stop in spans], pa.string())
