"""Files that people have → products, co-buys, features, raw answers, raw verdicts, runs and rejects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mindkg.sources.files import expand
from mindkg.sources.formats import FORMATS, check_format

if TYPE_CHECKING:
    from mindkg.engine import daft

__all__ = ["FORMATS", "VERSION", "Sourced", "check_format", "expand", "read"]

VERSION = 6
"""Raised when the same files would give other tables than before."""


@dataclass(frozen=True)
class Sourced:
    """What files say, as tables.

    ``tables`` holds Daft frames of exactly the schemas of :mod:`mindkg.schema`: products, cobuys, features,
    generations, verdicts (raw), runs and rejects. ``rows_read`` = ``rows_kept`` + ``rows_rejected``, in source records.
    ``title_conflicts`` and ``feature_conflicts`` count the products that have several different ones; ``formats``
    says which format each file was found to be; ``notes`` counts what a reader met that is neither a row nor a
    reject; ``read_as`` says of files in another encoding or dialect of CSV than the usual one which it was.
    ``files`` counts for each file the rows ``read``, and of them ``rejected`` (without duplicates); ``name`` is what
    rejects call it.
    """

    tables: Mapping[str, daft.DataFrame]
    rows_read: int
    rows_kept: int
    rows_rejected: int
    title_conflicts: int
    formats: Mapping[str, str] = field(default_factory=dict)
    feature_conflicts: int = 0
    notes: Mapping[str, int] = field(default_factory=dict)
    read_as: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, int | str]] = field(default_factory=dict)


def read(
    files: Sequence[str | Path],
    *,
    staging: Path,
    format: str | None = None,
    field: str | None = None,
    encoding: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Sourced:
    """Read ``files`` (paths or globs, of one or several formats) into tables.

    ``staging`` is an empty folder for temporary Parquet, which the tables are read from: delete it after them.
    ``format`` is a name of :data:`FORMATS`, found from the columns where None; ``field`` another column for the raw
    text; ``encoding`` that of all files that are text, found from their content where None. ``progress`` is called
    with the number of records read since the last call. Raises InputError for a file that is missing, unreadable or of
    no known format; what is wrong inside a file becomes a reject.
    """
    from mindkg.sources.encodings import check_encoding
    from mindkg.sources.reader import read_files

    return read_files(expand(files), Path(staging), format, field, check_encoding(encoding), progress)
