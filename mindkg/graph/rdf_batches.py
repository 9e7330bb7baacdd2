"""Batches of a graph folder as the RDF writers need them: identifiers, values of properties, rows of links."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from mindkg import identity
from mindkg.errors import StoreError
from mindkg.graph.folder import batches, rows
from mindkg.graph.output import Progress
from mindkg.graph.rdf_model import NODES, PATH, PATH_SEPARATOR, Link, Node, Property
from mindkg.graph.rdf_terms import STRING, text_scalar


class Chunk(NamedTuple):
    """Some whole nodes or triples as UTF-8, how many triples they are, and of how many rows."""

    data: memoryview
    triples: int
    rows: int


def in_order(tasks: Iterator[Callable[[], Chunk]], threads: int = 2, ahead: int = 4) -> Iterator[Chunk]:
    """Yield what ``tasks`` return, in order, while the next few run: Arrow's kernels leave Python's lock."""
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[Chunk]] = deque()
        for task in tasks:
            running.append(pool.submit(task))
            if len(running) >= ahead:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def write_chunks(chunks: Iterator[Chunk], stream: BinaryIO, all_rows: int, progress: Progress | None) -> int:
    """Write ``chunks``, made of ``all_rows`` rows, and return how many triples they are."""
    triples = done = 0
    for chunk in chunks:
        stream.write(chunk.data)
        triples, done = triples + chunk.triples, done + chunk.rows
        if progress:
            progress(done, all_rows)
    return triples


def node_rows(folder: Path) -> int:
    """Return how many nodes the RDF of a graph folder has."""
    return sum(rows(folder, node.table) for node in NODES)


def node_ids(node: Node, batch: pa.RecordBatch) -> pa.Array:
    """Return the identifier of each row's node: its key, hashed where it has several columns.

    Raises StoreError where a row has no key: its triples would have no subject.
    """
    columns = [batch.column(name) for name in node.key]
    if any(column.null_count for column in columns):
        raise StoreError(f"{node.table} has a row without {' and '.join(node.key)}", hint="Build the KB again")
    return (columns[0] if len(columns) == 1 else identity.keys(columns)).cast(STRING)


def property_values(column: pa.Array, property_: Property) -> pa.Array:
    """Return the value of a property in each row, null where it has none."""
    if property_.range == PATH:
        texts = pc.binary_join(column.cast(pa.list_(STRING)), text_scalar(PATH_SEPARATOR))
        return pc.if_else(pc.equal(texts, text_scalar("")), pa.scalar(None, STRING), texts)
    if property_.only is not None:
        return pc.if_else(pc.equal(column, property_.only), column, pa.scalar(None, column.type))
    return column


def _once(table: pa.Table) -> pa.Table:
    """Return each row of ``table`` where it stands first."""
    numbered = table.append_column("first", pa.array(range(len(table)), pa.int64()))
    firsts = numbered.group_by(table.column_names, use_threads=False).aggregate([("first", "min")])["first_min"]
    # a group-by gives its groups in no order that one may rely on
    return table.take(firsts.combine_chunks().sort())


def link_batches(folder: Path, link: Link) -> Iterator[pa.RecordBatch]:
    """Yield the rows of ``link``: its subject, its object and, where it has no predicate, the relation."""
    read = batches(folder, link.table, link.columns())
    if link.where:
        column, value = link.where
        read = (batch.filter(pc.equal(batch[column], value)) for batch in read)
    return _distinct_rows(read, link.subject) if link.repeats else (batch for batch in read if len(batch))


def _distinct_rows(read: Iterator[pa.RecordBatch], subject: str) -> Iterator[pa.RecordBatch]:
    """Yield each row once; rows that are the same must have one ``subject``, on which they are sorted."""
    rest: pa.Table | None = None
    for batch in read:
        table = pa.Table.from_batches([batch])
        table = table if rest is None else pa.concat_tables([rest, table])
        # what belongs to the last subject waits for its other rows
        waits = pc.equal(table[subject], table[subject][-1])
        rest = table.filter(waits)
        yield from _once(table.filter(pc.invert(waits))).combine_chunks().to_batches()
    if rest is not None:
        yield from _once(rest).combine_chunks().to_batches()
