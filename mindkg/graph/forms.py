"""The forms that the graph is written in: their names, what each may be told, and who writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from mindkg.errors import UsageError, nearest

FORMS: Final[Mapping[str, str]] = {
    "turtle": "kb.ttl",
    "ntriples": "kb.nt",
    "jsonld": "kb.jsonld",
    "graphml": "kb.graphml",
    "csv": "csv",
    "triples": "triples.tsv",
    "neo4j-import": "neo4j-import",
}
"""The forms, and the name of the file or folder that each goes to where none is given."""

FOLDERS: Final = ("csv", "neo4j-import")
"""The forms that are a folder of files."""

_RDF: Final = ("turtle", "ntriples", "jsonld")
_BASE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\x00-\x20\x7f-\x9f<>\"{}|^`\\\ud800-\udfff]+(?<=[/#:])")


def check_form(to: str, base: str | None, name: str) -> None:
    """Raise UsageError where there is no form ``to``, or it takes no such ``base`` of IRIs or ``name`` of a file."""
    if to not in FORMS:
        raise UsageError(f"cannot export to {to!r}", hint=nearest(to, FORMS) or f"Forms: {', '.join(FORMS)}")
    if to in FOLDERS and name.endswith(".gz"):
        raise UsageError(f"{to} is a folder of files and is not gzipped", hint="Give the name of a folder with -o")
    if base is None:
        return
    if to not in _RDF:
        raise UsageError(f"{to} has no IRIs and takes no base", hint=f"Forms with a base: {', '.join(_RDF)}")
    if not _BASE.fullmatch(base):
        hint = "Give one such as https://example.org/data/, which ends in /, # or :"
        raise UsageError(f"the base {base!r} is no absolute IRI", hint=hint)


def write_form(
    to: str, graph: Path, stream: BinaryIO, base: str | None, progress: Callable[[str], None] | None
) -> None:
    """Write the graph folder ``graph`` as ``to``, a form of one file that ``check_form`` let pass."""
    from mindkg.graph import exports, jsonld, ntriples, triples, turtle
    from mindkg.vocabulary import DATA

    if to == "graphml":
        exports.write_graphml(graph, stream, report=progress)
    elif to == "triples":
        triples.write_triples(graph, stream)
    else:
        rdf = {"turtle": turtle.write_turtle, "ntriples": ntriples.write_ntriples, "jsonld": jsonld.write_jsonld}
        n = rdf[to](graph, stream, base=base or DATA)
        if progress:
            progress(f"{n:,} triples")


def write_folder(to: str, graph: Path, out: Path) -> None:
    """Write the graph folder ``graph`` as ``to``, one of ``FOLDERS``, into the empty folder ``out``."""
    from mindkg.graph import exports, neo4j_import

    if to == "csv":
        exports.write_csv(graph, out)
    else:
        neo4j_import.write_neo4j_import(graph, out)
