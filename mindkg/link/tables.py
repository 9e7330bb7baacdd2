"""Intentions to mentions: every noun phrase joined with the isA table, its best concepts ranked.

All work is done on what is distinct (phrases, look-up strings, instances), then spread over the intentions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.errors import InputError
from mindkg.link import hypernyms as hierarchy
from mindkg.link.phrases import PARSED, candidates, chunker, parse
from mindkg.link.ranking import first_of_each, is_vague, scored
from mindkg.link.rows import fold
from mindkg.link.words import vague_concepts
from mindkg.schema import TABLES

if TYPE_CHECKING:
    from mindkg.engine import daft
    from mindkg.link.isa import IsaTable

_SMALL: Final = 5_000
"""Texts below which worker processes cost more than they bring."""

_LARGE: Final = 100_000
_EVIDENCE: Final = 3
"""Times an instance must be counted in a table of _LARGE pairs or more: one or two are mostly a slip."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Mention:
    """One concept of one text: text[start:end] == surface; rank 1 is the best."""

    surface: str
    start: int
    end: int
    concept: str
    typicality: float
    p_instance: float
    rep: float
    rank: int


@dataclass(frozen=True)
class Linked:
    """The tables intentions (with heads), mentions, concepts, hypernyms, ancestors and rejects, sorted."""

    tables: Mapping[str, pa.Table]


