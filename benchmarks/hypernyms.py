"""The report on a KB's hypernyms: ``python -m benchmarks.hypernyms KB`` prints its time, CPU seconds and peak memory.

``--times 10`` measures it on that many copies of the KB side by side: the assertions, intentions and pairs of each copy
are its own, and so are its concepts of more than twelve letters.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.measure import tree_rss

_KEYS = ("cobuy_id", "intention_id")
_LABELS = ("concept", "hypernym", "ancestor")
_LETTERS = 12


def main() -> None:
    """Make the report in a process of its own and print what it cost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hypernyms", description=__doc__)
    parser.add_argument("kb", type=Path, help="a KB, such as one built from generated input")
    parser.add_argument("--times", type=int, default=1, help="copies of it")
    options = parser.parse_args()
    started, peak, done = time.perf_counter(), 0, False
    pid = os.fork()
    if not pid:
        _report(options.kb, options.times)
        os._exit(0)
    while not done:
        peak = max(peak, tree_rss(pid))
        time.sleep(0.05)
        done = os.waitpid(pid, os.WNOHANG)[0] == pid
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = time.perf_counter() - started
    print(f"{seconds:.1f} s, CPU {used.ru_utime + used.ru_stime:.1f} s, peak memory {peak / 1e6:.0f} MB")


def _report(path: Path, times: int) -> None:
    from mindkg.analysis import facts, report
    from mindkg.knowledge_base import KnowledgeBase

    kb = KnowledgeBase.open(path)
    tables = facts.read_tables(kb)
    if times > 1:
        tables = {name: _copies(table, times) for name, table in tables.items()}
    print({name: table.num_rows for name, table in tables.items()}, flush=True)
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(report, "read_tables", lambda _: tables):
        report.hypernym_report(kb, folder, compare=kb, names=("one", "other"))


def _copies(table: pa.Table, times: int) -> pa.Table:
    """Return ``times`` copies of a table of a KB, rows that are the same in several of them once."""
    copies = pa.concat_tables([_copy(table, str(n)) for n in range(times)])
    if set(table.column_names) & set(_KEYS) or "product_id" in table.column_names:
        return copies if "product_id" not in table.column_names else table
    names = [name for name in table.column_names if name in _LABELS]
    others = [name for name in table.column_names if name not in names]
    distinct = copies.group_by(names).aggregate([(name, "max") for name in others])
    return distinct.rename_columns([*names, *others]).select(table.column_names)


def _copy(table: pa.Table, number: str) -> pa.Table:
    columns: Mapping[str, pa.ChunkedArray] = dict(zip(table.column_names, table.columns, strict=True))
    own = {
        name: pc.binary_join_element_wise(column, number, " ")
        if name in _KEYS
        else pc.if_else(
            pc.greater(pc.utf8_length(column), _LETTERS), pc.binary_join_element_wise(column, number, " "), column
        )
        for name, column in columns.items()
        if name in _KEYS + _LABELS
    }
    return pa.table({**columns, **own}, schema=table.schema)


if __name__ == "__main__":
    main()
