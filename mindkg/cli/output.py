"""What goes to stdout and stderr: rows in four formats, progress, and errors in one line."""

from __future__ import annotations

import csv
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from mindkg.cli.terminal import console, say, write_json

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["NOTHING_DISTILLED", "Format", "counted", "say", "stages", "write_rows"]

NOTHING_DISTILLED: Final = (
    "nothing has been distilled yet: the KB has products and co-buys only. Next: mindkg distill KB"
)


class Format(StrEnum):
    """How rows are written."""

    table = "table"
    csv = "csv"
    json = "json"
    arrow = "arrow"


def write_rows(rows: pa.Table, form: Format) -> None:
    """Write ``rows`` to stdout as ``form``; JSON is one array of objects, arrow an IPC stream.

    JSON has no dates, no decimals and no NaN: the first two are text in it, the last is null.
    """
    if form is Format.arrow:
        import pyarrow as pa

        with pa.ipc.new_stream(sys.stdout.buffer, rows.schema) as stream:
            stream.write_table(rows)
    elif form is Format.json:
        write_json(_finite(rows.to_pylist()))
    elif form is Format.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(rows.column_names)
        for batch in rows.to_batches():
            writer.writerows(zip(*(map(_plain, column.to_pylist()) for column in batch.columns), strict=True))
    else:
        from mindkg.cli.tables import show_table

        if rows.num_rows:
            show_table(rows)
        else:
            say("no rows")


def _finite(value: Any) -> Any:
    """Return ``value`` with None for each float in it that is no number or without end."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else value


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Return a number and what it counts.

    >>> counted(1, "intention"), counted(1234, "intention"), counted(0, "query", "queries")
    ('1 intention', '1,234 intentions', '0 queries')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


@contextmanager
def stages() -> Iterator[Callable[[str, int, int | None], None]]:
    """Give the progress of a build: bars with a rate and an end time on a terminal, plain lines elsewhere."""
    if sys.stderr.isatty():
        with _bars() as report:
            yield report
    else:
        lines = _Lines()
        try:
            yield lines
        finally:
            lines.end()


@contextmanager
def _bars() -> Iterator[Callable[[str, int, int | None], None]]:
    from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = [
        TextColumn("{task.description:<8}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:>10,.0f} rows  {task.fields[rate]:>12}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=console(stderr=True)) as progress:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, rows: int, total: int | None) -> None:
            for name, task in tasks.items():
                if name != stage and not progress.tasks[task].finished:
                    progress.update(task, total=progress.tasks[task].completed or 1, completed=None)
            if rows < 0:
                progress.add_task(stage, total=1, completed=1, rate="unchanged")
                return
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total, rate="")
            task = tasks[stage]
            speed = progress.tasks[task].speed
            progress.update(task, advance=rows, total=total, rate=f"{speed:,.0f}/s" if speed else "")

        yield report


class _Lines:
    """Progress as one line when a stage begins and one when it is done."""

    def __init__(self) -> None:
        self._stage: str | None = None
        self._rows = 0
        self._since = 0.0

    def __call__(self, stage: str, rows: int, total: int | None) -> None:
        if rows < 0:
            self.end()
            say(f"{stage}: unchanged, skipped")
        elif stage != self._stage:
            self.end()
            self._stage, self._rows, self._since = stage, rows, time.monotonic()
            say(f"{stage}: running")
        else:
            self._rows += rows

    def end(self) -> None:
        if self._stage:
            seconds = time.monotonic() - self._since
            rows = f"{self._rows:,} rows, " if self._rows else ""
            say(f"{self._stage}: {rows}{seconds:.1f} s")
            self._stage = None
