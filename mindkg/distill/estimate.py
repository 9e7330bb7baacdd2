"""What a distillation would send: requests, what the ledger holds of them, and about how many tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from mindkg.distill.passes import Done, requests_each, run_pass, stages, with_rows
from mindkg.distill.plan import Tables, requests, subjects
from mindkg.distill.requests import Request
from mindkg.distill.settings import Pass, Settings

if TYPE_CHECKING:
    import daft

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
    the mean length of its first requests with answers of the usual length where they are to come.
    """
    rows: list[dict[str, Any]] = []
    before: dict[Pass, _Sum] = {}
    ready = True
    for stage in stages(settings):
        if ready:
            done = run_pass(stage, tables, settings, root=root, ledger=ledger, staging=staging, backend=None)
            before[stage] = _counted(done, ledger)
            tables, ready = with_rows(tables, done), not (done.counts.missing or done.counts.failed)
        else:
            first = _first(stage, tables, settings, root, staging)
            before[stage] = _estimated(stage, tables, settings, first, before)
        rows.append(_row(stage, settings, before[stage]))
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _row(stage: Pass, settings: Settings, told: _Sum) -> dict[str, Any]:
    kind = f"filter-{settings.filter_mode}" if stage == "filter" else stage
    counts = {name: value for name, value in asdict(told).items() if name != "each"}
    read, written = round(told.to_send * told.each), told.to_send * min(WRITTEN[kind], settings.max_tokens)
    return {"pass": stage, **counts, "prompt_tokens": read, "completion_tokens": written}


def _counted(done: Done, ledger: Ledger) -> _Sum:
    from mindkg.engine import daft

    col = daft.col
    asked = done.planned.frame()
    known = ledger.answers().where(col("error").is_null()).select("key")
    unanswered = asked.join(known, on="key", how="anti")
    once = unanswered.groupby("key").agg(col("characters").max(), col("pictures").max())
    size = col("characters") / CHARACTERS_A_TOKEN + (col("pictures") > daft.lit(0)).cast(daft.DataType.int64()) * (
        PICTURE_TOKENS
    )
    sums = once.select(size.alias("size")).agg(col("size").sum(), col("size").count().alias("n")).to_pydict()
    mean = asked.select(size.alias("size")).agg(col("size").mean()).to_pydict()["size"][0] or 0.0
    n = sums["n"][0]
    each = (sums["size"][0] or 0.0) / n if n else mean
    return _Sum(done.counts.planned, done.counts.answered, n, each, True)


def _estimated(
    stage: Pass, tables: Tables, settings: Settings, first: Iterable[Request], before: Mapping[Pass, _Sum]
) -> _Sum:
    """Return the sum of a pass that waits for another one."""
    if stage == "filter" and "intentions" in before:
        asked = before["intentions"]
        each = asked.each + min(WRITTEN["intentions"], settings.max_tokens)
        return _Sum(asked.requests, 0, asked.requests, each, False)
    sizes = [_size(request) for request in first]
    each = sum(sizes) / len(sizes) if sizes else 0.0
    if "features" in before:
        each += 2 * min(WRITTEN["features"], settings.max_tokens)
    n = _askable(stage, tables, settings) * requests_each(stage, settings)
    return _Sum(n, 0, n, each, False)


def _first(stage: Pass, tables: Tables, settings: Settings, root: Path, staging: Path) -> list[Request]:
    """Return the first requests of a pass as they are without features."""
    bare = {**tables, "features": tables["features"].limit(0)}
    return list(islice(requests(stage, bare, settings, root=root, staging=staging), _SAMPLE))


def _size(request: Request) -> float:
    words = len(request.prompt.system) + len(request.prompt.text)
    return words / CHARACTERS_A_TOKEN + (PICTURE_TOKENS if request.pictures else 0)


def _askable(stage: Pass, tables: Tables, settings: Settings) -> int:
    """Return how many pairs, or generations of pairs, have two titles."""
    from mindkg.engine import daft

    col = daft.col
    titled = tables["products"].where(col("title").not_null()).select("product_id")
    pairs: daft.DataFrame = tables["cobuys"]
    for side in ("product_a", "product_b"):
        pairs = pairs.join(titled, left_on=side, right_on="product_id", how="semi")
    if stage == "intentions":
        return int(pairs.count_rows())
    judged = tables["generations"].join(subjects(stage, tables, settings), on="generation_id", how="semi")
    return int(judged.join(pairs, on="cobuy_id", how="semi").count_rows())
