"""Object stores: what lies at an address such as ``s3://bucket/kb``, read and written whole.

Arrow speaks to them. Endpoint, region and credentials come from where the store's own tools take them, the usual AWS_*
variables, profiles and roles; none of them stands in an address, and no error repeats what the store says in full.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import fs

from mindkg.checksums import Checksum
from mindkg.errors import InputError, StorageError

_CHUNK: Final = 1 << 24
_TRIES: Final = 3
_CONNECTING, _SILENT = 3.0, 10.0
"""Seconds to wait for a connection, and for a sign of life on it."""

_ADDRESS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_SHORTENED: Final = re.compile(r"[a-z][a-z0-9]+:")
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SERVER: Final = re.compile(r"https?://[^/@\s]+/?")
_SAID: Final = re.compile(r"AWS Error (\w+)(?: \(HTTP status (\d+)\))? during (\w+)")
_ACCESS_HINT: Final = (
    "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or AWS_PROFILE), and what they may read and write there"
)
_MISTAKES: Final = (
    ("NO_SUCH_BUCKET|^Bucket .* not found", "there is no such bucket", "Make it, or check its name"),
    ("NETWORK_CONNECTION|REQUEST_TIMEOUT", "the object store is not reached", "Check AWS_ENDPOINT_URL and the network"),
    ("HTTP status 30[17]", "the bucket lies in another region", "Set AWS_REGION"),
    (
        "ACCESS_DENIED|INVALID_ACCESS_KEY_ID|SIGNATURE_DOES_NOT_MATCH|INVALID_CLIENT_TOKEN_ID|EXPIRED|HTTP status 403",
        "the object store refuses access",
        _ACCESS_HINT,
    ),
)


def _s3() -> fs.FileSystem:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint and not _SERVER.fullmatch(endpoint):
        raise ValueError("no address of a server")  # Arrow finds that out when it asks
    return fs.S3FileSystem(
        endpoint_override=endpoint,
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
        connect_timeout=_CONNECTING,
        request_timeout=_SILENT,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_TRIES),
        background_writes=False,  # else all that is not sent yet waits in memory
    )


STORES: Final[dict[str, Callable[[], fs.FileSystem]]] = {"s3": _s3}
"""The schemes of addresses that are known, and how Arrow reaches each store."""


def address_of(place: str | Path) -> str | None:
    """Return ``place`` as an address without needless slashes, None where it is a path of a file system.

    Raises InputError for an address that cannot be used; what may be a secret in it is not repeated.

    >>> address_of("s3://bucket//kb/"), address_of("folder/kb")
    ('s3://bucket/kb', None)
    """
    if isinstance(place, Path):
        if place.parts and _SHORTENED.fullmatch(place.parts[0]) and place.parts[0][:-1] in STORES:
            raise InputError("a Path cannot hold an address", record=str(place), hint="Give it as a string")
        return None
    found = _ADDRESS.fullmatch(place)
    if not found:
        return None
    scheme, (bucket, *parts) = found[1].lower(), found[2].split("/")
    if scheme not in STORES:
        known = ", ".join(f"{name}://BUCKET/KEY" for name in STORES)
        raise InputError(f"addresses with {scheme}:// are not known", hint=f"Give a path, or one like {known}")
    if not _BUCKET.fullmatch(bucket):
        hint = "Credentials come from the environment (AWS_ACCESS_KEY_ID …) and never stand in an address"
        raise InputError(f"after {scheme}:// the name of a bucket is needed, and nothing before it", hint=hint)
    if {".", ".."} & {*parts}:
        raise InputError("an address holds no . and no ..", record=place, hint="Write it out")
    return "/".join([f"{scheme}://{bucket}", *filter(None, parts)])


@dataclass(frozen=True, slots=True)
class Object:
    """What is known of an object without reading it: another content has another ``etag``."""

    size: int
    etag: str


@dataclass(frozen=True)
class Objects:
    """The objects at and below an address; names are relative to it ("" is the object at the address itself).

    Methods raise FileNotFoundError for an object that is not there, and InputError where the store cannot be used.
    """

    address: str

    def __post_init__(self) -> None:
        known = address_of(self.address)
        assert known == self.address, "an address as address_of returns it"

    def named(self, name: str) -> str:
        """Return the address of ``name``."""
        return f"{self.address}/{name}" if name else self.address

    def find(self, name: str = "") -> Object:
        """Return what is known of an object."""
        with self.told(name), self._files.open_input_stream(self._key(name)) as stream:
            told = stream.metadata()
        mark = told.get("ETag") or told.get("Last-Modified", b"")
        return Object(int(told["Content-Length"]), mark.decode("ascii", "replace").strip('"'))

    def open(self, name: str) -> pa.NativeFile:
        """Return an object opened for reading anywhere in it."""
        with self.told(name):
            return self._files.open_input_file(self._key(name))

    def read(self, name: str) -> bytes:
        """Return the bytes of an object."""
        with self.told(name), self._files.open_input_stream(self._key(name)) as stream:
            return bytes(stream.read())

    def checksum(self, name: str) -> Checksum:
        """Return size and hash of an object, which is read whole."""
        digest, size = hashlib.sha256(), 0
        with self.told(name), self._files.open_input_stream(self._key(name)) as stream:
            while piece := stream.read(_CHUNK):
                digest.update(piece)
                size += len(piece)
        return Checksum(size, digest.hexdigest())

    def get(self, name: str, file: Path) -> None:
        """Copy an object into ``file``, which appears when it is whole."""
        beside = file.with_name(f".{file.name}.{os.getpid()}.part")
        known = self.find(name)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as copy, self.open(name) as stream:
                while piece := self._piece(stream, name):
                    copy.write(piece)
            if self.find(name) != known or beside.stat().st_size != known.size:
                raise InputError("this changed while it was read", record=self.named(name), hint="Run it again")
            beside.replace(file)
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise StorageError(f"cannot write: {error.strerror}", record=str(file)) from error
        finally:
            beside.unlink(missing_ok=True)

    def write(self, name: str, data: bytes) -> None:
        """Write an object in one step: a reader sees the old one or the new one."""
        self._write(name, iter([data]))

    def put(self, name: str, file: Path) -> None:
        """Copy ``file`` into an object, which appears when it is whole."""
        with file.open("rb") as source:
            self._write(name, iter(lambda: source.read(_CHUNK), b""))
        if self.find(name).size != file.stat().st_size:
            raise InputError("the object store did not take all of it", record=self.named(name), hint="Run it again")

    def names(self, name: str = "", *, deep: bool = True) -> list[str]:
        """Return the names of the objects below ``name``, sorted; unless ``deep`` those right below, folders too."""
        below = fs.FileSelector(self._key(name), recursive=deep, allow_not_found=True)
        with self.told(name):
            found = self._files.get_file_info(below)
        start = len(self._key("")) + 1
        return sorted(one.path[start:] for one in found if not deep or one.type == fs.FileType.File)

    def check(self) -> None:
        """Raise InputError where the bucket is not there or not reached."""
        bucket = self._key("").partition("/")[0]
        with self.told(""):
            if self._files.get_file_info(bucket).type == fs.FileType.NotFound:
                raise OSError(f"Bucket {bucket} not found")

    def remove(self, name: str) -> None:
        """Remove the object ``name``, or all that are below it, if there are any."""
        with self.told(name):
            found = self._files.get_file_info(self._key(name)).type
            if found == fs.FileType.File:
                self._files.delete_file(self._key(name))
            elif found == fs.FileType.Directory:
                self._files.delete_dir(self._key(name))

    @cached_property
    def _files(self) -> fs.FileSystem:
        try:
            return STORES[self.address.partition("://")[0]]()
        except (OSError, ValueError) as error:
            hint = "Check AWS_ENDPOINT_URL: it is one such as https://s3.example.org"
            raise InputError("the object store cannot be used", record=self.address, hint=hint) from error

    def _key(self, name: str) -> str:
        return self.named(name).partition("://")[2]

    def _piece(self, stream: pa.NativeFile, name: str) -> bytes:
        with self.told(name):
            return bytes(stream.read(_CHUNK))

    def _write(self, name: str, pieces: Iterator[bytes]) -> None:
        """Write an object in a thread of its own: Arrow publishes what is there when Ctrl-C ends a writer early."""

        def write() -> None:
            with self.told(name), self._files.open_output_stream(self._key(name)) as stream:
                for piece in pieces:
                    stream.write(piece)

        with ThreadPoolExecutor(1) as thread:
            thread.submit(write).result()

    @contextmanager
    def told(self, name: str) -> Iterator[None]:
        """Turn an error of the store about ``name`` into one that says what to do, and nothing that may be secret."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            message, hint = _meaning(str(error))
            raise InputError(message, record=self.named(name), hint=hint) from None


