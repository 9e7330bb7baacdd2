"""Ctrl-C, SIGTERM and SIGHUP: the process ends at once and says what is kept."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import NoReturn

_kept: list[Callable[[], str]] = []
"""What the running verb keeps, in words; the last one counts."""


def handle_signals() -> None:
    """End this process with one line when a signal asks for it; a SIGHUP that nohup ignores stays ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)


def keeps_stages(kb: str) -> None:
    """Let an interruption name the stages of ``kb`` that this process finished."""
    _kept.append(partial(_stages, kb, time.time()))


def keeps_answers(kb: str) -> None:
    """Let an interruption count the answers in the ledger of ``kb``."""
    _kept.append(partial(_answers, kb))


def _stages(kb: str, started: float) -> str:
    from mindkg.places import RECORDS
    from mindkg.stages import STAGES
    from mindkg.storage import KBDirectory

    records = [file for file in (KBDirectory(kb).path / RECORDS).glob("*.json") if file.stat().st_mtime >= started]
    done = [stage.name for stage in STAGES if any(file.name.startswith(f"{stage.name}-") for file in records)]
    if done:
        return f"finished and kept: {', '.join(done)}. The same command goes on from there"
    return "no stage was finished, and a KB that was there is as it was"


def _answers(kb: str) -> str:
    import pyarrow.compute as pc

    from mindkg.cli.output import counted
    from mindkg.distillation import paid

    n = pc.sum(paid(kb)["answers"]).as_py() or 0
    return f"{counted(n, 'answer')} kept in the ledger. The same command sends only what is missing"


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """End at once: a KeyboardInterrupt gets lost in libraries, and every verb is made to be killed at any point."""
    signal.signal(number, signal.SIG_DFL)  # a second one waits for no report
    kept = "the same command can be run again"
    with suppress(Exception):
        kept = _kept[-1]() if _kept else kept
    with suppress(OSError):
        os.write(2, f"\nmindkg: interrupted ({signal.Signals(number).name}); {kept}\n".encode("utf-8", "replace"))
    os._exit(128 + number)
