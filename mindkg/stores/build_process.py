"""An embedded store made in a process of its own: an engine that aborts, or is killed, ends that process alone.

``python -m mindkg.stores.build_process ENGINE FOLDER PLACE``: it writes one JSON object a line to stdout, with
``progress``, ``counts`` or ``error``, and ends when its stdin is closed, which the system does with its parent.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mindkg.errors import MindKGError, StoreError
from mindkg.stores.base import Progress, built

_HINT: Final = "Look at free disk space and memory, and at limits: ulimit -v and ulimit -f should be unlimited"
_HINTS: Final[Mapping[int, str]] = {
    signal.SIGKILL: "Most likely the system had no memory left",
    signal.SIGXFSZ: "The process may not write files of this size: ulimit -f",
}
_SAID: Final = 200


def build(engine: str, folder: Path, place: Path, progress: Progress) -> dict[str, int]:
    """Make the store of ``engine`` from the graph folder ``folder`` in the empty folder ``place``; return its counts.

    Raises StoreError, one line, where the engine refuses the graph, the counts differ, or the process dies.
    """
    command = [sys.executable, "-m", __name__, engine, str(folder), str(place)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=env) as process,
    ):
        assert process.stdout is not None
        result: dict[str, Any] = {}
        for line in process.stdout:
            message = json.loads(line)
            if "progress" in message:
                progress(message["progress"])
            result |= message
        status = process.wait()
        if "counts" in result and not status:
            return dict(result["counts"])
        if "error" in result:
            raise StoreError(result["error"], record=result["record"], hint=result["hint"])
        said.seek(0)
        raise _died(engine, place, status, said.read().decode("utf-8", "replace"))


def _died(engine: str, place: Path, status: int, said: str) -> StoreError:
    number = -status if status < 0 else 0
    how = f"was ended by {signal.Signals(number).name}" if number else f"ended with status {status}"
    last = (said.strip().splitlines() or [""])[-1].strip()[:_SAID]
    message = f"The process that loads {engine} {how}" + (f": {last}" if last else "")
    return StoreError(message, record=str(place.parent.parent), hint=_HINTS.get(number, _HINT))


def _main(engine: str, folder: str, place: str) -> int:
    room = str(Path(place).parent.parent)  # what a user knows: the folder in which the store gets its name
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes stdin
    try:
        _say(counts=built(engine, Path(folder), Path(place), lambda line: _say(progress=line)))
    except MindKGError as error:
        return _fail(str(error.args[0]), error.record or room, error.hint or _HINT)
    except OSError as error:
        return _fail(
            f"{engine} cannot be loaded: {error.strerror or error}", str(error.filename or Path(place).parent), _HINT
        )
    except (MemoryError, RuntimeError) as error:
        return _fail(
            f"{engine} cannot be loaded: {' '.join(str(error).split()) or 'no memory is left'}",
            room,
            _HINT,
        )
    return 0


def _fail(error: str, record: str | None, hint: str | None) -> int:
    _say(error=error, record=record, hint=hint)
    return 1


def _say(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    while os.read(0, 1024):  # not sys.stdin, whose lock this thread would hold when the process ends
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
