"""Which triples the graph has: for each kind of node its table, its types and the property that each column becomes.

Every RDF writer and the shapes over tables read this one description; ontology/mindkg.ttl says what the terms mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final

from mindkg.resources import data_folder
from mindkg.vocabulary import DATA, KINDS, MIND

TEXT: Final = "string"
PATH: Final = "path"
"""A list column that becomes one text, its parts joined with ``PATH_SEPARATOR``."""
PATH_SEPARATOR: Final = " > "
INTEGER: Final = "integer"
DOUBLE: Final = "double"
BOOLEAN: Final = "boolean"
MOMENT: Final = "dateTime"
ENGLISH: Final = "en"
"""A text in English, with its language tag."""
RELATION: Final = "relation"
"""The kind of a relation: a node of the ontology, not of the data."""
IDENTIFIER: Final = "dcterms:identifier"


@dataclass(frozen=True, slots=True)
class Property:
    """The triples that columns of a table give each of its nodes.

    ``range`` is a kind of node or one of the datatypes above; a null gives no triple. ``only``: the one value that is
    written, where the others are told by its absence.
    """

    predicate: str
    columns: tuple[str, ...]
    range: str
    only: bool | None = None

    @property
    def is_link(self) -> bool:
        """Whether the objects are nodes."""
        return self.range == RELATION or self.range in KINDS


@dataclass(frozen=True, slots=True)
class Link:
    """Triples of a node that stand in another table: one a row, from ``subject`` to ``object``.

    ``predicate`` None: the relation in the column ``relation``. ``in_order``: the table is sorted by ``subject``.
    ``repeats``: rows may say the same, which then counts once. ``where``: only the rows with that value in that column.
    """

    table: str
    subject: str
    predicate: str | None
    object: str
    range: str
    in_order: bool = True
    repeats: bool = False
    where: tuple[str, int] | None = None

    def columns(self) -> list[str]:
        """Return the columns of the table that the link needs."""
        return [
            self.subject,
            self.object,
            *([] if self.predicate else [RELATION]),
            *([self.where[0]] if self.where else []),
        ]


@dataclass(frozen=True, slots=True)
class Node:
    """One kind of node: a row of ``table`` each; ``key`` with several columns is hashed."""

    kind: str
    table: str
    key: tuple[str, ...]
    types: tuple[str, ...]
    properties: tuple[Property, ...]
    links: tuple[Link, ...] = ()

    def columns(self) -> list[str]:
        """Return the columns of the table that the node needs, each once."""
        return list(dict.fromkeys([*self.key, *(c for p in self.properties for c in p.columns)]))


def _property(predicate: str, column: str, range_: str) -> Property:
    return Property(predicate, (column,), range_)


NODES: Final = (
    Node(
        RELATION,
        "relations",
        ("relation",),
        ("mind:Relation",),
        (_property("rdfs:label", "label", ENGLISH),),
    ),
    Node(
        "product",
        "products",
        ("product_id",),
        ("mind:Product", "schema:Product"),
        (
            _property("schema:name", "title", TEXT),
            _property("schema:brand", "brand", TEXT),
            _property("schema:category", "category", PATH),
            _property("schema:image", "image", TEXT),
        ),
        (Link("kinds", "product_id", "mind:kind", "concept", "concept"),),
    ),
    Node(
        "cobuy",
        "cobuys",
        ("cobuy_id",),
        ("mind:CoBuy",),
        (
            Property("mind:product", ("product_a", "product_b"), "product"),
            _property("mind:support", "support", INTEGER),
        ),
        (Link("assertions", "cobuy_id", None, "intention_id", "intention", in_order=False),),
    ),
    Node(
        "intention",
        "intentions",
        ("intention_id",),
        ("mind:Intention",),
        (_property("rdfs:label", "text", TEXT),),
        (
            Link("mentions", "intention_id", "mind:concept", "concept", "concept"),
            Link("mentions", "intention_id", "mind:bestConcept", "concept", "concept", where=("rank", 1)),
        ),
    ),
    Node(
        "assertion",
        "assertions",
        ("assertion_id",),
        ("mind:Assertion",),
        (
            _property("mind:cobuy", "cobuy_id", "cobuy"),
            _property("mind:relation", "relation", RELATION),
            _property("mind:intention", "intention_id", "intention"),
            _property("mind:stated", "stated", TEXT),
            _property("mind:support", "support", INTEGER),
            _property("mind:plausibility", "plausibility", DOUBLE),
            _property("mind:typicality", "typicality", DOUBLE),
            Property("mind:accepted", ("accepted",), BOOLEAN, only=False),
        ),
        (
            Link("evidence", "assertion_id", "prov:wasDerivedFrom", "generation_id", "generation"),
            Link("evidence", "assertion_id", "prov:wasGeneratedBy", "run_id", "run", repeats=True),
        ),
    ),
    Node(
        "generation",
        "evidence",
        ("generation_id",),
        ("mind:Generation",),
        (_property("prov:wasGeneratedBy", "run_id", "run"),),
    ),
    Node(
        "run",
        "runs",
        ("run_id",),
        ("mind:Run",),
        (
            _property("mind:stage", "stage", TEXT),
            _property("mind:model", "model", TEXT),
            _property("mind:revision", "revision", TEXT),
            _property("mind:promptVersion", "prompt_version", TEXT),
            _property("mind:parameters", "parameters", TEXT),
            _property("prov:startedAtTime", "started", MOMENT),
            _property("prov:endedAtTime", "ended", MOMENT),
            _property("mind:codeVersion", "code_version", TEXT),
        ),
    ),
    Node(
        "mention",
        "senses",
        ("mention_id",),
        ("mind:Mention",),
        (
            _property("mind:concept", "concept", "concept"),
            _property("mind:surface", "surface", TEXT),
            _property("mind:rep", "rep", DOUBLE),
        ),
        (Link("mentions", "mention_id", "mind:intention", "intention_id", "intention", in_order=False),),
    ),
    Node(
        "concept",
        "concepts",
        ("concept",),
        ("skos:Concept",),
        (
            _property("skos:prefLabel", "concept", TEXT),
            _property("mind:vague", "vague", BOOLEAN),
            _property("mind:instances", "instances", INTEGER),
        ),
        (
            Link("hypernyms", "concept", "skos:broader", "hypernym", "concept"),
            Link("ancestors", "concept", "mind:ancestor", "ancestor", "concept"),
        ),
    ),
    Node(
        "hypernymy",
        "hypernyms",
        ("concept", "hypernym"),
        ("mind:Hypernymy",),
        (
            _property("mind:narrower", "concept", "concept"),
            _property("mind:broader", "hypernym", "concept"),
            _property("mind:count", "count", INTEGER),
            _property("mind:p", "p", DOUBLE),
        ),
    ),
    Node(
        "ancestry",
        "ancestors",
        ("concept", "ancestor"),
        ("mind:Ancestry",),
        (
            _property("mind:descendant", "concept", "concept"),
            _property("mind:ascendant", "ancestor", "concept"),
            _property("mind:distance", "distance", INTEGER),
        ),
    ),
    Node(
        "abstraction",
        "abstractions",
        ("abstraction_id",),
        ("mind:Abstraction",),
        (
            _property("mind:kindA", "kind_a", "concept"),
            _property("mind:kindB", "kind_b", "concept"),
            _property("mind:abstractRelation", "relation", RELATION),
            _property("mind:abstractConcept", "concept", "concept"),
            _property("mind:assertions", "support", INTEGER),
            _property("mind:pairs", "pairs", INTEGER),
            _property("mind:meanPlausibility", "plausibility", DOUBLE),
        ),
    ),
)
"""Every kind of node, in the order in which the writers give them."""

TABLES_ONLY: Final = frozenset(
    {
        ("products", "description"),
        ("products", "source"),
        ("cobuys", "source"),
        ("intentions", "heads"),
        ("evidence", "start"),
        ("evidence", "end"),
        ("mentions", "surface"),
        ("mentions", "start"),
        ("mentions", "end"),
        ("mentions", "typicality"),
        ("mentions", "p_instance"),
        ("mentions", "rep"),
        ("kinds", "surface"),
        ("kinds", "source"),
    }
)
"""The columns that are not in the RDF, or not from this table: docs/adr/0003-what-the-rdf-leaves-to-the-tables.md."""


@cache
def prefixes(base: str = DATA) -> Mapping[str, str]:
    """Return the namespace of each prefix of ontology/prefixes.ttl, those of the data below ``base``.

    >>> prefixes()["mind"], prefixes("https://example.org/")["cobuy"]
    ('https://w3id.org/mindkg/ontology#', 'https://example.org/cobuy/')
    """
    text = (data_folder("ontology") / "prefixes.ttl").read_text(encoding="utf-8")
    found = dict(re.findall(r"^@prefix\s+(\w+):\s+<([^>]*)>", text, re.MULTILINE))
    return MappingProxyType(
        {name: base + iri.removeprefix(DATA) if name in KINDS else iri for name, iri in found.items()}
    )


def namespace(kind: str, base: str = DATA) -> str:
    """Return the namespace of the nodes of ``kind``."""
    return MIND if kind == RELATION else f"{base}{kind}/"


def expand(name: str) -> str:
    """Return the IRI of a prefixed name of the vocabulary.

    >>> expand("schema:name")
    'https://schema.org/name'
    """
    prefix, local = name.split(":", 1)
    return prefixes()[prefix] + local
