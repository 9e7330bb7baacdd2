"""How fast a server may be asked: the rate and the number of requests at once that work, found by its answers.

Three things are told apart. A *crowded* server (429, 503, a timeout) gets fewer requests: the rate falls to what it
answered lately, and grows again with each answer, fast until it comes near the rate that was too high and slowly after
that (additive increase, multiplicative decrease, as in TCP). A server that *fails at random* goes on answering, so a
request is sent again soon and the others go on. A server that has answered *nothing* since as many failures as there
are requests is down: one request at a time finds out, after growing pauses, whether it is back, and then all go on.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

LONGEST_PAUSE: Final = 15.0
"""Seconds between two attempts to find out whether a server is back, at most."""

_DECREASE: Final = 0.8
_NEAR: Final = 0.9
"""How near to the rate that was too high the rate grows slowly, below and above it."""

_FAST: Final = 1.1
_SLOW: Final = 1.003
"""Growth of the rate with each answer, far from the rate that was too high and near it."""

_LEAST_RATE: Final = 1 / 60
_RECENT: Final = 5.0
"""Seconds over which the rate of answers is measured."""

_LOOK: Final = 0.25
"""Seconds after which a request that waits for the server looks whether it is back."""

_SMOOTHING: Final = 0.05
_DOUBT: Final = 1e-3
"""The chance of so many failures in a row below which they are no accident: the server is down."""

_RARE: Final = 1e-6
"""The chance that one request fails as often as it is sent, on a server that fails at random.

n attempts that fail with the chance p all fail with p^n, so there are log(1e-6) / log(p) of them: 35 where two of three
fail, 20 where every other one does. Of 1,000 requests, one stays without an answer in a run of 1,000. (With 1e-3, at
most 18 attempts, it was one of 77 requests in every twentieth run.)
"""

_MOST_TIMES: Final = 8
"""How many times as often as asked for a request may fail, at most: 48 times with 6 retries."""


class Limiter:
    """Lets at most ``concurrency`` requests be at the server, and as many a second as it takes.

    All methods belong to one event loop. An attempt, in a block of ``request()``, is ``await enter()``, then one of
    ``answered``, ``crowded`` and ``failed``, then ``leave()``. While the server is ``down``, attempts are made one at a
    time.
    """

    def __init__(self, concurrency: int, backoff: float) -> None:
        self.rate = math.inf
        self.down = False
        self.silent_since: float | None = None
        self._most, self._backoff = concurrency, backoff
        self._window = float(concurrency)
        self._requests = self._active = self._silent = self._rounds = 0
        self._share = 0.0
        self._too_fast = math.inf
        self._last = self._resume = self._cut = 0.0
        self._gate = asyncio.Lock()
        self._answers: deque[float] = deque(maxlen=4096)
        self._waiting: deque[asyncio.Future[None]] = deque()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request, from before its first attempt until it is answered or given up."""
        self._requests += 1
        try:
            yield
        finally:
            self._requests -= 1

    async def enter(self, *, again: bool = False) -> float:
        """Wait until a request may be sent, one that is sent ``again`` before others, and return the time."""
        while not self._free():
            turn = asyncio.get_running_loop().create_future()
            (self._waiting.appendleft if again else self._waiting.append)(turn)
            await turn
        self._active += 1
        try:
            async with self._gate:
                while (pause := max(self._resume, self._last + 1 / self.rate) - time.monotonic()) > 0:
                    await asyncio.sleep(min(pause, _LOOK))
                self._last = time.monotonic()
        except BaseException:
            self.leave()
            raise
        return self._last

    def leave(self) -> None:
        """Make room for the next request."""
        self._active -= 1
        self._wake()

    def answered(self) -> None:
        """Take note of an answer: the server is up, and takes a little more."""
        now = time.monotonic()
        self._answers.append(now)
        # failures count when an answer follows: until then they may be those of one request that always fails
        kept = 1 - _SMOOTHING
        self._share = kept * (1 - (1 - self._share) * kept**self._silent)
        self.down, self._silent, self._rounds, self.silent_since, self._resume = False, 0, 0, None, 0.0
        self._window = min(self._most, self._window + 1 / self._window)
        near = _NEAR < self.rate / self._too_fast < 1 / _NEAR
        self.rate *= _SLOW if near else _FAST
        self._wake()

    def crowded(self, started: float, wait: float) -> None:
        """Take note that the server took no more of what was sent at ``started``; it asks for ``wait`` seconds.

        What was sent together counts once. The wait is that of one request; all wait where nothing is answered.
        """
        now = time.monotonic()
        if started >= self._cut and not self.down:
            rate = self._measured(now)
            self._too_fast = self.rate if math.isfinite(self.rate) else math.inf
            self.rate = max(_LEAST_RATE, min(rate, self.rate * _DECREASE))
            self._window = max(1.0, self._window * _DECREASE)
            self._cut = now
        self.failed(started, wait)

    def failed(self, started: float, wait: float = 0.0) -> None:
        """Take note of a failure that may pass."""
        now = time.monotonic()
        self._silent += 1
        self.silent_since = now if self.silent_since is None else self.silent_since
        self.down = self.down or self._silent >= max(min(self._most, self._requests), self._unlikely())
        if self.down and started >= self._resume:
            pause = min(LONGEST_PAUSE, self._backoff * 2 ** min(self._rounds, 16))
            self._rounds += 1
            self._resume = now + max(wait, pause * random.uniform(0.5, 1.0))

    def attempts(self, least: int) -> int:
        """Return how often a request may fail: ``least`` times, or more where many fail, up to 8 times as many."""
        if self._share <= _DOUBT:
            return least
        return min(max(least, self._unlikely(_RARE)), _MOST_TIMES * least)

    def _unlikely(self, chance: float = _DOUBT) -> int:
        """Return how many failures in a row have less than ``chance``, where such a share of all attempts fails."""
        share = min(max(self._share, _DOUBT), 0.99)
        return math.ceil(math.log(chance) / math.log(share))

    def _measured(self, now: float) -> float:
        """Return the answers in a second lately."""
        recent = [at for at in self._answers if at > now - _RECENT]
        return len(recent) / max(1.0, now - recent[0]) if recent else self.rate * _DECREASE

    def _free(self) -> bool:
        return self._active < (1 if self.down else int(self._window))

    def _wake(self) -> None:
        free = (1 if self.down else int(self._window)) - self._active
        while free > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1
