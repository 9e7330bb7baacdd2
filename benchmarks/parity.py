"""Whether every engine gives the same rows at a size of one's own: ``python -m benchmarks.parity [ADDRESS…]``.

The graph, 100,000 assertions unless another number is given, is loaded into the embedded engines and the servers at
the addresses (bolt://… or http://…), whose mindkg graph it replaces. Every query of the catalogue is asked for the
busiest product, pair, concept and so on and for some drawn by chance; exit 1 where an engine differs from the first.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from benchmarks.generate import TEXTS, inputs
from benchmarks.queries import busiest, values_for

DRAWN: Final = 3
COLUMNS: Final = {
    "product": ("products", "product_id"),
    "product_a": ("products", "product_id"),
    "product_b": ("products", "product_id"),
    "cobuy": ("cobuys", "cobuy_id"),
    "intention": ("intentions", "intention_id"),
    "concept": ("concepts", "concept"),
    "assertion": ("assertions", "assertion_id"),
    "abstraction": ("abstractions", "abstraction_id"),
    "relation": ("assertions", "relation"),
}
"""Where the values of a parameter stand in the graph folder."""


def _drawn(values: pa.ChunkedArray, r: random.Random) -> str:
    return str(values[r.randrange(len(values))]) if len(values) else "none"


def same_rows(folder: Path, stores: Mapping[str, Any], known: dict[str, str], seed: int = 0) -> list[str]:
    """Ask every store every query; return a line for each answer that differs from that of the first store."""
    import pyarrow.parquet as pq

    from mindkg.queries import catalogue, run

    ids = {
        name: pq.read_table(folder / f"{table}.parquet", columns=[column])[column]
        for name, (table, column) in COLUMNS.items()
    }
    differences, seconds = [], dict.fromkeys(stores, 0.0)
    for query in catalogue().values():
        r = random.Random(f"{query.name} {seed}")
        for turn in range(1 + DRAWN if query.parameters else 1):
            drawn = {p.name: _drawn(ids[p.name], r) for p in query.parameters if p.name != "limit"}
            values = drawn if turn else values_for(query, known)
            answers = {}
            for engine, store in stores.items():
                started = time.perf_counter()
                answers[engine] = _comparable(run(store, query, values).to_pylist())
                seconds[engine] += time.perf_counter() - started
            first, *others = answers
            differences += [
                f"{query.name} {values}: {other} gives {_first_difference(answers[first], answers[other])}"
                for other in others
                if answers[other] != answers[first]
            ]
    print(", ".join(f"{engine} {taken:.1f} s" for engine, taken in seconds.items()), file=sys.stderr)
    return differences


def _comparable(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return ``rows`` with floats at 9 digits (QUERIES: engines add them up in another order)."""
    return [{k: float(f"{v:.9g}") if isinstance(v, float) else v for k, v in row.items()} for row in rows]


def _first_difference(expected: list[dict[str, Any]], found: list[dict[str, Any]]) -> str:
    for i, (a, b) in enumerate(zip(expected, found, strict=False)):
        if a != b:
            return f"{b} instead of {a} in row {i}"
    return f"{len(found)} rows instead of {len(expected)}"


def main() -> None:
    """Make the graph, load it everywhere, ask, and say what differs."""
    from mindkg import build
    from mindkg.knowledge_base import KnowledgeBase
    from mindkg.stores import open_remote

    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=__doc__)
    parser.add_argument("address", nargs="*", help="a server to load and to ask too")
    parser.add_argument("--assertions", type=int, default=100_000, help="about how many the graph has")
    parser.add_argument(
        "--work", default=Path(tempfile.gettempdir()) / "mindkg-benchmarks", help="folder for the files"
    )
    options = parser.parse_args()
    made = inputs(Path(options.work), options.assertions / TEXTS)
    path = Path(options.work) / f"parity-{options.assertions}"
    build([made.answers], path, isa=made.isa)
    with KnowledgeBase.open(path) as kb:
        stores: dict[str, Any] = {engine: kb.store(engine) for engine in ("oxigraph", "ladybug")}
        for address in options.address:
            server = {"endpoint": address} if address.startswith("http") else {"uri": address}
            kb.load("sparql" if "endpoint" in server else "neo4j", **server, progress=_say)
            stores[address] = open_remote(address)
        print(f"{kb!r}: {', '.join(stores)}")
        differences = same_rows(kb.graph(), stores, busiest(kb.graph()))
    print("\n".join(differences) or "the same rows everywhere")
    raise SystemExit(bool(differences))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
