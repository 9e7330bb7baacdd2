"""The property graph: a graph folder to Parquet files of nodes and relationships, one for each label and type.

Every engine that speaks Cypher is loaded from these files, and the exports to GraphML, CSV and networkx read them.
A node file begins with the column ``id``; a relationship file with ``start`` and ``end``, ids of nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mindkg.errors import ConservationError
from mindkg.graph.folder import fingerprint
from mindkg.parquet import read_table
from mindkg.vocabulary import relations

VERSION: Final = 2
"""Raised when other nodes, relationships or properties are made of the same tables: what was loaded is loaded anew."""

_PAIR_TITLE: Final = "pair_title"
"""The one column that no table of a graph folder has: the titles of a pair's two products, shortened."""
_TITLE_LENGTH: Final = 40
"""Characters of each of the two titles."""

_TEXT, _INT, _FLOAT, _BOOL, _TEXTS = pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.list_(pa.string())


@dataclass(frozen=True, slots=True)
class NodeTable:
    """The nodes of one label: ``rename`` gives the column of the table ``source`` behind each property."""

    label: str
    source: str
    rename: dict[str, str]
    schema: pa.Schema


@dataclass(frozen=True, slots=True)
class RelationshipTable:
    """The relationships of one type, which lead from nodes labelled ``start`` to nodes labelled ``end``."""

    type: str
    start: str
    end: str
    schema: pa.Schema


def _node(label: str, source: str, *columns: tuple[str, str, pa.DataType]) -> NodeTable:
    schema = pa.schema([pa.field(name, type_) for name, _, type_ in columns])
    return NodeTable(label, source, {name: column for name, column, _ in columns}, schema)


def _relationship(type_: str, start: str, end: str, **properties: pa.DataType) -> RelationshipTable:
    schema = pa.schema([("start", _TEXT), ("end", _TEXT), *properties.items()])
    return RelationshipTable(type_, start, end, schema)


NODES: Final = (
    _node(
        "Product",
        "products",
        ("id", "product_id", _TEXT),
        ("title", "title", _TEXT),
        ("brand", "brand", _TEXT),
        ("category", "category", _TEXTS),
        ("image", "image", _TEXT),
    ),
    _node("CoBuy", "cobuys", ("id", "cobuy_id", _TEXT), ("title", _PAIR_TITLE, _TEXT), ("support", "support", _INT)),
    _node("Intention", "intentions", ("id", "intention_id", _TEXT), ("text", "text", _TEXT)),
    _node("Concept", "concepts", ("id", "concept", _TEXT), ("label", "concept", _TEXT), ("vague", "vague", _BOOL)),
    _node(
        "Abstraction",
        "abstractions",
        ("id", "abstraction_id", _TEXT),
        ("kind_a", "kind_a", _TEXT),
        ("kind_b", "kind_b", _TEXT),
        ("relation", "relation", _TEXT),
        ("concept", "concept", _TEXT),
        ("support", "support", _INT),
        ("pairs", "pairs", _INT),
        ("plausibility", "plausibility", _FLOAT),
    ),
)
"""The labels of the graph."""

HAS_PRODUCT: Final = _relationship("HAS_PRODUCT", "CoBuy", "Product")
HAS_CONCEPT: Final = _relationship("HAS_CONCEPT", "Intention", "Concept", rep=_FLOAT, surface=_TEXT, rank=_INT)
BROADER: Final = _relationship("BROADER", "Concept", "Concept", count=_INT, p=_FLOAT)
HAS_ANCESTOR: Final = _relationship("HAS_ANCESTOR", "Concept", "Concept", distance=_INT)
HAS_KIND: Final = _relationship("HAS_KIND", "Product", "Concept")
OF_KIND: Final = _relationship("OF_KIND", "Abstraction", "Concept")
OF_CONCEPT: Final = _relationship("OF_CONCEPT", "Abstraction", "Concept")


@cache
def assertion_types() -> dict[str, RelationshipTable]:
    """Return the relationship type of the assertions of each relation, by the relation's name."""
    return {
        name: _relationship(
            relation.lpg_type,
            "CoBuy",
            "Intention",
            relation=_TEXT,
            id=_TEXT,
            stated=_TEXT,
            plausibility=_FLOAT,
            typicality=_FLOAT,
            support=_INT,
            generations=_TEXTS,
            runs=_TEXTS,
        )
        for name, relation in relations().items()
    }


