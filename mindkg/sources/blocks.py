"""What every kind of file is read into: blocks of rows, and the rows that could not be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

TEXT_LIMIT = 500
"""How many characters of a refused row are kept."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A row that could not be read: the line where it starts, a word of the closed list, and its beginning."""

    line: int
    reason: str
    detail: str
    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of a file.

    ``columns`` holds string arrays of shape (rows,) without nulls (what is absent is empty), by the file's own
    column names; ``lines`` the line where each row starts (1 is the first line of the file; of a Parquet file
    the number of the row), shape (rows,); ``raw`` gives the beginning of a row as the file has it.
    """

    columns: Mapping[str, pa.StringArray]
    lines: npt.NDArray[np.int64]
    damages: Sequence[Damage]
    raw: Callable[[int], str]

    def __len__(self) -> int:
        return len(self.lines)


@dataclass(frozen=True, slots=True)
class Rows:
    """A file opened: its column names, and a function that gives its blocks with only the wanted columns.

    Unless the header is ``complete`` later rows may have columns that it lacks. ``read_as`` returns in words which
    encoding and dialect was found, empty where it is the usual one; it is known when the blocks have been read.
    """

    header: tuple[str, ...]
    blocks: Callable[[Sequence[str]], Iterator[Block]]
    complete: bool = True
    read_as: Callable[[], str] = str


def beginning(raw: bytes) -> str:
    """Return the first characters of ``raw`` without its line end; bytes that are not UTF-8 become U+FFFD."""
    return raw[: 4 * TEXT_LIMIT].decode("utf-8", "replace")[:TEXT_LIMIT].rstrip("\r\n")


LIST_SEPARATOR = "\x1f"
"""What stands between the parts of a list in a string column."""


def joined(values: Sequence[object]) -> str:
    """Return a list (of a JSON or Parquet field) as one string.

    >>> joined(["Electronics", None, "Cables"]).split(LIST_SEPARATOR)
    ['Electronics', 'Cables']
    """
    return LIST_SEPARATOR.join(str(value) for value in values if value is not None)
