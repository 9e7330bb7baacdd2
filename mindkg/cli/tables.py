"""Rows as a table that fits the terminal, or as one block per record where it is too narrow for that.

Texts are wrapped between words; ids and numbers are never broken. Ids come last, and are left out first.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from mindkg.cli.terminal import console, say
from mindkg.terminal_text import printable

if TYPE_CHECKING:
    from rich.table import Table

LONGEST_CELL: Final = 1000
"""Characters of a value that are shown."""

_IDS: Final = frozenset(
    ("id", "product", "product_a", "product_b", "other", "cobuy", "intention", "assertion", "abstraction", "run")
) | {"sha256", "record", "source_record"}
"""Columns of ids, beside those that end in ``_id``."""

_GAP: Final = 2
_LONG_WORD: Final = 48  # a longer one may be broken; addresses of pictures are often shorter
_NARROW: Final = 16  # a text gets at least so many columns where it needs them
_MOST_LINES: Final = 8  # a text that would take more lines than this is better read in a block


@dataclass(frozen=True)
class _Column:
    """One column as it is shown: ``least`` and ``natural`` are widths in terminal cells."""

    name: str
    cells: list[str]
    right: bool
    is_id: bool
    least: int
    natural: int


def show_table(rows: pa.Table, width: int | None = None) -> None:
    """Write ``rows`` to stdout as a table of at most ``width`` terminal cells (default: the terminal's).

    What is left out or cut is said on stderr, with the way to see it.
    """
    out = console()
    width = width or out.width
    columns = sorted((_column(rows.field(i), rows.column(i)) for i in range(rows.num_columns)), key=_place)
    shown = _fitting(columns, width)
    if shown:
        out.print(_table(shown, width))
    else:
        for line in _blocks(columns, rows.num_rows):
            out.print(line, soft_wrap=False)
    dropped = [column.name for column in columns if shown and column not in shown]
    if dropped:
        say(f"not shown, for want of width: {', '.join(dropped)}; see --format csv")
    if any(cell.endswith("…") and len(cell) > LONGEST_CELL for column in columns for cell in column.cells):
        say(f"texts of more than {LONGEST_CELL:,} characters are cut; see --format csv")


def _place(column: _Column) -> int:
    """Return where a column stands: what can be read before ids, and the products' ids before those of the KB."""
    return column.is_id + (column.is_id and not column.name.startswith(("id", "product", "other")))


def _column(field: pa.Field, values: pa.ChunkedArray) -> _Column:
    from rich.cells import cell_len

    number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_decimal(field.type)
    cells = [shown(value) for value in _cut(values).to_pylist()]
    name = printable(field.name)
    natural = max([cell_len(name), *map(cell_len, cells)])
    is_id = pa.types.is_string(field.type) and (field.name in _IDS or field.name.endswith("_id"))
    least = natural
    if not number and not is_id:
        word = max((cell_len(word) for text in (name, *cells) for word in text.split()), default=0)
        lines = math.ceil(natural / _MOST_LINES)
        least = min(natural, max(cell_len(name), min(word, _LONG_WORD), lines, _NARROW))
    return _Column(name, cells, number, is_id, least, natural)


def _cut(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return ``values`` with one character more than is shown of each text: a text may have millions."""
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return pc.utf8_slice_codeunits(values, 0, LONGEST_CELL + 1)
    return values


def shown(value: Any) -> str:
    """Return ``value`` as it is shown in a table.

    >>> shown(12345), shown(0.123456), shown(None), shown(True), shown(["a"])
    ('12,345', '0.1235', '', 'true', '["a"]')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else str(value)
    return printable(text[:LONGEST_CELL]) + "…" * (len(text) > LONGEST_CELL)


def _fitting(columns: list[_Column], width: int) -> list[_Column]:
    """Return the columns that fit side by side: all, or without the last ids; none where not even the others fit."""
    shown = list(columns)
    while shown and sum(c.least for c in shown) + _GAP * (len(shown) - 1) > width:
        if not shown[-1].is_id:
            return []
        shown.pop()
    return shown


def _table(columns: list[_Column], width: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, _GAP, 0, 0))
    for column, cells in zip(columns, _widths(columns, width), strict=True):
        table.add_column(Text(column.name), justify="right" if column.right else "left", width=cells, overflow="fold")
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(Text, row))
    return table


def _widths(columns: list[_Column], width: int) -> list[int]:
    """Return the width of each column: what it needs at least, and an equal share of the rest as far as it needs it."""
    widths = [column.least for column in columns]
    rest = width - sum(widths) - _GAP * (len(columns) - 1)
    order = sorted(range(len(columns)), key=lambda i: columns[i].natural - columns[i].least)
    for place, i in enumerate(order):
        more = min(columns[i].natural - columns[i].least, rest // (len(order) - place))
        widths[i] += more
        rest -= more
    return widths


def _blocks(columns: list[_Column], rows: int) -> list[Any]:
    """Return one grid of names and values for each record, and an empty line between two."""
    from rich.table import Table
    from rich.text import Text

    longest = max((len(column.name) for column in columns), default=0)
    blocks: list[Any] = []
    for row in range(rows):
        grid = Table.grid(padding=(0, _GAP, 0, 0))
        grid.add_column(style="bold", no_wrap=True, width=longest)
        grid.add_column(overflow="fold")
        for column in columns:
            if column.cells[row]:
                grid.add_row(Text(column.name), Text(column.cells[row]))
        blocks += [grid] if row == rows - 1 else [grid, ""]
    return blocks
