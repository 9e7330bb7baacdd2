"""One load at a time into a graph of a server; a loader that crashed blocks nobody for long.

A loader leaves a claim beside the graph: its token, who it is, and a number, the beat, which it raises every two
seconds. Another loader that finds the claim watches the beat: it is refused once the beat changes, and takes the claim
over once it has not changed for fifteen looks, or at once where the process is known to be gone. No clock is compared.
"""

from __future__ import annotations

import os
import platform
import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from mindkg.errors import MindKGError, StoreError
from mindkg.stores.base import Progress, is_alive

_BEAT: Final = 2.0
"""Seconds between two beats."""

_LOOK: Final = 1.0
"""Seconds between two looks at the claim of another loader."""

_SILENT: Final = 15
"""Looks without a change of the beat after which a loader is taken for crashed."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who loads: ``token`` is unique (machine, process and a random part), ``holder`` is for people to read."""

    token: str
    holder: str
    beat: int


class Board(Protocol):
    """Where the claim on one graph stands: in the database of its server."""

    address: str

    def take(self, claim: Claim, instead: Claim | None) -> Claim:
        """Write ``claim`` where none stands, or only ``instead``, unchanged; return the claim that stands then."""
        ...

    def beat(self, claim: Claim) -> None:
        """Raise the beat of ``claim``; nothing happens where it does not stand any more."""
        ...

    def release(self, claim: Claim) -> None:
        """Remove ``claim``; nothing happens where it does not stand any more."""
        ...


@contextmanager
def load_lock(board: Board, progress: Progress) -> Iterator[Claim]:
    """Hold the claim on the graph of ``board`` during the block, and yield it.

    Raises StoreError, which names the other loader, where another one is at work. A loader that stood still can lose
    its claim, so each write has to make sure that it still stands.
    """
    claim = Claim(f"{_machine()}-{os.getpid()}-{uuid.uuid4().hex}", _holder(), 0)
    _acquire(board, claim, progress)
    ended = threading.Event()
    beating = threading.Thread(target=_keep_beating, args=(board, claim, ended), daemon=True)
    beating.start()
    try:
        yield claim
    finally:
        ended.set()
        beating.join()
        with suppress(MindKGError):  # the claim of a process that is gone is taken over
            board.release(claim)


def lost(address: str) -> StoreError:
    """Return the error of a loader whose claim does not stand any more."""
    message = "This load stood still, and another one has taken its place"
    return StoreError(message, record=address, hint="Wait until that one ends, then run this one again")


def _acquire(board: Board, claim: Claim, progress: Progress) -> None:
    seen: Claim | None = None
    looks = 0
    while True:
        gone = seen is not None and (_is_gone(seen) or looks >= _SILENT)
        found = board.take(claim, seen if gone else None)
        if found.token == claim.token:
            return
        if seen is not None and found.token == seen.token and found.beat != seen.beat:
            message = f"Another load writes into this graph: {found.holder}"
            raise StoreError(message, record=board.address, hint="Wait until it ends, then run this one again")
        if seen is None or found.token != seen.token:
            looks = 0
            if not _is_gone(found):
                progress(f"looking whether another load is still at work: {found.holder}")
        looks += 1
        seen = found
        if not _is_gone(found):
            time.sleep(_LOOK * random.uniform(0.5, 1.5))  # two that meet do not meet again


def _keep_beating(board: Board, claim: Claim, ended: threading.Event) -> None:
    while not ended.wait(_BEAT):
        with suppress(MindKGError):  # a server that is away is waited for by the load itself
            board.beat(claim)


def _holder() -> str:
    begun = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"process {os.getpid()} on {platform.node() or 'a machine without a name'}, begun {begun}"


def _machine() -> str:
    """Return what distinguishes the processes that this one can see from those of other machines and containers."""
    parts = [platform.node()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return uuid.uuid5(uuid.NAMESPACE_OID, "\n".join(parts)).hex


def _is_gone(claim: Claim) -> bool:
    """Return whether ``claim`` is one of a process of this machine that runs no more."""
    machine, _, rest = claim.token.partition("-")
    process = rest.partition("-")[0]
    return machine == _machine() and process.isdigit() and not is_alive(int(process))