def relationship_types() -> tuple[RelationshipTable, ...]:
    """Return every relationship type of the graph, the assertions' first."""
    return (*assertion_types().values(), HAS_PRODUCT, HAS_CONCEPT, BROADER, HAS_ANCESTOR, HAS_KIND, OF_KIND, OF_CONCEPT)


def node_tables(folder: Path) -> Iterator[tuple[NodeTable, pa.Table]]:
    """Yield the nodes of each label of the graph folder ``folder``, in the order of their ids."""
    for node in NODES:
        names = [name for name in dict.fromkeys(node.rename.values()) if name != _PAIR_TITLE]
        rows = read_table(folder / f"{node.source}.parquet", columns=names)
        if _PAIR_TITLE in node.rename.values():
            rows = rows.append_column(_PAIR_TITLE, _pair_titles(folder))
        yield node, pa.table([rows[node.rename[name]] for name in node.schema.names], schema=node.schema)


def graph_key(folder: Path) -> str:
    """Return what distinguishes the property graph of the graph folder ``folder`` from others, in a server too."""
    return f"{fingerprint(folder)}-{VERSION}"


def _pair_titles(folder: Path) -> pa.ChunkedArray:
    """Return "TITLE + TITLE" for each co-buy; the id stands in for a title that is missing or empty."""
    products = pq.read_table(folder / "products.parquet", columns=["product_id", "title"])
    named = pc.and_(pc.is_valid(products["title"]), pc.not_equal(products["title"], ""))
    titles = pc.if_else(pc.fill_null(named, False), products["title"], products["product_id"])
    long = pc.greater(pc.utf8_length(titles), _TITLE_LENGTH)
    cut = pc.binary_join_element_wise(
        pc.utf8_rtrim_whitespace(pc.utf8_slice_codeunits(titles, 0, _TITLE_LENGTH)), "…", ""
    )
    titles = pc.if_else(long, cut, titles)
    cobuys = pq.read_table(folder / "cobuys.parquet", columns=["product_a", "product_b"])
    ends = [_titles_of(cobuys[name], products["product_id"], titles) for name in ("product_a", "product_b")]
    return pc.binary_join_element_wise(*ends, " + ")


def _titles_of(ids: pa.ChunkedArray, known: pa.ChunkedArray, titles: pa.ChunkedArray) -> pa.ChunkedArray:
    found = titles.take(pc.index_in(ids, known))
    return pc.if_else(pc.is_valid(found), found, ids)


def relationship_tables(folder: Path) -> Iterator[tuple[RelationshipTable, pa.Table]]:
    """Yield the relationships of each type of the graph folder ``folder``; a type without any has an empty table."""
    yield from _assertions(folder)
    cobuys = read_table(folder / "cobuys.parquet", columns=["cobuy_id", "product_a", "product_b"])
    ends = pa.chunked_array([*cobuys["product_a"].chunks, *cobuys["product_b"].chunks], _TEXT)
    starts = pa.chunked_array(cobuys["cobuy_id"].chunks * 2, _TEXT)
    yield HAS_PRODUCT, pa.table([starts, ends], schema=HAS_PRODUCT.schema)
    for type_, source, columns in (
        (HAS_CONCEPT, "mentions", ["intention_id", "concept", "rep", "surface", "rank"]),
        (BROADER, "hypernyms", ["concept", "hypernym", "count", "p"]),
        (HAS_ANCESTOR, "ancestors", ["concept", "ancestor", "distance"]),
        (HAS_KIND, "kinds", ["product_id", "concept"]),
        (OF_CONCEPT, "abstractions", ["abstraction_id", "concept"]),
    ):
        rows = read_table(folder / f"{source}.parquet", columns=columns)
        yield type_, pa.table([rows[name] for name in columns], schema=type_.schema)
    yield OF_KIND, _of_kinds(folder)


