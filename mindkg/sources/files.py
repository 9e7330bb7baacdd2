"""The bytes of files as people have them: plain, gzip (of one or more members) or zstd, whole or cut off."""

from __future__ import annotations

import glob
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mindkg.errors import InputError
from mindkg.paths import check_utf8

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 1 << 23
"""How many bytes are read, and handled, at once."""

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_SUFFIXES = ("", ".gz", ".zst")


class CutOffError(Exception):
    """A compressed file ends before its end, or is damaged from here on; what came before was delivered."""


def expand(patterns: Sequence[str | Path]) -> list[Path]:
    """Return the files that ``patterns`` (paths or globs) name, sorted, each once.

    Raises InputError for a pattern that names none, and for a folder.
    """
    found: dict[Path, Path] = {}
    for pattern in patterns:
        path = Path(pattern)
        matches = [path]
        if not path.exists():  # Path.glob takes no absolute pattern
            matches = [Path(p) for p in glob.glob(str(pattern), recursive=True)]  # noqa: PTH207
        if not matches:
            is_glob = glob.has_magic(str(pattern))
            raise InputError(
                "no file matches" if is_glob else "there is no such file",
                record=str(pattern),
                hint="Check the spelling, and quote a pattern so that the shell leaves it alone",
            )
        for match in matches:
            check_utf8(match.absolute())
            if match.is_file():
                found.setdefault(match.resolve(), match)
            elif match == path:
                raise InputError("this is a folder", record=str(path), hint=f"Name its files, as in '{path}/*.csv'")
    return sorted(found.values(), key=lambda p: (str(p), p))


def names(files: Sequence[Path]) -> dict[Path, str]:
    """Return what rejects call each of ``files``: its name, behind as many folders as tell it from the others.

    >>> list(names([Path("2014/meta.json"), Path("2018/meta.json"), Path("2018/pairs.csv")]).values())
    ['2014/meta.json', '2018/meta.json', 'pairs.csv']
    """
    parts = {file: file.absolute().parts for file in files}
    found: dict[Path, str] = {}
    for length in range(1, max(map(len, parts.values()), default=0) + 1):
        ends = {file: "/".join(parts[file][-length:]) for file in files if file not in found}
        often = Counter(ends.values())
        found |= {file: end for file, end in ends.items() if often[end] == 1}
    return {file: found.get(file, str(file)) for file in files}


def chunks(path: Path, size: int = CHUNK) -> Iterator[bytes]:
    """Yield the decompressed bytes of ``path`` in pieces of about ``size`` bytes.

    Raises InputError where the file cannot be opened, CutOffError after the last bytes that can be had.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError("this file cannot be read", record=str(path), hint=error.strerror or None) from error
    with file:
        magic = file.read(4)
        file.seek(0)
        if magic.startswith(_GZIP):
            yield from _gzip(file, size)
        elif magic == _ZSTD:
            yield from _zstd(path, size)
        else:
            while piece := file.read(size):
                yield piece


def _gzip(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield the bytes of all members, one behind the other."""
    member, waiting = zlib.decompressobj(wbits=31), b""
    while True:
        waiting = waiting or file.read(1 << 20)
        if not waiting:
            break
        try:
            piece = member.decompress(waiting, size)
        except zlib.error as error:
            raise CutOffError(f"the gzip data are damaged: {error}") from error
        if piece:
            yield piece
        waiting = member.unconsumed_tail
        if member.eof:
            waiting = member.unused_data
            while not waiting.lstrip(b"\0"):  # padding with zeros is allowed behind a member
                waiting = file.read(1 << 20)
                if not waiting:
                    return
            waiting = waiting.lstrip(b"\0")
            if len(waiting) < 2:
                waiting += file.read(1 << 20)
            if not waiting.startswith(_GZIP):
                raise CutOffError("something that is not gzip follows the gzip data")
            member = zlib.decompressobj(wbits=31)
    if rest := member.flush():
        yield rest
    if not member.eof:
        raise CutOffError("the gzip file is cut off")


def _zstd(path: Path, size: int) -> Iterator[bytes]:
    import pyarrow as pa

    delivered = 0
    try:
        with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as stream:
            while piece := stream.read(size):
                yield piece
                delivered += len(piece)
    except OSError as error:
        # the failed call swallowed what it had decoded: read that again, byte by byte
        if rest := _salvage(pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"), delivered):
            yield rest
        raise CutOffError("the zstd file is cut off or damaged") from error


def _salvage(stream: pa.CompressedInputStream, start: int) -> bytes:
    """Return the bytes of ``stream`` from ``start`` to the place where it fails."""
    while start:
        start -= len(stream.read(min(start, CHUNK)))
    saved = bytearray()
    try:
        while byte := stream.read(1):
            saved += byte
    except OSError:
        pass
    return bytes(saved)
