"""Intentions to tables: mentions of concepts, the concepts' hierarchy, what was refused.

All work is done on what is distinct (phrases, look-up strings, instances), then spread over the intentions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.errors import InputError, UsageError
from mindkg.link import hypernyms as hierarchy
from mindkg.link.context import relation_rows
from mindkg.link.mentions import Items, looked_up, mentions
from mindkg.link.offers import bounds
from mindkg.link.phrases import PARSED, parse
from mindkg.link.ranking import is_vague
from mindkg.link.rows import fold
from mindkg.link.steps import ALL, Steps
from mindkg.link.words import vague_concepts
from mindkg.schema import TABLES

if TYPE_CHECKING:
    from mindkg.engine import daft
    from mindkg.link.isa import IsaTable

_SMALL: Final = 5_000
"""Texts below which worker processes cost more than they bring."""

_BLOCK: Final = 100_000
"""Texts that are linked at a time."""

_NOTED: Final = 100
"""Edges of cycles that a KB's notes name."""

_INTENTIONS: Final = pa.schema([(name, pa.string()) for name in ("intention_id", "text", "relation", "titles")])


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
    """The tables intentions (with heads), mentions, concepts, hypernyms, ancestors and rejects, sorted.

    ``broken`` are the edges that closed cycles and are not in hypernyms, in its form, the weakest first.
    """

    tables: Mapping[str, pa.Table]
    broken: pa.Table

    def cycles(self) -> dict[str, Any]:
        """Return how many edges were left out of cycles, and concept, hypernym, count and p of the weakest ones."""
        weakest = [list(row.values()) for row in self.broken.slice(0, _NOTED).to_pylist()]
        return {"edges": self.broken.num_rows, "weakest": weakest}


def link_tables(
    intentions: daft.DataFrame,
    isa: IsaTable,
    *,
    top_k: int = 5,
    vague: Collection[str] | None = None,
    parents: int = 5,
    levels: int = 3,
    least: int = 1,
    steps: Steps = ALL,
    kinds: pa.ChunkedArray | None = None,
    progress: Callable[[int], None] | None = None,
) -> Linked:
    """Return the tables of this stage for ``intentions`` (intention_id, text; relation and titles if known).

    ``relation`` is that of an assertion behind the intention, ``titles`` those of its products and their categories in
    one string. ``top_k`` concepts an intention, ``vague`` in place of the project's list of concepts that say nothing;
    a concept gets its ``parents`` likeliest hypernyms counted ``least`` times or more, ``levels`` steps up.
    The concepts ``kinds`` of products stand in the hierarchy as those of mentions do.
    ``progress`` is called with the number of intentions done since the call before. Raises InputError for a number
    below its least.
    """
    for name, value, lowest in (
        ("top_k", top_k, 1),
        ("parents", parents, 0),
        ("levels", levels, 0),
        ("least", least, 1),
    ):
        if value < lowest:
            raise UsageError(f"{name} cannot be {value}", hint=f"It is at least {lowest}")
    labels = _vague_labels(vague)
    table = _sorted(intentions)
    coded = table["text"].combine_chunks().dictionary_encode()
    parsed = _parsed(coded.dictionary, steps.spacy)
    half = table.num_rows // 2
    if progress:
        progress(half)
    relation, titles = (table[name].combine_chunks() for name in ("relation", "titles"))
    found = _all_mentions(coded, parsed, relation, titles, isa, labels, top_k, steps)
    keys = table["intention_id"].take(found["text"])
    linked = pa.table([keys, *(found[name] for name in TABLES["mentions"].names[1:])], schema=TABLES["mentions"])
    if progress:
        progress(table.num_rows - half)
    named = linked["concept"] if kinds is None else pa.chunked_array([*linked["concept"].chunks, *kinds.chunks])
    edges = hierarchy.hypernyms(pc.unique(named), isa, labels, parents=parents, levels=levels, least=least)
    heads = pc.struct_field(parsed, "heads").take(coded.indices)
    return Linked(
        {
            "intentions": pa.table([table["intention_id"], table["text"], heads], schema=TABLES["intentions"]),
            "mentions": linked,
            "concepts": _concepts(named, edges.kept, isa, labels),
            "hypernyms": edges.kept,
            "ancestors": hierarchy.ancestors(edges.kept),
            "rejects": _rejects(isa),
        },
        edges.broken,
    )


