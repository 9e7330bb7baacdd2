"""The verbs that ask an isA table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mindkg.cli.arguments import Rows
from mindkg.cli.cold import remark, rows_of, show
from mindkg.cli.output import Format, write_rows


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
    if form is Format.table:
        show(found)
    else:
        import pyarrow as pa

        write_rows(pa.Table.from_pylist(rows_of(found)), form)
        remark(found)
