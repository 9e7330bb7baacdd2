"""Fetching: what is missing is asked for, host by host, and each outcome is written as it comes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.engine import daft, processes
from mindkg.errors import ConservationError
from mindkg.images import log as records
from mindkg.images.files import read_data_url, read_file
from mindkg.images.picture import TEMPORARY, Picture, PictureError, examine, store
from mindkg.images.web import LONGEST_WAIT, Manners, Web
from mindkg.journal import Journal

_HOST: Final = r"^(?i:https?)://(?:[^/?#@]*@)?(?P<host>[^/?#:]*|\[[^\]]*\])"
_SCHEME: Final = r"^[A-Za-z][A-Za-z0-9+.-]+:"
_LANES: Final = 4
"""Lanes for each picture in flight: those that wait before they try again hold no one else up."""

_GIVE_UP: Final = 8
"""Pictures of one host in a row that failed for now, until the host is left alone for this call."""

_INLINE: Final = "data:"
col = daft.col


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one call did: ``pictures`` = ``known`` + ``ok`` + ``failed`` + ``left``, each URL or path once.

    ``products`` have a picture; ``known`` pictures were settled before; ``again`` of the failed ones are asked for
    again by the next call, as are those ``left`` at the hosts of ``given_up``, which says why; ``bytes`` came.
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


@dataclass(slots=True)
class _Group:
    """The pictures of one host (``""``: local files and what is no URL), each with its name in the log."""

    host: str
    size: int
    pictures: Iterator[tuple[str, str]]
    failures: int = 0
    given_up: str = ""


@dataclass(slots=True)
class _Counts:
    ok: int = 0
    failed: int = 0
    again: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """Where pictures come from and go to, and what is too much."""

    root: Path
    base: Path
    manners: Manners
    max_pixels: int
    progress: Callable[[int], None]

    @property
    def rules(self) -> tuple[str, ...]:
        """The options that refuse pictures, as failures name them."""
        manners = self.manners
        limits = {"max_bytes": manners.max_bytes, "max_pixels": self.max_pixels, "allow_private": manners.allow_private}
        return tuple(f"{name}={value}" for name, value in limits.items())


@dataclass(slots=True)
class _Fetch:
    """One running fetch."""

    job: Job
    log: Journal
    web: Web
    threads: ThreadPoolExecutor
    counts: _Counts = field(default_factory=_Counts)

    async def all(self, groups: Sequence[_Group]) -> None:
        """Ask for the pictures of all groups, the largest first, at most so many of one host at once."""
        at_once = self.job.manners.per_host
        largest = sorted(groups, key=lambda group: -group.size)
        lanes = iter([group for group in largest for _ in range(min(at_once, group.size))])
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(_LANES * self.job.manners.concurrency):
                    tasks.create_task(self._work(lanes))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _work(self, lanes: Iterator[_Group]) -> None:
        for group in lanes:
            while not group.given_up and (picture := next(group.pictures, None)):
                await self._one(group, *picture)

    async def _one(self, group: _Group, name: str, image: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            data = await self._bytes(group, image)
            picture = await loop.run_in_executor(self.threads, self._keep, data)
        except PictureError as error:
            self.log.append(records.failed(name, error))
            self.counts.failed += 1
            self.counts.again += error.retryable
            _judge(group, error)
        else:
            self.log.append(records.found(name, picture))
            self.counts.ok += 1
            self.counts.bytes += picture.size
            group.failures = 0
        self.job.progress(1)

    async def _bytes(self, group: _Group, image: str) -> bytes:
        most, loop = self.job.manners.max_bytes, asyncio.get_running_loop()
        if group.host == _INLINE:
            return read_data_url(image, max_bytes=most)
        if re.match(_SCHEME, image):
            return await self.web.read(image)
        return await loop.run_in_executor(self.threads, lambda: read_file(image, self.job.base, max_bytes=most))

    def _keep(self, data: bytes) -> Picture:
        picture = examine(data, max_pixels=self.job.max_pixels)
        store(data, picture, self.job.root)
        return picture


def fetch(products: daft.DataFrame, job: Job) -> Fetched:
    """Fetch what is missing and return what was done; it may be ended at any moment and called again."""
    for leftover in job.root.glob(f"images/*/{TEMPORARY}*"):
        leftover.unlink(missing_ok=True)
    with records.open_log(job.root) as log:
        named = records.named(products)
        wanted = named.groupby("name").agg(col("image").count().alias("n")).to_arrow()
        known = log.scan()
        missing = wanted["name"].filter(
            pc.invert(pc.is_in(wanted["name"], records.settled(known, job.root, job.rules)))
        )
        job.progress(len(wanted) - len(missing))
        inline, groups = _inline(named, missing), _groups(missing, known["name"])
        counts = _run(_fetch(job, log, [inline], groups))
        log.compact()
    fetched = Fetched(
        products=pc.sum(wanted["n"]).as_py() or 0,
        pictures=len(wanted),
        known=len(wanted) - len(missing),
        ok=counts.ok,
        failed=counts.failed,
        again=counts.again,
        left=sum(len(list(group.pictures)) for group in groups),
        bytes=counts.bytes,
        given_up={group.host: group.given_up for group in groups if group.given_up},
    )
    if fetched.pictures != fetched.known + fetched.ok + fetched.failed + fetched.left:
        hint = "This is a defect of mindkg: please report it"
        raise ConservationError(f"stage images lost pictures: {fetched}", record=str(job.root), hint=hint)
    return fetched


async def _fetch(job: Job, log: Journal, *steps: Sequence[_Group]) -> _Counts:
    """Ask for the groups of one step after those of another, so that data: URLs are not read beside the network."""
    with ThreadPoolExecutor(processes(), "pictures") as threads:
        async with Web(job.manners) as web:
            running = _Fetch(job, log, web, threads)
            for groups in steps:
                await running.all(groups)
    return running.counts


def _inline(named: daft.DataFrame, missing: pa.ChunkedArray) -> _Group:
    """Return the data: URLs that are missing; their texts are read a batch at a time."""
    waiting = set(missing.filter(pc.starts_with(missing, _INLINE)).to_pylist())

    def pictures() -> Iterator[tuple[str, str]]:
        if waiting:
            for batch in named.where(col("name").startswith(_INLINE)).select("name", "image").to_arrow_iter():
                for name, image in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    if name in waiting:
                        waiting.remove(name)
                        yield name, image

    return _Group(_INLINE, len(waiting), pictures())


def _groups(missing: pa.ChunkedArray, asked_before: pa.ChunkedArray) -> list[_Group]:
    """Return the pictures of each host, those that failed before behind the new ones."""
    urls = missing.filter(pc.invert(pc.starts_with(missing, _INLINE)))
    table = pa.table({"url": urls, "before": pc.is_in(urls, asked_before)})
    urls = table.sort_by([("before", "ascending"), ("url", "ascending")])["url"].combine_chunks()
    hosts = pc.utf8_lower(pc.fill_null(pc.struct_field(pc.extract_regex(urls, _HOST), "host"), ""))
    if not len(urls):
        return []
    codes = hosts.dictionary_encode()
    order = np.argsort(codes.indices.to_numpy(), kind="stable")
    ends = np.cumsum(np.bincount(codes.indices.to_numpy(), minlength=len(codes.dictionary)))
    parts = zip(codes.dictionary.to_pylist(), np.split(order, ends[:-1]), strict=True)
    return [_Group(host, len(part), _each(urls.take(pa.array(part)))) for host, part in parts]


def _each(urls: pa.Array) -> Iterator[tuple[str, str]]:
    return ((url, url) for url in (value.as_py() for value in urls))


def _judge(group: _Group, error: PictureError) -> None:
    """Give a host up that wants to be left alone, or that failed too often in a row."""
    group.failures = group.failures + 1 if error.retryable else 0
    if group.host and (error.wait > LONGEST_WAIT or group.failures >= _GIVE_UP):
        group.given_up = str(error)


def _run(fetching: Coroutine[object, object, _Counts]) -> _Counts:
    """Run it to its end, in a thread of its own where this thread has a running loop, as a notebook's has."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(fetching)
    tasks: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[object] | None]] = []

    async def watched() -> _Counts:
        tasks.append((asyncio.get_running_loop(), asyncio.current_task()))
        return await fetching

    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(asyncio.run, watched())
        try:
            return future.result()
        except KeyboardInterrupt:
            for loop, task in tasks:
                loop.call_soon_threadsafe(task.cancel) if task else None
            raise
