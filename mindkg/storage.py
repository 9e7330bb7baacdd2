"""The KB directory: tables as Parquet, the manifest that names them, fingerprints, publishing and the lock.

A stage writes its tables beside the old ones, under a folder named by its fingerprint, and then a record of itself; a
run that was killed goes on from the records it finds. Nothing is part of the KB until ``publish`` replaces
``manifest.json`` in one step.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from mindkg.checksums import VERIFIED, Verified, checksum, file_sha256
from mindkg.errors import ConservationError, InputError, LockedError, MindKGError, StorageError
from mindkg.manifest import (
    Manifest,
    StageRecord,
    TableEntry,
    as_json,
    fingerprint,
    manifest_of,
    record_of,
    to_file,
    updated,
)
from mindkg.object_store import Objects, address_of
from mindkg.parquet import REBUILD
from mindkg.paths import check_utf8
from mindkg.places import (
    FILE,
    RECORDS,
    TEMPORARY,
    Bucket,
    Folder,
    Place,
    damaged_table,
    discard,
    no_room,
    remove,
    write_bytes,
)
from mindkg.table_file import write_parquet

if TYPE_CHECKING:
    import daft

__all__ = [
    "MANIFEST",
    "PREVIOUS",
    "WORK_DIR",
    "KBDirectory",
    "Manifest",
    "StageRecord",
    "TableEntry",
    "file_sha256",
    "fingerprint",
    "write_json",
]

MANIFEST: Final = "manifest.json"
PREVIOUS: Final = "manifest.previous.json"
FAILED: Final = "tables/.failed"
"""The file that says why the first build of a KB failed."""

WORK_DIR: Final = "MINDKG_WORK_DIR"
"""The environment variable that says where KBs that are made keep what does not bear every shared folder."""

_WORK: Final = ".work"
_WORTH: Final = (MANIFEST, PREVIOUS, "ledger", "images", "stores")
"""What of a KB is not removed after a failure."""


class KBDirectory:
    """One KB directory, on disk or at an address of an object store; methods that write need ``writing()`` around them.

    ``path`` is made absolute: Arrow and Daft take a relative one with special characters for a URL. ``work`` holds the
    lock, the ledger, the stores and temporary files: the KB itself, or a folder of its own in the folder that
    MINDKG_WORK_DIR names when the KB is made. The KB remembers it.

    Of a KB at an address only the tables and the manifest lie there (``place``); ``path`` and ``work`` are its folder
    in the one that MINDKG_WORK_DIR names, which holds copies of its tables too.
    """

    place: Place

    def __init__(self, path: str | Path) -> None:
        address, room = address_of(path), _room()
        if address:
            self.path = self.work = _folder_of(address, room)
            self.verified = Verified(self.work / VERIFIED)
            self.place = Bucket(Objects(address), self.path, self.verified)
            return
        self.path = Path(path).absolute()
        check_utf8(self.path)
        self.work = self._kept_work() or self.path
        if room and self.work.parent != room:  # a KB that was moved keeps its folder there
            self.work = room / fingerprint(str(self.path.resolve()))
        self.verified = Verified(self.work / VERIFIED)
        self.place = Folder(self.path, self.verified)

    @property
    def address(self) -> str:
        """What a user calls the KB: its path, or its address in an object store."""
        return self.place.named("")

    def manifest(self, name: str = MANIFEST) -> Manifest | None:
        """Return the published manifest, or None where nothing was published; StorageError where it is broken."""
        try:
            return manifest_of(self.place.read(name))
        except FileNotFoundError:
            return None
        except StorageError as error:
            error.record, error.hint = self.place.named(name), error.hint or self._repair_hint(name)
            raise
        except OSError as error:
            record = self.place.named(name)
            raise StorageError(f"the manifest cannot be read: {error.strerror}", record=record) from error

    def _repair_hint(self, name: str) -> str:
        """Return what to do where the manifest ``name`` is broken."""
        if name == MANIFEST and self.usable_manifest(PREVIOUS):
            return f"Replace it with a copy of {PREVIOUS}, the version before, or build the KB from its sources again"
        return "Build the KB from its sources again: finished stages and answers that are paid for are used again"

    def usable_manifest(self, name: str = MANIFEST) -> Manifest | None:
        """Return the manifest, or None where there is none or it cannot be read."""
        try:
            return self.manifest(name)
        except StorageError:
            return None

    def published_manifest(self) -> Manifest:
        """Return the published manifest, whatever its tables are like; StorageError where there is no KB here."""
        if not self.place.exists():
            raise StorageError("there is no KB", record=self.address, hint="Make one with: mindkg build SOURCE -o KB")
        manifest = self.manifest()
        if manifest is None:
            hint = "If a build was interrupted, run it again: it goes on where it stopped"
            with suppress(OSError, ValueError):
                failure = self.place.read(FAILED).decode("utf-8")
                hint = f"Its last build failed: {failure}"
            raise StorageError("this folder is not a finished KB", record=self.address, hint=hint)
        return manifest

    def open_manifest(self) -> Manifest:
        """Return the published manifest; StorageError where there is no KB here, or a table is missing or truncated.

        The contents of tables are verified when they are first read (see ``table_folder``).
        """
        manifest = self.published_manifest()
        for name, entry in manifest.tables.items():
            size = self.place.size(entry.path)
            if size is None or size != (entry.bytes or size) or (entry.bytes is None and not self.is_whole(entry)):
                what = "missing" if size is None else "damaged"
                record = self.place.named(f"{entry.path}/{FILE}")
                raise StorageError(f"table {name} is {what}", record=record, hint=REBUILD)
        return manifest

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the KB's lock, which dies with its process; LockedError if another process has it.

        Where the block fails before a stage is finished, a folder that was made for a new KB is removed again.
        """
        self._refuse_inside_another()
        new = {folder: _missing(folder) for folder in (self.work, self.path) if _is_empty(folder)}
        try:
            self.place.claim()
            self._claim_work()
        except Exception:
            _remove_empty([self.path / "tables", *new.get(self.path, ())])
            raise
        rooms = dict.fromkeys([self.path, self.work, *self.path.glob("tables/*")])
        with self._locked(self.work / ".lock", rooms, wait=False):
            try:
                yield
            except Exception:
                if self.path in new:
                    self._remove_new(new)
                raise

    def _refuse_inside_another(self) -> None:
        for folder in Path(os.path.realpath(self.path)).parents:
            if is_kb(folder):
                hint = "Give a folder outside it with -o"
                raise StorageError(f"this is inside the KB {folder}", record=str(self.path), hint=hint)

    def _remove_new(self, new: Mapping[Path, Sequence[Path]]) -> None:
        """Remove what ``new`` folders hold, and themselves where they were made, unless there is work to go on from."""
        if any((self.path / RECORDS).glob("*.json")) or any((p / n).exists() for p in new for n in _WORTH):
            return
        for folder, made in new.items():
            for one in folder.glob("*") if folder.is_dir() else ():
                remove(one)
            _remove_empty(made)

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Remember why the block fails, for those who open a KB that was never finished."""
        finished = self.usable_manifest() is not None
        if not finished:
            self.place.discard(FAILED)
        try:
            yield
        except MindKGError as error:
            if not finished and not error.retryable:
                self.place.write(FAILED, str(error).encode("utf-8", "backslashreplace"))
            raise

    def loading(self) -> AbstractContextManager[None]:
        """Hold the lock of the stores, which are made while queries wait for them."""
        stores = self.work / "stores"
        try:
            stores.mkdir(parents=self.place.apart or self.work != self.path, exist_ok=True)
        except OSError as error:
            hint = "Load it once where it can be written, or copy it"
            raise StorageError(f"cannot write in the KB: {error.strerror}", record=str(stores), hint=hint) from error
        return self._locked(stores / ".lock", stores.glob("*"), wait=True)

    @contextmanager
    def _locked(self, file: Path, rooms: Iterable[Path], *, wait: bool) -> Iterator[None]:
        """Hold the lock ``file`` and remove what killed holders of it left half built in ``rooms``."""
        from filelock import FileLock, Timeout

        lock = FileLock(file, timeout=-1 if wait else 0)
        try:
            lock.acquire()
        except Timeout:
            hint = "Wait until it ends; a killed process leaves no lock behind"
            raise LockedError("another process is writing to this KB", record=self.address, hint=hint) from None
        except OSError as error:
            raise StorageError(f"cannot write in the KB: {error.strerror}", record=str(file)) from error
        try:
            for leftover in [p for room in rooms for p in room.glob(f"{TEMPORARY}*")]:
                remove(leftover)
            with no_room(self.work):
                yield
        finally:
            lock.release()

    def _kept_work(self) -> Path | None:
        """Return the folder that the KB was told when it was made, None where it is the KB itself."""
        try:
            return Path((self.path / _WORK).read_text("utf-8").rstrip("\n"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise StorageError(f"the KB's work folder is not known: {error}", record=str(self.path / _WORK)) from error

    def _claim_work(self) -> None:
        """Make the work folder of a new KB, and remember it; StorageError where that of the KB is another one."""
        if self.place.apart:
            return self._make_work()
        known = self._kept_work()
        if known == self.work and not known.is_dir():
            raise StorageError("the KB's work folder is not there", record=str(known), hint="Mount it, or copy it back")
        if self.work == (known or self.path):
            return None
        if known or (self.path / "ledger").is_dir():
            hint = f"Leave out --work-dir and {WORK_DIR}: a KB keeps its ledger where it is, so as to pay nothing twice"
            raise StorageError("the KB's work folder is another one", record=str(known or self.path), hint=hint)
        self._make_work()
        return write_bytes(self.path / _WORK, str(self.work).encode("utf-8"))

    def _make_work(self) -> None:
        try:
            self.work.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"no work folder can be made: {error.strerror}", record=str(self.work)) from error

    @contextmanager
    def building(self, target: Path) -> Iterator[Path]:
        """Give an empty folder beside ``target`` that takes its name when the block ends well."""
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f"{TEMPORARY}{target.name}-{os.getpid()}")
        remove(temporary)
        temporary.mkdir()
        try:
            with no_room(target):
                yield temporary
            discard(target)
            temporary.rename(target)
        finally:
            remove(temporary)

    def temporary(self, name: str) -> Path:
        """Return a path for temporary files of this process, which the next writer removes if this one is killed."""
        return self.work / f"{TEMPORARY}{name}-{os.getpid()}"

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give an empty folder for temporary files that is gone when the block ends."""
        folder = self.temporary("scratch")
        remove(folder)
        folder.mkdir()
        try:
            yield folder
        finally:
            remove(folder)

    def finished(self, stage: str, key: str) -> StageRecord | None:
        """Return the record of ``stage`` with fingerprint ``key`` if it and all its tables are there and intact.

        All bytes are read for that, unless they are in an object store. Tables without a checksum, of an older version,
        get theirs.
        """
        record = self.record(stage, key)
        if record is None or not all(
            self.is_whole(entry, again=not self.place.apart) for entry in record.tables.values()
        ):
            return None
        return replace(record, tables={name: self._with_checksum(entry) for name, entry in record.tables.items()})

    def record(self, stage: str, key: str) -> StageRecord | None:
        """Return the record of ``stage`` with fingerprint ``key``, None where it is missing or damaged."""
        try:
            return record_of(self.place.read(f"{RECORDS}/{stage}-{key}.json"))
        except (FileNotFoundError, StorageError):
            return None

    def is_whole(self, entry: TableEntry, *, again: bool = False) -> bool:
        """Return whether the table's file is there with the content (if that is unknown, the rows) of the entry.

        What was found so before is not read again unless ``again``.
        """
        if entry.checksum is None:
            return self.place.rows(entry.path) == entry.rows
        return self.place.holds(entry.path, entry.checksum, again=again)

    def _with_checksum(self, entry: TableEntry) -> TableEntry:
        if entry.checksum:
            return entry
        found = checksum(self.place.folder(entry.path, None) / FILE)
        return replace(entry, bytes=found.bytes, sha256=found.sha256)

    def write_stage(
        self,
        stage: str,
        key: str,
        tables: Mapping[str, pa.Table | daft.DataFrame],
        *,
        read: int,
        kept: int = 0,
        kept_in: Sequence[str] = (),
        notes: Mapping[str, Any] | None = None,
    ) -> StageRecord:
        """Write ``tables``, check that rows read = kept + rejected, and leave a record of the stage.

        The rows written to the tables ``kept_in`` are added to ``kept``; those of ``rejects`` are the rejected ones.
        """
        entries = {name: self.write_table(name, key, rows) for name, rows in tables.items()}
        kept += sum(entries[name].rows for name in kept_in)
        rejected = entries["rejects"].rows if "rejects" in entries else 0
        if read != kept + rejected:
            message = f"stage {stage} lost rows: {read} read, {kept} kept, {rejected} rejected"
            raise ConservationError(message, record=self.address, hint="This is a defect of mindkg: please report it")
        record = StageRecord(stage, key, entries, read, kept, rejected, dict(notes or {}))
        self.place.write(f"{RECORDS}/{stage}-{key}.json", to_file(record))
        return record

    def write_table(self, name: str, key: str, rows: pa.Table | daft.DataFrame) -> TableEntry:
        """Write ``rows`` as the table ``name``, sorted by its key, under ``tables/NAME/key``.

        What a manifest names and is intact stays: it holds the same rows.
        """
        table = f"tables/{name}/{key}"
        for known in self._named(table):
            if known.checksum and self.is_whole(known):
                return known
        with self.building(self.path / table) as folder:
            count = write_parquet(folder / FILE, name, rows)
            found = checksum(folder / FILE)
        self.place.take(table, found)
        return TableEntry(table, count, key, found.bytes, found.sha256)

    def _named(self, table: str) -> list[TableEntry]:
        """Return the entries of the manifests for a path."""
        manifests = [m for m in (self.usable_manifest(), self.usable_manifest(PREVIOUS)) if m]
        return [entry for m in manifests for entry in m.entries() if entry.path == table]

    def publish(self, manifest: Manifest, *, keep: bool = True) -> None:
        """Make ``manifest`` the KB in one step; the one before is kept under its own name unless ``keep`` is false."""
        before = self.usable_manifest()
        if keep and before:
            self.place.write(PREVIOUS, to_file(updated(before, manifest)))
        self.place.write(MANIFEST, to_file(manifest))

    @property
    def ledger(self) -> Path:
        """Where the answers of models lie that are paid for."""
        return self.work / "ledger"

    def store_folder(self, engine: str, key: str) -> Path:
        """Return where a store of ``engine`` made from fingerprint ``key`` lies."""
        return self.work / "stores" / engine / key

    def table_folder(self, entry: TableEntry) -> Path:
        """Return the folder of Parquet files of a table, copied to this machine where the KB lies elsewhere.

        Raises StorageError where it is damaged: the first process to open a file after it was written reads all of it.
        """
        if entry.checksum is None and not self.is_whole(entry):
            raise damaged_table(self.place.named(f"{entry.path}/{FILE}"))
        return self.place.folder(entry.path, entry.checksum)

    def clean(self) -> list[Path | str]:
        """Remove tables, stores and records that neither manifest names; return their paths, or their addresses."""
        manifests = [m for m in (self.open_manifest(), self.usable_manifest(PREVIOUS)) if m]
        named = {t.path for m in manifests for s in m.stages.values() for t in s.tables.values()}
        named |= {t.path for m in manifests for t in m.tables.values()}
        named |= {f"{RECORDS}/{s.stage}-{s.fingerprint}.json" for m in manifests for s in m.stages.values()}
        prints = {m.fingerprint for m in manifests}
        left = [name for name in self.place.tables() if name not in named]
        left.sort(key=lambda name: not name.endswith(".json"))  # a record goes before its tables
        stores = [p for p in self.work.glob("stores/*/*") if p.name.split("-")[0] not in prints]
        gone = [self.place.discard(name) for name in left]
        for path in stores:
            discard(path)
        return sorted([*gone, *stores], key=str)


