"""Daft's runner and environment, set in this one place before Daft is imported anywhere."""

from __future__ import annotations

import glob
import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mindkg.errors import InputError

# Daft reports its import to a server unless this is set before; Ray and the hub the same when they are used
for _name, _value in {
    "DAFT_ANALYTICS_ENABLED": "0",
    "DO_NOT_TRACK": "true",
    "SCARF_NO_ANALYTICS": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DAFT_PROGRESS_BAR": "0",
    "DAFT_SHOW_QUERY_ID": "0",
}.items():
    os.environ.setdefault(_name, _value)

import daft  # noqa: E402 - the environment comes first
from daft.functions import when  # noqa: E402

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "RUNNERS",
    "daft",
    "from_arrow",
    "nodes",
    "processes",
    "read_parquet",
    "runner",
    "to_arrow",
    "use_runner",
    "when",
]

RUNNERS = ("native", "ray")
"""Where Daft's work runs: in this process and its workers, or on a Ray cluster."""


def use_runner(name: str, address: str | None = None) -> None:
    """Let all work of this process run on ``name`` of ``RUNNERS``; to be said before any work is done.

    ``address`` is that of a Ray cluster (``ray://HOST:PORT`` or ``auto``); without one Ray is started on this machine.
    Raises InputError for another name, or where Ray is not installed or not reached.
    """
    if name not in RUNNERS:
        raise InputError(f"there is no runner {name!r}", hint=f"Runners: {', '.join(RUNNERS)}")
    if name == "native":
        if address:
            raise InputError("the native runner has no address", hint="Say --runner ray too")
        daft.set_runner_native()
        return
    if find_spec("ray") is None:
        raise InputError("the runner ray needs Ray", hint='Install it with: pip install "mindkg[ray]"')
    try:
        daft.set_runner_ray(address, noop_if_initialized=True)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())[:300]
        raise InputError(f"the Ray cluster is not reached: {said}", record=address) from error


def processes() -> int:
    """Return how many worker processes bulk Python code may use: the cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_parquet(*paths: Path) -> daft.DataFrame:
    """Return Parquet files, or all Parquet files of folders, as one lazy Daft frame.

    Daft takes a relative path for a URL and any path for a pattern; here all characters stand for themselves.
    """
    absolute = [path.absolute() for path in paths]
    return daft.read_parquet([glob.escape(str(path)) + ("/*.parquet" if path.is_dir() else "") for path in absolute])


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
