"""The verbs that ask an isA table."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mindkg.cli.arguments import Rows
from mindkg.cli.output import Format, say, write_rows


def register(app: typer.Typer) -> None:
    """Add the group to ``app``."""
    group = typer.Typer(help="Ask an isA table.", no_args_is_help=True)
    group.command(
        epilog='Examples: `mindkg concepts lookup "usb cable"` · `mindkg concepts lookup jeans --isa probase.txt`'
    )(lookup)
    group.callback()(_group)
    app.add_typer(group, name="concepts")


def _group() -> None:
    """Ask an isA table."""


def lookup(
    phrase: Annotated[str, typer.Argument(help="An instance, such as usb cable.", show_default=False)],
    isa: Annotated[
        Path | None,
        typer.Option(help="isA table: concept TAB instance TAB count (default: WordNet nouns).", show_default=False),
    ] = None,
    isa_order: Annotated[
        Literal["concept-first", "instance-first"], typer.Option(help="Columns of the isA table.")
    ] = "concept-first",
    limit: Annotated[int, typer.Option(min=1, help="Concepts shown.")] = 10,
    form: Rows = Format.table,
) -> None:
    """Show the concepts of a phrase, most often counted first, with P(c|e), P(e|c) and Rep.

    The last word is taken in the singular, as in linking. Where the table lacks the phrase, the longest of its ends
    that it has is shown, and a line on stderr says so.
    """
    from mindkg.link.lookup import lookup_concepts

    found = lookup_concepts(phrase, isa, order=isa_order, limit=limit)
    if not found.whole:
        say(f'the table lacks "{phrase}"; these are the concepts of "{found.instance}"')
    rows = [{"instance": found.instance, **asdict(concept)} for concept in found.concepts]
    if form is Format.table:
        # rich and pyarrow take longer than the look-up
        typer.echo(_columns(rows))
    else:
        import pyarrow as pa

        write_rows(pa.Table.from_pylist(rows), form)
    if found.known > len(rows):
        say(f"{len(rows):,} of {found.known:,} concepts; more with --limit")


def _columns(rows: list[dict[str, Any]]) -> str:
    """Return ``rows`` in columns that stand under each other, labels on the left and numbers on the right."""
    cells = [list(rows[0]), *([_shown(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    left = [isinstance(value, str) for value in rows[0].values()]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if label else cell.rjust(width)
            for cell, width, label in zip(line, widths, left, strict=True)
        ).rstrip()
        for line in cells
    )


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
