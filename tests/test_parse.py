"""The parser: golden cases, properties of every text, and the same results in bulk."""

# ruff: noqa: E501

from __future__ import annotations

import csv
import gzip
import json
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindkg.parse import ParsedIntention, parse_intention, parse_verdict
from mindkg.parse.clean import READ, is_dirty
from mindkg.parse.intention import _parse, _whole
from mindkg.parse.opening import front, front_end
from mindkg.parse.sentence import plain_end, sentence_end
from mindkg.parse.tail import canonical
from mindkg.parse.wordings import source, table
from mindkg.schema import PARSE_REASONS, VERDICTS
from mindkg.vocabulary import relations

CASES = Path(__file__).parent / "cases" / "parse"


def _cases(*names: str) -> list[dict[str, object]]:
    return [json.loads(line) for name in names for line in (CASES / f"{name}.jsonl").read_text("utf-8").splitlines()]


INTENTIONS = _cases("relations", "tails", "wrappers", "rejects", "annotated-intentions")
VERDICT_CASES = _cases("verdicts", "annotated-verdicts")


@pytest.mark.parametrize("case", INTENTIONS, ids=lambda c: f"{c['relation']}-{c['text'][-40:]}")
def test_intention(case: dict) -> None:
    found = parse_intention(case["text"], case["relation"], case.get("titles", ()))
    expected = case["expected"]
    if "reason" in expected:
        assert (found.status, found.reason) == ("reject", expected["reason"])
        return
    assert (found.relation, found.stated, found.tail) == (expected["relation"], expected["stated"], expected["tail"])
    assert found.canonical == expected.get("canonical", expected["tail"])
    if found.start is not None:
        assert case["text"][found.start : found.end] == found.tail


@pytest.mark.parametrize("case", VERDICT_CASES, ids=lambda c: c["text"][:50])
def test_verdict(case: dict) -> None:
    assert parse_verdict(case["text"]).verdict == case["expected"]


def test_cases_cover_every_reason_and_relation() -> None:
    assert len(INTENTIONS) + len(VERDICT_CASES) >= 200
    assert {c["expected"]["reason"] for c in INTENTIONS if "reason" in c["expected"]} == set(PARSE_REASONS)
    assert {c["expected"]["relation"] for c in INTENTIONS if "relation" in c["expected"]} == set(relations())
    assert {c["expected"] for c in VERDICT_CASES} == set(VERDICTS)


# every prefix of MIND, through the sentence that MIND asks for
@pytest.mark.parametrize(("name", "prefix"), [(r.name, p) for r in relations().values() for p in r.prefixes])
def test_prefix_states_its_relation(name: str, prefix: str) -> None:
    for lead in ("The potential co-buy intention for these two products could be that ", "Because ", ""):
        found = parse_intention(f"{lead}{prefix} quiet evenings. The first product is a lamp.", name)
        assert (found.relation, found.stated, found.tail) == (name, "asked", "quiet evenings")
        assert parse_intention(f"{lead}{prefix}", name).reason == "prefix_only"


def test_asked_counting_keeps_the_label() -> None:
    text = "The potential co-buy intention could be that they are both used for chess."
    assert parse_intention(text, "isA").relation == "usedFor"
    kept = parse_intention(text, "isA", relations="asked")
    assert (kept.relation, kept.stated, kept.tail) == ("isA", "asked", "chess")


def test_titles_hold_full_stops_and_dashes() -> None:
    titles = ("Wow! Cups - Red Set", "Mr. Tea Pot No. 5")
    text = "They are both used for the Wow! Cups - Red Set and the Mr. Tea Pot No. 5 at home. Both are red."
    found = parse_intention(text, "usedFor", titles)
    assert found.tail == "the Wow! Cups - Red Set and the Mr. Tea Pot No. 5 at home"


def test_a_wording_is_one_line_of_data(monkeypatch: pytest.MonkeyPatch) -> None:
    from mindkg.parse import opening

    text = "My hunch about this basket is that they are both used for sledding."
    assert parse_intention(text, "usedFor").relation == "open"
    patterns = (opening.front, opening.anywhere)
    for one in patterns:
        one.cache_clear()
    monkeypatch.setitem(table()["boilerplate"], "always", ["my hunch about this basket is"])
    try:
        assert parse_intention(text, "usedFor").tail == "sledding"
    finally:
        for one in patterns:
            one.cache_clear()


@pytest.mark.parametrize("phrase", table()["boilerplate"]["usual"])
@pytest.mark.parametrize("behind", ["that they", "is that the", "", " ", "to be that", "; so:", "because of it: a"])
def test_usual_boilerplate_is_what_the_pattern_finds(phrase: str, behind: str) -> None:
    found = front().match(phrase + behind)
    assert found is not None and found.end() == front_end(phrase + behind) == len(phrase) - 1


def test_every_line_of_the_table_compiles() -> None:
    for section in table().values():
        for lines in section.values():
            for line in lines if isinstance(lines, list) else []:
                re.compile(source(line.replace("{be}", "is")))


