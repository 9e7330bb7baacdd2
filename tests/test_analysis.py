"""The functions of the analysis against small tables whose results are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindkg.analysis import comparison, distribution, hierarchy, pictures, ties
from mindkg.analysis.facts import COLUMNS, Facts, Tables, facts_of
from mindkg.errors import InputError
from mindkg.schema import TABLES

CONCEPTS = {"c1": ["cable", "device"], "c2": ["cable"], "c3": ["lamp"], "c4": []}
"""The concepts of four intentions, the best one first."""


def table(name: str, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    schema = pa.schema([TABLES[name].field(column) for column in COLUMNS[name]])
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)


def made(
    assertions: Sequence[tuple[Any, ...]],
    concepts: dict[str, list[str]] = CONCEPTS,
    edges: Sequence[tuple[str, str, int]] = (),
    ancestors: Sequence[tuple[str, str, int]] = (),
    vague: Sequence[str] = (),
) -> Tables:
    """Tables of a KB: assertions (pair, relation, intention, accepted), pairs p1 to p9 of the products a1, b1 …"""
    labels = {c for names in concepts.values() for c in names} | {c for e in edges for c in e[:2]}
    mentions = [(i, c, 0.5, rank) for i, names in concepts.items() for rank, c in enumerate(names, 1)]
    products = [(f"{side}{n}", ["Home" if side == "a" or n == 1 else "Office"]) for side in "ab" for n in range(1, 10)]
    return {
        "assertions": table("assertions", [(p, r, i, None, None, accepted) for p, r, i, accepted in assertions]),
        "mentions": table("mentions", mentions),
        "concepts": table("concepts", [(c, c in vague) for c in sorted(labels)]),
        "hypernyms": table("hypernyms", [(*edge, 0.5) for edge in edges]),
        "ancestors": table("ancestors", ancestors),
        "cobuys": table("cobuys", [(f"p{n}", f"a{n}", f"b{n}") for n in range(1, 10)]),
        "products": table("products", products),
    }


SHOP = [
    ("p1", "usedFor", "c1", True),
    ("p1", "isA", "c2", True),
    ("p2", "isA", "c2", False),
    ("p2", "isA", "c3", None),
    ("p2", "isA", "c4", True),
]


def rows(found: pa.Table, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in columns) for row in found.to_pylist()]


@pytest.fixture(scope="module")
def shop() -> Facts:
    return facts_of(made(SHOP))


def test_concepts_are_counted_by_assertion_and_refused_ones_left_out(shop: Facts) -> None:
    found = distribution.concept_distribution(shop)
    expected = [("cable", 2, 0.5, 1), ("device", 1, 0.25, 2), ("lamp", 1, 0.25, 3)]
    assert rows(found, "concept", "assertions", "share", "rank") == expected


def test_the_filter_s_two_groups_count_all_and_what_is_left(shop: Facts) -> None:
    found = distribution.concept_distribution(shop, by="filter", top=1)
    expected = [(distribution.BEFORE, "cable", 3, 0.6), (distribution.AFTER, "cable", 2, 0.5)]
    assert rows(found, "group", "concept", "assertions", "share") == expected
    effect = rows(distribution.filter_effect(shop), "relation", "group", "assertions")
    assert effect == [("isA", distribution.BEFORE, 4), ("usedFor", distribution.BEFORE, 1),
                      ("isA", distribution.AFTER, 3), ("usedFor", distribution.AFTER, 1)]  # fmt: skip


def test_a_pair_of_two_categories_counts_in_both_and_of_one_once(shop: Facts) -> None:
    found = distribution.concept_distribution(shop, by="category")
    expected = [("Home", "cable", 2), ("Home", "device", 1), ("Home", "lamp", 1), ("Office", "lamp", 1)]
    assert rows(found, "group", "concept", "assertions") == expected
    assert rows(distribution.spread(shop, by="category"), "group", "assertions", "linked") == [
        ("Home", 4, 3), ("Office", 2, 1)]  # fmt: skip


def test_coverage_says_how_many_assertions_the_first_concepts_reach(shop: Facts) -> None:
    # cable reaches two of four; device none that cable has not; lamp the third; the fourth has no concept
    assert rows(distribution.coverage(shop), "concepts", "share") == [(1, 0.5), (2, 0.5), (3, 0.75)]


def test_spread_has_gini_and_entropy_of_the_counts(shop: Facts) -> None:
    (row,) = distribution.spread(shop).to_pylist()
    assert (row["assertions"], row["linked"], row["concepts"], row["mentions"]) == (4, 3, 3, 4)
    assert row["gini"] == pytest.approx(distribution.gini([1, 1, 2])) == pytest.approx(1 / 6)
    assert row["entropy"] == pytest.approx(1.5)
    assert row["evenness"] == pytest.approx(1.5 / np.log2(3))


def test_groups_have_names() -> None:
    with pytest.raises(InputError, match="cannot group by 'colour'"):
        distribution.assertion_groups(facts_of(made(SHOP)), "colour")  # type: ignore[arg-type]


@pytest.mark.parametrize("assertions", [[], [("p1", "isA", "c4", None)]])
def test_nothing_linked_gives_empty_tables(assertions: list[tuple[Any, ...]]) -> None:
    tables = made(assertions, concepts={})
    facts = facts_of(tables)
    assert not len(distribution.concept_distribution(facts, by="filter"))
    assert not len(ties.lowest_common_hypernyms(facts, tables))
    assert not len(ties.category_bridges(facts))
    assert not len(hierarchy.concept_measures(hierarchy.hypernym_graph(facts, tables).graph))


def test_holm_corrects_by_rank_and_never_falls() -> None:
    assert comparison.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert comparison.holm([0.9, 0.8]) == [1.0, 1.0]
    assert comparison.holm([]) == []


def test_bootstrap_intervals_cover_the_true_mean_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        n = random.binomial(400, 0.3)
        counts = np.array([400 - n, n])
        low, high = np.quantile(comparison.bootstrap_means(counts, counts * [0.0, 1.0], random, 500), [0.025, 0.975])
        covered += low <= 0.3 <= high
    assert 180 <= covered <= 199


def many(yes: int, no: int) -> Facts:
    judged = [True] * yes + [False] * no
    return facts_of(made([(f"p{n % 9 + 1}", "isA", "c1", accepted) for n, accepted in enumerate(judged)]))


def test_a_great_difference_is_significant_and_none_is_not() -> None:
    def acceptance(a: Facts, b: Facts) -> dict[str, Any]:
        found = comparison.compare_relations(a, b, draws=4000).to_pylist()
        return next(row for row in found if (row["measure"], row["relation"]) == ("acceptance", "isA"))

    apart = acceptance(many(90, 10), many(20, 80))
    assert (apart["mean_a"], apart["mean_b"], apart["difference"]) == pytest.approx((0.9, 0.2, -0.7))
    assert apart["difference_low"] < -0.7 < apart["difference_high"] < 0
    assert apart["p"] < apart["p_corrected"] < 0.05
    assert acceptance(many(50, 50), many(50, 50))["p_corrected"] > 0.5


def test_a_few_like_values_are_no_proof_of_a_difference() -> None:
    found = comparison.compare_relations(many(3, 0), many(52, 7), draws=4000).to_pylist()
    row = next(row for row in found if (row["measure"], row["relation"]) == ("acceptance", "isA"))
    assert (row["low_a"], row["high_a"]) == (1.0, 1.0)
    assert row["p"] == 1.0  # two of three would differ more


def test_permuted_says_what_fisher_s_exact_test_says() -> None:
    def histogram(no: int, yes: int) -> comparison.Histogram:
        return np.array([no, yes]), np.array([0.0, yes])

    random = np.random.default_rng(2)
    for one, other, exact in (((1, 9), (11, 3), 0.002759), ((3, 5), (6, 4), 0.636776), ((0, 1), (35, 46), 1.0)):
        p = comparison.permuted(histogram(*one), histogram(*other), random, 20_000)
        assert p == pytest.approx(exact, abs=0.012)


def test_measures_without_values_are_named() -> None:
    judged, not_judged = many(5, 5), facts_of(made([("p1", "isA", "c1", None)]))
    found = comparison.compare_relations(judged, not_judged, draws=10)
    assert list(comparison.missing_measures(found, ("one", "other"))) == [
        "plausibility (no value in one and other)",
        "acceptance (no value in other)",
        "typicality (no value in one and other)",
    ]


def test_concepts_are_gained_lost_or_in_both() -> None:
    other = facts_of(made([("p1", "isA", "c2", None), ("p1", "isA", "c5", None)], {"c2": ["cable"], "c5": ["toy"]}))
    found = comparison.concept_changes(facts_of(made(SHOP)), other)
    assert set(rows(found, "concept", "change", "difference")) == {
        ("toy", "gained", 0.5), ("device", "lost", -0.25), ("lamp", "lost", -0.25), ("cable", "both", 0.0)
    }  # fmt: skip


EDGES = [("usb cable", "cable", 9), ("cable", "device", 5), ("usb cable", "device", 3), ("lamp", "device", 4)]


def graph_of(edges: Sequence[tuple[str, str, int]]) -> hierarchy.Graph:
    graph: hierarchy.Graph = nx.DiGraph()
    for narrow, broad, count in edges:
        graph.add_edge(narrow, broad, count=count, p=count / 10)
    nx.set_node_attributes(graph, {n: {"assertions": 1, "vague": False} for n in graph})
    return graph


def test_levels_depths_roots_and_reduction_of_a_known_graph() -> None:
    graph = graph_of(EDGES)
    assert hierarchy.roots(graph) == ["device"]
    assert hierarchy.levels(graph) == {"device": 0, "cable": 1, "lamp": 1, "usb cable": 1}
    assert hierarchy.depths(graph) == {"usb cable": 0, "cable": 1, "lamp": 0, "device": 2}
    small = hierarchy.reduced(graph)
    assert set(graph.edges) - set(small.edges) == {("usb cable", "device")}
    assert small.edges["cable", "device"]["count"] == 5 and small.nodes["lamp"]["assertions"] == 1


def test_the_graph_is_cut_to_the_most_frequent_concepts_and_what_is_above() -> None:
    assertions = [("p1", "isA", "c2", None), ("p2", "isA", "c2", None), ("p3", "isA", "c3", None)]
    closure = [("cable", "device", 1), ("lamp", "device", 1)]
    tables = made(assertions, edges=[("cable", "device", 5), ("lamp", "device", 4)], ancestors=closure)
    facts = facts_of(tables)
    found = hierarchy.hypernym_graph(facts, tables, limit=1)
    assert set(found.graph) == {"cable", "device"} and found.frequent == 1 and found.concepts == 3
    assert dict(found.graph.nodes(data="assertions")) == {"cable": 2, "device": 0}
    assert "lamp" in hierarchy.hypernym_graph(facts, tables, limit=1, also=["lamp"]).graph


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef"), st.integers(1, 9)), max_size=20
    )
)  # fmt: skip
def test_breaking_cycles_leaves_none_and_takes_the_weakest_edge_of_each(edges: list[tuple[str, str, int]]) -> None:
    graph = graph_of([e for e in edges if e[0] != e[1]])
    before = graph.copy()
    broken = hierarchy.break_cycles(graph)
    assert nx.is_directed_acyclic_graph(graph)
    assert {(n, b) for n, b, _ in broken} | set(graph.edges) == set(before.edges)
    for narrow, broad, count in broken:
        # a way back over edges at least as strong: with them the edge was the weakest of a cycle when it went
        strong = [e for e in before.edges if before.edges[e]["count"] >= count]
        assert nx.has_path(before.edge_subgraph(strong), broad, narrow)
        before.remove_edge(narrow, broad)


def test_communities_and_measures_are_the_same_each_time() -> None:
    cliques = [("a1", "a2"), ("a1", "a3"), ("a2", "a3"), ("b1", "b2"), ("b1", "b3"), ("b2", "b3"), ("a3", "b3")]
    graph = graph_of([(*edge, 5) for edge in cliques])
    found = hierarchy.communities(graph.to_undirected())
    assert found == [{"a1", "a2", "a3"}, {"b1", "b2", "b3"}]
    measures = hierarchy.concept_measures(graph)
    assert measures.equals(hierarchy.concept_measures(graph))
    assert sum(measures["pagerank"].to_pylist()) == pytest.approx(1)
    # b3 stands above all; each community has the name of its highest concept
    assert measures["concept"][0].as_py() == "b3"
    assert dict(rows(measures, "concept", "community"))["a1"] == "a3"


def test_the_lowest_common_hypernym_is_over_most_intentions_and_nearest() -> None:
    concepts = {"i1": ["usb cable"], "i2": ["cable"], "i3": ["lamp"], "i4": ["toy"]}
    closure = [("usb cable", "cable", 1), ("usb cable", "device", 1), ("cable", "device", 1), ("lamp", "device", 1),
               ("usb cable", "thing", 2), ("lamp", "thing", 2), ("toy", "thing", 1)]  # fmt: skip
    stated = {"p1": ["i1", "i2"], "p2": ["i1", "i3"], "p3": ["i1", "i2", "i3"], "p4": ["i4"], "p5": ["i1", "i4"]}
    assertions = [(pair, "isA", i, None) for pair, intentions in stated.items() for i in intentions]
    tables = made(assertions, concepts, [("toy", "thing", 1), ("cable", "device", 1)], closure, vague=["thing"])
    found = ties.lowest_common_hypernyms(facts_of(tables), tables)
    assert rows(found, "cobuy_id", "concept", "covered", "intentions", "distance") == [
        ("p1", "cable", 2, 2, 1), ("p2", "device", 2, 2, 1), ("p3", "device", 3, 3, 1)
    ]  # fmt: skip


def test_bridges_are_spread_evenly_over_categories() -> None:
    # pair 1 is of Home twice, the others of Home and of Office
    assertions = [("p1", "isA", "c2", None)] * 2 + [(f"p{n}", "isA", i, None) for i in ("c2", "c3") for n in (2, 3)]
    found = ties.category_bridges(facts_of(made(assertions)))
    assert rows(found, "concept", "assertions", "categories", "between") == [
        ("lamp", 4, 2, ["Home", "Office"]), ("cable", 6, 2, ["Home", "Office"])
    ]  # fmt: skip
    assert found["entropy"].to_pylist() == pytest.approx([1.0, distribution.entropy([4, 2])])


def test_trees_give_each_concept_a_row_and_labels_on_rings_do_not_meet() -> None:
    graph = graph_of([("a", "top", 3), ("b", "top", 2), ("a", "b", 1), ("c", "a", 1), ("d", "alone", 1)])
    tree = pictures.hierarchy_tree(graph)
    assert set(tree.edges) == {("top", "a"), ("top", "b"), ("a", "c"), ("alone", "d")}
    places = pictures.tree_places(tree)
    assert len({places[leaf][1] for leaf in ("c", "b", "d")}) == 3
    assert places["top"][0] < places["a"][0] == places["b"][0] < places["c"][0]
    points, lines = pictures.ring_picture(graph, dict.fromkeys(graph, "one"))
    assert sorted(points["concept"].to_pylist()) == sorted(graph) and len(lines) == graph.number_of_edges()
    assert len(pictures.labelled(points, 900)) == len(graph)
    assert len(pictures.labelled(points, 1)) == 1
    with pytest.raises(InputError, match="no concept 'e'"):
        pictures.neighbourhood_tree(graph, "e")
