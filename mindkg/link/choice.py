"""From distinct phrases to what is linked of each: an instance of the table, and the class that it names itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.link.offers import HEAD, LARGE, offers, once
from mindkg.link.phrases import LONGEST, NAME, candidates, chunker
from mindkg.link.ranking import SPREAD, is_vague
from mindkg.link.senses import ARTIFACT, FOOD, PERSON, SUBSTANCE, domain_of, log_factors, main_class
from mindkg.link.words import stops

if TYPE_CHECKING:
    from mindkg.link.isa import IsaTable
    from mindkg.link.steps import Steps

_FIXED: Final = 10
"""Counts from which on a phrase is known well enough to say that it is not what its last word says."""

_SOLD: Final = (ARTIFACT, FOOD, SUBSTANCE)
"""WordNet's classes of what shops sell."""

Ints = npt.NDArray[np.int64]

_BLOCK: Final = 60_000
"""Phrases that are looked up at a time."""


@dataclass(frozen=True)
class Choice:
    """What is linked of each distinct phrase.

    One entry of ``phrase`` (ascending), ``code``, ``first`` and ``last`` a link: the phrase's number, the code of its
    instance in ``rows``, its first word and the place behind its last. ``rows`` has code, concept (a place in
    ``concepts``, which are sorted), typicality, p_instance, rep and score, by code and then best first; ``classes``
    and ``domains`` are those of ``concepts``.
    """

    phrase: Ints
    code: Ints
    first: Ints
    last: Ints
    rows: Mapping[str, npt.NDArray[Any]]
    concepts: pa.Array
    classes: Ints
    domains: Ints


class _Links(NamedTuple):
    """The same for a block of phrases, in any order of ``phrase``; ``rows`` is a table with the concepts' labels."""

    phrase: Ints
    code: Ints
    first: Ints
    last: Ints
    rows: pa.Table


@dataclass
class _Parts:
    """Parts of phrases, in the order in which they are tried: owner, first, last word, as written, in the singular."""

    owner: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    last: list[int] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    folded: list[str] = field(default_factory=list)

    def add(self, owner: int, first: int, last: int, written: str, folded: str) -> None:
        self.owner.append(owner)
        self.first.append(first)
        self.last.append(last)
        self.written.append(written)
        self.folded.append(folded)


def choose(phrases: pa.Array, isa: IsaTable, vague: Collection[str], steps: Steps) -> Choice:
    """Look the parts of each distinct phrase ("TAGS words") up and choose the first that the table has concepts for.

    What a part has concepts in, and in which order these are asked, is said by offers.offers. With ``steps.heads`` a
    phrase of several words also has the longest of its ends that is a concept.
    """

    def block(begin: int) -> _Links:
        links = _links(phrases.slice(begin, _BLOCK), isa, vague, steps)
        return links._replace(phrase=links.phrase + begin)

    with ThreadPoolExecutor(2) as threads:
        return _joined(list(threads.map(block, range(0, max(len(phrases), 1), _BLOCK))))


def _links(phrases: pa.Array, isa: IsaTable, vague: Collection[str], steps: Steps) -> _Links:
    parts, ends = _parts(phrases, steps)
    forms = pa.array(parts.written + parts.folded, pa.string()).dictionary_encode()
    size = len(forms.dictionary)
    rows = isa.lookup(forms.dictionary)
    asked = offers(forms.dictionary, rows, isa, vague, steps)
    parts, forms, fixed = _within(parts, forms, _fixed(rows))
    wanted = np.ones(len(phrases), bool)
    links = [_linked(parts, forms, offered, wanted, size * turn) for turn, offered in enumerate(asked)]
    named, heads = _named(ends, fixed, isa, vague, len(asked) * size)
    places = [np.concatenate([place for place, *_ in links]), named]
    owner, first, last = (
        np.concatenate(
            [np.array(getattr(of, name), np.int64)[place] for of, place in zip((parts, ends), places, strict=True)]
        )
        for name in ("owner", "first", "last")
    )
    codes = np.concatenate([*(code for _, code, _ in links), len(asked) * size + np.arange(len(named))])
    every = pa.concat_tables([table.select(_COLUMNS) for table in (*(table for *_, table in links), heads)])
    return _Links(owner, codes, first, last, every)


