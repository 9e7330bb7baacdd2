"""Daft's runner and environment, set in this one place before Daft is imported anywhere."""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import sys
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mindkg.errors import InputError, StorageError, UsageError
from mindkg.process_limits import TABLE_FILES, TABLES, check_limits

# Daft reports its import to a server unless this is set before; Ray and the hub the same when they are used
_ENVIRONMENT = {
    "DAFT_ANALYTICS_ENABLED": "0",
    "DO_NOT_TRACK": "true",
    "SCARF_NO_ANALYTICS": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DAFT_PROGRESS_BAR": "0",
    "DAFT_SHOW_QUERY_ID": "0",
}
for _name, _value in _ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)

check_limits(TABLES, "Daft", files=TABLE_FILES)

import daft  # noqa: E402 - the environment comes first
from daft.functions import when  # noqa: E402

logging.getLogger("daft_local_execution").addHandler(logging.NullHandler())  # what it logs is raised too

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "RUNNERS",
    "daft",
    "from_arrow",
    "nodes",
    "pool",
    "processes",
    "read_parquet",
    "runner",
    "spread",
    "to_arrow",
    "use_runner",
    "when",
]

RUNNERS = ("native", "ray")
"""Where Daft's work runs: in this process and its workers, or on a Ray cluster."""

_PATIENCE: Final = 5.0
"""Seconds to wait for a cluster to take a connection."""

_SHARED: Final = Path("/dev/shm")
_BATCH: Final = 1 << 24
"""Bytes of shared memory for each worker: what it is given and what it returns, with ample room."""

_PARTS: Final = 4
"""Parts of its input that a worker of a cluster gets one after the other: the quick ones take more of them."""


def use_runner(name: str, address: str | None = None) -> None:
    """Let all work of this process run on ``name`` of ``RUNNERS``; to be said before any work is done.

    ``address`` is that of a Ray cluster (``HOST:PORT``, or ``auto`` on one of its machines); without one it is that of
    RAY_ADDRESS, else the one that this machine belongs to, else Ray is started here. A Ray that this process has
    reached already stays. Raises InputError for another name, or where Ray is not installed or not reached.
    """
    if name not in RUNNERS:
        raise UsageError(f"there is no runner {name!r}", hint=f"Runners: {', '.join(RUNNERS)}")
    if name == "native":
        if address:
            raise UsageError("the native runner has no address", hint="Say --runner ray too")
        daft.set_runner_native()
        return
    if find_spec("ray") is None:
        raise InputError("the runner ray needs Ray", hint='Install it with: pip install "mindkg[ray]"')
    try:
        _reach(address)
        daft.set_runner_ray(noop_if_initialized=True)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())[:300]
        hint = "Start it with: ray start --head --port=6379"
        raise InputError(f"the Ray cluster is not reached: {said}", record=address, hint=hint) from error


def _reach(address: str | None) -> None:
    """Connect to Ray; its workers import Daft before anything of this package, so they get the environment from it."""
    import ray

    if not ray.is_initialized():
        host, _, port = (address or "").removeprefix("ray://").rpartition(":")
        if port.isdigit():  # Ray itself tries for minutes
            socket.create_connection((host, int(port)), _PATIENCE).close()
        told = {name: os.environ[name] for name in _ENVIRONMENT}
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, runtime_env={"env_vars": told})


def processes() -> int:
    """Return how many worker processes bulk Python code may use: the cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_parquet(*paths: Path) -> daft.DataFrame:
    """Return Parquet files, or all Parquet files of folders, as one lazy Daft frame.

    Daft takes a relative path for a URL and any path for a pattern; here all characters stand for themselves.
    """
    absolute = [path.absolute() for path in paths]
    return daft.read_parquet([_literal(path) + ("/*.parquet" if path.is_dir() else "") for path in absolute])


def _literal(path: Path) -> str:
    """Return the pattern that matches ``path`` alone: Daft's patterns have braces and backslashes too."""
    return re.sub(r"[*?\[\]{}\\]", r"[\g<0>]", str(path))


def from_arrow(table: pa.Table) -> daft.DataFrame:
    """Return ``table`` as a Daft frame."""
    return daft.from_arrow(table)


def to_arrow(frame: daft.DataFrame, schema: pa.Schema) -> pa.Table:
    """Return the rows of ``frame`` as an Arrow table of exactly ``schema``."""
    return frame.select(*schema.names).to_arrow().cast(schema)


def runner() -> str:
    """Return where work runs: a name of ``RUNNERS``."""
    return str(daft.get_or_infer_runner_type())


def nodes() -> int:
    """Return on how many machines work runs: the nodes of the Ray cluster, 1 for the native runner."""
    if runner() != "ray":
        return 1
    import ray

    return sum(bool(node["Alive"]) for node in ray.nodes())  # type: ignore[no-untyped-call]


def pool(many: bool) -> dict[str, Any]:
    """Return what ``daft.cls`` is told of Python code: one process a core where there is ``many`` to do, else none.

    On Ray the cores are those of the cluster, and each worker is a process anyway. Daft starts a process whenever
    ``max_concurrency`` is given, whatever ``use_process`` says.
    """
    if runner() == "ray":
        return {"max_concurrency": _cluster_cores()} if many else {}
    workers = min(processes(), _fitting()) if many else 1
    return {"use_process": True, "max_concurrency": workers} if workers > 1 else {"use_process": False}


def _fitting() -> int:
    """Return how many workers' batches fit into shared memory, through which Daft passes them.

    Raises StorageError where not even one does: Daft's process would end with a traceback, or by SIGBUS.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        raise StorageError("no folder for temporary files can be written to", hint="Set TMPDIR to one") from error
    free = shutil.disk_usage(_SHARED).free if _SHARED.is_dir() else sys.maxsize
    with suppress(ImportError):  # there is no such limit on Windows
        import resource

        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        free = free if limit == resource.RLIM_INFINITY or limit >= _BATCH else 0
    if free < _BATCH:
        hint = f"Make {_BATCH >> 20} MB of room for each worker (docker run --shm-size), and raise ulimit -f"
        raise StorageError("too little shared memory for worker processes", record=str(_SHARED), hint=hint)
    return free // _BATCH


def spread(frame: daft.DataFrame, many: bool) -> daft.DataFrame:
    """Return ``frame`` cut so that all workers of ``pool(many)`` get a part: on Ray a worker takes whole partitions."""
    if runner() != "ray" or not many:
        return frame
    return frame.into_partitions(_PARTS * _cluster_cores())


def _cluster_cores() -> int:
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]
