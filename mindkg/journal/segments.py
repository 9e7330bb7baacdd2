"""The side of a journal that is written: one process's segment, and which segments' writers are gone."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from mindkg.errors import StorageError

SEGMENT: Final = ".jsonl"
CHECKED: Final = ".checked.jsonl"
"""How the name of a segment ends each line of which has a checksum; those of older versions have none."""

TABLE: Final = ".parquet"
DAMAGED: Final = ".damaged"
"""What is appended to the name of a file when its intact records are in another one."""

_GROUP: Final = 0.25
"""Seconds between two times that a segment is brought to the disk."""


class Segment:
    """One process's file: whole lines under a lock that dies with its process, on the disk within half a second."""

    def __init__(self, folder: Path) -> None:
        import fcntl

        folder.mkdir(parents=True, exist_ok=True)
        self.pid = os.getpid()
        while True:
            path = folder / f"{self.pid}-{secrets.token_hex(8)}{CHECKED}"
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o666)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            # a compaction takes an empty segment without a lock away
            if os.fstat(self._file).st_nlink:
                break
            os.close(self._file)
        sync_folder(folder)
        self._error: OSError | None = None
        self._closing, self._dirty = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._sync, name="journal", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Append ``line``; it is one system call unless the disk is full."""
        if self._error:
            raise self._error
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        self._dirty.set()

    def close(self) -> None:
        """Bring all to the disk and release the lock."""
        self.abandon()
        if self._error:
            raise self._error

    def abandon(self) -> None:
        """Release the lock, whatever the disk says."""
        self._closing.set()
        self._dirty.set()
        self._thread.join()
        os.close(self._file)

    def _sync(self) -> None:
        """Bring to the disk what was written, as soon as there is something, but not more often than ``_GROUP``."""
        last = False
        while not last:
            self._dirty.wait()
            self._dirty.clear()
            last = self._closing.is_set()
            try:
                os.fsync(self._file)
            except OSError as error:
                self._error = error
            self._closing.wait(_GROUP)


@contextmanager
def opened(folder: Path, mode: str, *, free: bool = False) -> Iterator[dict[str, IO[bytes]]]:
    """Give all files of a folder at one moment, open, by name; with ``free`` without the segments of others.

    What is open stays readable when a compaction removes it.
    """
    with ExitStack() as stack:
        for _ in range(100):
            names, files = listed(folder), {}
            try:
                for name in names:
                    files[name] = stack.enter_context((folder / name).open(mode))
            except FileNotFoundError:
                names = []
            except OSError as error:
                raise storage_error("read", folder, error) from error
            # while a compaction swaps files, a listing may show neither the old nor the new
            if list(files) == names == listed(folder):
                yield {name: file for name, file in files.items() if not free or _is_free(folder / name, file)}
                return
            stack.close()
        raise StorageError("the files change all the time", record=str(folder), hint="Try again later")


def _is_free(path: Path, file: IO[bytes]) -> bool:
    """Return whether a file's writer is gone, and hold its lock; an empty segment is removed."""
    import fcntl

    if path.suffix == TABLE:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    if os.fstat(file.fileno()).st_size:
        return True
    path.unlink(missing_ok=True)
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


def listed(folder: Path) -> list[str]:
    """Return the names of the segments and Parquet files of a folder, sorted."""
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise storage_error("read", folder, error) from error
    return sorted(name for name in names if name.endswith((SEGMENT, TABLE)) and not name.startswith("."))


def sync_folder(folder: Path) -> None:
    """Bring the names in ``folder`` to the disk."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def storage_error(verb: str, folder: Path, error: OSError) -> StorageError:
    """Return what a user reads of ``error``, which came when something was to ``verb`` the records of ``folder``."""
    hint = "Make room and go on: what was written stays" if verb != "read" else None
    return StorageError(f"cannot {verb} the records: {error.strerror or error}", record=str(folder), hint=hint)
