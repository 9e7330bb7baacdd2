"""The graph node by node, with all that it says about each: what Turtle and JSON-LD are written from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.errors import StoreError
from mindkg.graph.folder import BATCH_ROWS, batches, open_table
from mindkg.graph.rdf_batches import Chunk, in_order, link_batches, node_ids, property_values
from mindkg.graph.rdf_model import NODES, RELATION, Link, Node, Property
from mindkg.graph.rdf_terms import STRING, contents, text_scalar


class Values(NamedTuple):
    """What one property has to say about each row: its terms joined, or null where it says nothing.

    ``several``: the terms are joined with the syntax's separator, even where there is one. ``predicate`` None: the
    terms carry their predicates.
    """

    predicate: str | None
    terms: pa.Array
    several: bool


class Syntax(Protocol):
    """How a format writes terms and nodes; columns in, columns out."""

    separator: str
    """What stands between several objects of one property."""

    def reference(self, kind: str, ids: pa.Array) -> pa.Array:
        """Return each id as the object of a property whose objects are nodes."""
        ...

    def literal(self, values: pa.Array, range_: str) -> pa.Array:
        """Return each value as a literal of the datatype ``range_``; nulls stay."""
        ...

    def named(self, relations: pa.Array, terms: pa.Array) -> pa.Array:
        """Return objects together with the relation that is their predicate."""
        ...

    def block(self, node: Node, ids: pa.Array, values: Sequence[Values]) -> pa.Array:
        """Return the text of each node."""
        ...


def grouped_chunks(folder: Path, syntax: Syntax) -> Iterator[Chunk]:
    """Yield the graph in ``syntax``, kind of node by kind of node.

    Raises StoreError where a row belongs to a node that the graph does not have: grouping would lose it.
    """
    yield from in_order(_tasks(folder, syntax))


def _tasks(folder: Path, syntax: Syntax) -> Iterator[Callable[[], Chunk]]:
    for node in NODES:
        cursors = [Cursor(link, sorted_links(folder, link)) for link in node.links]
        for batch in batches(folder, node.table, node.columns()):
            linked = [cursor.up_to(batch[node.key[0]][-1]) for cursor in cursors]
            yield partial(_chunk, node, batch, linked, syntax)
        for cursor in cursors:
            cursor.check_end()


def sorted_links(folder: Path, link: Link) -> Iterator[pa.RecordBatch]:
    """Yield the rows of ``link`` sorted by its subject."""
    if link.in_order:
        return link_batches(folder, link)
    # a few columns of one table: 60 bytes a row are held while the text is written
    order = (link.subject, link.object) if link.predicate else (link.subject, RELATION, link.object)
    with open_table(folder, link.table) as file:
        table = file.read(columns=list(order), use_threads=False)
    return iter(table.sort_by([(name, "ascending") for name in order]).to_batches(BATCH_ROWS))


class Cursor:
    """Hands out the rows of a link (a table sorted by its subject) as its subjects come by."""

    def __init__(self, link: Link, read: Iterator[pa.RecordBatch]) -> None:
        self.link = link
        self._read = read
        self._rest: pa.Table | None = None

    def up_to(self, last: pa.Scalar) -> pa.Table | None:
        """Return the rows not yet handed out whose subject is at most ``last``; None where there are none."""
        parts = [] if self._rest is None else [self._rest]
        while not parts or pc.less_equal(parts[-1][self.link.subject][-1], last).as_py():
            batch = next(self._read, None)
            if batch is None:
                break
            parts.append(pa.Table.from_batches([batch]))
        if not parts:
            return None
        table = pa.concat_tables(parts)
        due = pc.sum(pc.less_equal(table[self.link.subject], last)).as_py()
        self._rest = table.slice(due) if due < len(table) else None
        return table.slice(0, due) if due else None

    def check_end(self) -> None:
        """Raise StoreError where rows are left: their subjects never came by."""
        if self._rest is not None or next(self._read, None) is not None:
            raise dangling(self.link)


def dangling(link: Link) -> StoreError:
    """Return the error for a row of ``link`` whose subject the graph does not have."""
    return StoreError(
        f"{link.table} has a {link.subject} that the graph does not have",
        hint="`mindkg validate` names the rows",
    )


def _chunk(node: Node, batch: pa.RecordBatch, linked: Sequence[pa.Table | None], syntax: Syntax) -> Chunk:
    ids = node_ids(node, batch)
    triples = len(batch) * (len(node.types) + 1)
    values = []
    for property_ in node.properties:
        found, count = _property(batch, property_, syntax)
        values.append(found)
        triples += count
    for link, table in zip(node.links, linked, strict=True):
        if table is not None:
            values.append(_link(ids, link, table, syntax))
            triples += len(table)
    return Chunk(contents(syntax.block(node, ids, values)), triples, len(batch))


def _property(batch: pa.RecordBatch, property_: Property, syntax: Syntax) -> tuple[Values, int]:
    columns = []
    for column in property_.columns:
        values = property_values(batch[column], property_)
        columns.append(
            syntax.reference(property_.range, values) if property_.is_link else syntax.literal(values, property_.range)
        )
    count = sum(len(terms) - terms.null_count for terms in columns)
    several = len(columns) > 1
    terms = pc.binary_join_element_wise(*columns, text_scalar(syntax.separator)) if several else columns[0]
    return Values(property_.predicate, terms, several), count


def _link(ids: pa.Array, link: Link, table: pa.Table, syntax: Syntax) -> Values:
    rows = subject_rows(ids, link, table)
    terms = syntax.reference(link.range, table[link.object].combine_chunks())
    if link.predicate:
        return Values(link.predicate, join_rows(terms, rows, len(ids), syntax.separator), True)
    relations = table[RELATION].combine_chunks().cast(STRING)
    first = _changes(rows.to_numpy(zero_copy_only=False), relations.dictionary_encode().indices.to_numpy())
    starts = pa.array(np.flatnonzero(first))
    joined = join_rows(terms, pa.array(np.cumsum(first) - 1), len(starts), syntax.separator)
    named = syntax.named(relations.take(starts), joined)
    return Values(None, join_rows(named, rows.take(starts), len(ids), ""), True)


def subject_rows(ids: pa.Array, link: Link, table: pa.Table) -> pa.Array:
    """Return which of ``ids`` is the subject of each row; raises StoreError where none is."""
    rows = pc.index_in(table[link.subject].combine_chunks().cast(STRING), value_set=ids)
    if rows.null_count:
        raise dangling(link)
    return rows


def _changes(*columns: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Return for each row whether it differs from the row before."""
    changed = np.ones(len(columns[0]), np.bool_)
    changed[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return changed


def join_rows(terms: pa.Array, rows: pa.Array, length: int, separator: str) -> pa.Array:
    """Return the terms of each of ``length`` rows joined, null where there are none; ``rows`` ascends.

    >>> join_rows(pa.array(["a", "b", "c"], STRING), pa.array([0, 0, 2]), 3, ", ").to_pylist()
    ['a, b', None, 'c']
    """
    counts = np.bincount(rows.to_numpy(zero_copy_only=False), minlength=length)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int64())
    joined = pc.binary_join(pa.LargeListArray.from_arrays(offsets, terms), text_scalar(separator))
    return pc.if_else(pa.array(counts > 0), joined, pa.scalar(None, STRING))
