"""What products are, and what pairs of two kinds are bought for: hand-made rows with known results."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kb_equality import SAMPLE

from mindkg import build, identity
from mindkg.abstractions import ASSERTED, PAIRS, abstract
from mindkg.engine import from_arrow
from mindkg.knowledge_base import KnowledgeBase
from mindkg.link.isa import open_isa
from mindkg.link.kinds import kinds, plain_titles
from mindkg.schema import TABLES

TITLES = {
    "Norvik USB A/A Extension Cable": "cable",
    "Brennt Stainless Steel Water Bottle 750 ml (2-Pack) - Blue": "water bottle",
    "Halden Wireless Mouse for Laptop, Black": "mouse",
    "Orlo 14k Gold Plated Hoop Earrings Sterling Silver": "earring",
    "Vinje Women's Running Headphones with Case": "headphone",
    "Micro HDMI Male to HDMI Female Cable 6 ft": "cable",
    "Pack of 5 Fjell Cotton Socks": "sock",
    "Gift for Grandma: Norvik Coffee Mug": "coffee mug",
    "Svart 2000": None,
    "": None,
}


def products(rows: list[tuple[str | None, list[str]]]) -> pa.Table:
    names = ["product_id", "title", "category"]
    columns = [[f"p{n:02d}" for n in range(len(rows))], [t for t, _ in rows], [c for _, c in rows]]
    return pa.table(dict(zip(names, columns, strict=True)), pa.schema([TABLES["products"].field(n) for n in names]))


def kinds_of(rows: list[tuple[str | None, list[str]]]) -> list[str | None]:
    found = kinds(from_arrow(products(rows)), open_isa())
    assert found.schema == TABLES["kinds"]
    named = dict(zip(found["product_id"].to_pylist(), found["concept"].to_pylist(), strict=True))
    return [named.get(f"p{n:02d}") for n in range(len(rows))]


def test_a_title_says_what_a_product_is() -> None:
    assert dict(zip(TITLES, kinds_of([(title, []) for title in TITLES]), strict=True)) == TITLES


def test_categories_help_and_stand_in() -> None:
    path = ["Electronics", "Computers & Accessories", "Cables"]
    assert kinds_of([("Norvik X2", path), (None, path), ("Norvik Charger Cable Adapter", path), (None, [])]) == [
        "cable",
        "cable",
        "cable",
        None,
    ]


def test_vague_concepts_are_no_kinds() -> None:
    table = from_arrow(products([("Norvik Cable", []), ("Norvik Mug", [])]))
    assert kinds(table, open_isa(), frozenset({"cable"}))["concept"].to_pylist() == ["mug"]


def test_titles_lose_what_names_no_product() -> None:
    titles = pa.chunked_array([["Cable, 6 ft [New] with Plug", "for Norvik", None, "9 x 20 mm Clip On Lamp"]])
    assert plain_titles(titles).to_pylist() == ["Cable,", "for Norvik", None, "Clip On Lamp"]


Row = tuple[int, str, int, float | None, bool | None]


def world(rows: list[Row], of: list[str | None], best: list[str | None]) -> tuple[pa.Table, ...]:
    """Assertions (pair, relation, intention, plausibility, accepted); pair n is of products n and n + 1."""
    pairs = [{"cobuy_id": f"c{n}", "product_a": f"p{n}", "product_b": f"p{n + 1}"} for n in range(len(of) - 1)]
    asserted = [
        {"cobuy_id": f"c{c}", "relation": r, "intention_id": f"i{i}", "plausibility": p, "accepted": a}
        for c, r, i, p, a in rows
    ]
    named = [
        {"product_id": f"p{n}", "concept": kind, "surface": kind, "source": "title"}
        for n, kind in enumerate(of)
        if kind
    ]
    mentions = [
        {"intention_id": f"i{n}", "concept": concept, "surface": "x", "start": 0, "end": 1, "rank": rank}
        | dict.fromkeys(("typicality", "p_instance", "rep"), 0.5)
        for n, first in enumerate(best)
        for rank, concept in enumerate([first, "thing"], 1)
        if first
    ]
    given = ((asserted, ASSERTED), (pairs, PAIRS), (named, TABLES["kinds"]), (mentions, TABLES["mentions"]))
    return tuple(pa.Table.from_pylist(rows, schema=schema) for rows, schema in given)


def test_abstractions_of_a_known_world() -> None:
    made = abstract(
        *world(
            [
                (0, "usedFor", 0, 0.5, None),  # cable, charger
                (0, "usedFor", 1, 1.0, True),
                (1, "usedFor", 0, None, None),  # charger, cable: the same kinds
                (1, "isA", 0, None, None),
                (2, "usedFor", 0, 0.9, None),  # cable, cable
                (2, "usedFor", 0, 0.9, False),  # refused
                (3, "usedFor", 0, 0.9, None),  # a product without a kind
                (0, "usedFor", 2, 0.9, None),  # an intention without a concept
            ],
            ["cable", "charger", "cable", "cable", None],
            ["device", "device", None],
        )
    )
    found = [tuple(row.values()) for row in made.table.to_pylist()]
    wanted = [
        ("cable", "charger", "usedFor", "device", 3, 2, 0.75),
        ("cable", "charger", "isA", "device", 1, 1, None),
        ("cable", "cable", "usedFor", "device", 1, 1, 0.9),
    ]
    assert sorted(found) == sorted((identity.key(*row[:4]), *row) for row in wanted)
    assert made.left_out == {"refused": 1, "without_kind": 1, "without_concept": 1}


LABELS = st.sampled_from(["cable", "mug", None])
ROWS = st.tuples(
    st.integers(0, 4),
    st.sampled_from(["usedFor", "isA"]),
    st.integers(0, 3),
    st.none() | st.floats(0, 1),
    st.sampled_from([None, True, False]),
)


@settings(max_examples=60)
@given(st.lists(ROWS, max_size=30), st.lists(LABELS, min_size=6, max_size=6), st.lists(LABELS, min_size=4, max_size=4))
def test_supports_add_up(rows: list[Row], of: list[str | None], best: list[str | None]) -> None:
    made = abstract(*world(rows, of, best))
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        one, other, concept = of[row[0]], of[row[0] + 1], best[row[2]]
        if row[4] is not False and one and other and concept:
            groups[*sorted((one, other)), row[1], concept].append(row)
    found = {tuple(row.values())[1:5]: row for row in made.table.to_pylist()}
    assert found.keys() == groups.keys()
    for key, members in groups.items():
        known = [row[3] for row in members if row[3] is not None]
        assert (found[key]["support"], found[key]["pairs"]) == (len(members), len({row[0] for row in members}))
        assert found[key]["plausibility"] == (pytest.approx(sum(known) / len(known), abs=1e-9) if known else None)
    assert sum(row["support"] for row in found.values()) + sum(made.left_out.values()) == len(rows)


def test_a_build_has_both_tables_and_their_concepts(tmp_path: Path) -> None:
    build([SAMPLE], tmp_path / "kb")
    with KnowledgeBase.open(tmp_path / "kb") as kb:
        concepts = set(kb.table("concepts")["concept"].to_pylist())
        made = kb.table("abstractions")
        left_out = kb.manifest.stages["link"].notes["abstracted"]
        assert sum(made["support"].to_pylist()) + sum(left_out.values()) == kb.table("assertions").num_rows
        for name in ("kind_a", "kind_b", "concept"):
            assert concepts >= set(made[name].to_pylist()) != set()
        assert concepts >= set(kb.table("kinds")["concept"].to_pylist())
