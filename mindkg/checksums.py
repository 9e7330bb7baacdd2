"""Size and SHA-256 of files, which show whether they are still what was written.

Hashing takes about 0.6 s of processor time per GB, so which files were found intact is remembered between processes:
a file is hashed again when its size, times or inode have changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

SEAL: Final = "checksums.json"
"""The file of a sealed folder that lists the checksums of the others."""


VERIFIED: Final = ".verified.json"
"""The name of a file that remembers which others were found intact."""

_UNSEALED: Final = (SEAL, "LOG", "LOCK")
"""Files without content that counts: an engine may write to them later."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """The size of a file in bytes and the SHA-256 of its content in hexadecimal."""

    bytes: int
    sha256: str


def checksum(path: Path) -> Checksum:
    """Return the checksum of a file; raises OSError where it cannot be read."""
    with path.open("rb") as file:
        return checksum_of(file)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    return checksum(path).sha256


def checksum_of(file: IO[bytes]) -> Checksum:
    """Return the checksum of an open file, which is read from its beginning and is there again afterwards."""
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256")  # type: ignore[arg-type]
    size = file.tell()
    file.seek(0)
    return Checksum(size, digest.hexdigest())


def mark_of(state: os.stat_result) -> list[int]:
    """Return what changes when somebody writes to a file: its times and its inode."""
    return [state.st_mtime_ns, state.st_ctime_ns, state.st_ino]


def json_checksum(value: Any) -> str:
    """Return the SHA-256 of ``value`` as canonical JSON.

    >>> json_checksum({"a": 1, "b": 2}) == json_checksum({"b": 2, "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Verified:
    """Which files were found intact, remembered in the JSON file ``file`` (only in memory where it is not writable).

    A damaged ``file`` costs time only: an entry counts where everything in it is as it was.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen: dict[str, list[Any]] = {}

    def holds(self, path: Path, known: Checksum, *, again: bool = False) -> bool:
        """Return whether the content of a file is the ``known`` one; with ``again`` it is read in any case."""
        try:
            state = path.stat()
            if state.st_size != known.bytes:
                return False
            name = os.path.relpath(path, self._file.parent)
            return self.matches(name, mark_of(state), known, lambda: checksum(path), again=again)
        except OSError:
            return False

    def matches(
        self, name: str, mark: Sequence[Any], known: Checksum, read: Callable[[], Checksum], *, again: bool = False
    ) -> bool:
        """Return whether ``name`` has the content ``known``.

        ``read`` is called to find out unless that was found before when ``name`` had the same ``mark``.
        """
        entry = [*mark, known.bytes, known.sha256]
        if not again and (self._seen.get(name) == entry or self._stored().get(name) == entry):
            self._seen[name] = entry
            return True
        intact = read() == known
        self._write(name, entry if intact else None)
        return intact

    def _stored(self) -> dict[str, Any]:
        try:
            stored = json.loads(self._file.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return stored if isinstance(stored, dict) else {}

    def _write(self, name: str, entry: list[Any] | None) -> None:
        stored = {**self._stored(), **self._seen, name: entry}
        self._seen = {key: value for key, value in stored.items() if value is not None}
        beside = self._file.with_name(f".building-{self._file.name}-{os.getpid()}-{secrets.token_hex(4)}")
        try:
            beside.write_text(json.dumps(self._seen, indent=0), "utf-8")
            beside.replace(self._file)
        except OSError:  # a KB that cannot be written to is hashed by every process
            with suppress(OSError):
                beside.unlink(missing_ok=True)


def seal(folder: Path) -> None:
    """Write the checksums of all files in ``folder`` and below into its file ``SEAL``."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in _UNSEALED)
    found = {path.relative_to(folder).as_posix(): checksum(path) for path in files}
    listed = {name: [one.bytes, one.sha256] for name, one in found.items()}
    sealed = {"files": listed, "checksum": json_checksum(listed)}
    (folder / SEAL).write_text(json.dumps(sealed, indent=0), "utf-8")


def damaged_file(folder: Path, verified: Verified, *, again: bool = False) -> Path | None:
    """Return the first file of a sealed folder that is missing or not what was written; None where all are intact."""
    try:
        sealed = json.loads((folder / SEAL).read_bytes())
        if sealed["checksum"] != json_checksum(sealed["files"]):
            return folder / SEAL
        known = {folder / name: Checksum(size, sha256) for name, (size, sha256) in sealed["files"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return folder / SEAL
    return next((path for path, one in known.items() if not verified.holds(path, one, again=again)), None)
