"""SHACL on RDF and the same rules on tables: one verdict on sound graphs and on every kind of damage."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from graph_maker import Rows, graph_rows, make_graph, write_graph

from mindkg.errors import InputError, StoreError
from mindkg.graph.ntriples import write_ntriples
from mindkg.graph.shapes import shapes
from mindkg.graph.table_rules import RULES
from mindkg.graph.validate import Violation, validate_graph, validate_rdf, validate_tables

Graph = dict[str, Rows]
KEY = "a" * 20


def put(table: str, **values: object) -> Callable[[Graph], None]:
    """A damage: these values in the first row of a table."""

    def damage(graph: Graph) -> None:
        graph[table][0].update(values)

    return damage


def drop(table: str, row: int = 0) -> Callable[[Graph], None]:
    """A damage: a row of a table is missing."""

    def damage(graph: Graph) -> None:
        del graph[table][row]

    return damage


def repeat(table: str, **values: object) -> Callable[[Graph], None]:
    """A damage: a row of a table is there again with other values."""

    def damage(graph: Graph) -> None:
        graph[table].append({**graph[table][0], **values})

    return damage


def same(table: str, column: str, as_column: str) -> Callable[[Graph], None]:
    """A damage: a row has the same value in two columns."""

    def damage(graph: Graph) -> None:
        graph[table][0][column] = graph[table][0][as_column]

    return damage


DAMAGES: dict[str, tuple[str, Callable[[Graph], None]]] = {
    "a co-buy's product is missing": ("cobuy-product", put("cobuys", product_a="B000000000")),
    "a product is missing": ("cobuy-product", drop("products")),
    "a pair of one product": ("cobuy-product", same("cobuys", "product_a", "product_b")),
    "a co-buy that nobody made": ("cobuy-support", put("cobuys", support=0)),
    "a key that is none": ("cobuy-identifier", put("cobuys", cobuy_id="NOT A KEY")),
    "an empty product id": ("product-identifier", put("products", product_id="")),
    "an empty title": ("product-name", put("products", title="")),
    "two titles": ("product-name", repeat("products", title="another title")),
    "two brands": ("product-brand", repeat("products", brand="another brand")),
    "an assertion's co-buy is missing": ("assertion-cobuy", put("assertions", cobuy_id=KEY)),
    "an assertion's intention is missing": ("assertion-intention", put("assertions", intention_id=KEY)),
    "an unknown relation": ("assertion-relation", put("assertions", relation="likes")),
    "a relation that is no name": ("assertion-relation", put("assertions", relation="used for <x>")),
    "a way of stating that is none": ("assertion-stated", put("assertions", stated="guessed")),
    "support of nothing": ("assertion-support", put("assertions", support=0)),
    "support that is not the evidence": ("assertion-evidence", put("assertions", support=17)),
    "plausibility above 1": ("assertion-plausibility", put("assertions", plausibility=1.5)),
    "plausibility below 0": ("assertion-plausibility", put("assertions", plausibility=-1e-9)),
    "plausibility without end": ("assertion-plausibility", put("assertions", plausibility=float("inf"))),
    "typicality above 1": ("assertion-typicality", put("assertions", typicality=2.0)),
    "an assertion without evidence": ("assertion-derived", lambda graph: graph["evidence"].clear()),
    "an assertion is missing": ("generation-assertion", drop("assertions")),
    "evidence of nothing": ("generation-assertion", put("evidence", assertion_id=KEY)),
    "a generation of two assertions": ("generation-assertion", repeat("evidence", assertion_id=KEY)),
    "a generation whose run is missing": ("generation-generated", put("evidence", run_id=KEY)),
    "a run is missing": ("assertion-generated", drop("runs")),
    "a time that is none": ("run-startedAtTime", put("runs", started="yesterday")),
    "a time in no month": ("run-endedAtTime", put("runs", ended="2026-13-21T10:00:00Z")),
    "an intention is missing": ("assertion-intention", drop("intentions")),
    "an empty intention": ("intention-label", put("intentions", text="")),
    "an intention of nobody": ("intention-asserted", repeat("intentions", intention_id=KEY)),
    "a mention of a missing intention": ("mention-intention", put("mentions", intention_id=KEY)),
    "a mention of a missing concept": ("mention-concept", put("senses", concept="no such concept")),
    "an intention with a missing concept": ("intention-concept", put("mentions", concept="no such concept")),
    "a missing best concept": ("intention-bestConcept", put("mentions", concept="no such concept", rank=1)),
    "two best concepts": ("intention-bestConcept", lambda graph: [row.update(rank=1) for row in graph["mentions"]]),
    "a mention without words": ("mention-surface", put("senses", surface="")),
    "a mention's score above 1": ("mention-rep", put("senses", rep=7.0)),
    "a mention in no intention": ("mention-intention", lambda graph: graph["mentions"].clear()),
    "a mention that is no key": ("mention-identifier", put("senses", mention_id="NOT A KEY")),
    "a concept is missing": ("hypernymy-broader", drop("concepts")),
    "an empty concept": ("concept-prefLabel", put("concepts", concept="")),
    "a concept with less than no instances": ("concept-instances", put("concepts", instances=-1)),
    "a hypernym is missing": ("hypernymy-broader", put("hypernyms", hypernym="no such concept")),
    "a concept above itself": ("hypernymy-narrower", same("hypernyms", "hypernym", "concept")),
    "a count below 0": ("hypernymy-count", put("hypernyms", count=-3)),
    "a probability that is not a number": ("hypernymy-p", put("hypernyms", p=float("nan"))),
    "an ancestor is missing": ("ancestry-ascendant", put("ancestors", ancestor="no such concept")),
    "a concept that is its own ancestor": ("ancestry-descendant", same("ancestors", "ancestor", "concept")),
    "a distance of 0": ("ancestry-distance", put("ancestors", distance=0)),
    "a closure with a hole": ("concept-closure", lambda graph: graph["ancestors"].clear()),
}


def verdicts(folder: Path) -> tuple[list[Violation], list[Violation]]:
    return validate_tables(folder), validate_graph(folder)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_sound_graph_breaks_nothing(tmp_path: Path, seed: int) -> None:
    assert verdicts(make_graph(tmp_path, seed=seed, n=8)) == ([], [])


def test_an_empty_graph_breaks_nothing(tmp_path: Path) -> None:
    write_graph(tmp_path, {})
    assert verdicts(tmp_path) == ([], [])


@pytest.mark.parametrize("name", DAMAGES)
def test_both_see_the_same_damage(tmp_path: Path, name: str) -> None:
    rule, damage = DAMAGES[name]
    graph = graph_rows(seed=5, n=5)
    damage(graph)
    write_graph(tmp_path, graph)
    on_tables, on_rdf = verdicts(tmp_path)
    assert on_tables == on_rdf
    assert rule in {violation.rule for violation in on_tables}


@pytest.mark.parametrize("seed", range(6))
def test_both_see_the_same_in_a_ruin(tmp_path: Path, seed: int) -> None:
    choice = random.Random(seed)
    graph = graph_rows(seed=seed, n=6)
    for name in choice.sample(sorted(DAMAGES), 6):
        with suppress(IndexError):  # an earlier damage may have left no row
            DAMAGES[name][1](graph)
    write_graph(tmp_path, graph)
    on_tables, on_rdf = verdicts(tmp_path)
    assert on_tables == on_rdf != []


def test_every_rule_can_be_applied_to_tables(tmp_path: Path) -> None:
    rules = {shape.rule for shape in shapes()}
    assert rules >= RULES.keys()
    assert rules >= {rule for rule, _ in DAMAGES.values()}


REMOVED = {
    "relation-identifier": "mind:Relation dcterms:identifier",
    "relation-label": "mind:Relation rdfs:label",
    "generation-identifier": "mind:Generation dcterms:identifier",
    "cobuy-support": "mind:CoBuy mind:support",
    "assertion-stated": "mind:Assertion mind:stated",
    "run-model": "mind:Run mind:model",
    "concept-vague": "skos:Concept mind:vague",
    "ancestry-distance": "mind:Ancestry mind:distance",
}


@pytest.mark.parametrize("rule", REMOVED)
def test_shacl_sees_a_missing_triple(tmp_path: Path, rule: str) -> None:
    from rdflib import RDF, Graph, URIRef

    from mindkg.graph.rdf_model import expand

    write_ntriples(make_graph(tmp_path, seed=5, n=5, nasty=False), tmp_path / "graph.nt")
    graph = Graph().parse(tmp_path / "graph.nt")
    class_, predicate = (URIRef(expand(name)) for name in REMOVED[rule].split())
    node = next(iter(sorted(graph.subjects(RDF.type, class_))))
    graph.remove((node, predicate, None))
    found = validate_rdf(graph)
    assert [violation.rule for violation in found] == [rule]
    assert str(node).endswith(found[0].node) or predicate != URIRef(expand("dcterms:identifier"))


def test_shacl_sees_an_assertion_whose_triple_is_missing(tmp_path: Path) -> None:
    from rdflib import Graph, URIRef

    from mindkg.graph.rdf_model import expand

    write_ntriples(make_graph(tmp_path, seed=5, n=5), tmp_path / "graph.nt")
    graph = Graph().parse(tmp_path / "graph.nt")
    cobuy, relation = next(
        (cobuy, relation)
        for assertion, cobuy in graph.subject_objects(URIRef(expand("mind:cobuy")))
        for relation in graph.objects(assertion, URIRef(expand("mind:relation")))
    )
    graph.remove((cobuy, relation, None))
    assert {violation.rule for violation in validate_rdf(graph)} == {"assertion-triple"}


def test_a_row_without_its_node_is_not_dropped_in_silence(tmp_path: Path) -> None:
    from mindkg.graph.jsonld import write_jsonld
    from mindkg.graph.turtle import write_turtle

    graph = graph_rows(seed=5, n=5)
    put("mentions", intention_id=KEY)(graph)
    write_graph(tmp_path, graph)
    for write in (write_turtle, write_jsonld):
        with pytest.raises(StoreError, match="mentions"):
            write(tmp_path, tmp_path / "out")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name,content", [("a.csv", ""), ("a.nt", "not RDF"), ("a.ttl", "<a"), ("a.nt.gz", "plain")])
def test_a_file_that_is_no_rdf_is_said_to_be_none(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=name):
        validate_rdf(tmp_path / name)
