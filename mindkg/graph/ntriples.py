"""The graph as N-Triples, in bulk: every batch of a table becomes one buffer of lines."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from mindkg import identity
from mindkg.graph.folder import batches, rows
from mindkg.graph.output import Progress, writing
from mindkg.graph.rdf_model import (
    ENGLISH,
    IDENTIFIER,
    NODES,
    PATH,
    PATH_SEPARATOR,
    TEXT,
    Link,
    Node,
    Property,
    expand,
    namespace,
)
from mindkg.graph.rdf_terms import STRING, as_text, contents, escape, join, join_present, percent_encode, text_scalar
from mindkg.vocabulary import DATA

_END = " .\n"


class Chunk(NamedTuple):
    """Some lines of N-Triples (UTF-8), how many triples they are, and of how many rows."""

    data: memoryview
    triples: int
    rows: int


def write_ntriples(folder: Path, out: Path | BinaryIO, *, base: str = DATA, progress: Progress | None = None) -> int:
    """Write the graph folder ``folder`` to ``out`` as N-Triples and return how many triples it has.

    ``base`` is the base of data IRIs. A path that ends in ``.gz`` is gzipped. Memory does not grow with the graph.
    """
    total = _rows_to_read(folder) if progress else 0
    triples = done = 0
    with writing(out) as stream:
        for chunk in ntriples_chunks(folder, base=base):
            stream.write(chunk.data)
            triples, done = triples + chunk.triples, done + chunk.rows
            if progress:
                progress(done, total)
    return triples


def ntriples_chunks(folder: Path, *, base: str = DATA) -> Iterator[Chunk]:
    """Yield the graph as chunks of whole lines, kind of node by kind of node, each node followed by its links."""
    yield from _in_order(_tasks(folder, base))


def _rows_to_read(folder: Path) -> int:
    return sum(rows(folder, table) for node in NODES for table in (node.table, *(link.table for link in node.links)))


def _tasks(folder: Path, base: str) -> Iterator[Callable[[], Chunk]]:
    for node in NODES:
        for batch in batches(folder, node.table, node.columns()):
            yield partial(_node_lines, node, batch, base)
        for link in node.links:
            for batch in _link_batches(folder, link):
                yield partial(_link_lines, node.kind, link, batch, base)


def _in_order(tasks: Iterator[Callable[[], Chunk]], threads: int = 2, ahead: int = 4) -> Iterator[Chunk]:
    """Yield what ``tasks`` return, in order, while the next few run: Arrow's kernels leave Python's lock."""
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[Chunk]] = deque()
        for task in tasks:
            running.append(pool.submit(task))
            if len(running) >= ahead:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def node_ids(node: Node, batch: pa.RecordBatch) -> pa.Array:
    """Return the identifier of each row's node: its key, hashed where it has several columns."""
    columns = [batch.column(name) for name in node.key]
    return (columns[0] if len(columns) == 1 else identity.keys(columns)).cast(STRING)


def _node_lines(node: Node, batch: pa.RecordBatch, base: str) -> Chunk:
    ids = node_ids(node, batch)
    subjects = join(f"<{namespace(node.kind, base)}", percent_encode(ids), "> ")
    parts: list[pa.Array | str] = []
    for type_ in node.types:
        parts += [subjects, f"<{expand('rdf:type')}> <{expand(type_)}>{_END}"]
    parts += [subjects, f"<{expand(IDENTIFIER)}> ", _literal(ids, TEXT), _END]
    triples, more = len(batch) * (len(node.types) + 1), []
    for property_, column in ((p, c) for p in node.properties for c in p.columns):
        values, rows_of = _values(batch.column(column), property_)
        predicate, objects = f"<{expand(property_.predicate)}> ", _objects(values, property_, base)
        triples += len(objects) - objects.null_count
        if rows_of is not None:
            more.append(join(subjects.take(rows_of), predicate, objects, _END))
        elif objects.null_count:
            parts.append(join(subjects, predicate, objects, _END))
        else:
            parts += [subjects, predicate, objects, _END]
    lines = contents(join_present(*parts))
    if more:
        lines = memoryview(b"".join([lines, *map(contents, more)]))
    return Chunk(lines, triples, len(batch))


def _values(column: pa.Array, property_: Property) -> tuple[pa.Array, pa.Array | None]:
    """Return the values of a column, and the row of each where a row may have several."""
    if not pa.types.is_list(column.type):
        return column, None
    if property_.range == PATH:
        texts = pc.binary_join(column.cast(pa.list_(STRING)), text_scalar(PATH_SEPARATOR))
        return pc.if_else(pc.equal(texts, ""), pa.scalar(None, STRING), texts), None
    return distinct_values(column)


def distinct_values(column: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return the values of a list column, each once a row and in its order, and the row of each."""
    pairs = pa.table({"row": pc.list_parent_indices(column), "value": pc.list_flatten(column)}).drop_null()
    pairs = pairs.group_by(["row", "value"], use_threads=False).aggregate([]).combine_chunks()
    return (pairs["value"].combine_chunks(), pairs["row"].combine_chunks())


def _objects(values: pa.Array, property_: Property, base: str) -> pa.Array:
    if property_.is_link:
        return join(f"<{namespace(property_.range, base)}", percent_encode(values), ">")
    return _literal(values, property_.range)


def _literal(values: pa.Array, range_: str) -> pa.Array:
    if range_ in (TEXT, PATH):
        return join('"', escape(values), '"')
    if range_ == ENGLISH:
        return join('"', escape(values), '"@en')
    return join('"', escape(as_text(values)), f'"^^<{expand("xsd:" + range_)}>')


def _link_batches(folder: Path, link: Link) -> Iterator[pa.RecordBatch]:
    columns = [link.subject, link.object] if link.predicate else [link.subject, link.object, "relation"]
    read = batches(folder, link.table, columns)
    return _distinct(read, link.subject) if link.repeats else read


def _distinct(read: Iterator[pa.RecordBatch], subject: str) -> Iterator[pa.RecordBatch]:
    """Yield each row once; rows that are the same must have one ``subject``, on which they are sorted."""
    rest: pa.Table | None = None
    for batch in read:
        table = pa.Table.from_batches([batch])
        table = table if rest is None else pa.concat_tables([rest, table])
        last = table[subject][-1]
        # what belongs to the last subject waits for its other rows
        waits = pc.equal(table[subject], last)
        rest = table.filter(waits)
        yield from _once(table.filter(pc.invert(waits)))
    if rest is not None:
        yield from _once(rest)


def _once(table: pa.Table) -> list[pa.RecordBatch]:
    distinct = table.group_by(table.column_names, use_threads=False).aggregate([])
    return [batch for batch in distinct.combine_chunks().to_batches() if len(batch)]


def _link_lines(kind: str, link: Link, batch: pa.RecordBatch, base: str) -> Chunk:
    subjects = percent_encode(batch[link.subject])
    objects = percent_encode(batch[link.object])
    start, end = f"<{namespace(kind, base)}", f"<{namespace(link.range, base)}"
    if link.predicate:
        lines = join(start, subjects, f"> <{expand(link.predicate)}> {end}", objects, f">{_END}")
    else:
        relations = percent_encode(batch["relation"])
        lines = join(start, subjects, f"> <{namespace('relation')}", relations, f"> {end}", objects, f">{_END}")
    return Chunk(contents(lines), len(batch), len(batch))
