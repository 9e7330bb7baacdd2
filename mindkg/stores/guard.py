"""A server that ends with the program that started it, however that ends: a kill leaves nothing that listens.

This file is also a program of its own, ``python guard.py SECONDS COMMAND…``: it runs the command until its own stdin
closes, which the system sees to when the program at the other end is no more.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO


@contextmanager
def guarded(command: Sequence[str], log: BinaryIO, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``command`` as long as the block and give the process that guards it, which ends when the command ends.

    What the command says goes to ``log``. At the end it is asked to stop, and killed after ``seconds``.
    """
    with subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, str(seconds), *command], stdin=subprocess.PIPE, stdout=log, stderr=log
    ) as process:  # leaving it closes stdin and waits
        yield process


def _run(seconds: float, command: Sequence[str]) -> int:
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which then closes stdin
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)

    def stop() -> None:
        asked.wait()
        child.terminate()
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()

    def watch() -> None:
        sys.stdin.buffer.read()
        asked.set()

    for work in (stop, watch):
        threading.Thread(target=work, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(min(abs(_run(float(sys.argv[1]), sys.argv[2:])), 255))
