"""The graph as N-Triples, in bulk: every batch of a table becomes one buffer of lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from mindkg.graph.folder import batches
from mindkg.graph.output import Progress, writing
from mindkg.graph.rdf_batches import Chunk, in_order, link_batches, node_ids, node_rows, property_values, write_chunks
from mindkg.graph.rdf_model import ENGLISH, IDENTIFIER, NODES, PATH, TEXT, Link, Node, Property, expand, namespace
from mindkg.graph.rdf_terms import as_text, contents, escape, join, join_present, percent_encode
from mindkg.vocabulary import DATA

_END = " .\n"


def write_ntriples(folder: Path, out: Path | BinaryIO, *, base: str = DATA, progress: Progress | None = None) -> int:
    """Write the graph folder ``folder`` to ``out`` as N-Triples and return how many triples it has.

    ``base`` is the base of data IRIs. A path that ends in ``.gz`` is gzipped. Memory does not grow with the graph.
    Raises InputError where the folder lacks a table.
    """
    with writing(out) as stream:
        return write_chunks(ntriples_chunks(folder, base=base), stream, node_rows(folder), progress)


def ntriples_chunks(folder: Path, *, base: str = DATA) -> Iterator[Chunk]:
    """Yield the graph as chunks of whole lines, kind of node by kind of node, each kind followed by its links."""
    yield from in_order(_tasks(folder, base))


def _tasks(folder: Path, base: str) -> Iterator[Callable[[], Chunk]]:
    for node in NODES:
        for batch in batches(folder, node.table, node.columns()):
            yield partial(_node_lines, node, batch, base)
        for link in node.links:
            for batch in link_batches(folder, link):
                yield partial(_link_lines, node.kind, link, batch, base)


def _node_lines(node: Node, batch: pa.RecordBatch, base: str) -> Chunk:
    ids = node_ids(node, batch)
    subjects = join(f"<{namespace(node.kind, base)}", percent_encode(ids), "> ")
    parts: list[pa.Array | str] = []
    for type_ in node.types:
        parts += [subjects, f"<{expand('rdf:type')}> <{expand(type_)}>{_END}"]
    parts += [subjects, f"<{expand(IDENTIFIER)}> ", _literal(ids, TEXT), _END]
    triples = len(batch) * (len(node.types) + 1)
    for property_, column in ((p, c) for p in node.properties for c in p.columns):
        predicate = f"<{expand(property_.predicate)}> "
        objects = _objects(property_values(batch.column(column), property_), property_, base)
        triples += len(objects) - objects.null_count
        if objects.null_count:
            parts.append(join(subjects, predicate, objects, _END))
        else:
            parts += [subjects, predicate, objects, _END]
    return Chunk(contents(join_present(*parts)), triples, len(batch))


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


def _link_lines(kind: str, link: Link, batch: pa.RecordBatch, base: str) -> Chunk:
    subjects = percent_encode(batch[link.subject])
    objects = percent_encode(batch[link.object])
    start, end = f"<{namespace(kind, base)}", f"<{namespace(link.range, base)}"
    if link.predicate:
        lines = join(start, subjects, f"> <{expand(link.predicate)}> {end}", objects, f">{_END}")
    else:
        relations = percent_encode(batch["relation"])
        lines = join(start, subjects, f"> <{namespace('relation')}", relations, f"> {end}", objects, f">{_END}")
    return Chunk(contents(lines), len(batch), 0)
