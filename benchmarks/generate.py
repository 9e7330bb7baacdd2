"""Input of MIND's full size or a fraction of it: a distillation CSV and an isA table; the same seed, the same bytes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from benchmarks import words
from benchmarks.words import Ranks, join, nouns, pick, pick_number, zipf
from mindkg.vocabulary import relations

VERSION: Final = 2
"""Raised when the same seed gives other files, so that older ones are not used again."""

PRODUCTS, COBUYS, TEXTS, ISA_ROWS = 107_215, 126_142, 1_264_441, 33_400_000
"""MIND's size (arXiv 2406.10701, table 1) and Probase's."""

ISA_CONCEPTS, ISA_INSTANCES = 5_400_000, 12_500_000
DISTINCT: Final = 0.65
"""Texts that state an intention of their own; the others state one of those."""

COLUMNS: Final = (
    *("id_a", "id_b", "Product_a", "Product_b", "Relation", "product_a_desc", "product_b_desc"),
    *("Intention", "tail", "Agreement", "Cate", "item_a_cate", "item_b_cate", "item_a_img1_url", "item_b_img1_url"),
)
_CHUNK_TEXTS, _CHUNK_ISA = 100_000, 1_000_000


@dataclass(frozen=True)
class Size:
    """How many of each there are."""

    products: int
    cobuys: int
    texts: int
    isa_rows: int
    concepts: int
    instances: int

    @classmethod
    def of(cls, fraction: float) -> Size:
        """Return the size of ``fraction`` of MIND and of Probase; the words of the isA table grow with its rows."""
        whole = (PRODUCTS, COBUYS, TEXTS, ISA_ROWS, ISA_CONCEPTS, ISA_INSTANCES)
        return cls(*(max(20, round(n * fraction)) for n in whole))


@dataclass(frozen=True)
class Inputs:
    """The generated files and how long making them took (0 where they were there already)."""

    answers: Path
    isa: Path
    size: Size
    seconds: float


def inputs(work: Path, fraction: float, seed: int = 0) -> Inputs:
    """Return the input of ``fraction`` of MIND's size under ``work``, made if it is not there yet."""
    folder = work / f"input-{VERSION}-{fraction:g}-{seed}"
    size = Size.of(fraction)
    started = time.perf_counter()
    if not folder.is_dir():
        beside = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        write_answers(beside / "answers.csv", size, seed)
        write_isa(beside / "isa.txt", size, seed)
        beside.rename(folder)
    return Inputs(folder / "answers.csv", folder / "isa.txt", size, time.perf_counter() - started)


def write_answers(path: Path, size: Size, seed: int) -> None:
    """Write ``size.texts`` rows in MIND's layout to ``path``."""
    maker = _Answers(size, seed)
    with path.open("wb") as file:
        file.write((",".join(COLUMNS) + "\n").encode())
        options = csv.WriteOptions(include_header=False, quoting_style="needed")
        with csv.CSVWriter(file, pa.schema([(name, pa.string()) for name in COLUMNS]), write_options=options) as writer:
            for start in range(0, size.texts, _CHUNK_TEXTS):
                writer.write_table(maker.rows(start, min(size.texts, start + _CHUNK_TEXTS)))


