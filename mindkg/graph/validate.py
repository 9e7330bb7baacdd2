"""Whether a graph is sound: the rules of ontology/shapes.ttl on RDF through pyshacl, and on tables at any size."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast
from urllib.parse import unquote

from mindkg.errors import InputError
from mindkg.graph.ntriples import ntriples_chunks
from mindkg.graph.rdf_model import IDENTIFIER, expand
from mindkg.graph.shapes import SHACL, SHAPES, Violation, shapes
from mindkg.graph.table_rules import Tables, broken
from mindkg.resources import data_folder

if TYPE_CHECKING:
    from rdflib import Graph

__all__ = ["Violation", "validate_graph", "validate_rdf", "validate_tables"]

_FORMATS: Final = {".nt": "nt", ".ttl": "turtle", ".jsonld": "json-ld"}


def validate_tables(folder: Path) -> list[Violation]:
    """Return what the tables of the graph folder ``folder`` break, sorted by rule and node.

    The verdict is that of ``validate_rdf`` on the RDF of the folder. Raises InputError where a table is missing.
    """
    tables = Tables(folder)
    found = [Violation(shape.rule, node, shape.message) for shape in shapes() for node in broken(tables, shape)]
    return sorted(found, key=lambda violation: (violation.rule, violation.node))


def validate_graph(folder: Path) -> list[Violation]:
    """Return what the RDF of the graph folder ``folder`` breaks, through pyshacl; see ``validate_rdf``."""
    from rdflib import Graph

    graph = Graph()
    with _quiet():
        for chunk in ntriples_chunks(folder):
            graph.parse(data=bytes(chunk.data), format="nt")
    return validate_rdf(graph)


def validate_rdf(data: Path | Graph) -> list[Violation]:
    """Return what ``data`` breaks, sorted by rule and node.

    ``data`` is an rdflib graph or a file (.nt, .ttl, .jsonld, each also .gz). This is SHACL itself, through pyshacl:
    the reference, for graphs that fit rdflib's memory. Raises InputError for a file of another kind or a broken one.
    """
    import pyshacl
    from rdflib import Graph, URIRef

    graph = _parse(data) if isinstance(data, Path) else data
    _, results, _ = pyshacl.validate(graph, shacl_graph=_rules(), inference="none")
    if not isinstance(results, Graph):
        raise results
    messages = {shape.rule: shape.message for shape in shapes()}
    found = set()
    for result, shape in results.subject_objects(URIRef(f"{SHACL}sourceShape")):
        rule = str(shape).removeprefix(SHAPES)
        # what a SPARQL constraint finds are its values; its focus is their class
        asked = (result, URIRef(f"{SHACL}sourceConstraint"), None) in results
        focus = results.value(result, URIRef(f"{SHACL}{'value' if asked else 'focusNode'}"))
        identifiers = sorted(str(value) for value in graph.objects(focus, URIRef(expand(IDENTIFIER))))
        node = identifiers[0] if identifiers else unquote(str(focus).rsplit("/", 1)[-1])
        found.add(Violation(rule, node, messages[rule]))
    return sorted(found, key=lambda violation: (violation.rule, violation.node))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep rdflib from logging a traceback for each ill-typed literal: the rules report them."""
    logger = logging.getLogger("rdflib.term")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@cache
def _rules() -> Graph:
    from rdflib import Graph

    return Graph().parse(data_folder("ontology") / "shapes.ttl", format="turtle")


def _parse(path: Path) -> Graph:
    from rdflib import Graph

    suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"]
    if not suffixes or suffixes[-1] not in _FORMATS:
        raise InputError(
            "not a file of RDF", record=str(path), hint=f"Known endings: {', '.join(_FORMATS)}, each with .gz"
        )
    try:
        with _quiet(), gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            return Graph().parse(cast(BinaryIO, stream), format=_FORMATS[suffixes[-1]])
    except OSError as error:
        raise InputError(f"cannot read the file: {error.strerror or error}", record=str(path)) from error
    except Exception as error:  # rdflib's parsers raise what they like
        raise InputError(f"not valid {suffixes[-1][1:]}: {error}", record=str(path)) from error
