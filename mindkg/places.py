"""Where a KB's tables and manifest lie: in a folder, or in an object store with copies of its tables here.

What is in a KB is named relative to it: ``manifest.json``, ``tables/NAME/FINGERPRINT``. A table is a folder of one
file.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from mindkg.checksums import Checksum, Verified
from mindkg.errors import StorageError
from mindkg.object_store import Objects
from mindkg.parquet import REBUILD, rows_in

FILE: Final = "part-0.parquet"
RECORDS: Final = "tables/.stages"
TEMPORARY: Final = ".building-"
"""What the names of files and folders begin with that are not whole yet."""

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_CLAIM: Final = "tables/.claim"


class Place(Protocol):
    """Where a KB lies. What is there under its name is whole; a table under its name never changes."""

    apart: bool
    """Whether what is not a table lies elsewhere for certain."""

    def named(self, name: str) -> str:
        """Return what a user calls ``name``."""

    def exists(self) -> bool:
        """Return whether there is anything."""

    def claim(self) -> None:
        """Make the place ready to be written to; StorageError where it cannot be, or holds something else."""

    def read(self, name: str) -> bytes:
        """Return the bytes of a file; FileNotFoundError where it is not there."""

    def write(self, name: str, data: bytes) -> None:
        """Write a file in one step: a reader sees the old one or the new one."""

    def size(self, table: str) -> int | None:
        """Return the bytes of a table's file, None where it is not there; its content is not read."""

    def rows(self, table: str) -> int | None:
        """Return the rows of a table, None where it is not there or its footer cannot be read."""

    def holds(self, table: str, known: Checksum, *, again: bool = False) -> bool:
        """Return whether a table's file is there with the content ``known``.

        What was found intact before, and has not been written to since, is read only with ``again``.
        """

    def folder(self, table: str, known: Checksum | None) -> Path:
        """Return the folder of this machine that a table is read from; StorageError where it is not ``known``."""

    def take(self, table: str, known: Checksum) -> None:
        """Take a table that was built in its folder of this machine."""

    def tables(self) -> Iterable[str]:
        """Return the names of all tables, named by a manifest or not, and of the records of stages."""

    def discard(self, name: str) -> Path | str:
        """Remove a table or a record and return what a user calls it."""


class Folder:
    """A KB in a folder of a file system."""

    apart = False

    def __init__(self, path: Path, verified: Verified) -> None:
        self.path = path
        self._verified = verified

    def named(self, name: str) -> str:
        """Return the path of ``name``."""
        return str(self.path / name)

    def exists(self) -> bool:
        """Return whether the folder is there."""
        return self.path.is_dir()

    def claim(self) -> None:
        """Make the folder; StorageError where it holds something that is not a KB."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / "tables").mkdir(exist_ok=True) if not any(self.path.iterdir()) else None
        except OSError as error:
            hint = "Give another folder with -o"
            raise StorageError(f"cannot write a KB here: {error.strerror}", record=str(self.path), hint=hint) from error
        if not (self.path / "tables").is_dir():
            hint = "Give an empty or a new folder with -o"
            raise StorageError("this folder holds other files and is not a KB", record=str(self.path), hint=hint)

    def read(self, name: str) -> bytes:
        """Return the bytes of a file; FileNotFoundError where it is not there."""
        return (self.path / name).read_bytes()

    def write(self, name: str, data: bytes) -> None:
        """Write a file in one step: a reader sees the old one or the new one."""
        write_bytes(self.path / name, data)

    def size(self, table: str) -> int | None:
        """Return the bytes of a table's file, None where it is not there or leads out of the KB."""
        file = self.path / table / FILE
        try:
            return file.stat().st_size if file.resolve().is_relative_to(self.path.resolve()) else None
        except (OSError, ValueError):
            return None

    def rows(self, table: str) -> int | None:
        """Return the rows of a table, None where it is not there or its footer cannot be read."""
        return rows_in(self.path / table / FILE) if self.size(table) else None

    def holds(self, table: str, known: Checksum, *, again: bool = False) -> bool:
        """Return whether a table's file is there with the content ``known``."""
        return self.size(table) == known.bytes and self._verified.holds(self.path / table / FILE, known, again=again)

    def folder(self, table: str, known: Checksum | None) -> Path:
        """Return the folder of a table; StorageError where its content is not ``known``."""
        if known and not self.holds(table, known):
            raise damaged_table(self.named(f"{table}/{FILE}"))
        return self.path / table

    def take(self, table: str, known: Checksum) -> None:
        """Do nothing: what is built in its folder is there."""

    def tables(self) -> Iterable[str]:
        """Return the names of all tables and records of stages."""
        found = [*self.path.glob("tables/[!.]*/*"), *(self.path / RECORDS).glob("*.json")]
        return [path.relative_to(self.path).as_posix() for path in found]

    def discard(self, name: str) -> Path:
        """Remove a table or a record and return its path."""
        discard(self.path / name)
        return self.path / name


