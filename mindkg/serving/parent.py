"""A process that ends when its parent does, however that ended."""

from __future__ import annotations

import ctypes
import signal
import sys
from typing import Final

_PARENT_DIED: Final = 1  # PR_SET_PDEATHSIG of prctl(2)


def end_with_parent(number: signal.Signals) -> None:
    """Have the system send ``number`` to this process when its parent has ended; does nothing but on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DIED, number)
