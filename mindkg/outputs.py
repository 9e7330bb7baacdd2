"""Files and folders that a user asks for: where they may be written, and how they appear only when complete.

A file or a folder is written under a temporary name beside its place and renamed when it is complete. A folder has an
inventory of the files that were written, so that the same command may replace them; other files are never replaced
unless the caller says so, and nothing is written into the folders of a KB.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, cast

from mindkg.errors import InputError
from mindkg.object_store import address_of
from mindkg.paths import check_utf8
from mindkg.places import remove
from mindkg.storage import is_kb

INVENTORY: Final = ".mindkg-files.json"
"""The file of a folder that lists what was written into it: the kind of output, and size and time of each file."""

_EXPORTS: Final = "exports"
_TEMPORARY: Final = ".mindkg-building-"
_OTHER: Final = "Give another path with -o"
_GZIP_LEVEL: Final = 4  # level 9 takes five times as long for a tenth less


def check_file(path: str | Path, *, overwrite: bool = False) -> Path:
    """Return where the file ``path`` is written, links resolved.

    Raises InputError where it is a folder or lies in a KB, or where it exists and not ``overwrite``.
    """
    target = _checked(path)
    if target.is_dir():
        raise InputError("this is a folder, not a file", record=str(path), hint="Give the name of a file with -o")
    if target.is_file() and not overwrite:
        raise InputError("this file exists", record=str(path), hint="Give another with -o, or replace it: --overwrite")
    return target


def check_folder(path: str | Path, kind: str, *, overwrite: bool = False) -> Path:
    """Return where the folder ``path`` of output ``kind`` is written, links resolved.

    Raises InputError where it is a file or lies in a KB, or where it holds files that the same kind of output did not
    write and not ``overwrite``.
    """
    target = _checked(path)
    if target.exists() and not target.is_dir():
        raise InputError("this is a file, not a folder", record=str(path), hint="Give the name of a folder with -o")
    other = _other_file(target, kind)
    if other and not overwrite:
        hint = "Give a new folder with -o, or replace files of the same names: --overwrite"
        raise InputError(f"this folder holds files that {kind} did not write: {other}", record=str(path), hint=hint)
    return target


@contextmanager
def new_file(path: str | Path, *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """Give a binary stream whose bytes are the file ``path`` once the block ends well; ``.gz`` is compressed.

    A device or a pipe is written to directly. Raises InputError as ``check_file`` does, or where it cannot be written.
    """
    target = check_file(path, overwrite=overwrite)
    with _writable(path):
        if target.exists() and not target.is_file():
            with target.open("wb") as device:
                yield device
            return
        with complete_file(target) as stream:
            yield stream
            check_file(path, overwrite=overwrite)  # another process may have written it meanwhile


@contextmanager
def complete_file(target: Path) -> Iterator[BinaryIO]:
    """Give a binary stream whose bytes replace the file ``target`` once the block ends well, wherever it is."""
    with _temporary(target) as part:
        with part.open("wb") as raw:
            if target.suffix == ".gz":
                # no name and no time inside, so that equal graphs give equal files
                with gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0) as packed:
                    yield cast(BinaryIO, packed)
            else:
                yield raw
        part.replace(target)


@contextmanager
def new_folder(path: str | Path, kind: str, *, overwrite: bool = False) -> Iterator[Path]:
    """Give an empty folder that becomes ``path`` once the block ends well; files of others that are there stay.

    ``kind`` is what is written, such as ``csv``. Raises InputError as ``check_folder`` does, or where it cannot be
    written.
    """
    target = check_folder(path, kind, overwrite=overwrite)
    with _writable(path):
        stays = target.is_dir() and _stays(target)
        with _temporary(target / "new" if stays else target) as part:
            part.mkdir()
            yield part
            _write_inventory(part, kind)
            check_folder(path, kind, overwrite=overwrite)  # another process may have written it meanwhile
            if stays or _other_file(target, kind):
                _merge(part, target, kind)
            else:
                _swap(part, target)


def _checked(path: str | Path) -> Path:
    """Return ``path`` with its links resolved; InputError where nothing may be written there."""
    if address_of(path):
        raise InputError("exports go to a file of this machine", record=str(path), hint=_OTHER)
    target = Path(os.path.realpath(path))
    check_utf8(target)
    for folder in (target, *target.parents):
        if is_kb(folder) and folder / _EXPORTS not in target.parents:
            hint = f"Give a path outside it with -o, or one in {folder / _EXPORTS}"
            raise InputError(f"this is inside the KB {folder}", record=str(path), hint=hint)
    return target


@contextmanager
def _writable(path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror or error}", record=str(path), hint=_OTHER) from error


@contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """Give a free path beside ``target`` that is removed when the block ends, and first those of dead processes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    begin = f"{_TEMPORARY}{_digest(socket.gethostname())}-"
    for leftover in target.parent.glob(f"{begin}*"):
        if not _runs(leftover.name.removeprefix(begin).partition("-")[0]):
            remove(leftover)
    part = target.with_name(f"{begin}{os.getpid()}-{_digest(target.name)}")  # short: a name has at most 255 bytes
    remove(part)
    try:
        yield part
    finally:
        remove(part)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _runs(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def _stays(folder: Path) -> bool:
    """Return whether ``folder`` cannot be renamed: a mounted one, the current one, or one in a read-only folder."""
    return os.path.ismount(folder) or Path.cwd().is_relative_to(folder) or not os.access(folder.parent, os.W_OK)


def _files(folder: Path) -> Iterator[str]:
    """Yield all that is below ``folder`` and is not a folder, relative to it; but not what this module writes."""
    for place, folders, names in os.walk(folder):
        below = Path(place).relative_to(folder)
        folders[:] = [name for name in folders if not name.startswith(_TEMPORARY)]
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        yield from (str(below / name) for name in [*names, *links] if below / name != Path(INVENTORY))


def _other_file(folder: Path, kind: str) -> str | None:
    """Return a file of ``folder`` that the same ``kind`` of output did not write, None where there is none."""
    own = _own(folder, kind)
    return next((name for name in _files(folder) if name not in own), None)


def _mark(file: Path) -> list[int]:
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _write_inventory(folder: Path, kind: str) -> None:
    listed = {name: _mark(folder / name) for name in sorted(_files(folder))}
    (folder / INVENTORY).write_text(json.dumps({"kind": kind, "files": listed}, indent=1) + "\n", "utf-8")


def _own(folder: Path, kind: str) -> set[str]:
    """Return the files of ``folder`` that the same ``kind`` of output wrote and nobody changed since."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        noted = json.loads((folder / INVENTORY).read_text("utf-8"))
        if noted["kind"] == kind:
            return {name for name, mark in noted["files"].items() if _mark_or_none(folder / name) == mark}
    return set()


def _mark_or_none(file: Path) -> list[int] | None:
    with suppress(OSError):
        return _mark(file)
    return None


def _swap(part: Path, target: Path) -> None:
    """Let ``part`` take the place of ``target``, a folder that is missing, empty or wholly our own."""
    old = part.with_name(f"{part.name}-old")
    remove(old)
    if target.exists():
        target.rename(old)
    part.rename(target)
    remove(old)


def _merge(part: Path, target: Path, kind: str) -> None:
    """Move the files of ``part`` into ``target`` and remove what an earlier output wrote and this one did not."""
    new = [*_files(part)]
    for name in _own(target, kind) - {*new}:
        (target / name).unlink()
    for name in [*new, INVENTORY]:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (part / name).replace(target / name)
