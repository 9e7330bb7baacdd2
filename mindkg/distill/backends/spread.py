"""A backend on the workers of a Ray cluster: each has one of its own and writes its answers down itself."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Final

from mindkg.distill.backends.base import Backend, Outcome, open_backend
from mindkg.distill.ledger import Ledger
from mindkg.distill.requests import Answer, Request, RequestError

_ROUND: Final = 64
"""Requests of one group in flight at a time, for each request that a worker may have in flight."""


class SpreadBackend:
    """The backend ``address`` on ``workers`` workers, which append what they are told to the ledger in ``folder``.

    The folder must be one that all workers see. ``first`` is a backend in this process: it knows the model's name and
    whether log-probabilities come.
    """

    def __init__(
        self, first: Backend, address: str, folder: Path, *, workers: int, concurrency: int, options: Mapping[str, Any]
    ) -> None:
        self.model, self.revision = first.model, first.revision
        self._first = first
        self._round = workers * concurrency * _ROUND
        self._chunk = concurrency * _ROUND // 4
        self._asker = _asker(address, self.model, self.revision, str(folder), dict(options), workers)

    def logprobs(self) -> bool:
        """Return what the backend in this process says."""
        return self._first.logprobs()

    def answers(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Outcome]]:
        """Yield the requests round by round, as the workers have answered them; those of one group stay together."""
        from mindkg.engine import daft

        waiting = iter(requests)
        while some := list(islice(waiting, self._round)):
            sent = {request.key: request for request in some}
            rows = [pickle.dumps(chunk) for chunk in _chunks(some, self._chunk)]
            frame = daft.from_pydict({"requests": rows}).into_partitions(len(rows))
            told = frame.select(self._asker.ask(daft.col("requests")).alias("outcomes"))
            for row in told.iter_rows():
                for key, outcome in pickle.loads(row["outcomes"]):
                    yield sent.pop(key), outcome

    def close(self) -> None:
        """Close the backend in this process; the workers' own end with them."""
        self._first.close()


class WrittenLedger(Ledger):
    """A ledger whose answers workers write down themselves: what is appended here is there already."""

    def append(self, request: Request, outcome: Answer | RequestError, seconds: float | None = None) -> None:
        """Do nothing."""


def _chunks(requests: Sequence[Request], size: int) -> Iterator[list[Request]]:
    """Yield the requests in lists of at least ``size``, none cut in the middle of a group."""
    chunk: list[Request] = []
    for _, group in groupby(requests, key=lambda request: request.group):
        chunk += group
        if len(chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _asker(address: str, model: str, revision: str, folder: str, options: dict[str, Any], workers: int) -> Any:
    """Return the worker's side: a backend and a ledger that are opened once in each worker."""
    from mindkg.engine import daft

    @daft.cls(use_process=True, max_concurrency=workers)
    class Asker:
        def __init__(self) -> None:
            self._backend = open_backend(address, model, revision, **options)
            self._ledger = Ledger(Path(folder))

        @daft.method(return_dtype=daft.DataType.binary())
        def ask(self, requests: bytes) -> bytes:
            outcomes: list[tuple[str, Outcome]] = []
            for request, outcome in self._backend.answers(pickle.loads(requests)):
                if outcome is not None:
                    self._ledger.append(request, outcome)
                outcomes.append((request.key, outcome))
            return pickle.dumps(outcomes)

    return Asker()