def link_tables(
    intentions: daft.DataFrame,
    isa: IsaTable,
    *,
    top_k: int = 5,
    vague: Collection[str] | None = None,
    parents: int = 5,
    levels: int = 3,
    least: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Linked:
    """Return the tables of this stage for ``intentions`` (intention_id, text).

    ``top_k`` concepts an intention, ``vague`` in place of the project's list of concepts that say nothing; a concept
    gets its ``parents`` likeliest hypernyms counted ``least`` times or more, ``levels`` steps up. ``progress`` is
    called with the number of intentions done since the call before. Raises InputError for a number below its least.
    """
    for name, value, lowest in (
        ("top_k", top_k, 1),
        ("parents", parents, 0),
        ("levels", levels, 0),
        ("least", least, 1),
    ):
        if value < lowest:
            raise InputError(f"{name} cannot be {value}", hint=f"It is at least {lowest}")
    labels = _vague_labels(vague)
    table = _parsed(intentions)
    half = table.num_rows // 2
    if progress:
        progress(half)
    mentions = _mentions(table["text"], table["parsed"].combine_chunks(), isa, labels, top_k)
    found = table["intention_id"].take(mentions["text"])
    linked = pa.table([found, *(mentions[name] for name in TABLES["mentions"].names[1:])], schema=TABLES["mentions"])
    if progress:
        progress(table.num_rows - half)
    edges = hierarchy.hypernyms(pc.unique(linked["concept"]), isa, labels, parents=parents, levels=levels, least=least)
    heads = pc.struct_field(table["parsed"].combine_chunks(), "heads")
    return Linked(
        {
            "intentions": pa.table([table["intention_id"], table["text"], heads], schema=TABLES["intentions"]),
            "mentions": linked.sort_by([("intention_id", "ascending"), ("concept", "ascending")]),
            "concepts": _concepts(linked, edges, isa, labels),
            "hypernyms": edges,
            "ancestors": hierarchy.ancestors(edges),
            "rejects": _rejects(isa),
        }
    )


def link_texts(
    texts: Sequence[str], isa: IsaTable, *, top_k: int = 5, vague: Collection[str] | None = None
) -> list[list[Mention]]:
    """Return the mentions of each of ``texts``, best first; the same rules as link_tables."""
    labels = _vague_labels(vague)
    column = pa.chunked_array([pa.array(texts, pa.string())])
    rows = _mentions(column, parse(column.combine_chunks()), isa, labels, top_k)
    found: list[list[Mention]] = [[] for _ in texts]
    for row in rows.sort_by([("text", "ascending"), ("rank", "ascending")]).to_pylist():
        found[row.pop("text")].append(Mention(**row))
    return found


def _vague_labels(vague: Collection[str] | None) -> frozenset[str]:
    """Return the project's list, or ``vague`` as labels are compared; InputError for a string in place of labels."""
    if vague is None:
        return vague_concepts()
    if isinstance(vague, str):
        raise InputError("vague is one string", hint="Give a list of labels")
    return frozenset(map(fold, vague))


def _parsed(intentions: daft.DataFrame) -> pa.Table:
    """Return intention_id, text and parsed (phrases.PARSED), sorted by intention_id; tokenised by all cores."""
    from mindkg.engine import daft, processes

    plain = intentions.select("intention_id", "text")
    table = plain.to_arrow().cast(pa.schema([("intention_id", pa.string()), ("text", pa.string())]))
    table = table.sort_by("intention_id").combine_chunks()
    if table.num_rows <= _SMALL:
        parsed = parse(table["text"].combine_chunks())
        return table.append_column("parsed", pa.chunked_array([parsed]))

    @daft.cls(use_process=True, max_concurrency=processes())
    class Parser:
        @daft.method.batch(return_dtype=daft.DataType.from_arrow_type(PARSED), batch_size=8192)
        def parse(self, texts: daft.Series) -> pa.Array:
            return parse(texts.to_arrow().cast(pa.string()))

    frame = daft.from_arrow(table).with_column("parsed", Parser().parse(daft.col("text")))  # type: ignore[arg-type]
    return frame.to_arrow().cast(table.schema.append(pa.field("parsed", PARSED))).combine_chunks()


def _mentions(
    texts: pa.ChunkedArray, parsed: pa.StructArray, isa: IsaTable, vague: Collection[str], top_k: int
) -> pa.Table:
    """Return text (its place in ``texts``) and the columns of the table mentions but its key, by text and rank."""
    lists = pc.struct_field(parsed, "phrases")
    text_of = pc.list_parent_indices(lists).to_numpy().astype(np.int64)
    flat = pc.list_flatten(lists)
    keys = pc.binary_join_element_wise(pc.struct_field(flat, "tags"), pc.struct_field(flat, "words"), " ")
    coded = keys.dictionary_encode()
    chosen, rows = _choose(coded.dictionary, isa, vague)
    phrase = coded.indices.to_numpy()
    instance, first, last = (column[phrase] for column in chosen)
    hit = np.flatnonzero(instance >= 0)
    instance, text_of = instance[hit], text_of[hit]
    starts, ends = pc.struct_field(flat, "starts"), pc.struct_field(flat, "ends")
    offsets = starts.offsets.to_numpy()[:-1][hit]
    start = starts.values.to_numpy()[offsets + first[hit]].astype(np.int64)
    end = ends.values.to_numpy()[offsets + last[hit] - 1].astype(np.int64)
    mention, row = _spread(instance, rows["code"].to_numpy(), top_k)
    picked, rank = _rank(text_of[mention], mention, row, rows["concept_code"].to_numpy(), top_k)
    mention, row = mention[picked], row[picked]
    surfaces = _surfaces(texts, text_of, start, end)
    best = rows.take(pa.array(row))
    return pa.table(
        {
            "text": text_of[mention],
            "concept": best["concept"],
            "surface": surfaces.take(pa.array(mention)),
            "start": start[mention],
            "end": end[mention],
            "typicality": best["typicality"],
            "p_instance": best["p_instance"],
            "rep": best["rep"],
            "rank": rank,
        }
    )


def _choose(phrases: pa.Array, isa: IsaTable, vague: Collection[str]) -> tuple[tuple[Ints, Ints, Ints], pa.Table]:
    """Look the parts of each distinct phrase ("TAGS words") up and choose the first that the table has.

    Returns the code of the chosen instance (-1: none), its first word and the place behind its last, one a phrase; and
    the scored rows of the chosen instances with their code and a code of their concept, best first.
    """
    lemma = chunker().noun_lemma
    owner: list[int] = []
    first: list[int] = []
    last: list[int] = []
    written: list[str] = []
    folded: list[str] = []
    for number, phrase in enumerate(phrases.to_pylist()):
        tags, *words = phrase.split(" ")
        for begin, end, form, singular in candidates(words, tags, lemma):
            owner.append(number)
            first.append(begin)
            last.append(end)
            written.append(form)
            folded.append(singular)
    forms = pa.array(written + folded, pa.string()).dictionary_encode()
    codes = forms.indices.to_numpy().astype(np.int64)
    rows = isa.lookup(forms.dictionary)
    row_code = pc.index_in(rows["instance"], forms.dictionary).to_numpy().astype(np.int64)
    total = np.zeros(len(forms.dictionary), np.int64)
    total[row_code] = rows["total"].to_numpy()
    total[total < (_EVIDENCE if isa.pairs >= _LARGE else 1)] = 0
    own, lemma_code = codes[: len(owner)], codes[len(owner) :]
    code = np.where(total[lemma_code] > 0, lemma_code, own)
    found = np.flatnonzero(total[code] > 0)
    _, where = np.unique(np.array(owner, np.int64)[found], return_index=True)
    best = found[where]
    instance = np.full(len(phrases), -1, np.int64)
    begin_at, end_at = np.zeros(len(phrases), np.int64), np.zeros(len(phrases), np.int64)
    mine = np.array(owner, np.int64)[best]
    instance[mine], begin_at[mine], end_at[mine] = code[best], np.array(first)[best], np.array(last)[best]
    used = np.zeros(len(total), bool)
    used[code[best]] = True
    keep = pa.array(used[row_code])
    rows = scored(rows.append_column("code", pa.array(row_code)).filter(keep), isa, vague)
    labels = rows["concept"].combine_chunks().dictionary_encode().indices.cast(pa.int64())
    return (instance, begin_at, end_at), rows.append_column("concept_code", labels)


def _spread(instance: Ints, row_instance: Ints, top_k: int) -> tuple[Ints, Ints]:
    """Return (place in ``instance``, scored row) for the best ``top_k`` rows of each mention's instance."""
    kept = first_of_each(row_instance, top_k)
    kept = kept[np.argsort(row_instance[kept], kind="stable")]
    start = np.searchsorted(row_instance[kept], instance, side="left")
    width = np.searchsorted(row_instance[kept], instance, side="right") - start
    mention = np.repeat(np.arange(len(instance)), width)
    within = np.arange(len(mention)) - np.repeat(np.cumsum(width) - width, width)
    return mention, kept[np.repeat(start, width) + within]


def _rank(text: Ints, mention: Ints, row: Ints, concept: Ints, top_k: int) -> tuple[Ints, Ints]:
    """Return which (mention, row) stay, by text and rank, and their ranks from 1.

    A concept counts once a text, with its best row. Each phrase's best concept comes before any phrase's second one
    while the ``top_k`` are chosen; those are then ranked by the order of the rows alone.
    """
    order = np.lexsort((row, text))
    once = order[_firsts(text[order], concept[row[order]])]
    second = np.ones(len(once), np.int64)
    second[_firsts(text[once], mention[once])] = 0
    chosen = once[np.lexsort((np.arange(len(once)), second, text[once]))]
    chosen = chosen[first_of_each(text[chosen], top_k)]
    chosen = chosen[np.lexsort((row[chosen], text[chosen]))]
    start = np.flatnonzero(np.diff(text[chosen], prepend=-1))
    rank = np.arange(len(chosen)) - np.repeat(start, np.diff(start, append=len(chosen))) + 1
    return chosen, rank


def _firsts(group: Ints, member: Ints) -> Ints:
    """Return the places where a (group, member) stands for the first time, in order."""
    if not len(group):
        return np.empty(0, np.int64)
    _, first = np.unique(group * (int(member.max()) + 1) + member, return_index=True)
    return np.sort(first)


def _surfaces(texts: pa.ChunkedArray, text_of: Ints, start: Ints, end: Ints) -> pa.Array:
    strings = texts.to_pylist()
    spans = zip(text_of.tolist(), start.tolist(), end.tolist(), strict=True)
    return pa.array([strings[text][begin:stop] for text, begin, stop in spans], pa.string())


def _concepts(mentions: pa.Table, edges: pa.Table, isa: IsaTable, vague: Collection[str]) -> pa.Table:
    chunks = [*mentions["concept"].chunks, *edges["concept"].chunks, *edges["hypernym"].chunks]
    labels = pc.unique(pa.chunked_array(chunks, pa.string())).sort()
    totals = isa.concept_totals(labels)
    sums = totals["total"].take(pc.index_in(labels, totals["concept"].combine_chunks()))
    return pa.table([labels, is_vague(labels, vague), pc.fill_null(sums, 0)], schema=TABLES["concepts"])


def _rejects(isa: IsaTable) -> pa.Table:
    refused = isa.rejects()
    record = pc.binary_join_element_wise(isa.name, refused["line"].cast(pa.string()), ":")
    stage = pa.array(["link"] * refused.num_rows, pa.string())
    columns = [stage, record, refused["reason"], refused["detail"], refused["text"]]
    return pa.table(columns, schema=TABLES["rejects"]).sort_by("record")