class Bucket:
    """A KB in an object store, which has all that a folder would have; ``copies`` has its tables that are used.

    An object is there when all of it is, so nothing is written beside its place first.
    """

    apart = True

    def __init__(self, objects: Objects, copies: Path, verified: Verified) -> None:
        self.objects = objects
        self.copies = Folder(copies, verified)
        self._verified = verified
        self._whole: dict[str, int] = {}
        self._copied: set[str] = set()

    def named(self, name: str) -> str:
        """Return the address of ``name``."""
        return self.objects.named(name)

    def exists(self) -> bool:
        """Return whether there is any object; InputError where there is not even the bucket."""
        self.objects.check()
        return bool(self.objects.names(deep=False))

    def claim(self) -> None:
        """Write a mark, so that what may not be written shows before hours of work; StorageError where others are."""
        self.objects.check()
        found = self.objects.names(deep=False)
        if found and "tables" not in found:
            hint = "Give a new address with -o"
            raise StorageError("other objects are here and no KB", record=self.objects.address, hint=hint)
        self.objects.write(_CLAIM, b"")

    def read(self, name: str) -> bytes:
        """Return the bytes of an object; FileNotFoundError where it is not there."""
        return self.objects.read(name)

    def write(self, name: str, data: bytes) -> None:
        """Write an object in one step."""
        self.objects.write(name, data)

    def size(self, table: str) -> int | None:
        """Return the bytes of a table's object, None where it is not there."""
        try:
            return self.objects.find(f"{table}/{FILE}").size
        except FileNotFoundError:
            return None

    def rows(self, table: str) -> int | None:
        """Return the rows of a table, None where it is not there or its footer cannot be read."""
        if table in self._whole:
            return self._whole[table]
        try:
            rows = self._stored_rows(table)
        except FileNotFoundError:
            return None
        if rows is not None:
            self._whole[table] = rows
        return rows

    def holds(self, table: str, known: Checksum, *, again: bool = False) -> bool:
        """Return whether a table's object is there with the content ``known``: what has its ETag is read once."""
        try:
            found = self.objects.find(f"{table}/{FILE}")
        except FileNotFoundError:
            return False
        return found.size == known.bytes and self._verified.matches(
            self.named(f"{table}/{FILE}"),
            [found.etag],
            known,
            lambda: self.objects.checksum(f"{table}/{FILE}"),
            again=again,
        )

    def folder(self, table: str, known: Checksum | None) -> Path:
        """Return the folder of a table's copy, which is made where it is not there, or not intact."""
        from filelock import FileLock

        folder = self.copies.folder(table, None)
        if table not in self._copied and not self._is_copied(table, known):
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(folder / ".lock"):
                if not self._is_copied(table, known):
                    self.objects.get(f"{table}/{FILE}", folder / FILE)
            if known and not self.copies.holds(table, known):
                raise damaged_table(self.named(f"{table}/{FILE}"))
        self._copied.add(table)
        return folder

    def take(self, table: str, known: Checksum) -> None:
        """Store a table that was built in the folder of its copy."""
        self.objects.put(f"{table}/{FILE}", self.copies.folder(table, None) / FILE)
        etag = self.objects.find(f"{table}/{FILE}").etag
        self._verified.matches(self.named(f"{table}/{FILE}"), [etag], known, lambda: known, again=True)

    def tables(self) -> Iterable[str]:
        """Return the names of all tables, stored or copied, and of the records of stages."""
        stored = {
            name.rpartition("/")[0] if name.endswith(f"/{FILE}") else name
            for name in self.objects.names("tables")
            if name.endswith((f"/{FILE}", ".json"))
        }
        return stored | {*self.copies.tables()}

    def discard(self, name: str) -> str:
        """Remove a table and its copy, or a record, and return the address."""
        self.objects.remove(name)
        self.copies.discard(name)
        return self.objects.named(name)

    def _is_copied(self, table: str, known: Checksum | None) -> bool:
        return self.copies.holds(table, known) if known else self.size(table) == self.copies.size(table)

    def _stored_rows(self, table: str) -> int | None:
        with self.objects.open(f"{table}/{FILE}") as file, self.objects.told(table):
            try:
                return int(pq.read_metadata(file).num_rows)
            except pa.ArrowInvalid:
                return None


def damaged_table(place: str) -> StorageError:
    """Return the error of a table whose file at ``place`` is not what was written."""
    return StorageError("this table is damaged", record=place, hint=REBUILD)


@contextmanager
def no_room(path: Path) -> Iterator[None]:
    """Turn an error for want of room on the disk of ``path`` that names no file into one that names it."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        hint = "Make room and run it again: the KB is as it was, and finished stages are used again"
        record = str(error.filename or path)
        raise StorageError(f"cannot write: {os.strerror(error.errno)}", record=record, hint=hint) from error


def discard(path: Path) -> None:
    """Remove what has a final name: it loses the name in one step, so that a kill leaves nothing half removed there."""
    if path.exists():
        trash = path.with_name(f"{TEMPORARY}trash-{path.name}-{os.getpid()}")
        remove(trash)
        path.rename(trash)
        remove(trash)


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` in one step: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{path.name}-{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
