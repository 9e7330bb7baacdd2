"""A backend on the workers of a Ray cluster: each has one of its own and writes its answers down itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from mindkg.distill.backends.base import Backend, Outcome, Probed, open_backend
from mindkg.distill.ledger import Ledger
from mindkg.distill.requests import MAX_ANSWER, Answer, Request, RequestError, Sampling
from mindkg.errors import InputError, MindKGError

_CHUNK: Final = 16
"""Requests that a worker takes at a time, for each that it may have in flight."""

_AHEAD: Final = 2
"""Chunks for each worker, the one that it asks among them: none waits for the next one."""

_DEATHS: Final = 20
"""Chunks that may come back from dead workers in a pass: a machine that goes away is no reason to stop."""


class SpreadBackend:
    """The backend ``address`` on ``workers`` workers, which append what they are told to the ledger in ``folder``.

    All workers must see the folder and the pictures. ``first`` is a backend in this process: it knows the model's name
    and whether log-probabilities come. By default there is a worker for each machine, or GPU if the model is local.
    """

    def __init__(
        self,
        first: Backend,
        address: str,
        folder: Path,
        *,
        workers: int | None = None,
        concurrency: int,
        options: Mapping[str, Any],
        max_answer: int = MAX_ANSWER,
    ) -> None:
        self.model, self.revision = first.model, first.revision
        self._first = first
        self._folder = folder
        self._number, self._gpus = _hands(workers, address, options)
        self._chunk = concurrency * _CHUNK
        self._max_answer = max_answer
        # what a server was found to need and to refuse, so that each worker need not find out
        found = {name: getattr(first, name, None) for name in ("extra", "parameters")}
        options = {**options, **{name: value for name, value in found.items() if value}}
        self._opens = (address, self.model, self.revision, options, folder, max_answer)
        self._workers: list[Any] = []

    def probe(self, sampling: Sampling) -> Probed:
        """Return what the backend in this process finds out."""
        return self._first.probe(sampling)

    def answers(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Outcome]]:
        """Yield the requests chunk by chunk, as the workers have answered them; those of one group stay together.

        When a worker dies, another one asks what the ledger is missing of its chunks; what it holds comes from there.
        Raises MindKGError when too many die.
        """
        chunks, again, deaths = _chunks(requests, self._chunk), deque[list[Request]](), 0
        asked: dict[Any, tuple[Any, list[Request]]] = {}
        try:
            while True:
                while len(asked) < _AHEAD * self._number and (chunk := again.popleft() if again else next(chunks, [])):
                    worker = self._least_busy([worker for worker, _ in asked.values()])
                    asked[worker.ask.remote(chunk)] = worker, chunk
                if not asked:
                    return
                told, worker, chunk = _first_done(asked)
                if told is None:
                    deaths += 1
                    told = self._known(worker, chunk, deaths)
                    again += [left] if (left := [request for request in chunk if request.key not in told]) else []
                yield from ((request, told[request.key]) for request in chunk if request.key in told)
        except BaseException:  # what is being asked is given up
            self._stop()
            raise

    def close(self) -> None:
        """Close the backend in this process, and end the workers with theirs."""
        self._stop()
        self._first.close()

    def _least_busy(self, busy: Sequence[Any]) -> Any:
        """Return the worker with the fewest chunks; those that lack are started."""
        import ray

        while len(self._workers) < self._number:
            kind = ray.remote(num_cpus=0, num_gpus=self._gpus, scheduling_strategy="SPREAD")(_Asker)
            self._workers.append(kind.remote(*self._opens))
        return min(self._workers, key=busy.count)

    def _known(self, worker: Any, chunk: Sequence[Request], deaths: int) -> dict[str, Outcome]:
        """Return what a dead worker has written down of a chunk; its place is free for another one."""
        if deaths > _DEATHS:
            hint = "What was answered is kept: run it again when the cause is gone; `ray logs` may tell it"
            raise MindKGError(f"workers of the cluster died {deaths} times", hint=hint)
        if worker in self._workers:
            self._workers.remove(worker)
        with Ledger(self._folder, self._max_answer) as ledger:
            missing = {request.key for request in ledger.missing(chunk)}
            return {**ledger.outcomes(request for request in chunk if request.key not in missing)}

    def _stop(self) -> None:
        import ray

        while self._workers:
            ray.kill(self._workers.pop())


class WrittenLedger(Ledger):
    """A ledger whose answers workers write down themselves: what is appended here is there already."""

    def append(self, request: Request, outcome: Answer | RequestError, seconds: float | None = None) -> None:
        """Do nothing."""


class _Asker:
    """A worker's side: a backend and a ledger, opened when the first chunk comes, so that an error is the chunk's."""

    def __init__(
        self, address: str, model: str, revision: str, options: Mapping[str, Any], folder: Path, max_answer: int
    ) -> None:
        self._opens = (address, model, revision)
        self._options = options
        self._folder = folder
        self._backend: Backend | None = None
        self._ledger = Ledger(folder, max_answer)

    def ask(self, requests: Sequence[Request]) -> dict[str, Outcome]:
        """Return what came back for each key; it is in the ledger then."""
        if not self._folder.parent.is_dir():
            hint = "Put the KB, or its --work-dir, where all machines of the cluster see it under the same path"
            raise InputError("a worker does not see the KB", record=str(self._folder.parent), hint=hint)
        if self._backend is None:
            self._backend = open_backend(*self._opens, **self._options)
        told: dict[str, Outcome] = {}
        for request, outcome in self._backend.answers(requests):
            if outcome is not None:
                self._ledger.append(request, outcome)
            told[request.key] = outcome and self._ledger.kept(outcome)
        return told


def _hands(workers: int | None, address: str, options: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many workers there are, and how many GPUs each has for itself."""
    import ray

    from mindkg.engine import nodes

    local = address.startswith("local:") and options.get("device") != "cpu"
    gpus = int(ray.cluster_resources().get("GPU", 0)) if local else 0  # type: ignore[no-untyped-call]
    if gpus and workers and workers > gpus:
        raise InputError(f"{workers} workers with a local model need as many GPUs, the cluster has {gpus}")
    return workers or gpus or nodes(), 1 if gpus else 0


def _first_done(asked: dict[Any, tuple[Any, list[Request]]]) -> tuple[dict[str, Outcome] | None, Any, list[Request]]:
    """Take out the first chunk that is done; return what was told (None: the worker died), the worker and the chunk."""
    import ray

    (done,), _ = ray.wait(list(asked), num_returns=1)
    worker, chunk = asked.pop(done)
    try:
        return ray.get(done), worker, chunk
    except ray.exceptions.RayActorError:
        return None, worker, chunk
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None


def _chunks(requests: Iterable[Request], size: int) -> Iterator[list[Request]]:
    """Yield the requests in lists of at least ``size``, none cut in the middle of a group."""
    chunk: list[Request] = []
    for _, group in groupby(requests, key=lambda request: request.group):
        chunk += group
        if len(chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
