"""Embedded stores whose engine finds too little memory or room, or is killed: one line, and nothing half made."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from graph_maker import make_graph

from mindkg.errors import StoreError
from mindkg.graph.property_graph import expected_counts
from mindkg.stores import load_store
from mindkg.stores.base import ENGINES

LOAD = """
import resource, sys
from pathlib import Path
from mindkg.errors import MindKGError
from mindkg.stores import load_store
resource.setrlimit(getattr(resource, sys.argv[4]), (int(sys.argv[5]),) * 2)
try:
    load_store(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
except MindKGError as error:
    sys.exit(f"mindkg: {error}")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_graph(tmp_path_factory.mktemp("graph") / "graph", seed=3, n=40)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("limit", "size"), [("RLIMIT_AS", 2_000 << 20), ("RLIMIT_FSIZE", 40 << 10)])
def test_too_little_memory_or_room_is_one_line(
    engine: str, limit: str, size: int, folder: Path, tmp_path: Path
) -> None:
    assert hasattr(resource, limit)
    target = tmp_path / "stores" / "kb"
    command = [sys.executable, "-c", LOAD, engine, str(folder), str(target), limit, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 1
    assert done.stderr.startswith("mindkg: ") and done.stderr.count("\n") == 1
    assert str(target.parent) in done.stderr and "ulimit" in done.stderr
    assert list(target.parent.iterdir()) == []
    # without the limit it is loaded
    assert load_store(engine, folder, target) == expected_counts(folder)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_engine_is_one_line(engine: str, folder: Path, tmp_path: Path) -> None:
    def kill(_: str) -> None:
        tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
        children = [int(pid) for task in tasks for pid in task.read_text().split()]
        (child,) = [pid for pid in children if b"build_process" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(child, signal.SIGKILL)

    if not Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children").exists():
        pytest.skip("the system does not list the children of a process")
    with pytest.raises(StoreError, match=r"was ended by SIGKILL.*no memory left") as error:
        load_store(engine, folder, tmp_path / "kb", kill)
    assert "\n" not in str(error.value) and list(tmp_path.iterdir()) == []