def _of_kinds(folder: Path) -> pa.Table:
    """Return the kinds of each abstraction, one where both are the same."""
    rows = read_table(folder / "abstractions.parquet", columns=["abstraction_id", "kind_a", "kind_b"])
    two = rows.filter(pc.not_equal(rows["kind_a"], rows["kind_b"]))
    parts = [rows.select(["abstraction_id", "kind_a"]), two.select(["abstraction_id", "kind_b"])]
    return pa.concat_tables([part.rename_columns(["start", "end"]) for part in parts]).cast(OF_KIND.schema)


def write_property_graph(folder: Path, out: Path) -> dict[str, int]:
    """Write ``out/LABEL.parquet`` and ``out/TYPE.parquet`` of the graph folder ``folder``; return the rows of each."""
    out.mkdir(parents=True, exist_ok=True)
    rows = {}
    for name, table in named_tables(folder):
        pq.write_table(
            table, out / f"{name}.parquet", compression="lz4", row_group_size=122_880, write_page_checksum=True
        )
        rows[name] = table.num_rows
    return rows


def named_tables(folder: Path) -> Iterator[tuple[str, pa.Table]]:
    """Yield every table of the graph folder ``folder`` with its label or type."""
    for node, table in node_tables(folder):
        yield node.label, table
    for type_, table in relationship_tables(folder):
        yield type_.type, table


def expected_counts(folder: Path) -> dict[str, int]:
    """Return how many of each class ``graph-counts`` must find in an engine loaded from the graph folder ``folder``."""
    rows = {
        "Product": "products",
        "CoBuy": "cobuys",
        "Intention": "intentions",
        "Concept": "concepts",
        "Assertion": "assertions",
        "Evidence": "evidence",
        "Mention": "mentions",
        "Hypernymy": "hypernyms",
        "Ancestry": "ancestors",
        "Kind": "kinds",
        "Abstraction": "abstractions",
    }
    return {name: pq.read_metadata(folder / f"{table}.parquet").num_rows for name, table in rows.items()}


def _assertions(folder: Path) -> Iterator[tuple[RelationshipTable, pa.Table]]:
    names = ["cobuy_id", "intention_id", "relation", "assertion_id", "stated", "plausibility", "typicality", "support"]
    rows = read_table(folder / "assertions.parquet", columns=names)
    generations, runs = _evidence(folder, rows["assertion_id"])
    everything = rows.append_column("generations", generations).append_column("runs", runs)
    for relation, type_ in assertion_types().items():
        yield type_, everything.filter(pc.equal(rows["relation"], relation)).rename_columns(type_.schema.names)


def _evidence(folder: Path, assertions: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """Return the generations and the distinct runs behind each of ``assertions``, both sorted, shape (assertions,)."""
    evidence = read_table(folder / "evidence.parquet", columns=["assertion_id", "generation_id", "run_id"])
    owner = _codes(evidence["assertion_id"], assertions)
    run_names = pc.unique(evidence["run_id"]).sort()
    run = _codes(evidence["run_id"], run_names)
    # a graph folder is sorted by key, so the generations of an assertion stand together and in order
    order = np.argsort(owner, kind="stable")
    generations = _lists(owner[order], evidence["generation_id"].take(pa.array(order)), len(assertions))
    pairs = np.unique(owner * max(len(run_names), 1) + run)
    owners, of_runs = np.divmod(pairs, max(len(run_names), 1))
    return generations, _lists(owners, run_names.take(pa.array(of_runs)), len(assertions))


def _codes(values: pa.ChunkedArray, known: pa.Array | pa.ChunkedArray) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    codes = pc.index_in(values, known)
    if codes.null_count:
        raise ConservationError(f"{codes.null_count} rows of evidence belong to no assertion of the graph")
    return cast("np.ndarray[tuple[int], np.dtype[np.int64]]", codes.to_numpy().astype(np.int64))


def _lists(
    owners: np.ndarray[tuple[int], np.dtype[np.int64]], values: pa.Array | pa.ChunkedArray, rows: int
) -> pa.Array:
    flat = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    ends = np.cumsum(np.bincount(owners, minlength=rows)) if rows else np.zeros(0, np.int64)
    return pa.ListArray.from_arrays(pa.array(np.concatenate([[0], ends]).astype(np.int32)), flat)
