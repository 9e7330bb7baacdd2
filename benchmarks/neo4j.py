"""Loading Neo4j, beside what its driver and its importer do alone: ``python -m benchmarks.neo4j --neo4j-home DIR``.

Online: a bare loop of the driver over rows that are ready (CREATE, maps of 20,000 rows, both ends labelled), with the
same constraints and indexes before. Offline: neo4j-admin on files that are ready. Each runs on a database and a server
of its own, made in ``--work`` with the jars of ``--neo4j-home``. Seconds are on the clock; processor seconds are of
this process and the server or the tool, and hold where other work disturbs the clock.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from benchmarks.generate import inputs

_BATCH = 20_000
_CONF = """server.memory.heap.max_size=2g
server.memory.pagecache.size=1g
dbms.usage_report.enabled=false
"""


@dataclass
class Took:
    """Seconds on the clock, processor seconds, and rows."""

    seconds: float = 0.0
    cpu: float = 0.0
    rows: int = 0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fraction", type=float, default=0.02, help="of MIND's size")
    parser.add_argument("--neo4j-home", type=Path, required=True, help="a Neo4j 5.26: its jars are used, nothing else")
    parser.add_argument("--work", type=Path, default=Path("bench-neo4j"), help="where input and databases stand")
    options = parser.parse_args()
    folder = _graph(options.work, options.fraction)
    home = options.work / "home"
    print(f"fraction {options.fraction:g} of MIND's size")
    _show("offline: neo4j-admin on ready files", alone := _admin_alone(folder, home, options))
    _show("offline: files and import", ours := _import(folder, home, options), alone)
    _show("offline: and constraints, counts", _offline(folder, home, options), alone)
    _show("online: a bare driver loop", bare := _bare(folder, home, options))
    _show("online: mindkg load", ours := _online(folder, home, options), bare)
    _show("online: mindkg load again", _online_again(folder, home, options), ours)
    shutil.rmtree(home, ignore_errors=True)


def _graph(work: Path, fraction: float) -> Path:
    from mindkg import pipeline
    from mindkg.knowledge_base import KnowledgeBase

    work.mkdir(parents=True, exist_ok=True)
    made, kb = inputs(work, fraction), work / f"kb-{fraction:g}"
    pipeline.build([made.answers], kb, isa=made.isa)
    return KnowledgeBase.open(kb).graph()


def _fresh(home: Path, options: argparse.Namespace) -> None:
    shutil.rmtree(home, ignore_errors=True)
    (home / "conf").mkdir(parents=True)
    (home / "conf" / "neo4j.conf").write_text(_CONF)
    (home / "lib").symlink_to((options.neo4j_home / "lib").resolve())


@contextmanager
def _timed(took: Took) -> Iterator[None]:
    cpu, started = _cpu(), time.perf_counter()
    yield
    took.seconds += time.perf_counter() - started
    took.cpu += _cpu() - cpu


def _cpu() -> float:
    return sum(os.times()[:4])


def _admin_alone(folder: Path, home: Path, options: argparse.Namespace) -> Took:
    from mindkg.graph.neo4j_import import arguments, array_delimiter, write_files
    from mindkg.stores.neo4j_home import Neo4jHome

    _fresh(home, options)
    files, took = options.work / "files", Took()
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir()
    delimiter = array_delimiter(folder)
    rows, longest = write_files(folder, files, ["csv"], delimiter)
    with _timed(took):
        command = ["database", "import", "full", "neo4j", *arguments("csv", delimiter, longest)]
        Neo4jHome(home).admin(command, files)
    shutil.rmtree(files)
    return Took(took.seconds, took.cpu, sum(rows.values()))


def _import(folder: Path, home: Path, options: argparse.Namespace) -> Took:
    from mindkg.stores.neo4j_home import Neo4jHome
    from mindkg.stores.neo4j_offline import import_files

    _fresh(home, options)
    with _timed(took := Took()):
        import_files(folder, Neo4jHome(home), "neo4j", lambda line: None)
    return took


def _offline(folder: Path, home: Path, options: argparse.Namespace) -> Took:
    from mindkg.stores.neo4j_offline import load_offline

    _fresh(home, options)
    with _timed(took := Took()):
        load_offline(folder, home)
    return took


def _served(home: Path, options: argparse.Namespace, work: Callable[[str, Took], None]) -> Took:
    """Return what ``work`` took on a server of its own; its processor time has that of the server's start and stop."""
    from mindkg.stores.neo4j_home import Neo4jHome

    took, cpu = Took(), _cpu()
    with Neo4jHome(home).server("neo4j") as address:
        work(address, took)
    return Took(took.seconds, _cpu() - cpu, took.rows)


def _online(folder: Path, home: Path, options: argparse.Namespace) -> Took:
    _fresh(home, options)
    return _online_again(folder, home, options)


def _online_again(folder: Path, home: Path, options: argparse.Namespace) -> Took:
    from mindkg.stores.neo4j_load import load_online

    def work(address: str, took: Took) -> None:
        with _timed(took):
            load_online(folder, address)

    return _served(home, options, work)


def _bare(folder: Path, home: Path, options: argparse.Namespace) -> Took:
    import neo4j

    from mindkg.graph.neo4j_import import definitions
    from mindkg.graph.property_graph import node_tables, relationship_tables

    def work(address: str, took: Took) -> None:
        with neo4j.GraphDatabase.driver(address, auth=None) as driver, driver.session() as session:
            with _timed(took):
                for text in definitions():
                    session.run(text).consume()
                session.run("CALL db.awaitIndexes(600)").consume()
            for node, rows in node_tables(folder):
                text = f"UNWIND $rows AS row CREATE (x:{node.label}) SET x = row"
                _loop(session, text, rows, took)
            for type_, rows in relationship_tables(folder):
                names = [name for name in rows.column_names if name not in ("start", "end")]
                properties = ", ".join(f"{name}: row.{name}" for name in names)
                ends = f"MATCH (s:{type_.start} {{id: row.start}}) MATCH (e:{type_.end} {{id: row.end}})"
                text = f"UNWIND $rows AS row {ends} CREATE (s)-[:{type_.type} {{{properties}}}]->(e)"
                _loop(session, text, rows, took)

    _fresh(home, options)
    return _served(home, options, work)


def _loop(session: object, text: str, rows: pa.Table, took: Took) -> None:
    for start in range(0, len(rows), _BATCH):
        ready = rows.slice(start, _BATCH).to_pylist()
        with _timed(took):
            session.execute_write(lambda tx, ready=ready: tx.run(text, rows=ready).consume())  # type: ignore[attr-defined]
        took.rows += len(ready)


def _show(what: str, took: Took, beside: Took | None = None) -> None:
    line = f"{what:<38} {took.seconds:8.1f} s  {took.cpu:8.1f} s of the processor"
    if beside:
        line += f"   {took.seconds / beside.seconds:.2f} × its time, {took.cpu / beside.cpu:.2f} × its processor time"
    print(line, flush=True)


if __name__ == "__main__":
    main()
