"""Running one task in a process of its own: wall time, processor time, and the peak memory of it and its children."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

_EVERY: Final = 0.05
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Done:
    """What a task says of itself: rows done, the seconds they took, and what else the table shows."""

    rows: int
    seconds: float
    note: str = ""


@dataclass(frozen=True)
class Measured:
    """What a task did and cost; ``error`` says why there is nothing to show.

    ``seconds`` is the task's own time without starting Python, ``cpu`` all processor time in user mode, ``peak`` the
    largest sum of resident bytes of the process and its children (memory that they share counts twice).
    """

    rows: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    peak: int = 0
    note: str = ""
    error: str = ""

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds if self.seconds else 0.0


def timed(work: Callable[[], int]) -> Done:
    """Return what ``work``, which gives its rows, took."""
    started = time.perf_counter()
    rows = work()
    return Done(rows, time.perf_counter() - started)


def run(task: str, *, timeout: float | None = None, env: dict[str, str] | None = None, **arguments: Any) -> Measured:
    """Run ``task`` of ``benchmarks.tasks`` with ``arguments`` (plain JSON values) in a new process and measure it."""
    command = [sys.executable, "-m", "benchmarks.tasks", task, json.dumps(arguments, default=str)]
    process = subprocess.Popen(
        command,
        cwd=Path(__file__).parents[1],
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    watch = _Watch(process.pid)
    before = os.times().children_user
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        # the session holds the workers of the task too
        os.killpg(process.pid, 9)
        process.communicate()
        return Measured(seconds=timeout or 0.0, peak=watch.stop(), error=f"more than {timeout:.0f} s")
    peak, cpu = watch.stop(), os.times().children_user - before
    if process.returncode:
        last = (err.strip() or f"exit {process.returncode}").splitlines()[-1]
        return Measured(peak=peak, cpu=cpu, error=last)
    return Measured(**json.loads(out.splitlines()[-1]), cpu=cpu, peak=peak)


def answer(done: Done) -> None:
    """Tell the measuring process what was done."""
    print(json.dumps(asdict(done)), flush=True)


class _Watch:
    """Samples the memory of a process and its children until it is stopped."""

    def __init__(self, pid: int) -> None:
        self._pid, self._peak, self._over = pid, 0, threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._over.wait(_EVERY):
            self._peak = max(self._peak, tree_rss(self._pid))

    def stop(self) -> int:
        self._over.set()
        self._thread.join()
        return self._peak


def tree_rss(pid: int) -> int:
    """Return the resident bytes of a process and all its children; 0 where the system has no /proc."""
    total, waiting = 0, [pid]
    while waiting:
        place = Path(f"/proc/{waiting.pop()}")
        try:
            total += int((place / "statm").read_text().split()[1]) * _PAGE
            for children in place.glob("task/*/children"):
                waiting += map(int, children.read_text().split())
        except (OSError, ValueError, IndexError):
            continue
    return total