def _meaning(said: str) -> tuple[str, str]:
    for words, message, hint in _MISTAKES:
        if re.search(words, said):
            return message, hint
    found = _SAID.search(said)
    what = f"{found[1]} during {found[3]}" + (f", HTTP status {found[2]}" if found[2] else "") if found else "no reason"
    return f"the object store fails: {what}", "Try it again later"


def expand(pattern: str) -> list[str]:
    """Return the addresses of the objects that ``pattern`` names, sorted; ``*``, ``?`` and ``[…]`` stand in its parts.

    Raises InputError where it names none.
    """
    scheme, _, bucket, *parts = pattern.split("/")
    with suppress(FileNotFoundError):
        if parts:
            Objects(pattern).find()
            return [pattern]
    fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    above = Objects("/".join([scheme, "", bucket, *parts[:fixed]]))
    below = above.names()
    found = [above.named(name) for name in below if _matches(name.split("/"), parts[fixed:])]
    if found:
        return found
    above.check()
    if below and fixed == len(parts):
        raise InputError("this is a folder", record=pattern, hint=f"Name its objects, as in '{pattern}/*.csv'")
    message = "no object matches" if fixed < len(parts) else "there is no such object"
    hint = "Check the spelling, and quote a pattern so that the shell leaves it alone"
    raise InputError(message, record=pattern, hint=hint)


def _matches(names: list[str], patterns: list[str]) -> bool:
    return len(names) == len(patterns) and all(
        fnmatchcase(name, pattern) and (pattern.startswith(".") or not name.startswith("."))
        for name, pattern in zip(names, patterns, strict=True)
    )
