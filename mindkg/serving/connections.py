"""Connections without a whole request do not stay: they are closed after a while, and sooner where they are many."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from mindkg.serving.limits import IDLE_SECONDS, MAX_IDLE


class Connection(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with limits on connections that have not sent a whole request yet.

    uvicorn limits only how long a connection is idle after an answer.
    """

    waiting: ClassVar[OrderedDict[Connection, asyncio.TimerHandle]] = OrderedDict()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, in place of the connection that has waited longest where there are many."""
        super().connection_made(transport)
        self._wait()
        if len(self.waiting) > MAX_IDLE:
            next(iter(self.waiting))._abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._go_on()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take ``data``, and stop waiting once a request is whole."""
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._go_on()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        if not self.transport.is_closing() and self.conn.their_state is h11.IDLE:
            self._wait()

    def _wait(self) -> None:
        self._go_on()
        self.waiting[self] = self.loop.call_later(IDLE_SECONDS, self._abort)

    def _go_on(self) -> None:
        timer: Any = self.waiting.pop(self, None)
        if timer is not None:
            timer.cancel()

    def _abort(self) -> None:
        self._go_on()
        self.transport.abort()
