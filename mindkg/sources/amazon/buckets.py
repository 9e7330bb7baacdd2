"""Rows spread over many small files by a key, so that all rows of a key are read back at once in little memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

COUNT: Final = 64
"""How many files. Of 600 million reviews, the largest collection there is, each holds some 150 MB."""
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_SHIFT: Final = np.uint64(64 - COUNT.bit_length() + 1)


class Buckets:
    """Rows of one numpy type in ``COUNT`` files of a folder."""

    def __init__(self, folder: Path, dtype: npt.DTypeLike) -> None:
        folder.mkdir()
        self._paths = [folder / f"{number}.bin" for number in range(COUNT)]
        self._dtype = np.dtype(dtype)

    def add(self, keys: npt.NDArray[np.uint64], rows: npt.NDArray[np.void]) -> None:
        """Append each row, shape (rows,), to the file of its key."""
        numbers = (keys * _MIX) >> _SHIFT  # Fibonacci hashing: Knuth, The Art of Computer Programming 3, 6.4
        order = np.argsort(numbers, kind="stable")
        ends = np.searchsorted(numbers[order], np.arange(COUNT + 1, dtype=np.uint64))
        for path, start, end in zip(self._paths, ends[:-1], ends[1:], strict=True):
            if end > start:
                with path.open("ab") as file:
                    rows[order[start:end]].tofile(file)

    def read(self, number: int) -> npt.NDArray[np.void]:
        """Return the rows of one file and remove it."""
        path = self._paths[number]
        if not path.exists():
            return np.empty(0, self._dtype)
        rows = np.fromfile(path, self._dtype)
        path.unlink()
        return rows

    def __iter__(self) -> Iterator[npt.NDArray[np.void]]:
        return map(self.read, range(COUNT))