def _joined(blocks: Sequence[_Links]) -> Choice:
    sizes = [int(np.max(block.code, initial=-1)) + 1 for block in blocks]
    begins = np.cumsum(sizes) - sizes
    codes = [block.code + begin for block, begin in zip(blocks, begins, strict=True)]
    row_codes = [block.rows["code"].to_numpy() + begin for block, begin in zip(blocks, begins, strict=True)]
    phrase, first, last = (
        np.concatenate([getattr(block, name) for block in blocks]) for name in ("phrase", "first", "last")
    )
    by_phrase = np.argsort(phrase, kind="stable")
    rows = pa.concat_tables([block.rows for block in blocks])
    concepts, concept = _sorted(rows["concept"].combine_chunks())
    columns = {name: rows[name].to_numpy() for name in ("typicality", "p_instance", "rep", "score")}
    columns = {"code": np.concatenate(row_codes), "concept": concept, **columns}
    order = np.lexsort((concept, -columns["score"], columns["code"]))
    return Choice(
        phrase[by_phrase],
        np.concatenate(codes)[by_phrase],
        first[by_phrase],
        last[by_phrase],
        {name: values[order] for name, values in columns.items()},
        concepts,
        main_class(concepts.to_pylist()) if len(concepts) else concept,
        domain_of(concepts),
    )


def _sorted(labels: pa.Array) -> tuple[pa.Array, Ints]:
    """Return the distinct ``labels`` in order, and the place of each of ``labels`` among them."""
    coded = labels.dictionary_encode()
    order = pc.sort_indices(coded.dictionary)
    place = np.empty(len(order), np.int64)
    place[order.to_numpy()] = np.arange(len(order))
    return coded.dictionary.take(order), place[coded.indices.to_numpy()]


_COLUMNS: Final = ["code", "concept", "typicality", "p_instance", "rep", "score"]


def _linked(
    parts: _Parts, forms: pa.DictionaryArray, scored: pa.Table, wanted: npt.NDArray[np.bool_], offset: int
) -> tuple[Ints, Ints, pa.Table]:
    """Return the place of the part that is linked of each phrase ``wanted``, the code of its instance, and its rows.

    Codes begin at ``offset``; phrases that have a part among ``scored`` are wanted no more.
    """
    code = pc.index_in(scored["instance"], forms.dictionary).to_numpy().astype(np.int64)
    known = np.zeros(len(forms.dictionary), bool)
    known[code] = True
    best, chosen = _first_known(parts, forms, known)
    owner = np.array(parts.owner, np.int64)[best]
    kept = np.flatnonzero(wanted[owner])
    wanted[owner] = False
    used = np.zeros(len(known), bool)
    used[chosen[kept]] = True
    rows = scored.append_column("code", pa.array(code + offset)).filter(pa.array(used[code]))
    return best[kept], chosen[kept] + offset, rows


def _parts(phrases: pa.Array, steps: Steps) -> tuple[_Parts, _Parts]:
    """Return the parts to look up as instances, and as concepts the ends of phrases of several words."""
    lemma = chunker().noun_lemma
    parts, ends = _Parts(), _Parts()
    for number, phrase in enumerate(phrases.to_pylist()):
        tags, *words = phrase.split(" ")
        head = lemma(words[-1])
        whole_only = head in stops("end")
        light = head in stops("head") or words[-1] in stops("head")
        # Star Trek is no trek, and Anne Klein is who she is or nobody; what is sold is itself: an Apple Watch
        alone = len(words) - 1 if tags.endswith(NAME) and _class(head) not in _SOLD else -1
        for first, last, written, folded in candidates(words, tags, lemma):
            if first == alone:
                continue
            if last == len(words) or light or (whole_only and last == len(words) - 1 and _class(folded) == ARTIFACT):
                parts.add(number, first, last, written, folded)
        if steps.heads and len(words) > 1 and not (whole_only or light or (alone > 0 and _class(head) == PERSON)):
            for named in _ends(words, tags):
                ends.add(number, *named)
    return parts, ends


def _class(word: str) -> int:
    return int(main_class([word])[0])


