"""What a distillation would send: requests, what the ledger holds of them, and about how many tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from mindkg.distill.passes import Done, requests_each, run_pass, stages, with_rows
from mindkg.distill.plan import requests
from mindkg.distill.requests import Request
from mindkg.distill.rows import Rows, Tables
from mindkg.distill.settings import Pass, Settings
from mindkg.distill.shelf import shelf

if TYPE_CHECKING:
    from mindkg.distill.ledger import Ledger

CHARACTERS_A_TOKEN: Final = 4
PICTURE_TOKENS: Final = 576
"""Of the one picture of a request: LLaVA-1.5's 24 × 24 patches. Other models take more for large pictures."""

WRITTEN: Final[Mapping[str, int]] = {"features": 200, "intentions": 160, "filter-score": 1, "filter-paper": 80}
"""Tokens of a usual answer; an answer has ``max_tokens`` at most. 160 tokens are the 120 words that are asked for."""

_SAMPLE: Final = 1_000

SCHEMA: Final = pa.schema(
    [
        pa.field("pass", pa.string(), False, {"about": "features, intentions or filter"}),
        pa.field("requests", pa.int64(), False, {"about": "requests of the pass"}),
        pa.field("in_ledger", pa.int64(), False, {"about": "those that the ledger answers already"}),
        pa.field("to_send", pa.int64(), False, {"about": "requests to send; equal ones are sent once"}),
        pa.field("prompt_tokens", pa.int64(), False, {"about": "tokens to read, about"}),
        pa.field("completion_tokens", pa.int64(), False, {"about": "tokens to write, about"}),
        pa.field("exact", pa.bool_(), False, {"about": "false where the pass waits for one before it"}),
    ]
)
"""What ``dry_run`` returns: a row for each pass."""


@dataclass(frozen=True, slots=True)
class _Sum:
    """Requests, and the tokens to read for one of them."""

    requests: int
    in_ledger: int
    to_send: int
    each: float
    exact: bool


def dry_run(tables: Tables, settings: Settings, *, root: Path, ledger: Ledger, staging: Path) -> pa.Table:
    """Return what would be sent in each pass, in columns of ``SCHEMA``; nothing is sent.

    Tokens to read are characters / ``CHARACTERS_A_TOKEN``, and ``PICTURE_TOKENS`` where a request has pictures; those
    to write stand in ``WRITTEN``. A pass whose input is not there yet is counted from pairs × relations × samples, at
    the mean length of its first requests with answers of the usual length where they are to come. Requests that failed
    are sent again: what hangs on them is counted as if what waits for them will be asked, and the rest as it stands.
    """
    rows: list[dict[str, Any]] = []
    before: dict[Pass, _Sum] = {}
    ready = exact = True
    for stage in stages(settings):
        if ready:
            done = run_pass(stage, tables, settings, root=root, ledger=ledger, staging=staging, backend=None)
            before[stage] = _counted(done, to_come := _to_come(done, settings, before), exact)
            if to_come and not done.planned.rows:
                before[stage] = _estimated(stage, tables, settings, root, staging, before)
            tables, ready = with_rows(tables, done), not done.counts.missing
            exact = exact and not done.counts.failed
        else:
            before[stage] = _estimated(stage, tables, settings, root, staging, before)
        rows.append(_row(stage, settings, before[stage]))
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _row(stage: Pass, settings: Settings, told: _Sum) -> dict[str, Any]:
    kind = f"filter-{settings.filter_mode}" if stage == "filter" else stage
    counts = {name: value for name, value in asdict(told).items() if name != "each"}
    read, written = round(told.to_send * told.each), told.to_send * min(WRITTEN[kind], settings.max_tokens)
    return {"pass": stage, **counts, "prompt_tokens": read, "completion_tokens": written}


def _to_come(done: Done, settings: Settings, before: Mapping[Pass, _Sum]) -> int:
    """Return how many requests of a pass are not planned yet: they wait for answers that the pass before lacks."""
    stage = done.run.stage
    if stage == "filter":
        return before["intentions"].to_send if "intentions" in before else 0
    return done.counts.waiting * requests_each(stage, settings)


def _counted(done: Done, to_come: int, exact: bool) -> _Sum:
    """Return the sum of a pass that was planned as it will be sent, but for what is ``to_come``."""
    unsent, planned = done.unsent, done.planned
    each = _tokens(unsent.characters, unsent.pictured) / unsent.keys if unsent.keys else 0.0
    if not unsent.keys and planned.rows:
        each = _tokens(planned.characters, planned.pictured) / planned.rows
    return _Sum(planned.rows + to_come, done.counts.answered, unsent.keys + to_come, each, exact)


def _estimated(
    stage: Pass, tables: Tables, settings: Settings, root: Path, staging: Path, before: Mapping[Pass, _Sum]
) -> _Sum:
    """Return the sum of a pass that waits for another one, at the length of its first requests without features."""
    if stage == "filter" and "intentions" in before:
        asked = before["intentions"]
        each = asked.each + min(WRITTEN["intentions"], settings.max_tokens)
        return _Sum(asked.requests, 0, asked.requests, each, False)
    bare = {name: rows for name, rows in tables.items() if name != "waiting"} | {"features": Rows(())}
    with shelf(stage, bare, settings, staging) as filled:
        n = filled.askable() * requests_each(stage, settings)
        sizes = [_size(request) for request in islice(requests(filled, settings, root), _SAMPLE)]
    each = sum(sizes) / len(sizes) if sizes else 0.0
    if "features" in before:
        each += 2 * min(WRITTEN["features"], settings.max_tokens)
    return _Sum(n, 0, n, each, False)


def _size(request: Request) -> float:
    return _tokens(len(request.prompt.system) + len(request.prompt.text), bool(request.pictures))


def _tokens(characters: float, pictured: float) -> float:
    return characters / CHARACTERS_A_TOKEN + pictured * PICTURE_TOKENS
