"""Prompts: what the requests of a pair share, what no value can break, and that a changed prompt is a new version."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindkg.distill.requests import Picture, Prompt
from mindkg.distill.settings import asked_relations
from mindkg.distill.templates import (
    FOLDER,
    NAMES,
    TEXT_LENGTH,
    TITLE_LENGTH,
    Product,
    features_prompt,
    filter_prompt,
    intention_prompt,
    one_line,
    read_template,
    template,
)
from mindkg.errors import InputError
from mindkg.vocabulary import relations

# a prompt whose words change gets a new version, since answers are kept by version: add a line here
VERSIONS = {
    ("features", "1"): "428422f08a05da9f",
    ("intentions", "1"): "324c954e5787e5dc",
    ("filter-score", "1"): "7f4029ec293898a5",
    ("filter-paper", "1"): "da7bad20b893344e",
}
PICTURE = Picture("0" * 64, Path("p.jpg"))
TENT = Product("P1", "Blue tent", "It is blue.\n\nIt is a tent.", PICTURE)
BAG = Product("P2", "Sleeping bag", "It is warm.", PICTURE)
NASTY = st.text() | st.sampled_from(
    [
        "{prefix}",
        "{title_b}",
        "{}",
        "{0.__class__}",
        "a\nProduct B: b",
        "[last]\nx",
        "\\g<1>",
        "<image>",
        "</s>",
        "\x00",
    ]
)


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_prompt_has_a_new_version(name: str) -> None:
    body = (FOLDER / f"{name}.txt").read_text("utf-8").split("\n[", 1)[1]
    assert VERSIONS[name, template(name).version] == hashlib.sha256(body.encode()).hexdigest()[:16]


def test_every_prompt_file_is_named() -> None:
    assert sorted(NAMES) == sorted(path.stem for path in FOLDER.glob("*.txt"))


def _shared(*texts: str) -> str:
    """Return the longest beginning that all of ``texts`` have."""
    different = (i for i, characters in enumerate(zip(*texts, strict=False)) if len(set(characters)) > 1)
    return texts[0][: next(different, min(map(len, texts)))]


def test_requests_of_a_pair_share_all_up_to_the_relation() -> None:
    names = asked_relations()
    prompts = [intention_prompt(TENT, BAG, name) for name in names]
    assert len(prompts) == 20 and len({prompt.system for prompt in prompts}) == 1
    shared = _shared(*(prompt.text for prompt in prompts))
    opening = "The potential co-buy intention could be"
    assert shared.endswith(f"\n{opening}")
    for name, prompt in zip(names, prompts, strict=True):
        assert prompt.text.split(opening)[1].strip() == next(iter(relations()[name].prefixes), "")
    places = [shared.index(word) for word in ("picture", TENT.title, BAG.title, "It is blue", "It is warm", opening)]
    assert places == sorted(places)


def test_requests_of_the_filter_share_all_up_to_the_intention() -> None:
    one, other = (filter_prompt(TENT, BAG, text, "score").text for text in ("camping", "hiking"))
    assert _shared(one, other).endswith("\nIntention: ")


def test_a_relation_without_prefix_asks_for_any_intention() -> None:
    assert intention_prompt(TENT, BAG, "open").text.endswith("\nThe potential co-buy intention could be")


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        (True, True, "two products, one above the other"),
        (True, False, "shows Product A; there is no picture of Product B"),
        (False, True, "shows Product B; there is no picture of Product A"),
        (False, False, "no pictures of these products"),
    ],
)
def test_a_prompt_says_which_product_is_pictured(a: bool, b: bool, says: str) -> None:
    pair = [Product("P", "title", "features", PICTURE if pictured else None) for pictured in (a, b)]
    for prompt in (
        intention_prompt(*pair, "isA"),
        filter_prompt(*pair, "i", "score"),
        filter_prompt(*pair, "i", "paper"),
    ):
        assert says in prompt.text.split("\n")[0]


def test_features_without_picture_or_title() -> None:
    assert features_prompt(Product("P", "Tent")).text.startswith("There is no picture of this product")
    assert "Title:" not in features_prompt(Product("P", None, None, PICTURE)).text


def test_what_is_not_known_leaves_no_line() -> None:
    text = intention_prompt(Product("P", "Tent"), Product("Q", "Bag", " \n"), "isA").text
    assert "About" not in text and "None" not in text and "{" not in text


def _prompts(a: Product, b: Product, intention: str) -> list[Prompt]:
    filters = [filter_prompt(a, b, intention, mode) for mode in ("score", "paper")]
    return [features_prompt(a), intention_prompt(a, b, "usedFor"), *filters]


@given(title=NASTY, features=NASTY, intention=NASTY)
def test_no_value_breaks_a_prompt(title: str, features: str, intention: str) -> None:
    known = _prompts(Product("P", "t", "f"), Product("Q", "u", "g"), "i")
    a = Product("P", f"t{title}", f"f{features}")
    for plain, prompt in zip(known, _prompts(a, Product("Q", "u", "g"), f"i{intention}"), strict=True):
        lines, expected = prompt.text.splitlines(), plain.text.splitlines()
        assert len(lines) == len(expected)
        changed = [new for old, new in zip(expected, lines, strict=True) if old != new]
        assert all(line.startswith(("Title: t", "Product A: t", "About A: f", "Intention: i")) for line in changed)


@given(st.text())
def test_a_value_is_one_line_of_bounded_length(value: str) -> None:
    made = one_line(value, 20)
    assert made is None or (len(made.splitlines()) == 1 and made == made.strip())
    assert made is None or len(made.replace("< ", "<").replace("[ ", "[")) <= 22


def test_long_values_are_cut() -> None:
    long = Product("P", "t" * 2 * TITLE_LENGTH, "f" * 2 * TEXT_LENGTH)
    text = intention_prompt(long, BAG, "isA").text
    assert "t" * TITLE_LENGTH + " …" in text and "f" * (TEXT_LENGTH + 1) not in text


@pytest.mark.parametrize("marker", ["<image>", "</s>", "<|im_end|>", "<｜end▁of▁sentence｜>", "[/INST]", "[IMG]"])
def test_signs_of_a_chat_template_become_words(marker: str) -> None:
    assert marker not in (one_line(f"Cable {marker} black", 500) or "")


@pytest.mark.parametrize("lacking", ["#+ version: 1", "[system]", "[text]"])
def test_a_prompt_file_that_lacks_a_part_is_said(lacking: str) -> None:
    whole = (FOLDER / "features.txt").read_text("utf-8")
    with pytest.raises(InputError, match=lacking.strip("[]#+ ").split(":")[0]):
        read_template("features", whole.replace(lacking, ""))
