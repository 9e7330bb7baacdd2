"""What reaches the terminal: open streams, and text without characters that control it.

Every other module of the command line writes through this one and ``mindkg.cli.output``.
"""

from __future__ import annotations

import atexit
import errno
import io
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NoReturn

from mindkg.terminal_text import CONTROLS, printable

if TYPE_CHECKING:
    from rich.console import Console

_PIPED_WIDTH: Final = 160
"""Columns of a table that goes into a file or a pipe, where COLUMNS does not say otherwise."""

STDOUT: Final = "standard output"
"""What errors call it."""


def say(line: str) -> None:
    """Write one line to stderr; a message that cannot be written stops no work."""
    with suppress(OSError):
        print(printable(line), file=sys.stderr, flush=True)


def result(line: str) -> None:
    """Write one line of a result to stdout: printable on a terminal, unchanged in a file or a pipe."""
    print(printable(line) if sys.stdout.isatty() else line, flush=True)


def console(*, stderr: bool = False) -> Console:
    """Return the rich console on stdout, or on stderr; it takes no markup from the texts that it is given."""
    from rich.console import Console

    piped = None if stderr or sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPED_WIDTH
    return Console(stderr=stderr, width=piped, markup=False, emoji=False, highlight=False)


def write_json(value: Any, *, indent: int | None = 1) -> None:
    """Write ``value`` to stdout as JSON and end the line; dates and the like are written as text."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    if CONTROLS.search(text) and (sys.stdout.isatty() or not _encodes(text)):
        text = json.dumps(value, indent=indent, default=str)  # the same value, in ASCII
    if sys.stdout.isatty():
        text = text.replace("\x7f", r"\u007f")  # the one control that JSON leaves as it is
    sys.stdout.write(text + "\n")


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Output(io.FileIO):
    """The raw standard output; its errors name it, as those of a file name the file."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, STDOUT) from None


def open_streams() -> None:
    """Open the standard streams that the caller has closed, so that no file of ours gets their numbers.

    Reading and messages then meet an empty device; writing a result fails, as it must. A path that is not UTF-8 goes
    to stdout as its own bytes.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # gets the lowest free number, which is this one
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
    encoding = "utf-8" if sys.stdout is None else sys.stdout.encoding
    utf8 = encoding.lower().replace("-", "") == "utf8"
    raw = io.BufferedWriter(_writable(1), 1 << 16)
    errors = "surrogateescape" if utf8 else "backslashreplace"
    sys.stdout = io.TextIOWrapper(raw, encoding, errors, line_buffering=os.isatty(1))


def _writable(number: int) -> io.RawIOBase:
    return _Output(number, "w", closefd=False)


def leave_at_exit() -> Callable[[int], NoReturn]:
    """Return the function that ends the process with an exit code, without freeing each object first.

    After a build, Python takes a second or two to free what it has loaded (the word lists are some 300,000 objects);
    the operating system frees it at once. Call this before any library registers what it does at exit: exit functions
    run in reverse order, so that threads, child processes and temporary files have been dealt with when the process
    leaves. Call what it returns after ``finish``.
    """
    codes: list[int] = []

    def leave() -> None:
        if codes:  # not where an exception ends the process: its code is not known here
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):
                    stream.flush()
            os._exit(codes[0])

    def end(code: int) -> NoReturn:
        codes.append(code)
        raise SystemExit(code)

    atexit.register(leave)
    return end


def finish(code: int) -> int:
    """Write what is left in stdout's buffer and return the exit code: 1 in place of 0 where that fails.

    Where it fails stdout then leads nowhere, so that Python's own flush at the end of the process does not fail again.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        code = code or report(error)
        with suppress(OSError):
            empty = os.open(os.devnull, os.O_WRONLY)
            os.dup2(empty, 1)
            os.close(empty)
    return code


def report(error: OSError) -> int:
    """Write what went wrong and where to stderr, as one line, and return the exit code.

    Nothing is said where the reader of stdout has gone (`mindkg query … | head`).
    """
    if not (isinstance(error, BrokenPipeError) and error.filename == STDOUT):
        closed = error.errno == errno.EBADF and error.filename == STDOUT
        reason = "it is closed" if closed else error.strerror or str(error)
        place = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
        words = f"cannot write to {place}: {reason}" if place == STDOUT else f"{reason} ({place})" if place else reason
        say(f"mindkg: {words}")
    return 1
