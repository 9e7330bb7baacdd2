"""Every question of the catalogue has the same rows, in the same order, in both languages."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from graph_maker import make_graph, read_graph

from benchmarks.parity import COLUMNS
from mindkg.errors import QueryError, UsageError
from mindkg.graph.property_graph import expected_counts
from mindkg.queries import ENTITIES, CatalogueQuery, Parameter, bind, catalogue, find, reference, run
from mindkg.stores.base import ENGINES, Store, load_store, open_store
from mindkg.vocabulary import relations

EVIL = (
    '"',
    "'",
    "\\",
    '\\"',
    '" } UNION { ?s ?p ?o . BIND(?s AS ?concept) } #',
    'x" || true || "',
    "' OR 1=1 //",
    "'; MATCH (n) DETACH DELETE n //",
    '"}) MATCH (n) RETURN n.id //',
    "line\nbreak\r\n\t",
    "VALUES ?product { UNDEF } LIMIT 1",
    "$product",
    "\\u0022",
    "\\1 \\g<name>",
    "<http://example.org/>",
    '"@en',
    '"^^<http://www.w3.org/2001/XMLSchema#string>',
    "UNDEF",
    "{}",
    "\x01\x7f\ufffe\U0001f6d2",
    "",
)


@dataclass
class World:
    data: dict[str, list[dict[str, Any]]]
    counts: dict[str, int]
    stores: list[Store]
    seed: int


@pytest.fixture(scope="module", params=range(4))
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    place, seed = tmp_path_factory.mktemp("world"), int(request.param)
    folder = make_graph(place / "graph", seed=seed, n=(6, 15, 30, 60)[seed])
    for engine in ENGINES:
        load_store(engine, folder, place / engine)
    stores = [open_store(engine, place / engine) for engine in ENGINES]
    yield World(read_graph(folder), expected_counts(folder), stores, seed)
    for store in stores:
        store.close()


def rows(store: Store, query: CatalogueQuery, values: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {name: float(f"{value:.9g}") if isinstance(value, float) else value for name, value in row.items()}
        for row in run(store, query, values).to_pylist()
    ]


def pick(r: random.Random, world: World, parameter: Parameter) -> Any:
    if parameter.name == "limit":
        return r.choice((1, 2, 5, 1000))
    table, column = COLUMNS[parameter.name]
    return r.choice(world.data[table])[column]


@pytest.mark.parametrize("name", list(catalogue()))
def test_the_rows_are_the_same(world: World, name: str) -> None:
    query, r = find(name), random.Random(f"{name} {world.seed}")
    for _ in range(5 if query.parameters else 1):
        values = {p.name: pick(r, world, p) for p in query.parameters if p.required or r.random() < 0.6}
        if set(values) >= {"product_a", "product_b"} and r.random() < 0.7:
            pair = r.choice(world.data["cobuys"])
            values.update(product_a=pair["product_b"], product_b=pair["product_a"])
        first, *others = [rows(store, query, values) for store in world.stores]
        for other in others:
            assert other == first, values
        if name.startswith("check-"):
            assert first == []


def test_the_rows_are_those_of_the_tables(world: World) -> None:
    data = world.data
    for store in world.stores:
        assert {r["class"]: r["n"] for r in rows(store, find("graph-counts"), {})} == world.counts
        found = {r["relation"]: r["assertions"] for r in rows(store, find("relation-counts"), {})}
        names = [a["relation"] for a in data["assertions"]]
        assert found == {name: names.count(name) for name in set(names)}
        pairs = [{"cobuy": pair["cobuy_id"]} for pair in data["cobuys"]]
        ids = [row["assertion"] for pair in pairs for row in rows(store, find("cobuy-intentions"), pair)]
        assert sorted(ids) == sorted(a["assertion_id"] for a in data["assertions"])
        assertion = data["assertions"][0]["assertion_id"]
        provenance = {(r["kind"], r["id"]) for r in rows(store, find("assertion-provenance"), {"assertion": assertion})}
        evidence = [e for e in data["evidence"] if e["assertion_id"] == assertion]
        generations = {("generation", e["generation_id"]) for e in evidence}
        assert provenance == generations | {("run", e["run_id"]) for e in evidence}
        for abstraction in data["abstractions"][:20]:
            values = {"abstraction": abstraction["abstraction_id"], "limit": 1000}
            behind = rows(store, find("abstraction-assertions"), values)
            assert len({row["assertion"] for row in behind}) == len(behind) == abstraction["support"]
            assert len({row["cobuy"] for row in behind}) == abstraction["pairs"]
        mentioned = {m["intention_id"] for m in data["mentions"]}
        without = {r["intention"] for r in rows(store, find("intentions-without-concept"), {"limit": 1000})}
        assert without == {i["intention_id"] for i in data["intentions"]} - mentioned


def test_text_is_ordered_by_code_point(world: World) -> None:
    for store in world.stores:
        found = [(-r["assertions"], r["concept"]) for r in rows(store, find("top-hypernyms"), {"limit": 1000})]
        assert found == sorted(found)


@pytest.mark.parametrize("world", [1], indirect=True)
@pytest.mark.parametrize("evil", EVIL)
def test_a_value_never_becomes_query_text(world: World, evil: str) -> None:
    for query in catalogue().values():
        names = [p.name for p in query.parameters if p.type in ("string", *ENTITIES)]
        if names:
            values = dict.fromkeys(names, evil)
            assert [rows(store, query, values) for store in world.stores] == [[]] * len(world.stores), query.name
        for p in query.parameters:
            if p.type not in ("string", *ENTITIES) and evil:
                with pytest.raises(UsageError):
                    bind(query, "sparql", {**dict.fromkeys(names, "x"), p.name: evil})
    for store in world.stores:
        assert {r["class"]: r["n"] for r in rows(store, find("graph-counts"), {})} == world.counts


def test_the_catalogue_is_whole() -> None:
    queries = catalogue()
    assert len(queries) >= 24
    assert sum(not any(p.required for p in q.parameters) for q in queries.values()) >= 8
    for query in queries.values():
        for text in (query.sparql, query.cypher):
            assert "ORDER BY" in text.rpartition("}")[2] or "ORDER BY" in text.rpartition("RETURN")[2], query.name
        assert query.name in reference() and query.summary in reference()


def test_mistakes_have_hints() -> None:
    query = find("product-intentions")
    with pytest.raises(UsageError, match=r"Did you mean .*top-hypernyms"):
        find("top-hypernim")
    with pytest.raises(UsageError, match="Did you mean product"):
        bind(query, "cypher", {"produkt": "x"})
    with pytest.raises(UsageError, match="-p product="):
        bind(query, "cypher", {})
    with pytest.raises(UsageError, match="of the type product"):
        bind(query, "cypher", {"product": 3})
    with pytest.raises(UsageError, match="no text can have"):
        bind(query, "sparql", {"product": "\ud800"})
    with pytest.raises(UsageError, match="Did you mean usedFor"):
        bind(find("top-hypernyms"), "cypher", {"relation": "usdFor"})
    for wrong in (-1, "x", 1.5, True, 2**40, None, "1; DROP"):
        with pytest.raises(UsageError, match="whole number"):
            bind(find("top-hypernyms"), "sparql", {"limit": wrong})
    assert bind(find("top-hypernyms"), "cypher", {"limit": "7"})[1] == {"relation": "", "limit": 7}
    assert set(relations()) >= {"usedFor"}


RQ = """#+ summary: s
#+ parameter: x, string, required, what
#+ column: a, string
SELECT ?a WHERE { VALUES ?x { UNDEF } ?x ?y ?a } ORDER BY ?a
"""
CYPHER = """//+ summary: s
//+ parameter: x, string, required, what
//+ column: a, string
MATCH (n {id: $x}) RETURN n.id AS a ORDER BY a;
"""


def test_a_sound_pair_is_read(tmp_path: Path) -> None:
    (tmp_path / "q.rq").write_text(RQ)
    (tmp_path / "q.cypher").write_text(CYPHER)
    query = catalogue(tmp_path)["q"]
    assert query.parameters == (Parameter("x", "string", True, None, "what"),)
    assert bind(query, "sparql", {"x": 'a"b'})[0].count('VALUES ?x { "a\\"b" }') == 1


@pytest.mark.parametrize(
    ("rq", "cypher", "message"),
    [
        (RQ, None, "has no file q.cypher"),
        (None, CYPHER, "has no file q.rq"),
        (RQ, CYPHER.replace("summary: s", "summary: t"), "headers of q.rq and q.cypher differ"),
        (RQ, CYPHER.replace("column: a, string", "column: a, integer"), "headers of q.rq and q.cypher differ"),
        (RQ.replace("required", "perhaps"), CYPHER, "A parameter is"),
        (RQ.replace("column: a, string", "column: a, text"), CYPHER, "A column is"),
        (RQ.replace("#+ column: a, string\n", ""), CYPHER, "needs a summary and columns"),
        (RQ.replace("#+ summary: s", "#+ summery: s"), CYPHER, "nothing known"),
        (RQ.replace("VALUES ?x { UNDEF }", ""), CYPHER, "q.rq uses other parameters"),
        (RQ, CYPHER.replace("$x", '"x"'), "q.cypher uses other parameters"),
        (RQ.replace("x, string, required", "x, integer, default y"), CYPHER, "A parameter is"),
    ],
)
def test_a_broken_pair_is_an_error(tmp_path: Path, rq: str | None, cypher: str | None, message: str) -> None:
    for suffix, text in ((".rq", rq), (".cypher", cypher)):
        if text is not None:
            (tmp_path / f"q{suffix}").write_text(text)
    with pytest.raises(QueryError, match=message):
        catalogue(tmp_path)


def test_the_list_in_the_documentation_is_the_catalogue() -> None:
    text = (Path(__file__).parent.parent / "docs" / "queries.md").read_text("utf-8")
    assert text.endswith(reference()), "write mindkg.queries.reference() to the end of docs/queries.md"
