r"""The graph as lines of head TAB relation TAB tail, as tools for knowledge graph embeddings read them.

Entities are ``product:`` id, ``cobuy:`` id, ``intention:`` text and ``concept:`` label: an intention and a concept may
have the same text, and with a prefix no field begins with a quote or looks like a missing value to a CSV reader.
Inside a field backslash, tab, newline and carriage return are written ``\\``, ``\t``, ``\n`` and ``\r``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc

from mindkg.graph.folder import batches, rows
from mindkg.graph.grouped import Cursor, sorted_links, subject_rows
from mindkg.graph.output import Progress, writing
from mindkg.graph.rdf_batches import Chunk, in_order, write_chunks
from mindkg.graph.rdf_model import Link
from mindkg.graph.rdf_terms import STRING, contents, join

PRODUCT, CONCEPT, BROADER = "product", "concept", "broader"
"""The relations besides those of the ontology: of a co-buy, an intention and a concept."""

_ASSERTED: Final = Link("assertions", "intention_id", None, "cobuy_id", "cobuy", in_order=False)
_MENTIONED: Final = Link("mentions", "intention_id", "mind:concept", "concept", "concept")


def write_triples(folder: Path, out: Path | BinaryIO, *, progress: Progress | None = None) -> int:
    """Write the graph folder ``folder`` to ``out`` as tab-separated triples and return how many there are.

    A path that ends in ``.gz`` is gzipped. Raises StoreError on dangling rows.
    """
    all_rows = sum(rows(folder, table) for table in ("cobuys", "intentions", "hypernyms"))
    with writing(out) as stream:
        return write_chunks(in_order(_tasks(folder)), stream, all_rows, progress)


def field(texts: pa.Array) -> pa.Array:
    r"""Return ``texts`` with what would end a field or a line escaped.

    >>> field(pa.array(["a\tb\\n"])).to_pylist()
    ['a\\tb\\\\n']
    """
    texts = texts.cast(STRING)
    if pc.any(pc.match_substring_regex(texts, r"[\\\t\n\r]")).as_py():
        for character, written in (("\\", r"\\"), ("\t", r"\t"), ("\n", r"\n"), ("\r", r"\r")):
            texts = pc.replace_substring(texts, character, written)
    return texts


def _tasks(folder: Path) -> Iterator[Callable[[], Chunk]]:
    for batch in batches(folder, "cobuys", ["cobuy_id", "product_a", "product_b"]):
        yield partial(_bought, batch)
    cursors = [Cursor(link, sorted_links(folder, link)) for link in (_ASSERTED, _MENTIONED)]
    for batch in batches(folder, "intentions", ["intention_id", "text"]):
        asserted, mentioned = (cursor.up_to(batch["intention_id"][-1]) for cursor in cursors)
        yield partial(_intended, batch, asserted, mentioned)
    for cursor in cursors:
        cursor.check_end()
    for batch in batches(folder, "hypernyms", ["concept", "hypernym"]):
        yield partial(_broader, batch)


def _bought(batch: pa.RecordBatch) -> Chunk:
    cobuys, lines = field(batch["cobuy_id"]), []
    for column in ("product_a", "product_b"):
        lines.append(join("cobuy:", cobuys, f"\t{PRODUCT}\tproduct:", field(batch[column]), "\n"))
    return _chunk(lines, len(batch))


def _intended(batch: pa.RecordBatch, asserted: pa.Table | None, mentioned: pa.Table | None) -> Chunk:
    ids, texts, lines = batch["intention_id"].cast(STRING), field(batch["text"]), []
    if asserted is not None:
        tails = texts.take(subject_rows(ids, _ASSERTED, asserted))
        columns = [field(asserted[name].combine_chunks()) for name in ("cobuy_id", "relation")]
        lines.append(join("cobuy:", columns[0], "\t", columns[1], "\tintention:", tails, "\n"))
    if mentioned is not None:
        heads = texts.take(subject_rows(ids, _MENTIONED, mentioned))
        concepts = field(mentioned["concept"].combine_chunks())
        lines.append(join("intention:", heads, f"\t{CONCEPT}\tconcept:", concepts, "\n"))
    return _chunk(lines, len(batch))


def _broader(batch: pa.RecordBatch) -> Chunk:
    narrow, broad = (field(batch[name]) for name in ("concept", "hypernym"))
    return _chunk([join("concept:", narrow, f"\t{BROADER}\tconcept:", broad, "\n")], len(batch))


def _chunk(lines: list[pa.Array], done: int) -> Chunk:
    return Chunk(memoryview(b"".join(map(contents, lines))), sum(map(len, lines)), done)
