"""A program of its own that loads a graph folder into a server, and stands still at a line of progress when asked to.

``python loading_process.py FOLDER ADDRESS GRAPH [wait|stop WORD]``: at the first line with WORD it waits for a line on
stdin (and still says that it is at work), or stops as with SIGSTOP. GRAPH is only for SPARQL servers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path


def start(folder: Path, address: str, graph: str, *pause: str) -> subprocess.Popen[str]:
    """Start the program and return its process."""
    command = [sys.executable, __file__, str(folder), address, graph, *pause]
    root = Path(__file__).parent.parent
    env = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.Popen(command, stdin=-1, stdout=-1, stderr=subprocess.STDOUT, text=True, env=env)


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    """Read the program's lines up to the first with ``word``."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        if word in line:
            return
        lines.append(line)
    raise AssertionError(f"no line has {word!r}: {lines}")


def load(folder: Path, address: str, graph: str, pause: str = "", word: str = "") -> None:
    """Load, and stand still at the first line of progress with ``word``."""
    from mindkg.errors import MindKGError
    from mindkg.stores.neo4j_load import load_online
    from mindkg.stores.sparql import load_sparql

    stood = False

    def report(line: str) -> None:
        nonlocal stood
        print(line, flush=True)
        if pause and word in line and not stood:
            stood = True
            os.kill(os.getpid(), signal.SIGSTOP) if pause == "stop" else sys.stdin.readline()

    try:
        if address.startswith("bolt"):
            load_online(folder, address, progress=report)
        else:
            load_sparql(folder, address, graph=graph, progress=report)
    except MindKGError as error:
        print(error, flush=True)
        sys.exit(1)


if __name__ == "__main__":
    load(Path(sys.argv[1]), *sys.argv[2:])
