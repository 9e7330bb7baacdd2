"""An indexed file of labels and their rows: looked up in place with the standard library alone, from a cold start.

Labels lie in 64 hash buckets and sorted within each. A bucket is a run of little-endian arrays, each at a multiple of
8 bytes; strings are int32 offsets and a text:

- ``key``, ``key.text``: the labels; ``start``: int32, the first row of each label, and the number of rows;
- for each column ``name``: int64, or int32 places in the strings ``name.label``, ``name.text``.

Behind them stands a JSON object, [name, whether it holds strings] of each column and [place, bytes] of each array by
bucket, and at the very end its length in 8 bytes.
"""

from __future__ import annotations

import json
import mmap
import struct
import sys
from pathlib import Path
from typing import Final, TypeAlias

BUCKETS: Final = 64
ALIGNED: Final = 8
_WORD: Final = 0xFFFFFFFFFFFFFFFF

Row: TypeAlias = tuple[int | str, ...]


def bucket_of(label: str) -> int:
    """Return the bucket, 0 to 63, of ``label``: a hash of its length and its first and last 8 bytes in UTF-8.

    >>> bucket_of("cable"), bucket_of("usb cable")
    (18, 59)
    """
    text = label.encode()
    head, tail = (int.from_bytes(part, "little") for part in (text[:8], text[-8:]))
    mixed = (head * 0x9E3779B97F4A7C15 ^ (tail + len(text)) * 0xC2B2AE3D27D4EB4F) & _WORD
    return ((mixed ^ (mixed >> 29)) * 0xBF58476D1CE4E5B9 & _WORD) >> 58


class Stored:
    """An indexed file, mapped into memory: only the pages that a look-up touches are read."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self.data: Final = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        (size,) = struct.unpack_from("<q", self.data, len(self.data) - 8)
        directory = json.loads(self.data[len(self.data) - 8 - size : -8])
        self.columns: Final[list[tuple[str, bool]]] = [(name, strings) for name, strings in directory["columns"]]
        self._arrays: dict[str, dict[str, tuple[int, int]]] = directory["arrays"]

    def forget(self, bucket: int) -> None:
        """Give back the pages of a bucket that was read: the system keeps them, this process does not."""
        if sys.platform != "win32":
            places = self._arrays[str(bucket)].values()
            begin = min(place for place, _ in places) // mmap.PAGESIZE * mmap.PAGESIZE
            self.data.madvise(mmap.MADV_DONTNEED, begin, max(place + size for place, size in places) - begin)

    def array(self, bucket: int, name: str) -> tuple[int, int]:
        """Return place and bytes of an array; raises KeyError where the bucket is empty."""
        place, size = self._arrays[str(bucket)][name]
        return place, size

    def holds(self, bucket: int) -> bool:
        """Return whether a bucket has labels."""
        return str(bucket) in self._arrays

    def find(self, bucket: int, label: bytes) -> int | None:
        """Return the place of ``label`` among those of its bucket, None where it is not there."""
        if not self.holds(bucket):
            return None
        low, high = 0, self.array(bucket, "key")[1] // 4 - 1
        while low < high:
            middle = (low + high) // 2
            met = self._text(bucket, "key", "key.text", middle)
            if met == label:
                return middle
            low, high = (middle + 1, high) if met < label else (low, middle)
        return None

    def rows(self, label: str) -> list[Row]:
        """Return the values of all columns in each row of ``label``."""
        bucket = bucket_of(label)
        place = self.find(bucket, label.encode())
        if place is None:
            return []
        begin, end = struct.unpack_from("<2i", self.data, self.array(bucket, "start")[0] + 4 * place)
        return [tuple(self._value(bucket, *column, row) for column in self.columns) for row in range(begin, end)]

    def _value(self, bucket: int, name: str, strings: bool, row: int) -> int | str:
        place, _ = self.array(bucket, name)
        if not strings:
            return int(struct.unpack_from("<q", self.data, place + 8 * row)[0])
        (code,) = struct.unpack_from("<i", self.data, place + 4 * row)
        return self._text(bucket, f"{name}.label", f"{name}.text", code).decode()

    def _text(self, bucket: int, offsets: str, text: str, place: int) -> bytes:
        begin, end = struct.unpack_from("<2i", self.data, self.array(bucket, offsets)[0] + 4 * place)
        base, _ = self.array(bucket, text)
        return self.data[base + begin : base + end]
