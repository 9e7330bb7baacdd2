"""Which products are wanted: of one category, so many of each, so many in all, drawn by a hash of their ids."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.errors import InputError
from mindkg.identity import keys
from mindkg.sources.amazon.settings import Settings
from mindkg.sources.text import clean


def wanted_products(ids: pa.Array, categories: pa.Array, settings: Settings) -> npt.NDArray[np.bool_]:
    """Return which products are wanted, shape (ids,); ``categories`` are their paths, lists of names.

    Products stand in the order of the hash of seed and id, so that it depends on no other product whether one stands
    before another: a smaller sample is part of a larger one with the same seed. Raises InputError where no product has
    the category.
    """
    wanted = np.ones(len(ids), bool)
    if settings.category is not None:
        wanted &= _of_category(categories, settings.category)
    order = pc.sort_indices(keys([pa.repeat(pa.scalar(str(settings.seed)), len(ids)), ids])).to_numpy()
    if settings.per_category is not None:
        _first_of_each(wanted, order, _broadest(categories), settings.per_category)
    if settings.limit is not None:
        _first_of_each(wanted, order, np.zeros(len(ids), np.int64), settings.limit)
    return wanted


def _first_of_each(
    wanted: npt.NDArray[np.bool_], order: npt.NDArray[np.int64], groups: npt.NDArray[np.int64], most: int
) -> None:
    """Leave wanted only the first ``most`` of each group, in ``order``."""
    candidates = order[wanted[order]]
    candidates = candidates[np.argsort(groups[candidates], kind="stable")]
    if not len(candidates):
        return
    found = groups[candidates]
    starts = np.flatnonzero(np.insert(found[1:] != found[:-1], 0, True))
    rank = np.arange(len(found)) - np.repeat(starts, np.diff(np.append(starts, len(found))))
    wanted[candidates[rank >= most]] = False


def _of_category(categories: pa.Array, name: str) -> npt.NDArray[np.bool_]:
    names = pc.utf8_lower(pc.list_flatten(categories))
    owners = pc.list_parent_indices(categories).to_numpy()
    found = np.zeros(len(categories), bool)
    found[owners[np.asarray(pc.equal(names, clean(name).lower()))]] = True
    if not found.any():
        common = Counter(path[0] for path in categories.to_pylist() if path).most_common(5)
        hint = f"The most frequent ones are {', '.join(name for name, _ in common)}" if common else None
        raise InputError(f"no product has the category {name!r}", hint=hint)
    return found


def _broadest(categories: pa.Array) -> npt.NDArray[np.int64]:
    """Return a number for the first name of each path, -1 for an empty one, shape (products,)."""
    filled = pc.greater(pc.list_value_length(categories), 0)
    first = pc.list_element(pc.if_else(filled, categories, pa.scalar([""], categories.type)), 0)
    return np.where(filled, first.dictionary_encode().indices.to_numpy(), -1)
