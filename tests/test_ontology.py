"""The ontology declares every term that the code writes, and its files agree with each other."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from graph_maker import GRAPH_TABLES, graph_rows, graph_schema, make_graph

from mindkg.graph.ntriples import write_ntriples
from mindkg.graph.rdf_model import (
    BOOLEAN,
    DOUBLE,
    IDENTIFIER,
    INTEGER,
    MOMENT,
    NODES,
    TABLES_ONLY,
    expand,
    prefixes,
)
from mindkg.graph.shapes import shapes
from mindkg.resources import data_folder
from mindkg.vocabulary import DATA, KINDS, MIND, relations

ONTOLOGY = data_folder("ontology")


@pytest.fixture(scope="module")
def declared() -> set[str]:
    """Every term that ontology/ says something about."""
    from rdflib import RDF, Graph

    graph = Graph().parse(ONTOLOGY / "mindkg.ttl").parse(ONTOLOGY / "relations.ttl")
    return {str(term) for term in graph.subjects(RDF.type, None)} | {str(RDF.type)}


@pytest.mark.parametrize("name", sorted(path.name for path in ONTOLOGY.glob("*.ttl")))
def test_it_parses_in_both(name: str) -> None:
    from pyoxigraph import RdfFormat, parse
    from rdflib import Graph

    assert len(Graph().parse(ONTOLOGY / name)) == len(set(parse(path=str(ONTOLOGY / name), format=RdfFormat.TURTLE)))


def test_every_term_in_the_data_is_declared(tmp_path: Path, declared: set[str]) -> None:
    from rdflib import RDF, Graph

    write_ntriples(make_graph(tmp_path, seed=2, n=20), tmp_path / "graph.nt")
    graph = Graph().parse(tmp_path / "graph.nt")
    terms = {str(p) for p in graph.predicates()} | {str(o) for o in graph.objects(None, RDF.type)}
    assert terms - declared == set()
    model = {
        expand(name) for node in NODES for name in (*node.types, *(p.predicate for p in node.properties), IDENTIFIER)
    }
    assert terms - {MIND + name for name in relations()} - {str(RDF.type)} >= model - {expand("prov:endedAtTime")}


def test_every_relation_is_declared_with_what_the_data_says_of_it(declared: set[str]) -> None:
    assert {MIND + name for name in relations()} <= declared


def test_every_own_term_is_explained_and_used(declared: set[str]) -> None:
    from rdflib import RDFS, Graph, URIRef

    graph = Graph().parse(ONTOLOGY / "mindkg.ttl")
    own = {term for term in declared if term.startswith(MIND)} - {MIND + name for name in relations()}
    assert [t for t in own if not graph.value(URIRef(t), RDFS.label) or not graph.value(URIRef(t), RDFS.comment)] == []
    written = {expand(p.predicate) for node in NODES for p in node.properties}
    written |= {expand(link.predicate) for node in NODES for link in node.links if link.predicate}
    written |= {expand(name) for node in NODES for name in node.types} | {MIND + "intends"}
    on_relations = {str(p) for p in Graph().parse(ONTOLOGY / "relations.ttl").predicates()}
    assert own - written - on_relations - {MIND + "wording", MIND + "wordingWhereAsked"} == set()


def test_every_term_of_the_relations_file_is_declared(declared: set[str]) -> None:
    from rdflib import Graph

    used = {str(p) for p in Graph().parse(ONTOLOGY / "relations.ttl").predicates()}
    assert {term for term in used if term.startswith(MIND)} <= declared


def test_properties_have_the_domain_and_range_that_the_model_gives_them() -> None:
    from rdflib import OWL, RDFS, XSD, Graph, URIRef
    from rdflib.collection import Collection

    graph = Graph().parse(ONTOLOGY / "mindkg.ttl")
    classes = {node.kind: node.types[0] for node in NODES}
    for node in NODES:
        for property_ in node.properties:
            if not property_.predicate.startswith("mind:"):
                continue
            term = URIRef(expand(property_.predicate))
            domain = graph.value(term, RDFS.domain)
            union = graph.value(domain, OWL.unionOf)
            domains = {str(c) for c in Collection(graph, union)} if union else {str(domain)}
            assert expand(node.types[0]) in domains, term
            wanted = expand(classes[property_.range]) if property_.is_link else str(XSD[property_.range])
            assert str(graph.value(term, RDFS.range)) == wanted, term


def test_every_property_has_a_rule() -> None:
    asked = {(shape.kind, shape.path) for shape in shapes()}
    for node in NODES:
        for name in (IDENTIFIER, *(p.predicate for p in node.properties), *(link.predicate for link in node.links)):
            assert name is None or (node.kind, expand(name)) in asked


def test_the_context_says_what_the_model_says() -> None:
    wanted: dict[str, object] = dict(prefixes())
    for node in NODES:
        for property_ in node.properties:
            if property_.is_link:
                wanted[property_.predicate] = {"@type": "@id"}
            elif property_.range in (INTEGER, DOUBLE, BOOLEAN, MOMENT):
                wanted[property_.predicate] = {"@type": f"xsd:{property_.range}"}
        wanted |= {link.predicate: {"@type": "@id"} for link in node.links if link.predicate}
    assert json.loads((ONTOLOGY / "context.jsonld").read_text(encoding="utf-8")) == {"@context": wanted}


def test_every_kind_has_its_prefix() -> None:
    assert {name: iri for name, iri in prefixes().items() if name in KINDS} == {k: f"{DATA}{k}/" for k in KINDS}
    assert {node.kind for node in NODES} == {*KINDS, "relation"}


def test_every_column_of_the_graph_is_in_the_model() -> None:
    modelled = {(node.table, column) for node in NODES for column in node.columns()}
    modelled |= {(link.table, column) for node in NODES for link in node.links for column in link.columns()}
    assert {(table, column) for table in GRAPH_TABLES for column in graph_schema(table).names} - modelled == TABLES_ONLY


def test_the_folder_has_the_tables_of_the_selection() -> None:
    from mindkg.graph import selection

    assert GRAPH_TABLES == selection.GRAPH_TABLES
    assert all(graph_schema(table) == selection.graph_schema(table) for table in GRAPH_TABLES)


def test_mentions_that_say_the_same_share_their_key() -> None:
    from mindkg.graph.selection import MENTIONS, SENSES, mention_ids, senses

    rows = graph_rows(seed=2, n=20)
    table = pa.Table.from_pylist(rows["mentions"], schema=MENTIONS)
    found = pa.concat_arrays([mention_ids(batch) for batch in table.to_batches(max_chunksize=7)])
    assert found.to_pylist() == [row["mention_id"] for row in rows["mentions"]]
    wanted = sorted(rows["senses"], key=lambda row: row["mention_id"])
    assert senses(table).to_pylist() == wanted and len(wanted) < len(table)
    assert senses(MENTIONS.empty_table()).equals(SENSES.empty_table())


def test_the_example_of_the_documentation_is_of_the_expected_graph() -> None:
    from rdflib import Graph

    from mindkg.graph.turtle import turtle_prefixes

    tests = Path(__file__).parent
    text = (tests.parent / "docs" / "graph.md").read_text(encoding="utf-8")
    example = Graph().parse(data=turtle_prefixes() + text.split("```turtle\n")[1].split("```")[0], format="turtle")
    expected = Graph().parse(tests / "cases" / "graph" / "tiny" / "expected" / "graph.ttl")
    assert len(example) > 30
    assert set(example) <= set(expected)
    for node in NODES:
        assert all(f"`{name}`" in text for name in (*node.types, *(p.predicate for p in node.properties)))
