"""What one person reviewed to pairs of products: each basket cut, days compared, buyers counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

REVIEW: Final = np.dtype([("person", np.uint64), ("product", np.int32), ("day", np.int32)])
"""A review: ``product`` is the product's place among the sorted ids."""
SLICE: Final = 1 << 17
"""Reviews whose pairs are in memory at once (those of the last person may be more)."""

Reviews = npt.NDArray[np.void]
Pairs = npt.NDArray[np.uint64]


def pairs_of(
    reviews: Reviews, window: int, max_basket: int, wanted: npt.NDArray[np.bool_], notes: Counter[str]
) -> Iterator[tuple[Pairs, npt.NDArray[np.int64]]]:
    """Yield pairs of ``wanted`` products (the smaller place in the upper half) and how many persons bought both.

    ``reviews`` are all those of some persons. Both products of a pair were reviewed at most ``window`` days apart. Of a
    person with more than ``max_basket`` products those count that were reviewed first, of one day by their ids. A pair
    may come in several of the parts.
    """
    rows = reviews[np.lexsort((reviews["day"], reviews["product"], reviews["person"]))]
    rows = rows[_changes(rows["person"]) | _changes(rows["product"]) | _changes(rows["day"])]
    first = _changes(rows["person"]) | _changes(rows["product"])
    notes["reviews_repeated"] += len(reviews) - int(first.sum())
    rows = _cut(rows, first, max_basket, notes)
    rows = rows[wanted[rows["product"]]]
    rows = rows[np.lexsort((rows["product"], rows["day"], rows["person"]))]
    starts = np.flatnonzero(_changes(rows["person"]))
    while len(rows):
        end = starts[np.searchsorted(starts, SLICE)] if starts[-1] >= SLICE else len(rows)
        yield np.unique(_window(rows[:end], window), return_counts=True)
        rows, starts = rows[end:], starts[starts >= end] - end


def _changes(values: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """Return where a value differs from the one before, shape (values,); the first one does."""
    changed = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=changed[1:])
    return changed


def _cut(rows: Reviews, first: npt.NDArray[np.bool_], most: int, notes: Counter[str]) -> Reviews:
    """Return ``rows`` (sorted by person, product, day) without products beyond the first ``most`` of a person.

    ``first`` says where a product of a person starts.
    """
    firsts = rows[first]
    products = len(firsts)
    order = np.lexsort((firsts["product"], firsts["day"], firsts["person"]))
    starts = np.flatnonzero(_changes(firsts["person"][order]))
    sizes = np.diff(np.append(starts, products))
    rank = np.empty(products, np.int64)
    rank[order] = np.arange(products) - np.repeat(starts, sizes)
    notes["reviewers"] += len(starts)
    notes["baskets_cut"] += int((sizes > most).sum())
    notes["basket_products_cut"] += int((rank >= most).sum())
    return rows[(rank < most)[np.cumsum(first) - 1]] if len(rows) else rows


def _window(rows: Reviews, window: int) -> Pairs:
    """Return each pair once for each person who reviewed both within ``window`` days.

    ``rows`` are sorted by person, day, product.
    """
    person, product, day = (np.ascontiguousarray(rows[name]) for name in ("person", "product", "day"))
    numbers = np.cumsum(_changes(person), dtype=np.int64)
    found, owners = [], []
    left = np.arange(len(rows))
    step = 0
    while len(left):
        step += 1
        left = left[left + step < len(rows)]
        right = left + step
        # days only grow, so who has no partner at this distance has none further on
        near = (numbers[left] == numbers[right]) & (day[right] - day[left] <= window)
        left = left[near]
        right = right[near]
        a, b = product[left], product[right]
        other = a != b
        found.append(pair_key(np.minimum(a, b)[other], np.maximum(a, b)[other]))
        owners.append(numbers[left][other])
    pairs, buyers = np.concatenate(found or [np.empty(0, np.uint64)]), np.concatenate(owners or [np.empty(0, int)])
    order = np.lexsort((pairs, buyers))
    pairs, buyers = pairs[order], buyers[order]
    return pairs[_changes(pairs) | _changes(buyers)]


def pair_key(a: npt.NDArray[np.integer], b: npt.NDArray[np.integer]) -> Pairs:
    """Return pairs of places as one number each, ``a`` in the upper half.

    >>> pair_key(np.array([1]), np.array([2])).tolist()
    [4294967298]
    """
    return np.asarray(a, np.uint64) << np.uint64(32) | np.asarray(b, np.uint64)
