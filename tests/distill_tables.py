"""Small tables to distil, and a model that answers from memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image

from mindkg.distill.backends.base import Outcome, Probed
from mindkg.distill.requests import Answer, Request, Sampling
from mindkg.engine import daft, from_arrow
from mindkg.identity import cobuy_key
from mindkg.schema import TABLES
from mindkg.storage import file_sha256

TITLES = {
    "P1": "Blue tent for two persons",
    "P2": "Sleeping bag, 200 cm",
    "P3": "Head torch with red light",
    "P4": None,
    "P5": "Never bought with another",
}
PAIRS = (("P1", "P2"), ("P2", "P3"), ("P1", "P4"))


def table(name: str, rows: Sequence[Mapping[str, Any]]) -> daft.DataFrame:
    """Return a table of the schema, columns that a row lacks null."""
    return from_arrow(pa.Table.from_pylist([dict(row) for row in rows], schema=TABLES[name]))


def kb_tables(folder: Path, **more: Sequence[Mapping[str, Any]]) -> dict[str, daft.DataFrame]:
    """Return the tables of three pairs; the pictures of P1 and P3 go to ``folder``, and ``more`` replaces rows."""
    images = []
    for number, (product, colour) in enumerate((("P1", (0, 0, 200)), ("P3", (200, 0, 0)))):
        path = folder / f"{product}.jpg"
        Image.new("RGB", (40 + number * 20, 30), colour).save(path)
        images.append(
            {"product_id": product, "url": "x", "path": path.name, "sha256": file_sha256(path), "status": "ok"}
        )
    images.append({"product_id": "P2", "url": "x", "status": "failed", "reason": "not_found"})
    rows: dict[str, Sequence[Mapping[str, Any]]] = {
        "products": [{"product_id": p, "title": t, "category": [], "source": "t"} for p, t in TITLES.items()],
        "cobuys": [
            {"cobuy_id": cobuy_key(a, b), "product_a": a, "product_b": b, "support": 1, "source": "t"} for a, b in PAIRS
        ],
        "images": images,
        "features": [],
        "generations": [],
        "verdicts": [],
        **more,
    }
    return {name: table(name, found) for name, found in rows.items()}


class Fake:
    """A model in memory: ``answer`` gives the outcome of a request, and ``sent`` remembers which were sent."""

    revision = ""

    def __init__(self, answer: Callable[[Request], Outcome] | None = None, model: str = "m") -> None:
        self.model = model
        self.sent: list[Request] = []
        self._answer = answer or usual

    def probe(self, sampling: Sampling) -> Probed:
        return Probed(True)

    def answers(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Outcome]]:
        for request in requests:
            self.sent.append(request)
            yield request, self._answer(request)

    def close(self) -> None:
        return


def usual(request: Request) -> Outcome:
    """Answer each request plainly; the filter's token is a yes of 0.8 and a no of 0.1."""
    subject = request.subject
    if request.stage == "features":
        return Answer(f"features of {subject.product_id}", "stop")
    if request.stage == "intentions":
        return Answer(f"{subject.relation} {subject.sample} of {subject.cobuy_id}", "stop")
    if request.sampling.logprobs:
        return Answer("Yes", "length", first=(("Yes", -0.2231435513142097), (" no", -2.302585092994046)))
    return Answer("No. They have nothing in common.", "stop")
