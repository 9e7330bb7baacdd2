"""The rules of ontology/shapes.ttl as values, so that tables are held to the very rules that SHACL holds RDF to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from mindkg.errors import StoreError
from mindkg.graph.rdf_model import NODES, expand
from mindkg.resources import data_folder

if TYPE_CHECKING:
    from rdflib import Graph
    from rdflib.term import Node

SHAPES: Final = "https://w3id.org/mindkg/shapes#"
SHACL: Final = "http://www.w3.org/ns/shacl#"

CONSTRAINTS: Final = frozenset(
    {
        "minCount",
        "maxCount",
        "datatype",
        "class",
        "minInclusive",
        "maxInclusive",
        "in",
        "pattern",
        "minLength",
        "disjoint",
    }
)
"""The constraints that the tables can be held to; any other needs a rule of its own in table_rules.py."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule of ontology/shapes.ttl that a node breaks: rule (``assertion-cobuy``), identifier, what should be."""

    rule: str
    node: str
    message: str


@dataclass(frozen=True, slots=True)
class Shape:
    """One named rule: the kind of node it is about, its path (an IRI) and what it asks of the values there.

    ``path`` is None where the rule is not about a plain property.
    """

    rule: str
    kind: str
    message: str
    path: str | None
    constraints: Mapping[str, tuple[str, ...]]


@cache
def shapes() -> tuple[Shape, ...]:
    """Return the rules of ontology/shapes.ttl, sorted by name."""
    from rdflib import Graph, URIRef

    graph = Graph().parse(data_folder("ontology") / "shapes.ttl", format="turtle")
    kinds = {expand(node.types[0]): node.kind for node in NODES}
    found = []
    for target, class_ in graph.subject_objects(URIRef(f"{SHACL}targetClass")):
        for shape in graph.objects(target, URIRef(f"{SHACL}property")):
            found.append(_shape(graph, shape, shape, kinds[str(class_)]))
    for shape, query in graph.subject_objects(URIRef(f"{SHACL}sparql")):
        kind = kinds[str(graph.value(shape, URIRef(f"{SHACL}targetNode")))]
        found.append(_shape(graph, shape, query, kind))
    return tuple(sorted(found, key=lambda shape: shape.rule))


def _shape(graph: Graph, shape: Node, constraint: Node, kind: str) -> Shape:
    from rdflib import RDF, URIRef

    path = graph.value(constraint, URIRef(f"{SHACL}path"))
    aside = {RDF.type, *(URIRef(SHACL + name) for name in ("path", "message"))}
    asked = {
        str(p).removeprefix(SHACL): _values(graph, o) for p, o in graph.predicate_objects(constraint) if p not in aside
    }
    return Shape(
        rule=str(shape).removeprefix(SHAPES),
        kind=kind,
        message=str(graph.value(constraint, URIRef(f"{SHACL}message"))),
        path=str(path) if isinstance(path, URIRef) else None,
        constraints=MappingProxyType(asked),
    )


def unknown_constraint(shape: Shape) -> StoreError:
    """Return the error for a rule that tables cannot be held to."""
    return StoreError(f"the rule {shape.rule} of shapes.ttl has no twin for tables", hint="Add it to table_rules.py")


def _values(graph: Graph, value: Node) -> tuple[str, ...]:
    from rdflib import RDF
    from rdflib.collection import Collection

    if (value, RDF.first, None) in graph:
        return tuple(str(item) for item in Collection(graph, value))
    return (str(value),)
