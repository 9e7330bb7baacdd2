"""The three passes in order: plan, ask what the ledger lacks, and make tables of what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from mindkg.distill.answered import TABLE
from mindkg.distill.plan import requests
from mindkg.distill.planned import Planned
from mindkg.distill.rows import Rows, Tables
from mindkg.distill.runs import Run, intentions_run, run_of
from mindkg.distill.settings import PASSES, Pass, Settings, asked_relations
from mindkg.distill.settled import Counts, Settled, settle
from mindkg.distill.shelf import shelf
from mindkg.schema import TABLES, empty

if TYPE_CHECKING:
    import daft

    from mindkg.distill.backends.base import Backend
    from mindkg.distill.ledger import Ledger

Progress = Callable[[str, int, int | None], None]
"""Called with a pass, the requests drawn since the call before, and about how many there are."""


@dataclass(frozen=True)
class Distilled:
    """What the passes of one distillation gave.

    ``tables`` are features, generations, verdicts, runs and rejects, the rows of these settings alone; they lie in the
    staging folder. ``counts`` tells for each pass ``planned`` = ``answered`` + ``failed`` + ``missing`` requests, and
    ``unasked`` products, pairs or generations for which something lacks, ``waiting`` ones among them: pairs with a
    product whose features failed for a reason that may pass. Rejects are ``failed`` + ``unasked``.
    ``replaced`` answers of a pass hold U+FFFD in place of bytes that are not UTF-8.
    """

    tables: Mapping[str, daft.DataFrame]
    counts: Mapping[str, Mapping[str, int]]
    replaced: Mapping[str, int]


@dataclass(frozen=True)
class Unsent:
    """The keys of a pass that no answer is there for: how many, their characters, and how many have a picture."""

    keys: int
    characters: float
    pictured: float


@dataclass(frozen=True)
class Done:
    """One pass: its run, what was planned, what that gave, and what is still to be sent of it."""

    run: Run
    planned: Planned
    settled: Settled
    unsent: Unsent

    @property
    def counts(self) -> Counts:
        """Where its requests went."""
        return self.settled.counts


def run_passes(
    tables: Mapping[str, Rows | Path | daft.DataFrame],
    settings: Settings,
    *,
    root: Path,
    ledger: Ledger,
    staging: Path,
    backend: Backend | None,
    max_error_rate: float = 0.1,
    stop_at_missing: bool = False,
    progress: Progress | None = None,
) -> Distilled:
    """Run the settings' passes over ``tables`` and return what the ledger then answers.

    ``tables`` lie in files or folders of Parquet; frames are read too, in more memory. ``root`` is the KB's folder;
    ``staging`` an empty folder for temporary files that must stay until the tables are written. Without a ``backend``
    nothing is sent: the same tables, settings and ledger give the same rows. With ``stop_at_missing`` no pass is begun
    whose input is not whole yet. Raises what ``ask`` raises where a backend fails.
    """
    done: list[Done] = []
    given: Tables = {name: Rows.of(table) for name, table in tables.items()}
    for stage in stages(settings):
        one = run_pass(
            stage,
            given,
            settings,
            root=root,
            ledger=ledger,
            staging=staging,
            backend=backend,
            max_error_rate=max_error_rate,
            progress=progress,
        )
        done.append(one)
        if stop_at_missing and one.counts.missing:
            break
        given = with_rows(given, one)
    counts: dict[str, dict[str, int]] = {one.run.stage: asdict(one.counts) for one in done}
    return Distilled(_tables(settings, done), counts, {one.run.stage: one.settled.replaced for one in done})


def run_pass(
    stage: Pass,
    tables: Tables,
    settings: Settings,
    *,
    root: Path,
    ledger: Ledger,
    staging: Path,
    backend: Backend | None,
    max_error_rate: float = 0.1,
    progress: Progress | None = None,
) -> Done:
    """Run one pass; see ``run_passes``. ``tables`` hold the rows of the passes before."""
    from mindkg.distill.ask import ask

    report = progress or (lambda stage, rows, total: None)
    run = intentions_run(settings, tables["features"]) if stage == "intentions" else run_of(stage, settings)
    with shelf(stage, tables, settings, staging) as filled:
        total = filled.subjects() * requests_each(stage, settings)
        report(stage, 0, total)
        planned = Planned(requests(filled, settings, root), filled, lambda rows: report(stage, rows, total))
        drawn = planned.requests()
        if backend is not None:
            ask(drawn, backend, ledger, max_error_rate=max_error_rate)
        for _ in drawn:
            pass
        settled = settle(run, settings, planned, filled, ledger, staging)
        return Done(run, planned, settled, Unsent(*filled.unsent()))


def with_rows(tables: Tables, done: Done) -> Tables:
    """Return ``tables`` with the rows of a pass in place of those that they hold of its run."""
    name = TABLE[done.run.stage]
    more = {name: tables[name].replaced(done.run.run_id, done.settled.rows)}
    if done.run.stage == "features":
        more["waiting"] = Rows.of(done.settled.waiting)
    return {**tables, **more}


def stages(settings: Settings) -> Iterator[Pass]:
    """Return the settings' passes in their order."""
    return (stage for stage in PASSES if stage in settings.passes)


def requests_each(stage: Pass, settings: Settings) -> int:
    """Return how many requests a pass sends about each of its subjects."""
    return len(asked_relations(settings.relations)) * settings.samples if stage == "intentions" else 1


def _tables(settings: Settings, done: list[Done]) -> dict[str, daft.DataFrame]:
    from mindkg.engine import from_arrow, read_parquet

    tables = {name: from_arrow(empty(name)) for name in (*TABLE.values(), "rejects")}
    for one in done:
        tables[TABLE[one.run.stage]] = read_parquet(one.settled.rows)
    if done:
        tables["rejects"] = read_parquet(*(one.settled.rejects for one in done))
    tables["runs"] = from_arrow(_runs(settings, done))
    return tables


def _runs(settings: Settings, done: list[Done]) -> pa.Table:
    """Return a row for each pass that something came back for."""
    rows = [
        {
            "run_id": one.run.run_id,
            "stage": one.run.stage,
            "model": settings.model,
            "revision": settings.revision,
            "prompt_version": one.run.prompt_version,
            "parameters": one.run.parameters,
            "started": one.settled.times[0],
            "ended": one.settled.times[1],
            "code_version": version("mindkg"),
        }
        for one in done
        if one.settled.times[0]
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["runs"])
