"""The table: one line a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.measure import Measured

HEAD = ("what", "rows", "unit", "seconds", "cpu s", "rows/s", "peak MB", "compared with", "ratio", "to reach")
QUERY_HEAD = ("query", "rows", "ladybug s", "oxigraph s", "oxigraph to ladybug")


@dataclass(frozen=True)
class Line:
    """A measurement and what it is compared with.

    ``ratio`` is a number and what it means in a word ("2.1 ×"); ``target`` is DESIGN.md's figure, for the full size.
    """

    what: str
    measured: Measured
    unit: str
    baseline: str = ""
    ratio: str = ""
    target: str = ""

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the line, in the order of HEAD."""
        m = self.measured
        if m.error:
            return (self.what, "", self.unit, "", "", "", _megabytes(m.peak), "", m.error[:60], self.target)
        return (
            self.what,
            f"{m.rows:,}",
            self.unit,
            f"{m.seconds:.2f}",
            f"{m.cpu:.1f}",
            f"{m.rate:,.0f}",
            _megabytes(m.peak),
            self.baseline or m.note,
            self.ratio,
            self.target,
        )


@dataclass(frozen=True)
class Answer:
    """What a query of the catalogue took in both engines."""

    query: str
    ladybug: Measured
    oxigraph: Measured

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the line, in the order of QUERY_HEAD."""
        both = (self.ladybug, self.oxigraph)
        times = (m.error[:40] or f"{m.seconds:.2f}" for m in both)
        ratio = f"{self.oxigraph.seconds / self.ladybug.seconds:.1f} ×" if not any(m.error for m in both) else ""
        return (self.query, f"{self.ladybug.rows:,}", *times, ratio)


def faster(ours: Measured, theirs: Measured) -> str:
    """Return how many times the baseline's rate ours is."""
    return f"{ours.rate / theirs.rate:.1f} × its rate" if ours.rate and theirs.rate else ""


def slower(ours: Measured, theirs: Measured) -> str:
    """Return how many times the baseline's time ours is."""
    return f"{ours.seconds / theirs.seconds:.2f} × its time" if ours.seconds and theirs.seconds else ""


def table(lines: Sequence[Line] | Sequence[Answer]) -> str:
    """Return ``lines`` as a Markdown table whose columns stand under each other."""
    head = QUERY_HEAD if lines and isinstance(lines[0], Answer) else HEAD
    rows = [head, *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    right = {column for column, name in enumerate(head) if name in _NUMBERS}

    def show(row: Sequence[str]) -> str:
        cells = (
            cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        return f"| {' | '.join(cells)} |"

    rule = "|".join(("-" * (w + 1) + ":") if i in right else "-" * (w + 2) for i, w in enumerate(widths))
    return "\n".join([show(rows[0]), f"|{rule}|", *map(show, rows[1:])])


_NUMBERS = {"rows", "seconds", "cpu s", "rows/s", "peak MB", "ladybug s", "oxigraph s"}


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f}" if size else ""