class _Answers:
    """What all rows share: products, pairs and intentions."""

    def __init__(self, size: Size, seed: int) -> None:
        self.size, self.seed = size, seed
        self.nouns = nouns()
        random = np.random.default_rng([seed, 1])
        self.ids = _asins(random, size.products)
        self.titles = self._titles(random)
        self.descriptions = self._filled(random, words.DESCRIPTIONS, size.products, 7, 519)
        self.categories = pick(random, words.CATEGORIES, size.products)
        self.pairs = _pairs(random, size)
        self.tails = self._tails(random, max(1, round(size.texts * DISTINCT)))
        # which intention each text states: its own, or one that others state too
        own = np.arange(len(self.tails))
        shared = zipf(random, size.texts - len(own), len(own), 20)
        self.intentions = random.permutation(np.concatenate([own, shared]))
        self.reasons = self._filled(random, words.REASONS, 20_000, 6, 480)
        self.clauses = self._filled(random, words.CLAUSES, 20_000, 1, 200)
        self.endings = self._filled(random, words.ENDINGS, 20_000, 1, 200)

    def rows(self, start: int, stop: int) -> pa.Table:
        random = np.random.default_rng([self.seed, 2, start])
        rows = stop - start
        pair = np.arange(start, stop) * self.size.cobuys // self.size.texts
        a, b = (pa.array(side[pair]) for side in self.pairs)
        title_a, title_b = self.titles.take(a), self.titles.take(b)
        tails = self.tails.take(pa.array(self.intentions[start:stop]))
        asked, prefixes = self._asked(random, start, stop)
        columns = {
            "id_a": self.ids.take(a),
            "id_b": self.ids.take(b),
            "Product_a": title_a,
            "Product_b": title_b,
            "Relation": asked,
            "product_a_desc": self.descriptions.take(a),
            "product_b_desc": self.descriptions.take(b),
            "Intention": self._texts(random, prefixes, tails, title_a, title_b),
            "tail": join(
                pa.array(["PersonX bought a product of Item A and a product of Item B because they "] * rows), tails
            ),
            "Agreement": self._agreements(random, rows),
            "Cate": pa.array(["bench"] * rows),
            "item_a_cate": self.categories.take(a),
            "item_b_cate": self.categories.take(b),
            "item_a_img1_url": join("https://example.org/images/I/", self.ids.take(a), ".jpg"),
            "item_b_img1_url": join("https://example.org/images/I/", self.ids.take(b), ".jpg"),
        }
        return pa.table({name: columns[name] for name in COLUMNS})

    def _titles(self, random: np.random.Generator) -> pa.Array:
        rows = self.size.products
        parts = [pick(random, words.BRANDS, rows), " ", pick(random, words.LOOKS, rows), " ", self._nouns(random, rows)]
        more = [
            " ",
            self._nouns(random, rows),
            " with ",
            self._nouns(random, rows),
            " ",
            pick(random, words.SIZES, rows),
        ]
        return join(*parts, *more)

    def _tails(self, random: np.random.Generator, rows: int) -> pa.Array:
        form = pa.array(random.integers(0, len(words.TAILS), rows))
        before, between, behind = (pa.array(part).take(form) for part in zip(*words.TAILS, strict=True))
        return join(before, self._nouns(random, rows), between, self._nouns(random, rows), behind)

    def _asked(self, random: np.random.Generator, start: int, stop: int) -> tuple[pa.Array, pa.Array]:
        """Return the relation asked for, as MIND writes it, and the words that state it or another one."""
        names = list(relations())
        spelled = pa.array(["propertOf" if name == "propertyOf" else name for name in names])
        stated = pa.array([(relations()[name].prefixes or ("they both are about",))[0] + " " for name in names])
        asked = np.arange(start, stop) % len(names)
        otherwise = pick(random, words.OTHERWISE, stop - start)
        prefixes = pc.if_else(pa.array(random.random(stop - start) < 0.5), stated.take(pa.array(asked)), otherwise)
        return spelled.take(pa.array(asked)), prefixes

    def _texts(
        self, random: np.random.Generator, prefixes: pa.Array, tails: pa.Array, title_a: pa.Array, title_b: pa.Array
    ) -> pa.Array:
        rows = len(tails)
        intention = (pick(random, words.OPENINGS, rows), prefixes, tails, pick(random, words.ELABORATIONS, rows))
        products = (". The ", title_a, pick(random, self.clauses, rows), "while the ", title_b)
        texts = join(*intention, *products, pick(random, self.endings, rows))
        refused = pa.array(random.random(rows) < 0.002)
        return pc.if_else(refused, pick(random, words.REFUSALS, rows), texts)

    def _agreements(self, random: np.random.Generator, rows: int) -> pa.Array:
        yes = pa.array(random.random(rows) < 0.44)
        long = join(
            pc.if_else(yes, pick(random, words.YES, rows), pick(random, words.NO, rows)),
            pick(random, self.reasons, rows),
        )
        bare = pa.array(random.random(rows) < 0.04)
        return pc.if_else(bare, pc.if_else(yes, "Yes", "No"), long)

    def _nouns(self, random: np.random.Generator, rows: int) -> pa.Array:
        return self.nouns.take(pa.array(zipf(random, rows, len(self.nouns), 60)))

    def _filled(
        self, random: np.random.Generator, sentences: tuple[str, ...], rows: int, many: int, length: int
    ) -> pa.Array:
        """Return texts of ``many`` of ``sentences`` each, a noun put in, cut off at ``length`` characters."""
        texts: list[pa.Array | str] = []
        for _ in range(many):
            sentence = pa.array(random.integers(0, len(sentences), rows))
            before, behind = (
                pa.array(part).take(sentence) for part in zip(*(s.split("{}") for s in sentences), strict=True)
            )
            texts += [before, self._nouns(random, rows), behind, " "]
        return pc.utf8_slice_codeunits(join(*texts[:-1]), 0, length)


