"""Intentions to concepts: phrases, scores against plain Python, the hierarchy against networkx, golden texts."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from pathlib import Path

import networkx as nx
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mindkg import link
from mindkg.engine import daft, from_arrow
from mindkg.errors import InputError
from mindkg.link import choice, offers, ranking, tables
from mindkg.link import hypernyms as hierarchy
from mindkg.link.behind import with_context
from mindkg.link.isa import IsaTable, open_isa
from mindkg.link.phrases import candidates, chunker
from mindkg.link.steps import Steps
from mindkg.link.tables import link_tables, link_texts
from mindkg.link.words import vague_concepts
from mindkg.schema import KEYS, TABLES

CASES = Path(__file__).parent / "cases" / "link"

ISA = """\
accessory	cable	40
connector	usb extension cable	3
cable	extension cable	9
device	cable	6
item	cable	90
wire	cable	12
jewelry	necklace	22
item	necklace	30
ornament	necklace	14
accessory	jewelry	11
accessory	ornament	2
ornament	accessory	1
gadget	device	4
room	kitchen	8
chore	cleaning	9
thing	accessory	5
lens	glass	100
material	glass	80
eyewear	glasses	60
child	kid	3
"""


@pytest.fixture(scope="module")
def isa(tmp_path_factory: pytest.TempPathFactory) -> IsaTable:
    folder = tmp_path_factory.mktemp("isa")
    (folder / "isa.tsv").write_text(ISA)
    return open_isa(folder / "isa.tsv", cache=folder / "cache")


def frame(texts: list[str]) -> daft.DataFrame:
    return from_arrow(pa.table({"intention_id": [f"i{n:04d}" for n in range(len(texts))], "text": texts}))


def best(text: str, isa: IsaTable, **steps: bool) -> list[tuple[str, str]]:
    return [(m.surface, m.concept) for m in link_texts([text], isa, steps=Steps(**steps))[0]]


@pytest.mark.parametrize(
    ("text", "phrases"), [(row["text"], row["phrases"]) for row in json.loads((CASES / "phrases.json").read_text())]
)
def test_phrases(text: str, phrases: list[str]) -> None:
    found = [text[p.starts[0] : p.ends[-1]] for p in chunker().phrases(text)]
    assert found == phrases


def test_longest_phrase_is_linked_and_its_parts_are_not(isa: IsaTable) -> None:
    whole = "USB extension cables"
    assert best(whole, isa) == [(whole, "cable"), (whole, "connector")]
    assert best("a long extension cable", isa) == [("extension cable", "cable")]
    assert {surface for surface, _ in best("braided HDMI cable", isa)} == {"cable", "braided HDMI cable"}
    assert {concept for _, concept in best("a cable", isa)} == {"accessory", "device", "wire"}


def test_plural_that_is_its_own_word_is_not_the_singular(isa: IsaTable) -> None:
    assert best("reading glasses", isa) == [("glasses", "eyewear")]
    assert best("two necklaces", isa)[0][0] == "necklaces"


def test_vague_concepts_are_not_linked_and_the_list_can_be_replaced(isa: IsaTable) -> None:
    (mentions,) = link_texts(["necklace"], isa)
    assert [m.concept for m in mentions] == ["jewelry", "ornament"]
    assert best("item", isa) == []
    (mentions,) = link_texts(["necklace"], isa, vague=["jew*", "*ment"])
    assert [m.concept for m in mentions] == ["item"]
    made = link_tables(frame(["necklace"]), isa, vague=["jewelry"], steps=Steps(vague=False)).tables["concepts"]
    assert {r["concept"] for r in made.to_pylist() if r["vague"]} == {"jewelry"}


def test_vague_labels_are_folded_and_the_numbers_are_checked(isa: IsaTable) -> None:
    texts = frame(["necklace", "cable"])
    made = link_tables(texts, isa, vague=["  Jewelry ", "ACC*"]).tables["mentions"]["concept"].to_pylist()
    assert made and not {"jewelry", "accessory"} & set(made)
    assert not any(r["vague"] for r in link_tables(texts, isa, vague=[]).tables["concepts"].to_pylist())
    for wrong in ({"top_k": 0}, {"parents": -1}, {"levels": -1}, {"least": 0}, {"vague": "jewelry"}):
        with pytest.raises(InputError):
            link_tables(texts, isa, **wrong)  # type: ignore[arg-type]


def test_parents_and_levels_bound_the_hierarchy(isa: IsaTable) -> None:
    def edges(**options: int) -> list[tuple[str, str]]:
        made = link_tables(frame(["cable", "necklace"]), isa, **options).tables
        assert set(made["ancestors"]["ancestor"].to_pylist()) == set(made["hypernyms"]["hypernym"].to_pylist())
        return list(
            zip(made["hypernyms"]["concept"].to_pylist(), made["hypernyms"]["hypernym"].to_pylist(), strict=True)
        )

    every = edges()
    assert ("jewelry", "accessory") in every and ("device", "gadget") in every
    assert edges(levels=0) == edges(parents=0) == []
    one = edges(parents=1)
    assert set(one) <= set(every) and len({low for low, _ in one}) == len(one)
    # one step up sees no cycle of accessory and ornament, so both of its edges may stand
    assert len({low for low, _ in edges(levels=1)}) <= 4 and set(edges(levels=2)) == set(every)


def test_noise_stays_out_where_only_vague_concepts_are_known_well(tmp_path: Path) -> None:
    rows = [("item", "gift", 50), ("insult", "gift", 2), *(("item", f"thing {n}", 3) for n in range(12))]
    (tmp_path / "isa.tsv").write_text("".join(f"{c}\t{e}\t{n}\n" for c, e, n in rows))
    own = open_isa(tmp_path / "isa.tsv", cache=tmp_path / "cache")
    assert best("gift", own) == []
    (mentions,) = link_texts(["gift"], own, steps=Steps(vague=False))
    assert [m.concept for m in mentions] == ["item"]


def test_faint_concepts_speak_only_where_a_text_has_no_better_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [("gathering", "party", 10), ("gathering", "crowd", 10**8), ("device", "cable", 10)]
    rows += [("figure", "luck", 10), ("figure", "number", 10**11)]
    (tmp_path / "isa.tsv").write_text("".join(f"{c}\t{e}\t{n}\n" for c, e, n in rows))
    own = open_isa(tmp_path / "isa.tsv", cache=tmp_path / "cache")
    bare = {"classes": False, "witness": False, "factors": False}
    for module in (choice, offers):
        monkeypatch.setattr(module, "LARGE", 1)
    assert best("a party", own, **bare) == [("party", "gathering")]
    assert best("a cable for the party", own, **bare) == [("cable", "device")]
    assert best("luck", own, **bare) == []


def test_last_word_of_a_name_is_not_linked_alone_unless_it_is_a_thing(tmp_path: Path) -> None:
    rows = "journey\ttrek\t9\nscholar\tklein\t9\ndesigner\tanne klein\t4\njewelry\twatch\t9\n"
    (tmp_path / "isa.tsv").write_text(rows + "woman\tqueen\t9\nlady\twoman\t2\nadult\twoman\t9\ndrink\tmilk\t3\n")
    own = open_isa(tmp_path / "isa.tsv", cache=tmp_path / "cache")
    assert best("they both are related to Star Trek", own) == []
    assert best("they both are a long trek", own) == [("trek", "journey")]
    assert best("Star Trek", own) == [("Trek", "journey")]  # nothing says that this is no heading
    assert best("they both were made by Anne Klein", own) == [("Anne Klein", "designer")]
    assert best("they both go with an Apple Watch", own) == [("Watch", "jewelry")]
    assert best("they both are a type of Almond Milk", own) == [("Milk", "drink")]
    assert best("they both are a Long Trek", own) == [("Trek", "journey")]
    assert best("they both are made by Invicta Women", own) == []
    assert best("they both are made for young women", own) == [("women", "adult"), ("women", "lady")]


def test_letters_and_names_of_products_say_nothing() -> None:
    text = "PersonX bought a product of Item A and a product of Item B because they both are a type of cable."
    assert {surface for surface, _ in best(text, open_isa())} == {"cable"}
    assert best("they like product b", open_isa()) == []
    assert best("they are full of vitamin c", open_isa()) != []


def test_shipped_table_speaks_where_the_other_has_weak_concepts_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [("suit", "case", 25), ("example", "case", 300), *(("suit", f"claim {n}", 900) for n in range(12))]
    rows += [("container", f"jar {n}", 9) for n in range(9)] + [("container", "suitcase", 9)]
    rows += [("toy", f"puppet {n}", 3) for n in range(120)] + [("retailer", "toy", 3), ("product", "toy", 300)]
    (tmp_path / "isa.tsv").write_text("".join(f"{c}\t{e}\t{n}\n" for c, e, n in rows))
    own = open_isa(tmp_path / "isa.tsv", cache=tmp_path / "cache")
    for module in (choice, offers):
        monkeypatch.setattr(module, "LARGE", 1)
    assert best("a case", own) == [("case", "container")]
    assert best("a case", own, witness=False) == [("case", "suit")]
    assert best("a toy", own) == [("toy", "toy")]
    assert best("a toy", own, heads=False) == []


def test_stop_heads_and_verbs_make_no_mention(tmp_path: Path) -> None:
    path = tmp_path / "isa.tsv"
    path.write_text(
        "human\tperson\t9\nact\tuse\t9\nact\tpurpose\t9\nshow\tfeature\t9\nact\tcharge\t4\nroom\tkitchen\t3\n"
    )
    own = open_isa(path, cache=tmp_path / "cache")
    assert best("the person wants to use it for kitchen purposes", own) == [("kitchen", "room")]
    assert best("charge his phone", own) == []
    assert best("they both feature a kitchen", own) == [("kitchen", "room")]


def test_each_phrase_keeps_its_best_concept_among_the_top(isa: IsaTable) -> None:
    (mentions,) = link_texts(["cable, necklace and kitchen"], isa, top_k=3)
    assert {m.surface for m in mentions} == {"cable", "necklace", "kitchen"}
    assert [m.rank for m in mentions] == [1, 2, 3]


def test_phrase_names_its_class_except_where_the_table_knows_better(tmp_path: Path) -> None:
    path = tmp_path / "isa.tsv"
    path.write_text("tool\tsearch engine\t30\nmotor\tengine\t4\nengine\tdiesel\t5\nring\tband\t3\njewelry\tring\t9\n")
    own = open_isa(path, cache=tmp_path / "cache")
    assert best("a search engine", own) == [("search engine", "tool")]
    assert best("a car engine", own)[0] == ("car engine", "engine")
    assert [m.typicality for m in link_texts(["a car engine"], own)[0]] == [1.0, 1.0]
    assert best("a shiny ring", own) == [("ring", "jewelry")]
    assert best("a gold ring", own, heads=False) == [("ring", "jewelry")]


def test_relation_and_titles_choose_the_sense(tmp_path: Path) -> None:
    rows = [("device", "tablet", 50), ("medicine", "tablet", 50), ("activity", "golf", 20), ("fabric", "golf", 20)]
    rows += [("medicine", "aspirin", 9), ("device", "laptop", 9)]
    (tmp_path / "isa.tsv").write_text("".join(f"{c}\t{e}\t{n}\n" for c, e, n in rows))
    own = open_isa(tmp_path / "isa.tsv", cache=tmp_path / "cache")

    def first(text: str, **known: list[str]) -> str:
        return link_texts([text], own, steps=Steps(classes=False, witness=False, factors=False), **known)[0][0].concept

    assert first("a tablet", titles=["Aspirin, aspirin, 20 pieces"]) == "medicine"
    assert first("a tablet", titles=["Laptop sleeve for any laptop"]) == "device"
    assert first("golf", relations=["usedFor"]) == "activity"
    assert first("golf", relations=["madeOf"]) == "fabric"
    with pytest.raises(InputError):
        link_texts(["golf"], own, titles=[])


def test_context_comes_from_the_first_assertion() -> None:
    tables = {
        "intentions": [{"intention_id": i, "text": i} for i in ("x", "y", "z")],
        "assertions": [
            {"assertion_id": "a2", "intention_id": "x", "relation": "isA", "cobuy_id": "c2"},
            {"assertion_id": "a1", "intention_id": "x", "relation": "usedFor", "cobuy_id": "c1"},
            {"assertion_id": "a3", "intention_id": "y", "relation": "can", "cobuy_id": "c2"},
        ],
        "cobuys": [
            {"cobuy_id": "c1", "product_a": "p1", "product_b": "p2"},
            {"cobuy_id": "c2", "product_a": "p2", "product_b": "p3"},
        ],
        "products": [
            {"product_id": "p1", "title": "Cup", "category": ["Home", "Kitchen"]},
            {"product_id": "p2", "title": None, "category": []},
        ],
    }
    made = with_context({name: daft.from_pylist(rows) for name, rows in tables.items()}).to_pylist()
    assert [(r["intention_id"], r["relation"], (r["titles"] or "").split()) for r in made] == [
        ("x", "usedFor", ["Cup", "Home", "Kitchen"]),
        ("y", "can", []),
        ("z", None, []),
    ]


def test_scores_are_the_formulas(isa: IsaTable) -> None:
    rows = [line.split("\t") for line in ISA.splitlines()]
    n = {(c, e): int(k) for c, e, k in rows}
    instances = {e for _, e in n}
    for mention in link_texts(["kitchen, cable and necklace"], isa, top_k=20)[0]:
        e, c = mention.surface, mention.concept
        typicality = n[c, e] / sum(k for (_, x), k in n.items() if x == e)
        total = sum(k for (x, _), k in n.items() if x == c)
        p_instance = (n[c, e] + 1e-4) / (total + 1e-4 * len(instances))
        assert mention.typicality == pytest.approx(typicality)
        assert mention.p_instance == pytest.approx(p_instance)
        assert mention.rep == pytest.approx(typicality * p_instance)


NAME = st.sampled_from(["cup", "mug", "lamp", "tool", "item", "vessel", "light", "ware", "thing"])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.dictionaries(st.tuples(NAME, NAME).filter(lambda p: p[0] != p[1]), st.integers(1, 60), min_size=1),
    text=st.lists(st.sampled_from(["cup", "Mugs", "the", "  ", "lamp", ",", "é", "tool", "of", "😀"]), max_size=8),
)
def test_mentions_of_random_tables(tmp_path: Path, rows: dict[tuple[str, str], int], text: list[str]) -> None:
    (tmp_path / "isa.tsv").write_text("".join(f"{c}\t{e}\t{k}\n" for (c, e), k in rows.items()))
    own = open_isa(tmp_path / "isa.tsv", cache=tmp_path / "cache")
    written = " ".join(text)
    (mentions,) = link_texts([written], own)
    totals: Counter[str] = Counter()
    for (_, instance), count in rows.items():
        totals[instance] += count
    for mention in mentions:
        assert written[mention.start : mention.end] == mention.surface
        instance = mention.surface.lower().removesuffix("s")
        if " " in instance and (mention.concept, instance) not in rows:
            assert instance.endswith(mention.concept) and mention.typicality == 1
            continue
        assert mention.typicality == pytest.approx(rows[mention.concept, instance] / totals[instance])
    assert not {m.concept for m in mentions} & vague_concepts()
    assert [m.rank for m in mentions] == list(range(1, len(mentions) + 1))
    assert len({m.concept for m in mentions}) == len(mentions) <= 5


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_text_has_sound_spans(text: str) -> None:
    if text.isprintable():
        for phrase in chunker().phrases(text):
            assert len(phrase.starts) == len(phrase.ends) == len(phrase.words) == len(phrase.tags)
            for start, end, word in zip(phrase.starts, phrase.ends, phrase.words, strict=True):
                assert text[start:end].lower() == word
            for first, last, *_ in candidates(phrase.words, phrase.tags, chunker().noun_lemma):
                assert 0 <= first < last <= len(phrase.words)


def test_tables_have_their_schemas_and_keys(isa: IsaTable) -> None:
    texts = ["a cable for the kitchen", "necklace", "nothing of note", "USB extension cable"]
    made = link_tables(frame(texts), isa).tables
    assert set(made) == {"intentions", "mentions", "concepts", "hypernyms", "ancestors", "rejects"}
    for name, table in made.items():
        assert table.schema.equals(TABLES[name])
        assert all(table[field.name].null_count == 0 for field in TABLES[name] if not field.nullable)
        keys = list(zip(*(table[column].to_pylist() for column in KEYS[name]), strict=True))
        assert keys == sorted(set(keys))
    assert made["intentions"]["heads"].to_pylist() == [["cable", "kitchen"], ["necklace"], ["note"], ["cable"]]
    labels = set(made["concepts"]["concept"].to_pylist())
    for name in ("mentions", "hypernyms", "ancestors"):
        assert set(made[name]["concept"].to_pylist()) <= labels
    totals = {r["concept"]: r["instances"] for r in made["concepts"].to_pylist()}
    assert totals["accessory"] == 40 + 11 + 2


def test_no_intention_gives_empty_tables(isa: IsaTable) -> None:
    for texts in ([], ["of the"]):
        made = link_tables(frame(texts), isa).tables
        assert made["intentions"].num_rows == len(texts)
        assert all(made[name].num_rows == 0 for name in ("mentions", "concepts", "hypernyms", "ancestors"))


def test_order_and_worker_processes_do_not_matter(isa: IsaTable, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{a} {b}" for a in ("cable", "necklaces", "kitchen") for b in ("cleaning", "for his kids", "and glass")]
    rows = [{"intention_id": f"i{n}", "text": text} for n, text in enumerate(texts)]
    alone = link_tables(daft.from_pylist(rows), isa).tables
    shuffled = link_tables(daft.from_pylist(rows[::-1]), isa).tables
    monkeypatch.setattr(tables, "_SMALL", 2)
    spread = link_tables(daft.from_pylist(rows), isa).tables
    for name, table in alone.items():
        assert table.equals(shuffled[name]), name
        assert table.equals(spread[name]), name


def test_refused_isa_rows_name_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "own.tsv").write_text("room\tkitchen\t3\nbroken\n")
    own = open_isa(tmp_path / "own.tsv", cache=tmp_path / "cache")
    (refused,) = link_tables(frame(["kitchen"]), own).tables["rejects"].to_pylist()
    assert (refused["stage"], refused["record"], refused["reason"]) == ("link", "own.tsv:2", "bad_syntax")


def test_hypernyms_of_the_small_table(isa: IsaTable) -> None:
    edges, broken = (t.to_pylist() for t in hierarchy.hypernyms(pa.array(["jewelry"]), isa, vague_concepts(), levels=3))
    # accessory is an ornament once of 6 times, ornament always an accessory: the weaker edge of the cycle went
    assert [(r["concept"], r["hypernym"], r["count"], r["p"]) for r in edges] == [
        ("jewelry", "accessory", 11, 1.0),
        ("ornament", "accessory", 2, 1.0),
    ]
    assert broken == [{"concept": "accessory", "hypernym": "ornament", "count": 1, "p": pytest.approx(1 / 6)}]
    assert link_tables(frame(["necklace"]), isa).cycles() == {"edges": 1, "weakest": [list(broken[0].values())]}
    (one,) = hierarchy.hypernyms(pa.array(["accessory"]), isa, vague_concepts(), levels=1).kept.to_pylist()
    assert (one["hypernym"], one["count"], one["p"]) == ("ornament", 1, pytest.approx(1 / 6))
    assert hierarchy.hypernyms(pa.array(["accessory"]), isa, vague_concepts(), levels=1, least=2).kept.num_rows == 0


EDGES = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 30)).filter(lambda e: e[0] != e[1]), max_size=40
)


@settings(max_examples=100, deadline=None)
@given(EDGES)
def test_cycles_are_broken_at_their_weakest_edge(rows: list[tuple[int, int, int]]) -> None:
    strength = {(f"c{a}", f"c{b}"): count for a, b, count in rows}
    edges = pa.table(
        {
            "concept": [a for a, _ in strength],
            "hypernym": [b for _, b in strength],
            "count": list(strength.values()),
            "p": [count / 30 for count in strength.values()],
        },
        schema=TABLES["hypernyms"],
    )
    kept, broken = hierarchy.without_cycles(edges)
    assert kept.num_rows + broken.num_rows == edges.num_rows and broken["p"].to_pylist() == sorted(
        broken["p"].to_pylist()
    )
    graph = nx.DiGraph(zip(kept["concept"].to_pylist(), kept["hypernym"].to_pylist(), strict=True))
    assert nx.is_directed_acyclic_graph(graph)
    for low, high in set(strength) - set(graph.edges):
        # some way back from high to low has no edge that is weaker than the lost one
        strong = nx.DiGraph(edge for edge in graph.edges if strength[edge] >= strength[low, high])
        assert strong.has_node(high) and strong.has_node(low) and nx.has_path(strong, high, low)
    closure = {
        (low, high): hops
        for low, ways in nx.all_pairs_shortest_path_length(graph)
        for high, hops in ways.items()
        if low != high
    }
    found = {(r["concept"], r["ancestor"]): r["distance"] for r in hierarchy.ancestors(kept).to_pylist()}
    assert found == closure


def test_first_of_each_keeps_the_order() -> None:
    import numpy as np

    assert ranking.first_of_each(np.array([3, 1, 3, 3, 1, 2]), 2).tolist() == [0, 1, 2, 4, 5]
    assert ranking.first_of_each(np.empty(0, np.int64), 2).tolist() == []


def test_data_files_are_there_and_say_why() -> None:
    assert all(path.is_file() for path in link.DATA_FILES)
    for name in ("vague.tsv", "stops.tsv", "concepts.tsv", "relations.tsv"):
        lines = [line for line in (Path(link.__file__).parent / name).read_text().splitlines() if line[:2] != "# "]
        assert all(line.split("\t")[-1] for line in lines)
        labels = [tuple(line.split("\t")[:-1]) for line in lines]
        assert len(labels) == len(set(labels))


@pytest.mark.parametrize(
    ("text", "concepts"),
    [
        ("a pair of running shoes", {"shoe", "footwear", "footgear"}),
        ("necklace", {"jewelry", "jewellery", "adornment"}),
        ("USB cable", {"cable"}),
        ("wristwatch", {"watch", "timepiece"}),
        ("a charger", {"device"}),
        ("spare battery", {"electrical device"}),
        ("wireless mouse", {"mouse"}),
        ("mouse", {"electronic device"}),
        ("cables", {"conductor"}),
        ("shoes", {"footwear"}),
    ],
)
def test_shipped_table_links_what_people_buy(text: str, concepts: set[str]) -> None:
    (mentions,) = link_texts([text], open_isa())
    assert mentions[0].concept in concepts


def test_real_intentions_have_no_vague_or_absurd_concept_on_top(real_data: Path, tmp_path: Path) -> None:
    isa = open_isa(real_data / "isa" / "hearst_isa.tsv.gz", cache=tmp_path)
    assert (isa.rows, isa.rejected, isa.instances, isa.concepts) == (431_469, 0, 214_010, 54_824)
    csv.field_size_limit(10**9)
    with gzip.open(real_data / "mind" / "mind_llava_sample.csv.gz", "rt") as lines:
        texts = [row["tail"].partition(" because ")[2].rstrip(".") for row in csv.DictReader(lines)]
    found = link_texts(texts, isa)
    top = Counter(mentions[0].concept for mentions in found if mentions)
    frequent = {concept for concept, _ in top.most_common(30)}
    assert not frequent & {"item", "thing", "product", "organization", "band", "god", "factor", "object", "riser pipe"}
    assert sum(map(bool, found)) > 0.4 * len(texts)
