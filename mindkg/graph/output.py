"""Where a writer's bytes go: a file that appears only when it is whole, gzipped if its name says so, or a stream."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

Progress = Callable[[int, int], None]
"""Called with the rows done and all rows there are."""

_GZIP_LEVEL = 4  # level 9 takes five times as long for a tenth less


@contextmanager
def writing(out: Path | BinaryIO) -> Iterator[BinaryIO]:
    """Give a binary stream that writes to ``out``; a Path is replaced only once all is written."""
    if not isinstance(out, Path):
        yield out
        return
    part = out.with_name(out.name + ".part")
    try:
        with part.open("wb") as raw:
            if out.suffix == ".gz":
                # no name and no time inside, so that equal graphs give equal files
                with gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0) as packed:
                    yield cast(BinaryIO, packed)
            else:
                yield raw
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def writing_folder(out: Path) -> Iterator[Path]:
    """Give an empty folder whose files get their places in ``out`` once all are written; others there stay."""
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        out.mkdir(exist_ok=True)
        for file in sorted(part.iterdir()):
            file.replace(out / file.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)