def link_texts(
    texts: Sequence[str],
    isa: IsaTable,
    *,
    relations: Sequence[str | None] | None = None,
    titles: Sequence[str | None] | None = None,
    top_k: int = 5,
    vague: Collection[str] | None = None,
    steps: Steps = ALL,
) -> list[list[Mention]]:
    """Return the mentions of each of ``texts``, best first; the same rules as link_tables.

    ``relations`` and ``titles`` (one string a text, with what else is known of its products) help to choose senses.
    Raises InputError where there are not as many as texts.
    """
    labels = _vague_labels(vague)
    for name, given in (("relations", relations), ("titles", titles)):
        if given is not None and len(given) != len(texts):
            raise InputError(
                f"{len(texts)} texts but {len(given)} {name}", hint="Give one for each text, None for none"
            )
    text, relation, title = (
        pa.array(given or [None] * len(texts), pa.string()) for given in (texts, relations, titles)
    )
    coded, products = text.dictionary_encode(), pc.fill_null(title, "").dictionary_encode()
    parsed = parse(coded.dictionary, steps.spacy)
    rows = _all_mentions(coded, parsed, relation, products, isa, labels, top_k, steps)
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


def _sorted(intentions: daft.DataFrame) -> pa.Table:
    """Return the columns of _INTENTIONS, sorted by key; titles are coded, for many intentions are of the same ones."""
    given = [name for name in _INTENTIONS.names if name in intentions.column_names]
    table = intentions.select(*given).to_arrow()
    for name in set(_INTENTIONS.names) - set(given):
        table = table.append_column(name, pa.nulls(table.num_rows, pa.string()))
    table = table.select(_INTENTIONS.names).cast(_INTENTIONS)
    table = table.set_column(3, "titles", pc.fill_null(table["titles"], "").dictionary_encode())
    table = table.sort_by("intention_id").combine_chunks()
    pa.default_memory_pool().release_unused()
    return table


def _parsed(texts: pa.Array, pipeline: str | None) -> pa.StructArray:
    """Return phrases.parse of ``texts``, which are distinct; by all cores where there are many."""
    if len(texts) <= _SMALL:
        return parse(texts, pipeline)

    from mindkg.engine import daft, from_arrow, pool, spread

    @daft.cls(**pool(many=True))
    class Parser:
        @daft.method.batch(return_dtype=daft.DataType.from_arrow_type(PARSED), batch_size=8192)
        def parse(self, texts: daft.Series) -> pa.Array:
            return parse(texts.to_arrow().cast(pa.string()), pipeline)

    frame = spread(from_arrow(pa.table({"text": texts})), many=True)
    frame = frame.with_column("parsed", Parser().parse(daft.col("text")))  # type: ignore[arg-type]
    made = frame.to_arrow()
    # parts may come back in any order
    place = pc.index_in(texts, made["text"].cast(pa.string()).combine_chunks())
    return made["parsed"].cast(PARSED).combine_chunks().take(place)


def _all_mentions(
    texts: pa.DictionaryArray,
    parsed: pa.StructArray,
    relation: pa.Array,
    titles: pa.DictionaryArray,
    isa: IsaTable,
    vague: Collection[str],
    top_k: int,
    steps: Steps,
) -> pa.Table:
    """Return mentions.mentions of all texts; ``parsed`` are the distinct ones."""
    known = looked_up(texts.dictionary, parsed, titles.dictionary, isa, vague, steps)
    text, title = (coded.indices.to_numpy().astype(np.int64) for coded in (texts, titles))
    items = Items(text, title, relation_rows(relation))
    pa.default_memory_pool().release_unused()

    limits = bounds(isa)

    def block(begin: int) -> pa.Table:
        part = mentions(items.slice(begin, _BLOCK), known, bounds=limits, top_k=top_k, steps=steps)
        return part.set_column(0, "text", pc.add(part["text"], begin))

    with ThreadPoolExecutor(2) as threads:
        return pa.concat_tables(threads.map(block, range(0, max(len(texts), 1), _BLOCK)))


def _concepts(named: pa.ChunkedArray, edges: pa.Table, isa: IsaTable, vague: Collection[str]) -> pa.Table:
    chunks = [*named.chunks, *edges["concept"].chunks, *edges["hypernym"].chunks]
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
