"""Amazon Review files of 2014, 2018 and 2023 → products and co-buys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from mindkg.sources import Sourced, expand
from mindkg.sources.amazon.settings import LISTS, MAX_BASKET, WINDOW, Settings

__all__ = ["LISTS", "MAX_BASKET", "VERSION", "WINDOW", "read_amazon"]

VERSION: Final = 4
"""Raised when the same files would give other tables than before."""


def read_amazon(
    metadata: Sequence[str | Path],
    *,
    reviews: Sequence[str | Path] = (),
    staging: Path,
    lists: Sequence[str] = LISTS,
    window: int = WINDOW,
    min_support: int = 1,
    max_basket: int = MAX_BASKET,
    keep_unknown: bool = False,
    category: str | None = None,
    per_category: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    encoding: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Sourced:
    """Read Amazon ``metadata`` and ``reviews`` (paths or globs) into the tables products and co-buys, and rejects.

    ``staging`` is an empty folder for temporary files, which the tables are read from: delete it after them.
    ``lists`` are the metadata's lists whose entries are bought together with their product. Products that one person
    reviewed at most ``window`` days apart are co-buys too, with the number of such persons as support; of a person
    who reviewed more than ``max_basket`` products those reviewed first count. Pairs with less support than
    ``min_support`` are left out. ``keep_unknown`` makes products without a title of those that only lists or
    reviews name. ``category`` keeps the products whose path has that name, ``per_category`` so many of each broadest
    category, ``limit`` so many in all, drawn by ``seed``. ``encoding`` is that of all the
    files, found from their content where None. ``progress`` is called with the number of rows read since
    the last call. ``notes`` of the result says what became of list entries and reviews (docs/ingest.md). Raises
    InputError for a file that is missing or of another kind and for an option out of range; what is wrong inside a
    file becomes a reject.
    """
    from mindkg.sources.amazon.reading import read_files

    settings = Settings(
        tuple(dict.fromkeys(lists)),
        window,
        min_support,
        max_basket,
        keep_unknown,
        category,
        per_category,
        limit,
        seed,
        encoding,
    )
    return read_files(expand(metadata), expand(reviews), Path(staging), settings, progress or (lambda rows: None))