# pieces of answers in any order, so that the parser meets what it looks for in places where it does not expect it
PIECES = st.sampled_from(
    [
        "The potential co-buy intention could be that ", "they are both used for ", "the person wants to ", "because ", "camping",
        "USER: ", "ASSISTANT: ", "</s>", "<think>", "</think>", "[INST]", "[/INST]", "###", "Answer: ", '{"intention": "', '"}', "```", "**",
        '"', '""', "“", "’", "\n", "\n- ", ". ", ", ", "; ", " - ", "—", "&amp;", "&#39;", "<br/>", "\u200b", "\u00a0", "🙂", "\\", "|", "Inc.", " and ", "I'm sorry", "No",
        "Yes", "The image shows ", "They both ", "U.S. ", "...", "[x]", "抱歉", " para los ", "é", "e\u0301", "A ", "the ", "1. ", "\r\n", "\ud800", "İ", "\x00",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(st.one_of(PIECES, st.text(max_size=6)), max_size=14).map("".join))
ASKED = st.sampled_from([*relations(), "propertOf", "all", "nonsense", "", None])


@settings(max_examples=300, deadline=None)
@given(TEXTS, ASKED, st.lists(st.text(max_size=12), max_size=2))
def test_any_text_parses(text: str, relation: str | None, titles: list[str]) -> None:
    found = parse_intention(text, relation, titles)
    assert isinstance(found, ParsedIntention)
    if found.status == "reject":
        assert found.reason in PARSE_REASONS
        assert found.tail is None and found.start is None
        return
    assert found.relation in relations() and found.stated in ("asked", "retyped", "open")
    assert found.tail and found.tail == found.tail.strip() and "\n" not in found.tail
    assert found.canonical
    if found.start is None:
        assert found.end is None
    else:
        assert text[found.start : found.end] == found.tail


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_any_verdict_parses(text: str) -> None:
    assert parse_verdict(text).verdict in VERDICTS


@settings(max_examples=150, deadline=None)
@given(st.text(min_size=1), st.booleans())
def test_canonical_text_is_its_own(tail: str, clause: bool) -> None:
    once = canonical(tail, clause=clause)
    assert canonical(once, clause=clause) == once


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.sampled_from(list(relations())))
def test_the_short_way_gives_what_the_long_way_gives(text: str, relation: str) -> None:
    for whole in (text, f"The potential co-buy intention could be that they are both used for {text}"):
        assert _parse(whole, relation, []) == _whole(whole, relation, [])


# a sentence that plain_end takes for whole must end where sentence_end ends it
@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "Both ",
                "cups",
                "no",
                "vol",
                "Prof",
                "approx",
                "tbsp",
                ".",
                ". ",
                "! ",
                ", ",
                "The ",
                "Tea ",
                "5 in",
                "\n",
                "é",
            ]
        ),
        max_size=9,
    ).map("".join),
    st.lists(st.sampled_from(["Tea cups. The", "cups.", "no. 5 in. Tea"]), max_size=2),
)
def test_plain_sentences_end_where_sentences_end(text: str, titles: list[str]) -> None:
    if end := plain_end(text, 0, titles):
        assert sentence_end(text, 0, titles) == (end, True)
        assert not is_dirty(text[:end])


def test_no_more_than_so_much_is_read() -> None:
    said = "The first cup is red. " * 10_000
    assert len(said) > READ
    behind = parse_intention(f"{said}Final answer: they are both used for tea.", "usedFor")
    assert behind == parse_intention(said[:READ], "usedFor") and behind.tail != "tea"
    assert parse_verdict(f"{said}Yes.").verdict == "unparsable"
    assert parse_intention(f"They are both used for tea. {said}", "usedFor").tail == "tea"


def test_bulk_gives_the_same() -> None:
    from mindkg.engine import daft
    from mindkg.parse.bulk import parse_frame, verdict_frame

    rows = {
        "generation_id": [f"g{n}" for n in range(len(INTENTIONS))],
        "relation": [str(c["relation"]) for c in INTENTIONS],
        "text": [str(c["text"]) for c in INTENTIONS],
        "title_a": [None if n % 2 else "Tent" for n in range(len(INTENTIONS))],
        "title_b": ["Stove"] * len(INTENTIONS),
    }
    found = parse_frame(daft.from_pydict(rows)).sort("generation_id").to_pylist()
    assert len(found) == len(INTENTIONS)
    by_id = dict(zip(rows["generation_id"], range(len(INTENTIONS)), strict=True))
    for row in found:
        n = by_id[row["generation_id"]]
        one = parse_intention(rows["text"][n], rows["relation"][n], (rows["title_a"][n] or "", "Stove"))
        assert (row["status"], row["reason"], row["relation"], row["stated"]) == (
            one.status,
            one.reason,
            one.relation,
            one.stated,
        )
        assert (row["text"], row["start"], row["end"]) == (one.canonical, one.start, one.end)
    texts = [str(c["text"]) for c in VERDICT_CASES]
    frame = daft.from_pydict({"generation_id": texts, "run_id": ["r"] * len(texts), "text": texts})
    verdicts = verdict_frame(frame).to_pylist()
    assert [(v["text"], v["verdict"], v["reason"]) for v in verdicts] == [
        (t, parse_verdict(t).verdict, parse_verdict(t).reason) for t in texts
    ]


def test_real_answers(real_data: Path) -> None:
    with gzip.open(real_data / "mind" / "mind_llava_sample.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = [parse_intention(r["Intention"], r["Relation"], (r["Product_a"], r["Product_b"])) for r in rows]
    assert sum(f.status == "ok" for f in found) >= 0.99 * len(rows)
    typed = [f for f, r in zip(found, rows, strict=True) if r["Relation"] != "open"]
    assert 0.4 < sum(f.stated == "asked" for f in typed) / len(typed) < 0.6
    assert sum(parse_verdict(r["Agreement"]).verdict == "yes" for r in rows) == 840
    for f, r in random.Random(0).sample(list(zip(found, rows, strict=True)), 200):
        if f.start is not None:
            assert r["Intention"][f.start : f.end] == f.tail
