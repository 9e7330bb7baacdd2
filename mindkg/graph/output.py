"""Where a writer's bytes go: a file that appears only when it is complete, or a stream."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

from mindkg.outputs import complete_file

Progress = Callable[[int, int], None]
"""Called with the rows done and all rows there are."""


def writing(out: Path | BinaryIO) -> AbstractContextManager[BinaryIO]:
    """Give a binary stream that writes to ``out``; a file there is replaced when all is written."""
    return complete_file(out) if isinstance(out, Path) else nullcontext(out)
