"""The graph as Turtle to read: prefixes first, then node by node."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from mindkg.graph.grouped import Values, grouped_chunks
from mindkg.graph.output import Progress, writing
from mindkg.graph.rdf_batches import node_rows, write_chunks
from mindkg.graph.rdf_model import (
    BOOLEAN,
    DOUBLE,
    ENGLISH,
    IDENTIFIER,
    INTEGER,
    PATH,
    RELATION,
    TEXT,
    Node,
    namespace,
    prefixes,
)
from mindkg.graph.rdf_terms import as_text, escape, join, join_present, percent_encode
from mindkg.vocabulary import DATA

_LOCAL_NAME = "^[A-Za-z0-9_%]([A-Za-z0-9_%.-]*[A-Za-z0-9_%-])?$"
"""The encoded ids that Turtle takes behind a prefix as they are (PN_LOCAL without its escapes)."""

_NEXT = " ;\n    "


def write_turtle(folder: Path, out: Path | BinaryIO, *, base: str = DATA, progress: Progress | None = None) -> int:
    """Write the graph folder ``folder`` to ``out`` as Turtle, grouped by subject, and return how many triples it has.

    ``base`` is the base of data IRIs. A path that ends in ``.gz`` is gzipped. Raises StoreError on dangling rows.
    """
    with writing(out) as stream:
        stream.write(turtle_prefixes(base).encode())
        return write_chunks(grouped_chunks(folder, Turtle(base)), stream, node_rows(folder), progress)


def turtle_prefixes(base: str = DATA) -> str:
    """Return the lines that declare the prefixes, and an empty line."""
    return "".join(f"@prefix {name}: <{iri}> .\n" for name, iri in prefixes(base).items()) + "\n"


class Turtle:
    """Terms and nodes in Turtle (https://www.w3.org/TR/turtle/)."""

    separator = ", "

    def __init__(self, base: str) -> None:
        self.base = base

    def reference(self, kind: str, ids: pa.Array) -> pa.Array:
        """Return each id as a prefixed name, or as an IRI where it cannot be one."""
        encoded = percent_encode(ids)
        named = join("mind:" if kind == RELATION else f"{kind}:", encoded)
        fits = pc.match_substring_regex(encoded, _LOCAL_NAME)
        if pc.all(fits).as_py():
            return named
        return pc.if_else(fits, named, join(f"<{namespace(kind, self.base)}", encoded, ">"))

    def literal(self, values: pa.Array, range_: str) -> pa.Array:
        """Return each value in Turtle's shortest form."""
        if range_ in (TEXT, PATH):
            return join('"', escape(values), '"')
        if range_ == ENGLISH:
            return join('"', escape(values), '"@en')
        if range_ in (INTEGER, BOOLEAN):
            return as_text(values)
        if range_ != DOUBLE:
            return join('"', escape(as_text(values)), f'"^^xsd:{range_}')
        texts = as_text(values)
        # without an exponent it would be an xsd:decimal
        short = pc.if_else(pc.match_substring(texts, "e"), texts, join(texts, "e0"))
        return pc.if_else(pc.is_finite(values), short, join('"', texts, '"^^xsd:double'))

    def named(self, relations: pa.Array, terms: pa.Array) -> pa.Array:
        """Return relation and objects as one predicate of a block."""
        return join(_NEXT, self.reference(RELATION, relations), " ", terms)

    def block(self, node: Node, ids: pa.Array, values: Sequence[Values]) -> pa.Array:
        """Return each node with its types, its identifier and its properties, one a line."""
        parts: list[pa.Array | str] = [self.reference(node.kind, ids), f" a {', '.join(node.types)}"]
        parts += [f"{_NEXT}{IDENTIFIER} ", self.literal(ids, TEXT)]
        for predicate, terms, _ in values:
            parts.append(join(f"{_NEXT}{predicate} ", terms) if predicate else terms)
        return join_present(*parts, " .\n\n")
