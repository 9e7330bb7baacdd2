"""The files that a build reads: what is known of them, and copies here of those that lie in an object store."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from mindkg.errors import InputError, MindKGError, UsageError
from mindkg.object_store import Objects, address_of
from mindkg.places import remove
from mindkg.storage import KBDirectory, Manifest, file_sha256

_REPLACE: Final = "Give another KB with -o, or replace them: --replace"

Input = Path | str
"""A file, the address of an object, or ``STDIN``."""

STDIN: Final = "-"
"""Stands for standard input, which is copied to a file: it is read more than once."""


def input_of(place: str | Path) -> Input:
    """Return a path as a Path, an address as ``address_of`` returns it."""
    return address_of(place) or Path(place)


class Inputs:
    """The inputs of one run; those at an address are copied into ``folder`` when they are first asked for."""

    def __init__(self, folder: Path, report: Callable[[], None]) -> None:
        self._folder = folder
        self._report = report
        self._copies: dict[str, Path] = {}

    def file(self, place: Input) -> Path:
        """Return ``place`` as a file of this machine, under its own name; InputError where it cannot be had."""
        if isinstance(place, Path):
            return place
        if place not in self._copies:
            self._report()
            copy = self._folder / f"{len(self._copies):05}" / place.rpartition("/")[2]
            if place == STDIN:
                copy = copy.with_name("stdin")
                _spool(copy)
                self._copies[place] = copy
                return copy
            try:
                Objects(place).get("", copy)
            except FileNotFoundError:
                raise InputError("there is no such object", record=place, hint="Check the spelling") from None
            self._copies[place] = copy
        return self._copies[place]

    def called(self, file: str) -> str:
        """Return what a user calls ``file``, the path of a copy or another one."""
        return next((place for place, copy in self._copies.items() if str(copy) == file), file)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Let errors about a copy name what it was copied from."""
        try:
            yield
        except MindKGError as error:
            error.record = error.record and self.called(error.record)
            raise

    def describe(self, places: Sequence[Input], known: Sequence[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
        """Return path, SHA-256 and size of each input, and what shows that it is another one than before.

        That is the modification time of a file and the ETag of an object: what is in ``known`` is not read again.
        """
        seen = {(k["path"], k["bytes"], k.get("modified_ns", k.get("etag"))): k["sha256"] for k in known}
        inputs = []
        for place in places:
            if place == STDIN:
                inputs.append({**_file(self.file(place)), "path": STDIN, "sha256": file_sha256(self.file(place))})
                continue
            one = _file(place) if isinstance(place, Path) else _object(place)
            sha256 = seen.get(tuple(one.values())) or file_sha256(self.file(place))
            path, size, mark = one.items()
            inputs.append(dict([path, ("sha256", sha256), size, mark]))
        return inputs


def check_same_inputs(before: Manifest, inputs: Sequence[Mapping[str, Any]], options: Mapping[str, Any]) -> None:
    """Raise InputError where ``inputs``, read with ``options``, would take the place of others that a KB was made of.

    A file may change, move or get a neighbour: what the KB was made of is read again then. Other files instead, or the
    same ones in another format or from another column, are other inputs.
    """
    named = {(i["role"], i["path"]) for i in inputs if i["path"] != STDIN}
    here = named | {(i["role"], i["sha256"]) for i in inputs}
    known = [i for i in before.inputs if i["role"] != "isa"]
    lost = [i["path"] for i in known if not {(i["role"], i["path"]), (i["role"], i["sha256"])} & here]
    if lost:
        more = f" and {len(lost) - 1:,} more" if len(lost) > 1 else ""
        raise InputError("the KB was made of other inputs", record=f"{lost[0]}{more}", hint=_REPLACE)
    found = set(before.stages["sources"].notes.get("formats", {}).values())
    for name in ("format", "field"):
        old, new = before.options.get(name), options.get(name)
        if old != new and not (name == "format" and {new} == found):
            was = old or "the one found from content"
            raise InputError(f"the inputs were read with another {name}", record=str(was), hint=_REPLACE)


@contextmanager
def inputs_of(kb: KBDirectory, report: Callable[[], None]) -> Iterator[Inputs]:
    """Give the inputs of a run that holds the lock of ``kb``; copies are gone when the block ends.

    ``report`` is called before something is copied.
    """
    folder = kb.temporary("inputs")
    try:
        yield Inputs(folder, report)
    finally:
        remove(folder)


def _spool(copy: Path) -> None:
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("nothing is piped into stdin", hint="Pipe the source in, as in: zcat FILE | mindkg build -")
    copy.parent.mkdir(parents=True)
    with copy.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file, 1 << 20)


def _file(path: Path) -> dict[str, Any]:
    stat = path.stat()
    return {"path": str(path.resolve()), "bytes": stat.st_size, "modified_ns": stat.st_mtime_ns}


def _object(address: str) -> dict[str, Any]:
    try:
        found = Objects(address).find()
    except FileNotFoundError:
        raise InputError("there is no such object", record=address, hint="Check the spelling") from None
    return {"path": address, "bytes": found.size, "etag": found.etag}
