"""The relations and the names of the RDF vocabulary, read from ontology/."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final

from mindkg.resources import data_folder

MIND: Final = "https://w3id.org/mindkg/ontology#"
"""The namespace of the ontology."""

DATA: Final = "https://w3id.org/mindkg/data/"
"""The default base of data IRIs; every kind of node has its own folder below it."""

KINDS: Final = (
    "product",
    "cobuy",
    "intention",
    "assertion",
    "generation",
    "run",
    "mention",
    "concept",
    "hypernymy",
    "ancestry",
    "abstraction",
)
"""The kinds of data nodes; ``DATA + kind + "/"`` is their namespace and ``kind:`` their prefix."""


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation as ontology/relations.ttl declares it."""

    name: str
    label: str
    lpg_type: str
    prefixes: tuple[str, ...]
    spellings: tuple[str, ...]
    wordings: tuple[str, ...]
    wordings_where_asked: tuple[str, ...]
    conceptnet: str | None


@cache
def _declared() -> Mapping[str, Mapping[str, list[str]]]:
    """Return the properties of each node of ontology/relations.ttl, by IRI."""
    from pyoxigraph import Literal, NamedNode, RdfFormat, parse

    found: dict[str, dict[str, list[str]]] = {}
    for quad in parse(path=str(data_folder("ontology") / "relations.ttl"), format=RdfFormat.TURTLE):
        if isinstance(quad.subject, NamedNode) and isinstance(quad.object, Literal | NamedNode):
            properties = found.setdefault(quad.subject.value, {})
            properties.setdefault(quad.predicate.value, []).append(quad.object.value)
    return found


@cache
def relations() -> Mapping[str, Relation]:
    """Return every relation by name, in the order of ontology/relations.ttl.

    >>> relations()["usedFor"].prefixes
    ('they are both used for',)
    """
    known: dict[str, Relation] = {}
    for p in _declared().values():
        if f"{MIND}name" not in p:
            continue
        name = p[f"{MIND}name"][0]
        known[name] = Relation(
            name=name,
            label=p["http://www.w3.org/2000/01/rdf-schema#label"][0],
            lpg_type=p[f"{MIND}lpgType"][0],
            prefixes=tuple(p.get(f"{MIND}prefix", ())),
            spellings=tuple(p.get(f"{MIND}spelling", ())),
            wordings=tuple(p.get(f"{MIND}wording", ())),
            wordings_where_asked=tuple(p.get(f"{MIND}wordingWhereAsked", ())),
            conceptnet=p.get(f"{MIND}conceptNet", [None])[0],
        )
    return MappingProxyType(known)


@cache
def spellings() -> Mapping[str, str]:
    """Return the name of the relation for each way in which sources spell it, its own name included.

    >>> spellings()["propertOf"], spellings()["Open"]
    ('propertyOf', 'open')
    """
    known = {name: name for name in relations()}
    for relation in relations().values():
        for spelling in relation.spellings:
            known.setdefault(spelling, relation.name)
    return MappingProxyType(known)


def relation_name(spelling: str) -> str | None:
    """Return the name of the relation that a source spells ``spelling``, or None where it is not declared.

    >>> relation_name("propertOf"), relation_name("likes")
    ('propertyOf', None)
    """
    return spellings().get(spelling.strip())


@cache
def _unspecified() -> frozenset[str]:
    return frozenset(_declared()[f"{MIND}Relation"][f"{MIND}unspecifiedSpelling"])


def is_unspecified(spelling: str | None) -> bool:
    """Return whether a source that writes ``spelling`` asked for no particular relation: nothing, or a word like "all".

    >>> is_unspecified(None), is_unspecified("all"), is_unspecified("open"), is_unspecified("likes")
    (True, True, False, False)
    """
    return spelling is None or not spelling.strip() or spelling.strip() in _unspecified()
