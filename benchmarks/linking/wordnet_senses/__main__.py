"""``python -m benchmarks.linking.wordnet_senses --data FOLDER``: agreement of annotators, reach of the lexicon."""

from __future__ import annotations

import argparse
import csv
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

from sklearn.metrics import cohen_kappa_score

from benchmarks.linking.labels import MIND, QA
from benchmarks.linking.wordnet_senses.labels import Item, Rule, lexicon, mentions, paraphrases
from mindkg.link.phrases import chunker


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with mind/ and intentionqa/")
    data = parser.parse_args().data
    _paraphrases()
    _second(mentions(), mentions("mentions-second.jsonl"))
    _lexicon(mentions(), data)


def _paraphrases() -> None:
    pairs = paraphrases()
    decided = [(pair.first, pair.second) for pair in pairs if "?" not in (pair.first, pair.second)]
    agreed = sum(a == b for a, b in decided)
    kappa = cohen_kappa_score(*zip(*decided, strict=True))
    print(f"paraphrases: {len(pairs)} pairs, {len(decided)} decided by both, {_share(agreed, len(decided))} alike, "
          f"Cohen's kappa {kappa:.3f}, {sum(a == b == '1' for a, b in decided)} mean the same for both")  # fmt: skip


def _second(first: list[Item], second: list[Item]) -> None:
    """Print how far two annotators agree: on what is a phrase, and on the kind and the senses of a common one."""
    known = {(item.source, item.row): item for item in first}
    both = [(known[item.source, item.row], item) for item in second]
    counts: Counter[str] = Counter()
    for a, b in both:
        there = {(m.start, m.end): m for m in b.mentions}
        counts["first"] += len(a.mentions)
        counts["second"] += len(b.mentions)
        for mention in a.mentions:
            if other := there.get((mention.start, mention.end)):
                counts["common"] += 1
                counts["kind"] += mention.kind == other.kind
                counts["judged"] += bool(mention.senses and other.senses)
                counts["sense"] += bool(set(_plain(mention.senses)) & set(_plain(other.senses)))
    print(
        f"mentions twice: {len(both)} texts, {counts['first']} and {counts['second']} phrases, {counts['common']} the "
        f"same to the character; of these {_share(counts['kind'], counts['common'])} of the same kind, "
        f"{_share(counts['sense'], counts['judged'])} with a sense in common"
    )


def _lexicon(items: list[Item], data: Path) -> None:
    """Print what the lexicon alone says of the phrases that must be linked, by the last words of each."""
    rules, texts, counts = lexicon(), _texts(data), Counter[str]()
    for item in items:
        record, relation = texts[item.source, item.row]
        for mention in item.mentions:
            if mention.optional or not mention.senses or mention.kind not in ("thing", "quality"):
                continue
            counts["phrases"] += 1
            if chosen := _chosen(record[mention.start : mention.end].lower().split(), relation, rules):
                counts["covered"] += 1
                counts["linked"] += bool(chosen.senses)
                counts["right"] += bool(set(_plain(chosen.senses)) & set(_plain(mention.senses)))
    print(
        f"lexicon: {len(rules)} words, {sum(map(len, rules.values()))} rows; of {counts['phrases']} things and "
        f"qualities {_share(counts['covered'], counts['phrases'])} are covered; of these "
        f"{_share(counts['linked'], counts['covered'])} get a sense, "
        f"{_share(counts['right'], counts['covered'])} one of the annotator's senses"
    )


def _chosen(words: list[str], relation: str, rules: dict[str, list[Rule]]) -> Rule | None:
    """Return the rule for the longest end of ``words`` that the lexicon has; conditions on categories are left out."""
    for count in (3, 2, 1):
        if len(words) < count:
            continue
        end = words[-count:]
        for word in (" ".join([*end[:-1], chunker().noun_lemma(end[-1])]), " ".join(end)):
            if word in rules:
                previous = words[-count - 1] if len(words) > count else ""
                return next((rule for rule in reversed(rules[word]) if _holds(rule, relation, previous)), None)
    return None


def _holds(rule: Rule, relation: str, previous: str) -> bool:
    name, _, value = rule.when.partition(":")
    return (
        name == "*" or (name == "relation" and relation in value.split(",")) or (name, value) == ("previous", previous)
    )


def _plain(senses: tuple[str, ...]) -> list[str]:
    return [sense.removeprefix("<") for sense in senses]


def _texts(data: Path) -> dict[tuple[str, int | str], tuple[str, str]]:
    """Return the field and the relation of each record of the sources."""
    csv.field_size_limit(10**9)
    with gzip.open(data / MIND, "rt", encoding="utf-8", newline="") as lines:
        mind = list(csv.DictReader(lines))
    with gzip.open(data / QA, "rt", encoding="utf-8") as lines:
        asked: list[dict[str, Any]] = [json.loads(line) for line in lines]
    texts: dict[tuple[str, int | str], tuple[str, str]] = {
        (f"mind.{field}", number): (row[field], row["Relation"])
        for number, row in enumerate(mind)
        for field in ("Intention", "tail")
    }
    return texts | {("intentionqa", row["id"]): (row["assertion"], row["relation"]) for row in asked}


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.1f} % ({part} of {whole})"


if __name__ == "__main__":
    main()
