"""Daft's runner and environment, set in this one place before Daft is imported anywhere."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING

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

__all__ = ["daft", "from_arrow", "processes", "read_parquet", "to_arrow", "when"]


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
