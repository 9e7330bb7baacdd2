"""What a pass gave: its plan joined with what the ledger says, as the rows and rejects of the KB's tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from mindkg.distill.answered import JOINED, STAGE, TABLE, TOLD, answer_rows, passing, reject_rows
from mindkg.distill.ledger import REPLACED, Ledger
from mindkg.distill.planned import SCHEMA, Planned
from mindkg.distill.runs import Run
from mindkg.distill.settings import Pass, Settings
from mindkg.distill.shelf import Shelf
from mindkg.errors import ConservationError
from mindkg.parquet import writer
from mindkg.schema import TABLES

_LACKS: Final = {
    "features": "title and picture",
    "intentions": "title of a product",
    "filter": "title of a product, or text",
}
_ROWS: Final = 1 << 13

WAITING: Final = pa.schema([("product_id", pa.string())])
"""The products whose features failed for a reason that may pass."""


@dataclass(frozen=True)
class Counts:
    """Where the requests of a pass went, how many subjects had none, and how many of those wait for features."""

    planned: int
    answered: int
    failed: int
    missing: int
    unasked: int
    waiting: int


@dataclass(frozen=True)
class Settled:
    """The Parquet files that a pass wrote, when its first and last answer came, and its counts.

    ``replaced`` answers hold U+FFFD in place of bytes that are not UTF-8.
    """

    rows: Path
    rejects: Path
    waiting: Path
    times: tuple[str | None, str | None]
    counts: Counts
    replaced: int


def settle(run: Run, settings: Settings, planned: Planned, shelf: Shelf, ledger: Ledger, folder: Path) -> Settled:
    """Write what the ledger says of a plan; a request whose key another one has gets its own row.

    Raises ConservationError where requests are lost.
    """
    rows, rejects, later = (folder / f"{run.stage}.{what}.parquet" for what in ("rows", "rejects", "waiting"))
    answered = failed = replaced = 0
    times: set[str] = set()
    with (
        writer(rows, TABLES[TABLE[run.stage]]) as kept,
        writer(rejects, TABLES["rejects"]) as refused,
        writer(later, WAITING) as waiting,
    ):
        for part in _joined(run.stage, shelf, ledger):
            has_text = pc.is_valid(part["text"])
            good, bad = part.filter(has_text), part.filter(pc.invert(has_text))
            kept.write_table(answer_rows(run, settings, good))
            refused.write_table(reject_rows(run.stage, bad))
            waiting.write_table(bad.filter(passing(bad)).select(WAITING.names))
            answered, failed = answered + len(good), failed + len(bad)
            replaced += pc.sum(pc.match_substring(good["text"], REPLACED)).as_py() or 0
            times |= {time for time in pc.min_max(part["answered"]).as_py().values() if time}
            times = {min(times), max(times)} if times else times
        unasked = waits = 0
        for part, number in _unasked(run.stage, shelf):
            refused.write_table(part)
            unasked, waits = unasked + len(part), waits + number
    counts = Counts(planned.rows, answered, failed, shelf.missing(), unasked, waits)
    _check(run.stage, counts)
    return Settled(rows, rejects, later, (min(times, default=None), max(times, default=None)), counts, replaced)


def _check(stage: Pass, counts: Counts) -> None:
    if counts.planned != counts.answered + counts.failed + counts.missing:
        message = (
            f"{counts.planned} planned, {counts.answered} answered, {counts.failed} failed, {counts.missing} missing"
        )
        hint = "This is a defect of mindkg: please report it"
        raise ConservationError(f"the pass lost requests: {stage}: {message}", hint=hint)


def _joined(stage: Pass, shelf: Shelf, ledger: Ledger) -> Iterator[pa.Table]:
    """Yield the planned requests that the ledger has a record of, in columns of ``JOINED``, a part at a time."""
    shelf.index("planned", "key")
    for records in ledger.records():
        told = records.filter(pc.equal(records["stage"], stage))
        if not len(told):
            continue
        keys = told["key"].to_pylist()
        failed = pc.is_valid(told["error"]).to_pylist()
        shelf.insert("told", "key, failed, place", zip(keys, failed, range(len(keys)), strict=True))
        found = shelf.matched(keys[0], keys[-1])
        while rows := found.fetchmany(_ROWS):
            places, *columns = zip(*rows, strict=True)
            asked = [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
            said = told.take(pa.array(places)).select(TOLD)
            yield pa.table([*asked, *said.columns], JOINED.names).cast(JOINED)


def _unasked(stage: Pass, shelf: Shelf) -> Iterator[tuple[pa.Table, int]]:
    """Yield rejects for what was not asked about, and how many of them only wait for features."""
    found = shelf.unasked()
    while rows := list(islice(found, _ROWS)):
        ids, waits = zip(*rows, strict=True)
        columns: dict[str, Any] = {
            "stage": pa.repeat(pa.scalar(STAGE), len(ids)),
            "record": ids,
            "reason": ["request_failed" if wait else "missing_field" for wait in waits],
            "detail": ["features of a product: they come first" if wait else _LACKS[stage] for wait in waits],
            "text": pa.nulls(len(ids), pa.string()),
        }
        yield pa.table(columns, schema=TABLES["rejects"]), sum(waits)
