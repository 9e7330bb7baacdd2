"""What the tests of Amazon files share: made-up rows, reading them, and a plain account of what must come out."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow as pa
from sources_case import tables

from mindkg.sources import Sourced
from mindkg.sources.amazon import read_amazon

DAY = 86_400
START = 1_400_025_600
"""A midnight, in seconds."""

Row = Mapping[str, Any]


def ingest(
    metadata: Sequence[Path], reviews: Sequence[Path] = (), *, staging: Path, **options: Any
) -> tuple[Sourced, dict[str, pa.Table]]:
    """Read files into sorted tables, the conservation of rows checked."""
    sourced = read_amazon(metadata, reviews=reviews, staging=staging, **options)
    found = tables(sourced)
    assert sourced.rows_read == sourced.rows_kept + sourced.rows_rejected
    assert len(found["rejects"]) == sourced.rows_rejected
    products = set(found["products"]["product_id"].to_pylist())
    ends = set(found["cobuys"]["product_a"].to_pylist()) | set(found["cobuys"]["product_b"].to_pylist())
    assert ends <= products
    return sourced, found


def lines(rows: Sequence[Row]) -> bytes:
    """JSON Lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def write(path: Path, rows: Sequence[Row]) -> Path:
    """Write JSON Lines and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lines(rows))
    return path


def asin(number: int) -> str:
    return f"B{number:09d}"


def shop(seed: int, products: int = 12, persons: int = 9) -> tuple[list[Row], list[Row]]:
    """Made-up metadata and reviews, some of unknown products, of itself, or said twice."""
    chance = random.Random(seed)
    metadata = []
    for number in range(products):
        also = [asin(chance.randrange(products + 3)) for _ in range(chance.randrange(5))]
        together = [asin(chance.randrange(products + 3)) for _ in range(chance.randrange(3))]
        row = {"asin": asin(number), "title": f"Thing {number}", "category": ["Things", f"Kind {number % 3}"]}
        metadata.append({**row, "also_buy": also, "related": {"bought_together": together}})
        if not chance.randrange(6):
            metadata.append({**row, "title": f"Thing {number}, again", "also_buy": also[:1]})
    reviews = []
    for person in range(persons):
        for _ in range(chance.randrange(1, 9)):
            time = START + chance.randrange(25) * DAY + chance.randrange(DAY)
            review = {"reviewerID": f"A{person}", "asin": asin(chance.randrange(products + 2)), "unixReviewTime": time}
            reviews += [review] * (1 + (not chance.randrange(8)))
    return metadata, reviews


def expected_support(
    metadata: Sequence[Row], reviews: Sequence[Row], window: int, max_basket: int
) -> dict[tuple[str, str], int]:
    """Return each pair with its lists and buyers, counted one by one."""
    known = {row["asin"] for row in metadata}
    said: dict[tuple[str, str], set[tuple[str, ...]]] = defaultdict(set)
    for row in metadata:
        for name, entries in (("also_buy", row.get("also_buy", [])), *row.get("related", {}).items()):
            for other in entries:
                if other in known and other != row["asin"]:
                    said[tuple(sorted((row["asin"], other)))].add((row["asin"], name))
    baskets: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for review in reviews:
        if review["asin"] in known:
            baskets[review["reviewerID"]][review["asin"]].add(review["unixReviewTime"] // DAY)
    for person, days in baskets.items():
        kept = sorted(days, key=lambda product: (min(days[product]), product))[:max_basket]
        for a, b in combinations(sorted(kept), 2):
            if any(abs(x - y) <= window for x in days[a] for y in days[b]):
                said[a, b].add(("buyer", person))
    return {pair: len(who) for pair, who in said.items()}


def support(found: Mapping[str, pa.Table]) -> dict[tuple[str, str], int]:
    """Return each pair of the table cobuys with its support."""
    return {(row["product_a"], row["product_b"]): row["support"] for row in found["cobuys"].to_pylist()}
