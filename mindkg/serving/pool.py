"""The worker processes of the server: each answers one query at a time, and is killed and replaced to stop it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import Any, Final

from mindkg.errors import StoreError
from mindkg.terminal_text import printable

_PATIENCE: Final = 30.0
"""Seconds that a query waits for a worker at least: a new one takes a second or two to start."""


class QueryStoppedError(Exception):
    """A query took too long or its process ended; ``status`` is that of the HTTP answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Pool:
    """``size`` workers with ``options``; a query has ``timeout`` seconds once a worker is free."""

    def __init__(self, options: str, size: int, timeout: float) -> None:
        self._options, self._size, self._timeout = options, size, timeout
        self._idle: asyncio.Queue[asyncio.subprocess.Process] = asyncio.Queue()
        self._running: set[asyncio.subprocess.Process] = set()
        self._starting: set[asyncio.Task[None]] = set()
        self._closed = False

    async def start(self) -> None:
        """Start the workers; raises StoreError, one line, where they cannot read the store."""
        await asyncio.gather(*(self._add() for _ in range(self._size)))

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return a worker's reply; raises QueryStoppedError. Where the caller is cancelled the query stops at once."""
        try:
            async with asyncio.timeout(max(self._timeout, _PATIENCE)):
                worker = await self._idle.get()
        except TimeoutError:
            raise QueryStoppedError(503, "Other queries take all the time of this server") from None
        whole = False
        try:
            async with asyncio.timeout(self._timeout):
                reply = await _exchange(worker, request)
            whole = True
        except TimeoutError:
            reason = f"The query was stopped after {self._timeout:g} seconds. Ask for less, or start the server with a "
            raise QueryStoppedError(504, reason + "longer --timeout") from None
        except (OSError, ValueError):
            reason = "The query ended its process: it needs too much memory, or is nested too deeply"
            raise QueryStoppedError(400, reason) from None
        finally:
            if whole:
                self._idle.put_nowait(worker)
            else:
                self._replace(worker)
        return reply

    async def close(self) -> None:
        """Kill every worker and wait until it has ended."""
        self._closed = True
        for task in list(self._starting):
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        for worker in list(self._running):
            _kill(worker)
        for worker in list(self._running):
            await worker.wait()

    def _replace(self, worker: asyncio.subprocess.Process) -> None:
        _kill(worker)
        task = asyncio.create_task(self._restart(worker))
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _restart(self, worker: asyncio.subprocess.Process) -> None:
        await worker.wait()
        self._running.discard(worker)
        pause = 0.1
        while not self._closed:
            try:
                await self._add()
            except (StoreError, OSError) as error:
                sys.stderr.write(printable(f"mindkg: {error}") + "\n")
                await asyncio.sleep(pause)
                pause = min(pause * 2, 10.0)
            else:
                return

    async def _add(self) -> None:
        command = [sys.executable, "-m", "mindkg.serving.worker", self._options]
        pipe = asyncio.subprocess.PIPE
        worker = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, start_new_session=True)
        self._running.add(worker)
        try:
            assert worker.stdout is not None
            said = json.loads(await worker.stdout.readline() or '{"error": "a worker ended at its start"}')
            if "error" in said:
                raise StoreError(said["error"])
        except BaseException:
            _kill(worker)
            raise
        self._idle.put_nowait(worker)


async def _exchange(worker: asyncio.subprocess.Process, request: dict[str, Any]) -> dict[str, Any]:
    """Send ``request`` and return the reply; raises OSError or ValueError where the worker has ended."""
    assert worker.stdin is not None and worker.stdout is not None
    worker.stdin.write(json.dumps(request).encode() + b"\n")
    await worker.stdin.drain()
    reply: dict[str, Any] = json.loads(await worker.stdout.readline())
    return reply


def _kill(worker: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        worker.kill()
