"""The labels of senses: each file is whole, and none has a text of a source."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from benchmarks.linking.wordnet_senses.labels import kinds, lexicon, mentions, paraphrases

SENSE = re.compile(r"<?n\d{8}")
CONDITION = re.compile(r"\*|relation:\w+(,\w+)*|category:[a-z ,]+|(previous|next):\S+")
NOTHING = re.compile(r"(vague|unit|name|adjective|verb|noise):")


def test_each_word_of_the_lexicon_has_one_general_rule_and_a_reason() -> None:
    rules = lexicon()
    assert len(rules) >= 2500
    for word, several in rules.items():
        assert [rule.when for rule in several].count("*") == 1 and several[0].when == "*", word
        assert len({rule.when for rule in several}) == len(several), word
        for rule in several:
            assert CONDITION.fullmatch(rule.when), rule
            assert all(map(SENSE.fullmatch, rule.senses)), rule
            assert rule.reason and (rule.senses or NOTHING.match(rule.reason)), rule


def test_mentions_are_spans_of_their_texts_with_senses() -> None:
    for file in ("mentions.jsonl", "mentions-second.jsonl"):
        items = mentions(file)
        assert len({(item.source, item.row) for item in items}) == len(items)
        for item in items:
            ends = sorted((mention.start, mention.end) for mention in item.mentions)
            assert all(item.start <= start < end <= item.end for start, end in ends), item
            assert all(one[1] <= other[0] for one, other in pairwise(ends)), item
            for mention in item.mentions:
                assert mention.kind in ("thing", "action", "name", "quality"), item
                assert all(map(SENSE.fullmatch, mention.senses)), item
    assert sum(len(item.mentions) for item in mentions()) >= 1000


def test_paraphrases_and_kinds_are_judged() -> None:
    pairs = paraphrases()
    assert len(pairs) >= 400 and {label for pair in pairs for label in pair[-2:]} <= {"1", "0", "?"}
    named = kinds()
    assert len(named) >= 300 and all(name == name.lower() for names in named.values() for name in names)
    assert len(Counter(key.rpartition(" ")[0] for key in named)) >= 6
