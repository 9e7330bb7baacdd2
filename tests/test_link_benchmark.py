"""The labels of benchmarks/linking: whole, sound, and what the linker makes of our own sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.linking import labels
from benchmarks.linking.__main__ import score
from benchmarks.linking.methods import linker, longest
from mindkg.link.isa import open_isa


def test_labels_name_known_senses_and_sound_spans() -> None:
    own = labels.read(None)
    assert len(own) >= 100 and 0.3 < sum(item.held_out for item in own) / len(own) < 0.5
    for item in own:
        assert all(item.text[p.start : p.end].strip() and p.sense in labels._senses() for p in item.phrases)
    lines = Path(labels.__file__).with_name("labels.jsonl").read_text("utf-8").splitlines()
    real = [json.loads(line) for line in lines]
    assert sum(label["source"] == "mind.tail" for label in real) >= 150 and len(real) >= 300
    for label in real:
        begin, end = label["span"]
        assert all(begin <= a < b <= end and sense in labels._senses() for a, b, sense, *_ in label["phrases"])


def test_verdicts() -> None:
    text = "a type of USB cable"
    item = labels.Item("x", "own", "isA", text, (), (labels.Phrase(10, 19, "cable", False),))
    found = [labels.verdict(item, 14, 19, concept) for concept in ("cable", "accessory", "item", "medium", "noun")]
    assert found == ["good", "good", "forbidden", "forbidden", "poor"]
    assert labels.verdict(item, 2, 6, "class") == "stray"


def test_linker_is_far_above_the_longest_n_gram() -> None:
    own, isa = labels.read(None), open_isa()
    ours, theirs = score(own, linker(own, isa)), score(own, longest(own, isa))
    assert ours.first > theirs.first + 0.1 and ours.forbidden < 0.1 < theirs.forbidden


def test_real_labels_lie_in_their_texts(real_data: Path) -> None:
    items = labels.read(real_data)
    assert len({item.key for item in items}) == len(items) > 500
    assert all(p.end <= len(item.text) for item in items for p in item.phrases)


@pytest.mark.parametrize("name", ["senses.tsv", "sentences.tsv"])
def test_tables_have_their_columns(name: str) -> None:
    assert {len(row) for row in labels._rows(name)} == {3}
