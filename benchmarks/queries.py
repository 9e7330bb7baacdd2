"""The catalogue on both engines, each query with the busiest product, pair, concept and so on of the graph.

``python -m benchmarks.queries KB [ADDRESS…]`` asks a KB that is there, and the servers it was loaded into.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.measure import run
from benchmarks.report import Answer

if TYPE_CHECKING:
    from mindkg.queries import CatalogueQuery

ENGINES: Final = ("ladybug", "oxigraph")


def answers(kb: Path, timeout: float, say: Callable[[str], None]) -> Iterator[Answer]:
    """Yield each query with what both engines took; one that takes longer than ``timeout`` seconds is stopped."""
    from mindkg.knowledge_base import KnowledgeBase
    from mindkg.queries import catalogue

    known = busiest(KnowledgeBase.open(kb).graph())
    for name, query in catalogue().items():
        say(f"query {name}")
        values = values_for(query, known)
        took = [run("query", kb=kb, engine=engine, name=name, values=values, timeout=timeout) for engine in ENGINES]
        yield Answer(name, *took)


def busiest(folder: Path) -> dict[str, str]:
    """Return an id for each kind of node of the graph folder ``folder``: the one that most rows name."""

    def column(table: str, *names: str) -> pa.ChunkedArray:
        read = pq.read_table(folder / f"{table}.parquet", columns=list(names))
        return pa.chunked_array([chunk for name in names for chunk in read[name].chunks], pa.string())

    pairs = pq.read_table(folder / "cobuys.parquet", columns=["product_a", "product_b"])
    product = _most(column("cobuys", "product_a", "product_b"))
    partners = pairs.filter(pc.equal(pairs["product_a"], product))["product_b"].to_pylist()
    partners += pairs.filter(pc.equal(pairs["product_b"], product))["product_a"].to_pylist()
    # of the concepts and intentions those that most queries have an answer for
    ends = pc.unique(column("hypernyms", "hypernym"))
    between = pc.unique(column("hypernyms", "concept").filter(pc.is_in(column("hypernyms", "concept"), ends)))
    mentioned = column("mentions", "concept")
    stated = column("assertions", "intention_id")
    linked = stated.filter(pc.is_in(stated, pc.unique(column("mentions", "intention_id"))))
    evidence = pq.read_table(folder / "evidence.parquet", columns=["assertion_id", "generation_id", "run_id"])
    return {
        "product": product,
        "product_a": product,
        "product_b": partners[0],
        "concept": _most(mentioned.filter(pc.is_in(mentioned, between))),
        "ancestor": _above_most(folder),
        "intention": _most(linked),
        "cobuy": _most(column("assertions", "cobuy_id")),
        "assertion": evidence["assertion_id"][0].as_py(),
        "generation": evidence["generation_id"][0].as_py(),
        "run": evidence["run_id"][0].as_py(),
        "abstraction": _first(folder, "abstractions", "abstraction_id"),
        "relation": "usedFor",
    }


def _first(folder: Path, table: str, column: str) -> str:
    """Return the first value of a column, "none" where the table has no row."""
    values = pq.read_table(folder / f"{table}.parquet", columns=[column])[column]
    return str(values[0]) if len(values) else "none"


def _most(column: pa.ChunkedArray) -> str:
    counts = pa.table({"value": column}).group_by("value").aggregate([("value", "count")])
    return str(counts.sort_by([("value_count", "descending"), ("value", "ascending")])["value"][0])


def _above_most(folder: Path) -> str:
    """Return the concept below which most mentions are, "none" where no concept is below another."""
    mentioned = pq.read_table(folder / "mentions.parquet", columns=["concept"])
    counts = mentioned.group_by("concept").aggregate([([], "count_all")])
    below = pq.read_table(folder / "ancestors.parquet", columns=["concept", "ancestor"]).join(
        counts, "concept", join_type="inner"
    )
    sums = below.group_by("ancestor").aggregate([("count_all", "sum")])
    order = sums.sort_by([("count_all_sum", "descending"), ("ancestor", "ascending")])
    return str(order["ancestor"][0]) if len(order) else "none"


def values_for(query: CatalogueQuery, known: dict[str, str]) -> dict[str, str]:
    """Return a value for each required parameter, by its name or by the first word of it."""
    if query.name.startswith("broader-concept-"):  # asks for what is below a concept
        known = {**known, "concept": known["ancestor"]}
    required = [p.name for p in query.parameters if p.required]
    return {name: known.get(name) or known.get(name.split("_")[0]) or "" for name in required}


def seconds(kb: Path, engines: Sequence[str], timeout: float) -> Iterator[tuple[str, ...]]:
    """Yield each query with the seconds that it takes on each of ``engines``: names, or addresses of loaded servers."""
    from mindkg.knowledge_base import KnowledgeBase
    from mindkg.queries import catalogue

    known = busiest(KnowledgeBase.open(kb).graph())
    for name, query in catalogue().items():
        values = values_for(query, known)
        took = (run("query", kb=kb.resolve(), engine=e, name=name, values=values, timeout=timeout) for e in engines)
        yield name, *(m.error[:40] or f"{m.seconds:.2f}" for m in took)


def main() -> None:
    """Print one line a query, as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queries", description=main.__doc__)
    parser.add_argument("kb", type=Path)
    parser.add_argument("address", nargs="*", help="a server that the KB was loaded into: bolt://… or http://…")
    parser.add_argument("--timeout", type=float, default=60, help="seconds that one query may take")
    options = parser.parse_args()
    engines = (*ENGINES, *options.address)
    print(f"| query | {' | '.join(engines)} |\n|---|{'---:|' * len(engines)}")
    for line in seconds(options.kb, engines, options.timeout):
        print(f"| {' | '.join(line)} |", flush=True)


if __name__ == "__main__":
    main()
