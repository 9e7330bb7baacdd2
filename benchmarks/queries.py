"""The catalogue on both engines, each query with the busiest product, pair, concept and so on of the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measure import run
from benchmarks.report import Line, slower

if TYPE_CHECKING:
    from mindkg.queries import CatalogueQuery

ENGINES: Final = ("ladybug", "oxigraph")


def lines(kb: Path, timeout: float, say: Callable[[str], None]) -> Iterator[Line]:
    """Yield one line for each query and engine; a query that takes longer than ``timeout`` seconds is stopped."""
    from mindkg.queries import catalogue

    known = busiest(kb)
    for name, query in catalogue().items():
        values = _values(query, known)
        took = {}
        for engine in ENGINES:
            say(f"query {name} in {engine}")
            took[engine] = run("query", kb=kb, engine=engine, name=name, values=values, timeout=timeout)
        yield Line(f"query {name}, ladybug", took["ladybug"], "rows")
        ratio = slower(took["oxigraph"], took["ladybug"])
        yield Line(f"query {name}, oxigraph", took["oxigraph"], "rows", "ladybug", ratio)


def busiest(kb: Path) -> dict[str, str]:
    """Return an id for each kind of node: the one that most rows name."""
    from mindkg.knowledge_base import KnowledgeBase

    folder = KnowledgeBase.open(kb).graph()

    def column(table: str, *names: str) -> pa.ChunkedArray:
        read = pq.read_table(folder / f"{table}.parquet", columns=list(names))
        return pa.chunked_array([chunk for name in names for chunk in read[name].chunks], pa.string())

    products = _most(column("cobuys", "product_a", "product_b"), 2)
    evidence = pq.read_table(folder / "evidence.parquet", columns=["assertion_id", "generation_id", "run_id"])
    return {
        "product": products[0],
        "product_a": products[0],
        "product_b": products[-1],
        "concept": _most(column("mentions", "concept"))[0],
        "intention": _most(column("assertions", "intention_id"))[0],
        "cobuy": _most(column("assertions", "cobuy_id"))[0],
        "assertion": evidence["assertion_id"][0].as_py(),
        "generation": evidence["generation_id"][0].as_py(),
        "run": evidence["run_id"][0].as_py(),
        "relation": "usedFor",
    }


def _most(column: pa.ChunkedArray, many: int = 1) -> list[str]:
    counts = pa.table({"value": column}).group_by("value").aggregate([("value", "count")])
    ordered = counts.sort_by([("value_count", "descending"), ("value", "ascending")])
    return [str(value) for value in ordered["value"].slice(0, many).to_pylist()]


def _values(query: CatalogueQuery, known: dict[str, str]) -> dict[str, str]:
    """Return a value for each required parameter, by its name or by the first word of it."""
    required = [p.name for p in query.parameters if p.required]
    return {name: known.get(name) or known.get(name.split("_")[0]) or "" for name in required}