def _ends(words: list[str], tags: str) -> list[tuple[int, int, str, str]]:
    """Return (first, behind last, whole phrase, its end) for the ends that could name its class, longest first."""
    size = len(words)
    head = chunker().noun_lemma(words[-1])
    begin = max(0, size - LONGEST)
    while begin < size - 1 and (tags[begin] in "o#" or words[begin] in stops("modifier")):
        begin += 1
    whole = " ".join([*words[begin:-1], head])
    firsts = [first for first in range(begin + 1, size) if tags[first] not in "o#"]
    if not set(tags[begin : size - 1]) & set("no") and "g" not in tags[1 : size - 1]:
        # adjectives alone make no class: a flat tire is a tire, which says nothing; "watching birds" are no birds
        firsts = []
    return [(begin, size, whole, " ".join([*words[first:-1], head])) for first in firsts]


def _first_known(parts: _Parts, forms: pa.DictionaryArray, known: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return for each phrase that has one the place of its first part with a ``known`` form, and the form's code.

    A part is looked up in the singular, and as written where that is not known.
    """
    codes = forms.indices.to_numpy().astype(np.int64)
    own, singular = codes[: len(parts.owner)], codes[len(parts.owner) :]
    code = np.where(known[singular], singular, own)
    found = np.flatnonzero(known[code])
    _, where = np.unique(np.array(parts.owner, np.int64)[found], return_index=True)
    return found[where], code[found[where]]


def _named(ends: _Parts, fixed: Ints, isa: IsaTable, vague: Collection[str], offset: int) -> tuple[Ints, pa.Table]:
    """Return the places in ``ends`` of each phrase's longest end that is a concept, and its rows, from code ``offset``.

    The text is taken for one more sighting of the pair, so P(c|e) is 1 and P(e|c) that of a count of 1. The phrases
    ``fixed`` are left out.
    """
    labels = pa.array(ends.folded, pa.string()).dictionary_encode()
    known = isa.concept_totals(labels.dictionary)
    wide = known.filter(pc.greater_equal(known["instances"], SPREAD if isa.pairs >= LARGE else 1))
    wide = wide.filter(pc.invert(is_vague(wide["concept"], vague)))
    place = pc.fill_null(pc.index_in(labels, wide["concept"].combine_chunks()), -1).to_numpy().astype(np.int64)
    fits = np.flatnonzero((place >= 0) & ~np.isin(np.array(ends.owner, np.int64), fixed))
    _, where = np.unique(np.array(ends.owner, np.int64)[fits], return_index=True)
    named = fits[where]
    which = pa.array(place[named])
    heads = once(wide["concept"].take(which), wide["total"].to_numpy()[place[named]], isa)
    heads = heads.append_column("score", pa.array(HEAD + log_factors(heads["concept"].to_pylist()), pa.float64()))
    return named, heads.append_column("code", pa.array(offset + np.arange(len(named))))


def _within(parts: _Parts, forms: pa.DictionaryArray, fixed: pa.Array) -> tuple[_Parts, pa.DictionaryArray, Ints]:
    """Return parts and forms without what is shorter than a ``fixed`` form, and the phrases that have one.

    A search engine is no engine, and Star Wars are no wars, whatever else they are.
    """
    size = len(parts.owner)
    known = np.asarray(pc.is_in(forms.dictionary, fixed))[forms.indices.to_numpy()]
    owner = np.array(parts.owner, np.int64)
    whole = np.flatnonzero(known[:size] | known[size:])
    last = np.full(owner.max(initial=-1) + 1, size)
    np.minimum.at(last, owner[whole], whole)
    width = np.array(parts.last, np.int64) - np.array(parts.first, np.int64)
    kept = np.flatnonzero((np.arange(size) <= last[owner]) | (width == width[np.minimum(last[owner], size - 1)]))
    left = _Parts(*([values[place] for place in kept.tolist()] for values in vars(parts).values()))
    return left, forms.take(pa.array(np.concatenate([kept, size + kept]))), owner[whole]


def _fixed(rows: pa.Table) -> pa.Array:
    """Return the instances of several words that are well known and under no concept with the same last word."""
    several = rows.filter(pc.match_substring(rows["instance"], " "))
    several = several.filter(pc.greater_equal(several["total"], _FIXED))
    low, high = (several[name].combine_chunks().dictionary_encode() for name in ("instance", "concept"))
    size = len(low.dictionary)
    ends = pc.replace_substring_regex(pa.concat_arrays([low.dictionary, high.dictionary]), "^.* ", "")
    end = ends.dictionary_encode().indices.to_numpy()
    instance = low.indices.to_numpy()
    named = np.zeros(size, bool)
    named[instance[end[instance] == end[size + high.indices.to_numpy()]]] = True
    return low.dictionary.filter(pa.array(~named))
