"""The limits of a process (ulimit), below which libraries end it without a message of ours."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from mindkg.errors import ResourceError

START: Final = 512 << 20
"""Bytes of addresses that any verb needs: OpenBLAS, which comes with NumPy, ends the process below."""

TABLES: Final = 4 << 30
"""Bytes of addresses that Daft needs: few of them are memory in use, most belong to its threads."""

TABLE_FILES: Final = 64
"""Open files that Daft needs: its threads have pipes and sockets of their own."""


def check_limits(least: int, library: str, *, files: int = 0) -> None:
    """Raise ResourceError where ``library`` needs more than the limits on addresses, data or open files allow.

    ``least`` is in bytes and holds for addresses (``ulimit -v``) and data (``ulimit -d``) alike, ``files`` for open
    files (``ulimit -n``).
    """
    with suppress(ImportError):  # there are no such limits on Windows
        import resource

        for limited, option, what, needed in (
            (resource.RLIMIT_AS, "-v", "kB of addresses", least >> 10),
            (resource.RLIMIT_DATA, "-d", "kB of data", least >> 10),
            (resource.RLIMIT_NOFILE, "-n", "open files", files),
        ):
            limit = resource.getrlimit(limited)[0]
            allowed = limit if limited == resource.RLIMIT_NOFILE else limit >> 10
            if limit != resource.RLIM_INFINITY and allowed < needed:
                hint = f"Set it to at least {needed} (ulimit {option}), or to unlimited"
                raise ResourceError(f"{library} cannot run with a limit of {allowed} {what}", hint=hint)


def explained(error: BaseException) -> ResourceError | None:
    """Return the error, one line, for what Python raises where a library, memory or a thread is refused; else None."""
    hint = "Look at free memory, at limits (ulimit -a) and at the installation"
    said = " ".join(str(error).split())
    if isinstance(error, ImportError):
        return ResourceError(f"a library cannot be loaded: {said}", hint=hint)
    if isinstance(error, MemoryError):
        return ResourceError(f"no memory is left{f': {said}' if said else ''}", hint=hint)
    if isinstance(error, RuntimeError) and "can't start new thread" in said:
        return ResourceError("no thread can be started", hint=hint)
    if type(error).__name__ == "PanicException":  # of a library in Rust; it is no Exception and cannot be imported
        return ResourceError(f"a library gave up: {said}", hint=hint)
    return None
