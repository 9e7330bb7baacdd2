"""Entries of lists and reviews to co-buys: ids as places in the sorted ids, pairs in buckets, support added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.errors import ConservationError
from mindkg.identity import keys
from mindkg.sources.amazon.baskets import REVIEW, Pairs, pair_key, pairs_of
from mindkg.sources.amazon.buckets import COUNT, Buckets
from mindkg.sources.amazon.settings import Settings
from mindkg.sources.amazon.staged import Reading, gathered

_SAID: Final = np.dtype([("pair", np.uint64), ("said", np.uint8)])
_BOUGHT: Final = np.dtype([("pair", np.uint64), ("buyers", np.int64)])
_ENTRY: Final = r"^[^\s<>\"']{1,64}$"
_REVIEWS: Final = 1 << 7
"""The bit of a pair's sources that stands for reviews; the lower ones stand for the lists."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Universe:
    """The products that co-buys may name.

    ``ids`` are sorted; ``known`` says of which metadata tell, ``wanted`` which were not sampled away, shape (ids,).
    """

    ids: pa.StringArray
    known: Mask
    wanted: Mask

    def places(self, ids: pa.ChunkedArray) -> npt.NDArray[np.int64]:
        """Return the place of each of ``ids``, -1 where it is none of them, shape (rows,)."""
        return np.asarray(pc.fill_null(pc.index_in(ids, value_set=self.ids), -1)).astype(np.int64)


def count_cobuys(
    reading: Reading, settings: Settings, universe: Universe, double: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Stage the co-buys that the staged entries (but for those of ``double`` rows) and reviews say.

    Returns the places of the products that they name, sorted.
    """
    folder = reading.staging.folder
    said, bought = Buckets(folder / "said", _SAID), Buckets(folder / "bought", _BOUGHT)
    _spread_entries(reading, universe, double, said)
    _spread_pairs(reading, settings, universe, bought)
    named = np.zeros(len(universe.ids), bool)
    entries = 0
    for number in range(COUNT):
        listed, pairs = said.read(number), bought.read(number)
        entries += len(listed)
        _stage(reading, settings, universe, listed, pairs, named)
    _check(reading, entries)
    return np.flatnonzero(named)


def is_entry(ids: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return which of ``ids`` can be a product's id, and are not rests of a web page, shape (rows,)."""
    return pc.match_substring_regex(ids, _ENTRY)


def _spread_entries(reading: Reading, universe: Universe, double: npt.NDArray[np.int64], said: Buckets) -> None:
    notes = reading.notes
    for table in gathered(reading.staging.scan("entries")):
        if len(double):
            table = table.filter(pa.array(~np.isin(table["place"].to_numpy(), double)))
        notes["list_entries"] += len(table)
        table = table.filter(is_entry(table["other"]))
        notes["list_entries_without_id"] -= len(table)
        one, other = universe.places(table["product"]), universe.places(table["other"])
        kinds = table["list"].to_numpy()
        itself = np.asarray(pc.equal(table["product"], table["other"]))
        unknown = ~itself & (other < 0)
        away = ~itself & ~unknown
        away[away] = ~(universe.wanted[one[away]] & universe.wanted[other[away]])
        for name, mask in (("of_itself", itself), ("of_unknown_products", unknown), ("of_products_sampled_away", away)):
            notes[f"list_entries_{name}"] += int(mask.sum())
        used = ~(itself | unknown | away)
        one, other = one[used], other[used]
        rows = np.empty(len(one), _SAID)
        rows["pair"] = pair_key(np.minimum(one, other), np.maximum(one, other))
        rows["said"] = kinds[used] * 2 + (one > other)
        said.add(rows["pair"], rows)
    notes["list_entries_without_id"] += notes["list_entries"]


def _spread_pairs(reading: Reading, settings: Settings, universe: Universe, bought: Buckets) -> None:
    """Number the products of the staged reviews, take each person's together, and spread the pairs."""
    persons = Buckets(reading.staging.folder / "persons", REVIEW)
    for table in gathered(reading.staging.scan("reviews")):
        places = universe.places(table["product"])
        known = places >= 0
        reading.notes["reviews_of_unknown_products"] += int((~known).sum())
        rows = np.empty(int(known.sum()), REVIEW)
        rows["person"] = table["person"].to_numpy()[known]
        rows["product"] = places[known]
        rows["day"] = table["day"].to_numpy()[known]
        persons.add(rows["person"], rows)
    for reviews in persons:
        wanted = universe.wanted
        for pairs, buyers in pairs_of(reviews, settings.window, settings.max_basket, wanted, reading.notes):
            rows = np.empty(len(pairs), _BOUGHT)
            rows["pair"], rows["buyers"] = pairs, buyers
            bought.add(pairs, rows)


def _stage(
    reading: Reading,
    settings: Settings,
    universe: Universe,
    said: npt.NDArray[np.void],
    bought: npt.NDArray[np.void],
    named: Mask,
) -> None:
    """Stage the co-buys of one bucket, and note the products that they name."""
    said = said[np.lexsort((said["said"], said["pair"]))]
    different = np.ones(len(said), bool)
    different[1:] = (said["pair"][1:] != said["pair"][:-1]) | (said["said"][1:] != said["said"][:-1])
    reading.notes["list_entries_repeated"] += int((~different).sum())
    said = said[different]
    pairs: Pairs = np.concatenate((said["pair"], bought["pair"]))
    if not len(pairs):
        return
    support = np.concatenate((np.ones(len(said), np.int64), bought["buyers"]))
    bits = np.concatenate((np.left_shift(1, said["said"] >> 1), np.full(len(bought), _REVIEWS)))
    order = np.argsort(pairs, kind="stable")
    pairs = pairs[order]
    starts = np.flatnonzero(np.insert(pairs[1:] != pairs[:-1], 0, True))
    support, bits = np.add.reduceat(support[order], starts), np.bitwise_or.reduceat(bits[order], starts)
    enough = support >= settings.min_support
    reading.notes["pairs_below_min_support"] += int((~enough).sum())
    reading.notes["pairs"] += int(enough.sum())
    pairs = pairs[starts][enough]
    a, b = (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)
    named[a] = named[b] = True
    first, second = universe.ids.take(pa.array(a)), universe.ids.take(pa.array(b))
    table = {
        "cobuy_id": keys([first, second]),
        "product_a": first,
        "product_b": second,
        "support": support[enough],
        "source": _sources(bits[enough], settings.lists),
    }
    reading.staging.write("cobuys", pa.table(table))


def _sources(bits: npt.NDArray[np.int64], lists: Sequence[str]) -> pa.Array:
    """Return the names of what says each pair, sorted, with commas between them, shape (pairs,)."""
    names = {1 << number: f"amazon-{name}" for number, name in enumerate(lists)} | {_REVIEWS: "amazon-reviews"}
    values, places = np.unique(bits, return_inverse=True)
    told = [",".join(sorted(name for bit, name in names.items() if value & bit)) for value in values.tolist()]
    return pa.array(told, pa.string()).take(pa.array(places))


def _check(reading: Reading, used: int) -> None:
    """Raise ConservationError unless each entry of a list is used or counted as something else."""
    counted = ("without_id", "of_itself", "of_unknown_products", "of_products_sampled_away")
    elsewhere = sum(reading.notes[f"list_entries_{name}"] for name in counted)
    if reading.notes["list_entries"] != used + elsewhere:
        raise ConservationError(f"amazon: {reading.notes['list_entries']} entries, {used} used, {elsewhere} not")
