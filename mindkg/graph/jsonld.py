"""The graph as one JSON-LD document: the context of ontology/context.jsonld, then a node a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from mindkg.graph.grouped import Values, grouped_chunks
from mindkg.graph.output import Progress, writing
from mindkg.graph.rdf_batches import Chunk, node_rows, write_chunks
from mindkg.graph.rdf_model import BOOLEAN, DOUBLE, ENGLISH, IDENTIFIER, INTEGER, RELATION, TEXT, Node, prefixes
from mindkg.graph.rdf_terms import as_text, escape, join, join_present, percent_encode
from mindkg.resources import data_folder
from mindkg.vocabulary import DATA, KINDS, relations


def write_jsonld(folder: Path, out: Path | BinaryIO, *, base: str = DATA, progress: Progress | None = None) -> int:
    """Write the graph folder ``folder`` to ``out`` as one JSON-LD document and return how many triples it has.

    ``base`` is the base of data IRIs. A path that ends in ``.gz`` is gzipped. Raises StoreError on dangling rows.
    """
    with writing(out) as stream:
        terms = ",\n".join(f"  {json.dumps(name)}: {json.dumps(term)}" for name, term in context(base).items())
        stream.write(f'{{"@context": {{\n{terms}\n}},\n"@graph": ['.encode())
        triples = write_chunks(
            _without_first_comma(grouped_chunks(folder, JsonLd())), stream, node_rows(folder), progress
        )
        stream.write(b"\n]}\n")
    return triples


def context(base: str = DATA) -> dict[str, Any]:
    """Return the JSON-LD context: prefixes, those of the data below ``base``, the type of each property, relations."""
    text = (data_folder("ontology") / "context.jsonld").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)["@context"]
    data = {name: iri for name, iri in prefixes(base).items() if name in KINDS}
    return found | data | {f"mind:{name}": {"@type": "@id"} for name in relations()}


def _without_first_comma(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    first = True
    for chunk in chunks:
        yield chunk._replace(data=chunk.data[1:]) if first and chunk.data else chunk
        first = first and not chunk.data


class JsonLd:
    """Terms and nodes in JSON-LD (https://www.w3.org/TR/json-ld11/)."""

    separator = ","

    def reference(self, kind: str, ids: pa.Array) -> pa.Array:
        """Return each id as a compact IRI in quotes; the context says that it is one."""
        return join(f'"{"mind" if kind == RELATION else kind}:', percent_encode(ids), '"')

    def literal(self, values: pa.Array, range_: str) -> pa.Array:
        """Return each value as JSON; the context says its datatype."""
        if range_ == ENGLISH:
            return join('{"@value":"', escape(values), '","@language":"en"}')
        texts = escape(as_text(values))
        if range_ in (INTEGER, BOOLEAN):
            return texts
        quoted = join('"', texts, '"')
        return pc.if_else(pc.is_finite(values), texts, quoted) if range_ == DOUBLE else quoted

    def named(self, relations: pa.Array, terms: pa.Array) -> pa.Array:
        """Return relation and objects as one member of a node."""
        return join(',"mind:', percent_encode(relations), '":[', terms, "]")

    def block(self, node: Node, ids: pa.Array, values: Sequence[Values]) -> pa.Array:
        """Return each node as an object on a line of its own, behind a comma."""
        types = json.dumps(node.types if len(node.types) > 1 else node.types[0])
        parts: list[pa.Array | str] = [',\n{"@id":', self.reference(node.kind, ids), f',"@type":{types}']
        parts += [f',"{IDENTIFIER}":', self.literal(ids, TEXT)]
        for predicate, terms, several in values:
            start, end = ("[", "]") if several else ("", "")
            parts.append(join(f',"{predicate}":{start}', terms, end) if predicate else terms)
        return join_present(*parts, "}")
