"""The isA table: converted once to indexed files in the user's cache folder, then looked up without loading it whole.

A converted table is one folder, named by the hash of the file's content, the order of its columns and VERSION:

- ``instances.index``: the concepts of each instance with their counts (stored.py says how it is laid out);
- ``concepts.index``: the total of each concept and how many instances it has;
- ``rejects.parquet``: line, reason, detail, text;
- ``meta.json``: the counts.

Heavy packages are imported where tables of Arrow are asked for: a table is opened without them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mindkg.errors import InputError, StorageError
from mindkg.paths import check_utf8

if TYPE_CHECKING:
    import pyarrow as pa

    from mindkg.link.rows import Order

VERSION: Final = 2
"""Raised whenever a converted table would come out differently."""

SHIPPED: Final = Path(__file__).parent / "wordnet" / "isa.tsv.gz"
"""The table used where the user names none: nouns of Princeton WordNet 3.1."""

Progress = Callable[[int], None]
"""Called with the number of lines converted so far."""


@dataclass(frozen=True)
class IsaTable:
    """A converted isA table.

    ``rows`` lines were kept and ``rejected`` refused; ``pairs`` distinct (concept, instance) remain, of ``instances``
    distinct instances and ``concepts`` distinct concepts. ``name`` is the file's own name.
    """

    folder: Path
    name: str
    fingerprint: str
    rows: int
    rejected: int
    pairs: int
    instances: int
    concepts: int

    def rejects(self) -> pa.Table:
        """Return the refused lines: line, reason, detail, text."""
        from mindkg.parquet import read_table

        return read_table(self.folder / "rejects.parquet")

    def lookup(self, instances: pa.Array | list[str], concepts: pa.Array | None = None) -> pa.Table:
        """Return the rows (instance, concept, count, total) of ``instances`` (folded labels), sorted by both.

        With ``concepts`` only theirs; the total of an instance is that of all its concepts still.
        """
        return self._instances.lookup(instances, concepts)

    def concept_totals(self, concepts: pa.Array | list[str]) -> pa.Table:
        """Return (concept, total, instances) of those ``concepts`` that have instances, sorted by concept."""
        return self._concepts.lookup(concepts)

    @cached_property
    def _instances(self) -> Any:
        from mindkg.link.index import Index

        return Index(self.folder / "instances.index", "instance", "count")

    @cached_property
    def _concepts(self) -> Any:
        from mindkg.link.index import Index

        return Index(self.folder / "concepts.index", "concept")


def cache_folder() -> Path:
    """Return where converted tables are kept: $MINDKG_CACHE, else mindkg in $XDG_CACHE_HOME or in ~/.cache."""
    if own := os.environ.get("MINDKG_CACHE"):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "mindkg"


def open_isa(
    path: Path | str | None = None,
    *,
    order: Order = "concept-first",
    cache: Path | None = None,
    progress: Progress | None = None,
) -> IsaTable:
    """Return the isA table of ``path``, converting it if it is new (plain, .gz or .zst; None: the shipped one).

    The conversion is written beside its place and renamed when it is whole, so a killed one leaves nothing half done.
    Raises InputError where the file cannot be read or holds no row at all, StorageError where the cache cannot be
    written.
    """
    source = SHIPPED if path is None else _table_file(path)
    home = (cache or cache_folder()) / "isa"
    try:
        home.mkdir(parents=True, exist_ok=True)
        content = _content_hash(source, home)
        fingerprint = hashlib.sha256(f"{VERSION}\n{order}\n{content}".encode()).hexdigest()[:32]
        folder = home / fingerprint
        if not (folder / "meta.json").is_file():
            _convert(source, folder, order, progress)
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise StorageError(f"cannot convert {source.name} in {home}", hint=str(error)) from error
    return IsaTable(folder=folder, name=source.name, fingerprint=fingerprint, **meta)


def check_isa(path: Path | str, order: Order) -> None:
    """Raise InputError where ``path`` is no isA table by its beginning, which takes no time."""
    from mindkg.link.convert import check_rows

    check_rows(_table_file(path), order)


def _table_file(path: Path | str) -> Path:
    check_utf8(Path(path).absolute())
    if not Path(path).is_file():
        hint = "Give a file of lines concept TAB instance TAB count"
        raise InputError("there is no isA table", record=str(path), hint=hint)
    return Path(path)


def _convert(source: Path, folder: Path, order: Order, progress: Progress | None) -> None:
    import pyarrow as pa

    from mindkg.link.convert import convert

    try:
        convert(source, folder, order, progress)
    except pa.ArrowInvalid as error:
        raise OSError(str(error)) from error


def _content_hash(source: Path, home: Path) -> str:
    """Return the SHA-256 of a file, remembered by its place, size and modification time."""
    state = source.stat()
    known = home / "seen" / hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:32]
    mark = f"{state.st_size} {state.st_mtime_ns}"
    try:
        size, mtime, digest = known.read_text(encoding="ascii").split()
        if f"{size} {mtime}" == mark:
            return digest
    except (OSError, ValueError):
        pass
    sha = hashlib.sha256()
    with source.open("rb") as file:
        for piece in _pieces(file):
            sha.update(piece)
    known.parent.mkdir(exist_ok=True)
    beside = known.with_suffix(f".{os.getpid()}")
    beside.write_text(f"{mark} {sha.hexdigest()}", encoding="ascii")
    beside.replace(known)
    return sha.hexdigest()


def _pieces(file: Any) -> Iterator[bytes]:
    while piece := file.read(4 << 20):
        yield piece
