"""What is to be asked for, the pictures that are missing in groups of one host each, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.engine import daft
from mindkg.images import log as records

INLINE: Final = "data:"
"""The group of data: URLs."""

_HOST: Final = r"^(?i:https?)://(?:[^/?#@]*@)?(?P<host>[^/?#:]*|\[[^\]]*\])"
col = daft.col


@dataclass(slots=True)
class Group:
    """The pictures of one host (``""``: local files and what is no URL), each with its name in the log."""

    host: str
    size: int
    pictures: Iterator[tuple[str, str]]
    failures: int = 0
    given_up: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The pictures that are missing, each once, and how many there are of all kinds.

    ``products`` have a picture, of which ``pictures`` are different; those of ``inline`` are read one after another,
    before any of ``groups`` is asked for.
    """

    products: int
    pictures: int
    missing: int
    inline: Group
    groups: list[Group]

    @property
    def left(self) -> int:
        """How many pictures were not asked for; it is read once, when all is over."""
        return sum(sum(1 for _ in group.pictures) for group in (self.inline, *self.groups))


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one call did: ``pictures`` = ``known`` + ``ok`` + ``failed`` + ``left``, each URL or path once.

    ``products`` have a picture; ``known`` pictures were settled before; ``again`` of the failed ones are asked for
    again by the next call, as are those ``left`` at the hosts of ``given_up``, which says why. The ``ok`` ones have
    so many ``bytes``.
    """

    products: int
    pictures: int
    known: int
    ok: int
    failed: int
    again: int
    left: int
    bytes: int
    given_up: dict[str, str]


def plan(products: daft.DataFrame, known: pa.Table, root: Path, rules: Sequence[str]) -> Plan:
    """Return what is to be asked for where the log ``known`` is what is known, under the options in ``rules``."""
    named = records.named(products)
    wanted = named.groupby("name").agg(col("image").count().alias("n")).to_arrow()
    settled = records.settled(known, root, rules)
    missing = wanted["name"].filter(pc.invert(pc.is_in(wanted["name"], settled)))
    inline, groups = _inline(named, missing), _groups(missing, known["name"])
    return Plan(pc.sum(wanted["n"]).as_py() or 0, len(wanted), len(missing), inline, groups)


def _inline(named: daft.DataFrame, missing: pa.ChunkedArray) -> Group:
    """Return the data: URLs that are missing; their texts are read a batch at a time."""
    waiting = set(missing.filter(pc.starts_with(missing, INLINE)).to_pylist())

    def pictures() -> Iterator[tuple[str, str]]:
        if waiting:
            for batch in named.where(col("name").startswith(INLINE)).select("name", "image").to_arrow_iter():
                for name, image in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    if name in waiting:
                        waiting.remove(name)
                        yield name, image

    return Group(INLINE, len(waiting), pictures())


def _groups(missing: pa.ChunkedArray, asked_before: pa.ChunkedArray) -> list[Group]:
    """Return the pictures of each host, those that failed before behind the new ones."""
    urls = missing.filter(pc.invert(pc.starts_with(missing, INLINE)))
    table = pa.table({"url": urls, "before": pc.is_in(urls, asked_before)})
    urls = table.sort_by([("before", "ascending"), ("url", "ascending")])["url"].combine_chunks()
    hosts = pc.utf8_lower(pc.fill_null(pc.struct_field(pc.extract_regex(urls, _HOST), "host"), ""))
    if not len(urls):
        return []
    codes = hosts.dictionary_encode()
    order = np.argsort(codes.indices.to_numpy(), kind="stable")
    ends = np.cumsum(np.bincount(codes.indices.to_numpy(), minlength=len(codes.dictionary)))
    parts = zip(codes.dictionary.to_pylist(), np.split(order, ends[:-1]), strict=True)
    return [Group(host, len(part), _each(urls.take(pa.array(part)))) for host, part in parts]


def _each(urls: pa.Array) -> Iterator[tuple[str, str]]:
    return ((url, url) for url in (value.as_py() for value in urls))
