"""Each product's first picture: fetched politely, checked, stored by its content (docs/images.md)."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mindkg.errors import InputError, UsageError
from mindkg.images.plan import Fetched
from mindkg.images.tables import Pictured

if TYPE_CHECKING:
    from mindkg.engine import daft

__all__ = ["VERSION", "Fetched", "Pictured", "count_pictures", "digest", "fetch_images", "image_tables"]

VERSION: Final = 1
"""Raised when the same products and the same log would give other tables than before."""


def fetch_images(
    products: daft.DataFrame,
    root: Path,
    *,
    concurrency: int = 16,
    per_host: int = 4,
    max_bytes: int = 10_000_000,
    max_pixels: int = 40_000_000,
    timeout: float = 30.0,
    retries: int = 4,
    allow_private: bool = False,
    base: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Fetched:
    """Fetch the pictures of ``products`` that the KB at ``root`` lacks, and return what was done.

    Pictures are stored below ``root/images`` by the hash of their bytes, outcomes in a log beside them, one by one: a
    call that was killed or stopped is gone on with by the next. Settled are pictures that are stored, and those that
    failed for good; others are asked for, each URL once. At most ``concurrency`` pictures are in flight,
    ``per_host`` of one host. A picture has at most ``max_bytes`` bytes and ``max_pixels`` pixels; one try takes at
    most ``timeout`` seconds, and ``retries`` more follow where that may help. Only public addresses are asked unless
    ``allow_private``. Paths are relative to ``base``, by default the current folder. ``progress`` is called with the
    number of pictures settled since the call before. Raises InputError for a limit that allows nothing, StorageError
    where pictures cannot be written.
    """
    from mindkg.images.fetch import Job, fetch
    from mindkg.images.web import Manners

    limits = {"concurrency": concurrency, "per_host": per_host, "max_bytes": max_bytes, "max_pixels": max_pixels}
    for name, value in limits.items():
        if value < 1:
            raise UsageError(f"{name} cannot be {value}", hint="It is at least 1")
    if not 0 < timeout < inf or retries < 0:
        raise UsageError(f"timeout cannot be {timeout:g} and retries {retries}", hint="They are over 0 and at least 0")
    manners = Manners(concurrency, per_host, timeout, retries, max_bytes, allow_private)
    folder = Path.cwd() if base is None else Path(base).absolute()
    if not folder.is_dir():
        raise InputError("there is no such folder of pictures", record=str(base))
    job = Job(Path(root).absolute(), folder, manners, max_pixels, progress or (lambda pictures: None))
    return fetch(products, job)


def count_pictures(products: daft.DataFrame) -> int:
    """Return how many different pictures ``products`` have: what ``progress`` of a whole fetch adds up to."""
    from mindkg.images.log import named

    return named(products).select("name").distinct().count_rows()


def image_tables(products: daft.DataFrame, root: Path, staging: Path) -> Pictured:
    """Return the tables ``images`` and ``rejects`` of ``products``, as the KB at ``root`` knows their pictures now.

    A product without a picture has no row, nor has one whose picture was not asked for yet. ``staging`` is an empty
    folder for temporary Parquet, which the tables are read from: delete it after them.
    """
    from mindkg.images.log import open_log
    from mindkg.images.tables import tables_of

    return tables_of(products, open_log(Path(root)).scan(), Path(staging))


def digest(root: Path) -> str:
    """Return the hash of all that the KB at ``root`` knows of pictures; it is only looked up after a whole fetch."""
    from mindkg.images.log import open_log

    return open_log(Path(root)).digest()
