"""The three passes in order: plan, ask what the ledger lacks, and make tables of what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mindkg.distill.answered import JOINED, STAGE, TABLE, TOLD, answer_rows, reject_rows
from mindkg.distill.plan import SUBJECT, Tables, requests, subjects
from mindkg.distill.planned import Planned
from mindkg.distill.runs import Run, intentions_run, run_of
from mindkg.distill.settings import PASSES, Pass, Settings, asked_relations
from mindkg.errors import ConservationError
from mindkg.schema import TABLES, empty

if TYPE_CHECKING:
    import daft

    from mindkg.distill.backends.base import Backend
    from mindkg.distill.ledger import Ledger

Progress = Callable[[str, int, int | None], None]
"""Called with a pass, the requests drawn since the call before, and about how many there are."""

_LACKS: Final[Mapping[Pass, str]] = {
    "features": "title and picture",
    "intentions": "title of a product",
    "filter": "title of a product, or text",
}
_SETTLED: Final = 1 << 14


@dataclass(frozen=True)
class Distilled:
    """What the passes of one distillation gave.

    ``tables`` are features, generations, verdicts, runs and rejects, the rows of these settings alone; they lie in the
    staging folder. ``counts`` tells for each pass ``planned`` = ``answered`` + ``failed`` + ``missing`` requests, and
    ``unasked`` products, pairs or generations for which something lacks. Rejects are ``failed`` + ``unasked``.
    """

    tables: Mapping[str, daft.DataFrame]
    counts: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Counts:
    """Where the requests of a pass went, and how many subjects had none."""

    planned: int
    answered: int
    failed: int
    missing: int
    unasked: int


@dataclass(frozen=True)
class Done:
    """One pass: its run, what was planned, the rows it gave, its rejects, and the counts."""

    run: Run
    planned: Planned
    rows: daft.DataFrame
    rejects: daft.DataFrame
    times: tuple[str | None, str | None]
    counts: Counts


def run_passes(
    tables: Tables,
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

    ``root`` is the KB's folder; ``staging`` an empty folder for temporary files that must stay until the tables are
    written. Without a ``backend`` nothing is sent: the same tables, settings and ledger give the same rows. With
    ``stop_at_missing`` no pass is begun whose input is not whole yet. Raises what ``ask`` raises where a backend fails.
    """
    done: list[Done] = []
    for stage in stages(settings):
        one = run_pass(
            stage,
            tables,
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
        tables = with_rows(tables, one)
    return Distilled(_tables(settings, done), {one.run.stage: asdict(one.counts) for one in done})


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
    ids = subjects(stage, tables, settings).collect()
    total = ids.count_rows() * requests_each(stage, settings)
    report(stage, 0, total)
    planned = Planned(
        requests(stage, tables, settings, root=root, staging=staging),
        staging / f"{stage}.planned.parquet",
        lambda rows: report(stage, rows, total),
    )
    drawn = planned.requests()
    if backend is not None:
        ask(drawn, backend, ledger, max_error_rate=max_error_rate)
    for _ in drawn:
        pass
    run = intentions_run(settings, tables["features"]) if stage == "intentions" else run_of(stage, settings)
    return _settle(run, settings, planned, ids, ledger, staging)


def with_rows(tables: Tables, done: Done) -> Tables:
    """Return ``tables`` with the rows of a pass in place of those that they hold of its run."""
    from mindkg.engine import daft

    name = TABLE[done.run.stage]
    others = tables[name].where(daft.col("run_id") != daft.lit(done.run.run_id))
    return {**tables, name: others.concat(done.rows.select(*others.column_names))}


def stages(settings: Settings) -> Iterator[Pass]:
    """Return the settings' passes in their order."""
    return (stage for stage in PASSES if stage in settings.passes)


def requests_each(stage: Pass, settings: Settings) -> int:
    """Return how many requests a pass sends about each of its subjects."""
    return len(asked_relations(settings.relations)) * settings.samples if stage == "intentions" else 1


def _settle(run: Run, settings: Settings, planned: Planned, ids: daft.DataFrame, ledger: Ledger, staging: Path) -> Done:
    """Join what was planned with what the ledger says; a request whose key another one has gets its own row."""
    from mindkg.engine import daft, from_arrow, read_parquet

    told = ledger.answers().where(daft.col("stage") == daft.lit(run.stage)).select("key", *TOLD)
    asked = planned.frame()
    rows, rejects = (staging / f"{run.stage}.{what}.parquet" for what in ("rows", "rejects"))
    answered, failed, times = _write(run, settings, told.join(asked, on="key"), rows, rejects)
    missing = asked.join(told.select("key"), on="key", how="anti").count_rows()
    if planned.rows != answered + failed + missing:
        message = f"{run.stage}: {planned.rows} planned, {answered} answered, {failed} failed, {missing} missing"
        raise ConservationError(
            f"the pass lost requests: {message}", hint="This is a defect of mindkg: please report it"
        )
    name = SUBJECT[run.stage]
    unasked = ids.join(asked.select(name).distinct(), on=name, how="anti").to_arrow()
    refused = read_parquet(rejects).concat(from_arrow(_unasked(run.stage, unasked[name])))
    counts = Counts(planned.rows, answered, failed, missing, len(unasked))
    return Done(run, planned, read_parquet(rows), refused, times, counts)


def _write(
    run: Run, settings: Settings, joined: daft.DataFrame, rows: Path, rejects: Path
) -> tuple[int, int, tuple[str | None, str | None]]:
    """Write the rows and rejects of a pass; return how many there are, and when the first and the last came back."""
    answered = failed = 0
    times: list[str] = []
    schema = TABLES[TABLE[run.stage]]
    with pq.ParquetWriter(rows, schema) as kept, pq.ParquetWriter(rejects, TABLES["rejects"]) as refused:
        for batch in joined.to_arrow_iter():
            for start in range(0, batch.num_rows, _SETTLED):
                part = pa.Table.from_batches([batch.slice(start, _SETTLED)]).select(JOINED.names).cast(JOINED)
                has_text = pc.is_valid(part["text"])
                good, bad = part.filter(has_text), part.filter(pc.invert(has_text))
                kept.write_table(answer_rows(run, settings, good))
                refused.write_table(reject_rows(run.stage, bad))
                answered, failed = answered + len(good), failed + len(bad)
                span = pc.min_max(part["answered"])
                times += [span["min"].as_py(), span["max"].as_py()]
    known = [time for time in times if time]
    return answered, failed, (min(known, default=None), max(known, default=None))


def _unasked(stage: Pass, ids: pa.ChunkedArray) -> pa.Table:
    def same(text: str | None) -> pa.Array:
        return pa.repeat(pa.scalar(text, pa.string()), len(ids))

    columns = [same(STAGE), ids.cast(pa.string()), same("missing_field"), same(_LACKS[stage]), same(None)]
    return pa.table(columns, schema=TABLES["rejects"])


def _tables(settings: Settings, done: list[Done]) -> dict[str, daft.DataFrame]:
    from mindkg.engine import from_arrow

    tables = {name: from_arrow(empty(name)) for name in (*TABLE.values(), "rejects")}
    for one in done:
        tables[TABLE[one.run.stage]] = one.rows
        tables["rejects"] = tables["rejects"].concat(one.rejects)
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
            "started": one.times[0],
            "ended": one.times[1],
            "code_version": version("mindkg"),
        }
        for one in done
        if one.times[0]
    ]
    return pa.Table.from_pylist(rows, schema=TABLES["runs"])
