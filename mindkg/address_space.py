"""The limit on a process's addresses (ulimit -v), below which libraries end it without a message of ours."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from mindkg.errors import ResourceError

START: Final = 512 << 20
"""Bytes of addresses that any verb needs: OpenBLAS, which comes with NumPy, ends the process below."""

TABLES: Final = 4 << 30
"""Bytes of addresses that Daft needs: few of them are memory in use, most belong to its threads."""


def check_address_space(least: int, library: str) -> None:
    """Raise ResourceError where a limit on addresses is below the ``least`` bytes that ``library`` needs."""
    with suppress(ImportError):  # there is no such limit on Windows
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY and limit < least:
            hint = f"Set it to at least {least >> 10} (ulimit -v), or to unlimited"
            raise ResourceError(f"{library} cannot run with a limit of {limit >> 10} kB on addresses", hint=hint)


def explained(error: Exception) -> ResourceError | None:
    """Return the error, one line, for what Python raises where a library, memory or a thread is refused; else None."""
    hint = "Look at free memory, at limits (ulimit -a) and at the installation"
    said = " ".join(str(error).split())
    if isinstance(error, ImportError):
        return ResourceError(f"a library cannot be loaded: {said}", hint=hint)
    if isinstance(error, MemoryError):
        return ResourceError(f"no memory is left{f': {said}' if said else ''}", hint=hint)
    if isinstance(error, RuntimeError) and "can't start new thread" in said:
        return ResourceError("no thread can be started", hint=hint)
    return None
