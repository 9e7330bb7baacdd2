"""Mentions of texts: phrases looked up once each, their concepts weighed in each text and ranked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.link.choice import Choice, choose
from mindkg.link.context import PULL, by_relation, spoken, subjects
from mindkg.link.embed import NEAR, Vectors, vectors
from mindkg.link.index import ranges
from mindkg.link.offers import Bounds
from mindkg.link.ranking import first_of_each

if TYPE_CHECKING:
    from mindkg.link.isa import IsaTable
    from mindkg.link.steps import Steps

_WEIGHED: Final = 8
"""Concepts of a phrase that are weighed in its text."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Items:
    """What is linked: the place of each one's text and of its titles, the row of its relation in relations.tsv."""

    text: Ints
    titles: Ints
    relation: Ints

    def slice(self, begin: int, size: int) -> Items:
        """Return ``size`` items from ``begin`` on."""
        end = begin + size
        return Items(self.text[begin:end], self.titles[begin:end], self.relation[begin:end])


@dataclass(frozen=True)
class Texts:
    """Distinct texts with their phrases, and what may be linked of each phrase.

    Text i has the phrases ``first[i]`` to ``first[i + 1]``; phrase p has the words at ``words[p]`` and further places
    of ``starts`` and ``ends``, and the weighed pairs of ``link`` and ``row`` (of ``choice``) at the places ``begin[p]``
    to ``begin[p] + width[p]``. ``told`` and ``spoken`` say how often texts and titles speak of each domain, None where
    that is not asked; ``embedded`` has the embeddings of the concepts of ``choice``, if a model is named.
    """

    text: pa.Array
    first: Ints
    words: Ints
    starts: Ints
    ends: Ints
    begin: Ints
    width: Ints
    link: Ints
    row: Ints
    choice: Choice
    told: Floats | None
    spoken: Floats | None
    embedded: Vectors | None


def looked_up(
    text: pa.Array, parsed: pa.StructArray, titles: pa.Array, isa: IsaTable, vague: Collection[str], steps: Steps
) -> Texts:
    """Return the distinct texts ``text``, ``parsed`` (phrases.PARSED), with what is known of them and of ``titles``."""
    lists = pc.struct_field(parsed, "phrases")
    flat = pc.list_flatten(lists)
    keys = pc.binary_join_element_wise(pc.struct_field(flat, "tags"), pc.struct_field(flat, "words"), " ")
    coded = keys.dictionary_encode()
    choice = choose(coded.dictionary, isa, vague, steps)
    link, row, begin, width = _pairs(choice, len(coded.dictionary))
    phrase = coded.indices.to_numpy()
    starts, ends = pc.struct_field(flat, "starts"), pc.struct_field(flat, "ends")
    told = spoken(pa.concat_arrays([text, titles]), isa) if steps.context else None
    return Texts(
        text=text,
        first=np.concatenate(([0], np.cumsum(pc.list_value_length(lists).to_numpy()))).astype(np.int64),
        words=starts.offsets.to_numpy()[:-1].astype(np.int64),
        starts=starts.values.to_numpy(),
        ends=ends.values.to_numpy(),
        begin=begin[phrase],
        width=width[phrase],
        link=link,
        row=row,
        choice=choice,
        told=None if told is None else told[: len(text)],
        spoken=None if told is None else told[len(text) :],
        embedded=vectors(choice.concepts.to_pylist(), steps.embed) if steps.embed else None,
    )


def _pairs(choice: Choice, phrases: int) -> tuple[Ints, Ints, Ints, Ints]:
    """Return (link, row) of the best rows of each link's instance, and which of them are each phrase's."""
    codes = choice.rows["code"]
    begin = np.searchsorted(codes, choice.code, side="left")
    width = np.minimum(np.searchsorted(codes, choice.code, side="right") - begin, _WEIGHED)
    of_phrase = np.bincount(choice.phrase, width, phrases).astype(np.int64)
    return np.repeat(np.arange(len(width)), width), ranges(begin, width), np.cumsum(of_phrase) - of_phrase, of_phrase


