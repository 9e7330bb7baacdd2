"""Where the server listens, and what one query, one request and all connections may take."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final

HOST: Final = "127.0.0.1"
PORT: Final = 7878
"""Where it listens unless another port is given: nobody but this machine reaches it."""

NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""What the header Host may say: a page of another site cannot reach the server under a name of its own."""

MAX_BODY: Final = 1 << 18
"""Bytes of a request's body."""

MAX_HEAD: Final = 1 << 16
"""Bytes of a request's first line and headers, and so of a query in its address."""

MAX_ACTIVE: Final = 256
"""Requests that are answered or wait for a worker; further ones are answered 503."""

MAX_IDLE: Final = 128
"""Connections that are open without a whole request; for a further one the oldest is closed."""

IDLE_SECONDS: Final = 10.0
"""How long a connection may stay so, and how long a client may take to read a part of its answer."""


def _workers() -> int:
    return max(2, min(8, os.cpu_count() or 1))


@dataclass(frozen=True, slots=True)
class Limits:
    """What a query may take: seconds, rows (or triples) and bytes of its answer; and how many run at a time."""

    timeout: float = 60.0
    max_rows: int = 1_000_000
    max_bytes: int = 1 << 28
    memory: int = 1 << 32
    """Bytes that a worker process may allocate."""

    workers: int = field(default_factory=_workers)
