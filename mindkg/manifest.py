"""The manifest of a KB and the records of its stages: what they hold, and JSON files of them with a checksum."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from mindkg.checksums import Checksum, json_checksum
from mindkg.errors import StorageError
from mindkg.schema import SCHEMA_VERSION

_CHECKSUM: Final = "checksum"
"""The field of a manifest or a record with the hash of all the others; those of older versions have none."""


@dataclass(frozen=True, slots=True)
class TableEntry:
    """Where a table lies (relative to the KB), how many rows it has, and the fingerprint of the stage that wrote it.

    ``bytes`` and ``sha256`` are those of its file; they are None in a KB of a version that did not record them.
    """

    path: str
    rows: int
    fingerprint: str
    bytes: int | None = None
    sha256: str | None = None

    @property
    def checksum(self) -> Checksum | None:
        """The checksum of the table's file, if it is known."""
        return None if self.bytes is None or self.sha256 is None else Checksum(self.bytes, self.sha256)


@dataclass(frozen=True, slots=True)
class StageRecord:
    """A finished stage: its fingerprint, its tables, and where its input rows went."""

    stage: str
    fingerprint: str
    tables: dict[str, TableEntry]
    read: int
    kept: int
    rejected: int
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a KB holds: the tables and stages of one finished build, its inputs, options and tool versions."""

    tables: dict[str, TableEntry]
    stages: dict[str, StageRecord]
    inputs: list[dict[str, Any]]
    options: dict[str, Any]
    versions: dict[str, str]
    created: str
    schema_version: int = SCHEMA_VERSION

    def entries(self) -> list[TableEntry]:
        """Return the entries of the tables and of those that stages left: some stand twice."""
        return [*self.tables.values(), *(entry for stage in self.stages.values() for entry in stage.tables.values())]

    @property
    def fingerprint(self) -> str:
        """The hash of all tables' fingerprints: what anything made from the tables depends on."""
        return fingerprint(*(f"{name}={entry.fingerprint}" for name, entry in sorted(self.tables.items())))


def fingerprint(*parts: object) -> str:
    """Return 16 hexadecimal digits that stand for ``parts`` (anything JSON can write).

    >>> fingerprint("parse", {"b": 1, "a": 2}) == fingerprint("parse", {"a": 2, "b": 1})
    True
    """
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def updated(manifest: Manifest, by: Manifest) -> Manifest:
    """Return ``manifest`` with the entries of ``by`` for the same paths: a table that was recreated has other bytes."""
    new = {entry.path: entry for entry in by.entries()}

    def tables(old: Mapping[str, TableEntry]) -> dict[str, TableEntry]:
        return {name: new.get(entry.path, entry) for name, entry in old.items()}

    stages = {name: replace(stage, tables=tables(stage.tables)) for name, stage in manifest.stages.items()}
    return replace(manifest, tables=tables(manifest.tables), stages=stages)


def as_json(value: Any) -> bytes:
    """Return ``value`` as the bytes of a JSON file."""
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"


def to_file(content: Manifest | StageRecord) -> bytes:
    """Return a manifest or a record as a JSON file with its checksum."""
    plain = json.loads(as_json(asdict(content)))
    return as_json({**plain, _CHECKSUM: json_checksum(plain)})


def manifest_of(file: bytes) -> Manifest:
    """Return the manifest in a JSON file; StorageError, without a record, where there is none."""
    raw = _json(file)
    version = raw.get("schema_version")
    if version != SCHEMA_VERSION:
        hint = "Build the KB again with this version of mindkg"
        raise StorageError(f"the KB has schema version {version}, not {SCHEMA_VERSION}", hint=hint)
    fields = _checked("manifest", _sealed(raw), _MANIFEST)
    for one in fields["inputs"]:
        _checked("input", one, _INPUT)
    tables = {name: _table_entry(name, entry) for name, entry in fields["tables"].items()}
    stages = {name: _stage_record(record) for name, record in fields["stages"].items()}
    return Manifest(**{**fields, "tables": tables, "stages": stages})


def record_of(file: bytes) -> StageRecord:
    """Return the record of a stage in a JSON file; StorageError where there is none."""
    return _stage_record(_sealed(_json(file)))


def _json(file: bytes) -> dict[str, Any]:
    try:
        raw = json.loads(file.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise StorageError(f"the manifest cannot be read: {error}") from error
    if not isinstance(raw, dict):
        raise StorageError(f"the manifest is broken: it is {_kind(raw)} and not a JSON object")
    return raw


def _sealed(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest or a record without its checksum; StorageError where it does not fit the rest."""
    fields = {name: value for name, value in raw.items() if name != _CHECKSUM}
    if _CHECKSUM in raw and raw[_CHECKSUM] != json_checksum(fields):
        raise StorageError("the manifest is damaged: its checksum does not fit its content")
    return fields


def _stage_record(raw: Any) -> StageRecord:
    fields = _checked("stage", raw, _STAGE)
    tables = {name: _table_entry(name, entry) for name, entry in fields["tables"].items()}
    return StageRecord(**{**fields, "tables": tables})


def _table_entry(name: str, raw: Any) -> TableEntry:
    entry = TableEntry(**_checked(f"entry of table {name}", raw, _ENTRY))
    if not _TABLE_PATH.fullmatch(entry.path):
        raise StorageError(f"the manifest names a table outside the KB: {entry.path!r}")
    return entry


_TABLE_PATH: Final = re.compile(r"tables/[A-Za-z0-9_]+/[A-Za-z0-9_-]+")
_Types = Mapping[str, tuple[type | None, ...]]
_ENTRY: Final[_Types] = {
    "path": (str,),
    "rows": (int,),
    "fingerprint": (str,),
    "bytes": (int, None),
    "sha256": (str, None),
}
_STAGE: Final[_Types] = {
    "stage": (str,),
    "fingerprint": (str,),
    "tables": (dict,),
    "read": (int,),
    "kept": (int,),
    "rejected": (int,),
    "notes": (dict,),
}
_MANIFEST: Final[_Types] = {
    "tables": (dict,),
    "stages": (dict,),
    "inputs": (list,),
    "options": (dict,),
    "versions": (dict,),
    "created": (str,),
    "schema_version": (int,),
}
_INPUT: Final[_Types] = {"path": (str,), "sha256": (str,), "bytes": (int,), "role": (str,)}


def _checked(what: str, raw: Any, types: _Types) -> dict[str, Any]:
    """Return a JSON object of the manifest if it has the fields ``types``; StorageError where it has not.

    A field that may be None may be missing; inputs have further fields.
    """
    if not isinstance(raw, dict):
        raise StorageError(f"the manifest is broken: the {what} is {_kind(raw)} and not a JSON object")
    for name, allowed in types.items():
        if name not in raw and None not in allowed:
            raise StorageError(f"the manifest is broken: the {what} is missing {name!r}")
        value = raw.get(name)
        if not (value is None and None in allowed) and type(value) not in allowed:
            raise StorageError(f"the manifest is broken: {name!r} of the {what} is {_kind(value)}")
    if unknown := [name for name in raw if name not in types and types is not _INPUT]:
        raise StorageError(f"the manifest is broken: the {what} has an unknown field {unknown[0]!r}")
    return raw


def _kind(value: Any) -> str:
    """Return what JSON calls a value."""
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return kinds.get(type(value), "a number")