def is_kb(folder: Path) -> bool:
    """Return whether ``folder`` is a KB, finished or not, or the work folder of one."""
    if (folder / RECORDS).is_dir() or ((folder / MANIFEST).is_file() and (folder / "tables").is_dir()):
        return True
    return (folder / ".lock").is_file() and any((folder / name).is_dir() for name in ("ledger", "stores", "tables"))


def _is_empty(folder: Path) -> bool:
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _missing(folder: Path) -> list[Path]:
    """Return ``folder`` and those above it that are not there, the lowest first."""
    return [one for one in (folder, *folder.parents) if not one.exists()]


def _room() -> Path | None:
    """Return the folder that MINDKG_WORK_DIR names, if it does; InputError where that is no folder."""
    given = os.environ.get(WORK_DIR)
    if given and address_of(given):
        hint = "Locks, ledgers and stores need a disk, or a mounted folder"
        raise InputError("the work folder cannot lie in an object store", record=given, hint=hint)
    check_utf8(given or "")
    return Path(given).absolute() if given else None


def _folder_of(address: str, room: Path | None) -> Path:
    """Return the folder of the KB at ``address`` in the work folder; InputError where there is none."""
    if room is None:
        hint = f"Set {WORK_DIR} to one; build, ingest and distill take --work-dir too"
        message = "a KB in an object store needs a folder here for its lock, ledger, stores and temporary files"
        raise InputError(message, record=address, hint=hint)
    return room / fingerprint(address) / address.rpartition("/")[2]


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON in one step: a reader sees the old file or the new one."""
    write_bytes(path, as_json(value))