def _asins(random: np.random.Generator, rows: int) -> pa.Array:
    """Return ``rows`` distinct ids of ten signs that look like ASINs."""
    step = 36**5 // rows
    numbers = np.arange(rows, dtype=np.int64) * step + random.integers(0, step, rows)
    signs = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", np.uint8)
    digits = np.stack([signs[numbers // 36**place % 36] for place in range(4, -1, -1)], axis=1)
    return join("BENCH", pa.array([bytes(d).decode() for d in random.permutation(digits)]))


def _pairs(random: np.random.Generator, size: Size) -> tuple[Ranks, Ranks]:
    """Return the two products of each co-buy: every product has one, popular products have many."""
    numbers = np.arange(size.products)
    first = np.concatenate([numbers, zipf(random, max(0, size.cobuys - size.products), size.products, 200)])
    first = random.permutation(first[: size.cobuys])
    second = zipf(random, size.cobuys, size.products, 200)
    keys = np.minimum(first, second) * size.products + np.maximum(first, second)
    sound = np.unique(keys[first != second])
    while len(sound) < size.cobuys:
        more = random.integers(0, size.products, (2, size.cobuys))
        more = more[:, more[0] != more[1]]
        added = np.setdiff1d(more.min(0) * size.products + more.max(0), sound)
        sound = np.concatenate([sound, random.permutation(added)[: size.cobuys - len(sound)]])
    return np.divmod(random.permutation(sound), size.products)


def write_isa(path: Path, size: Size, seed: int) -> None:
    """Write ``size.isa_rows`` lines concept TAB instance TAB count to ``path``, one in 20,000 of them broken."""
    with path.open("wb") as file:
        for lines in _isa_lines(size, seed):
            file.write(lines)


def _isa_lines(size: Size, seed: int) -> Iterator[memoryview | bytes]:
    labels = nouns()
    for start in range(0, size.isa_rows, _CHUNK_ISA):
        random = np.random.default_rng([seed, 3, start])
        rows = min(_CHUNK_ISA, size.isa_rows - start)
        concept, instance, count = _isa_ranks(random, rows, size)
        counts = pa.array(count).cast(pa.string())
        broken = random.random(rows) < 1 / 20_000
        if broken.any():
            counts = pc.if_else(pa.array(broken), pick(random, ("x", "", "-1", "3\tmore"), rows), counts)
        lines = join(_labels(labels, concept), "\t", _labels(labels, instance), "\t", counts, "\n")
        offsets = np.frombuffer(lines.buffers()[1], np.int32)
        yield memoryview(lines.buffers()[2])[offsets[0] : offsets[rows]]


def _isa_ranks(random: np.random.Generator, rows: int, size: Size) -> tuple[Ranks, Ranks, Ranks]:
    """Return concept, instance and count of each row.

    A sixth are of a hierarchy in which rank r is below r // 5 and r // 7, often counted; the others are noise, seldom
    counted, and of their two sides the more frequent one is the concept, but for the few that make Probase go round.
    """
    concept, instance = zipf(random, rows, size.concepts, 8), zipf(random, rows, size.instances, 700)
    sound = random.random(rows) < 1 / 6
    concept = np.where(sound, instance // pick_number(random, (5, 7, 25, 35, 49), rows), concept)
    turned = (instance < concept) & (random.random(rows) < 0.97)
    concept, instance = np.where(turned, instance, concept), np.where(turned, concept, instance)
    count = np.where(sound, zipf(random, rows, 10_000, 2), zipf(random, rows, 30, 0.15)) + 1
    return concept, instance + (instance == concept), count


def _labels(nouns: pa.Array, ranks: Ranks) -> pa.Array:
    """Return a label for each rank: a noun for the first ones, two nouns for the others."""
    first, more = ranks % len(nouns), ranks // len(nouns)
    tail = join(" ", nouns.take(pa.array((more * 7 + first) % len(nouns))))
    return join(nouns.take(pa.array(first)), pc.if_else(pa.array(more == 0), "", tail))