def mentions(items: Items, texts: Texts, *, bounds: Bounds, top_k: int, steps: Steps) -> pa.Table:
    """Return text (the place in ``items``) and the columns of the table mentions but its key, by text and concept.

    ``bounds`` are those of the isA table (choice.bounds).
    """
    choice = texts.choice
    count = texts.first[items.text + 1] - texts.first[items.text]
    phrase = ranges(texts.first[items.text], count)
    occurrence = np.repeat(np.arange(len(phrase)), texts.width[phrase])
    pair = ranges(texts.begin[phrase], texts.width[phrase])
    row = texts.row[pair]
    item = np.repeat(np.arange(len(count)), count)[occurrence]
    score = _weighed(items, texts, item, row, steps)
    if texts.embedded is not None and steps.embed and len(row):
        score = score + _nearness(items, texts, item, occurrence, row, steps.embed)
    kept = np.flatnonzero(_clear(item, score, bounds))
    occurrence, pair, row, item = (values[kept] for values in (occurrence, pair, row, item))
    score = score[kept]
    picked, rank = _rank(item, occurrence, score, choice.rows["concept"][row], top_k)
    order = np.lexsort((choice.rows["concept"][row[picked]], item[picked]))
    picked, rank = picked[order], rank[order]
    row, item, link = row[picked], item[picked], texts.link[pair[picked]]
    word = texts.words[phrase[occurrence[picked]]]
    start = texts.starts[word + choice.first[link]].astype(np.int64)
    end = texts.ends[word + choice.last[link] - 1].astype(np.int64)
    return pa.table(
        {
            "text": item,
            "concept": choice.concepts.take(pa.array(choice.rows["concept"][row])),
            "surface": _surfaces(texts.text.take(pa.array(items.text)), item, start, end),
            "start": start,
            "end": end,
            **{name: choice.rows[name][row] for name in ("typicality", "p_instance", "rep")},
            "rank": rank,
        }
    )


def _weighed(items: Items, texts: Texts, item: Ints, row: Ints, steps: Steps) -> Floats:
    """Return the score of each (item, row): that of the row, and what relation and subject add."""
    choice = texts.choice
    concept = choice.rows["concept"][row]
    score: Floats = choice.rows["score"][row]
    if steps.relation:
        score = score + by_relation(items.relation[item], choice.classes[concept])
    if texts.told is not None and texts.spoken is not None:
        subject = subjects(texts.told[items.text] + texts.spoken[items.titles])
        domain = choice.domains[concept]
        score = score + np.where(domain >= 0, PULL * subject[item, np.maximum(domain, 0)], 0.0)
    return score


def _clear(item: Ints, score: Floats, bounds: Bounds) -> npt.NDArray[np.bool_]:
    """Return which scores are within the first of ``bounds``, or within the second where none of their item's is."""
    sure = score >= bounds.least
    served = np.zeros(item.max(initial=-1) + 1, bool)
    served[item[sure]] = True
    clear: npt.NDArray[np.bool_] = sure | ((score >= bounds.faint) & ~served[item])
    return clear


def _nearness(items: Items, texts: Texts, item: Ints, occurrence: Ints, row: Ints, model: str) -> Floats:
    """Return what embeddings add to each (item, row): NEAR times the cosine above the mean of the same phrase's."""
    assert texts.embedded is not None
    text, which = np.unique(items.text, return_inverse=True)
    said = vectors(texts.text.take(pa.array(text)).to_pylist(), model)
    cosine = np.einsum("ij,ij->i", said[which[item]], texts.embedded[texts.choice.rows["concept"][row]])
    many = np.maximum(np.bincount(occurrence), 1)
    mean = np.bincount(occurrence, cosine) / many
    added: Floats = NEAR * (cosine - mean[occurrence])
    return added


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


def _surfaces(texts: pa.Array, text: Ints, start: Ints, end: Ints) -> pa.Array:
    """Return texts[text][start:end] of each place; ``start`` and ``end`` count code points."""
    if not len(text):
        return pa.array([], pa.string())
    bounds = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    data = np.frombuffer(texts.buffers()[2], np.uint8)
    # UTF-8 has one byte that does not begin with the bits 10 for each code point
    points = np.append(np.flatnonzero(data & 0xC0 != 0x80), len(data))
    before = np.searchsorted(points, bounds[:-1])[text]
    begin, stop = points[before + start], points[before + end]
    offsets = np.concatenate(([0], np.cumsum(stop - begin))).astype(np.int32)
    return pa.StringArray.from_buffers(
        len(text), pa.py_buffer(offsets), pa.py_buffer(data[ranges(begin, stop - begin)])
    )
