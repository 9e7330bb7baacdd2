"""The requests of a pass as they are drawn: what each asked about goes to the shelf, by its key."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import pyarrow as pa

from mindkg.distill.requests import Request
from mindkg.distill.shelf import Shelf

SCHEMA: Final = pa.schema(
    [
        ("key", pa.string()),
        ("product_id", pa.string()),
        ("cobuy_id", pa.string()),
        ("relation", pa.string()),
        ("generation_id", pa.string()),
        ("sample", pa.int64()),
        ("pictures", pa.int64()),
        ("characters", pa.int64()),
    ]
)
"""``pictures`` is how many the request carries, ``characters`` how long its words are."""

_ROWS: Final = 10_000
_OFTEN: Final = 0.1


class Planned:
    """A plan that writes down what is drawn from it; ``requests`` is read once.

    Then ``rows`` requests are on the shelf, a key may stand there twice; ``characters`` is how long their words are in
    all, ``pictured`` how many have a picture. ``progress`` is told how many requests were drawn since it was told
    before, ten times a second.
    """

    def __init__(self, requests: Iterable[Request], shelf: Shelf, progress: Callable[[int], None]) -> None:
        self.rows = self.characters = self.pictured = 0
        self._shelf = shelf
        self._requests = requests
        self._progress = progress

    def requests(self) -> Iterator[Request]:
        """Yield the requests; those that were drawn are on the shelf when the last one is, or when this is closed."""
        waiting: list[tuple[Any, ...]] = []
        told, last = 0, time.monotonic()
        try:
            for request in self._requests:
                waiting.append(self._row(request))
                if len(waiting) == _ROWS:
                    self._write(waiting)
                self.rows += 1
                yield request
                if time.monotonic() - last > _OFTEN:
                    self._progress(self.rows - told)
                    told, last = self.rows, time.monotonic()
        finally:
            self._write(waiting)
        self._progress(self.rows - told)

    def _row(self, request: Request) -> tuple[Any, ...]:
        subject, prompt = request.subject, request.prompt
        characters = len(prompt.system) + len(prompt.text)
        self.characters += characters
        self.pictured += bool(request.pictures)
        named = (subject.product_id, subject.cobuy_id, subject.relation, subject.generation_id, subject.sample)
        return (request.key, *named, len(request.pictures), characters)

    def _write(self, rows: list[tuple[Any, ...]]) -> None:
        self._shelf.insert("planned", ", ".join(SCHEMA.names), rows)
        rows.clear()
