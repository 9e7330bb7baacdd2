"""Fetching: what is missing is asked for, host by host, and each outcome is written as it comes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mindkg.engine import daft, processes
from mindkg.errors import ConservationError
from mindkg.images import log as records
from mindkg.images.files import read_data_url, read_file
from mindkg.images.picture import TEMPORARY, Picture, PictureError, examine, store
from mindkg.images.plan import INLINE, Fetched, Group, plan
from mindkg.images.web import LONGEST_WAIT, Manners, Web
from mindkg.journal import Journal

_SCHEME: Final = r"^[A-Za-z][A-Za-z0-9+.-]+:"
_LANES: Final = 4
"""Lanes for each picture in flight: those that wait before they try again hold no one else up."""

_GIVE_UP: Final = 8
"""Pictures of one host in a row that failed for now, until the host is left alone for this call."""


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

    async def all(self, groups: Sequence[Group]) -> None:
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

    async def _work(self, lanes: Iterator[Group]) -> None:
        for group in lanes:
            while not group.given_up and (picture := next(group.pictures, None)):
                await self._one(group, *picture)

    async def _one(self, group: Group, name: str, image: str) -> None:
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

    async def _bytes(self, group: Group, image: str) -> bytes:
        most, loop = self.job.manners.max_bytes, asyncio.get_running_loop()
        if group.host == INLINE:
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
        planned = plan(products, log.scan(), job.root, job.rules)
        job.progress(planned.pictures - planned.missing)
        counts = _run(_fetch(job, log, [planned.inline], planned.groups))
        log.compact()
    fetched = Fetched(
        products=planned.products,
        pictures=planned.pictures,
        known=planned.pictures - planned.missing,
        ok=counts.ok,
        failed=counts.failed,
        again=counts.again,
        left=planned.left,
        bytes=counts.bytes,
        given_up={group.host: group.given_up for group in planned.groups if group.given_up},
    )
    if fetched.pictures != fetched.known + fetched.ok + fetched.failed + fetched.left:
        hint = "This is a defect of mindkg: please report it"
        raise ConservationError(f"stage images lost pictures: {fetched}", record=str(job.root), hint=hint)
    return fetched


async def _fetch(job: Job, log: Journal, *steps: Sequence[Group]) -> _Counts:
    """Ask for the groups of one step after those of another, so that data: URLs are not read beside the network."""
    with ThreadPoolExecutor(processes(), "pictures") as threads:
        async with Web(job.manners) as web:
            running = _Fetch(job, log, web, threads)
            for groups in steps:
                await running.all(groups)
    return running.counts


def _judge(group: Group, error: PictureError) -> None:
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
