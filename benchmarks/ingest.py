"""Reviews to co-buys at any size: ``python -m benchmarks.ingest --rows 10000000`` makes reviews and reads them.

Persons review some products each (most few, some many), products are as popular as Zipf's law says, and half of a
person's reviews are written within days of the one before. The files stay in ``--work`` and are used again.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import tree_rss

_PIECE = 100_000
_TEXT = "It does what it says, it came on time, and we would buy it again. " * 3
_ROW = (
    '{"overall": 5.0, "verified": true, "reviewTime": "05 14, 2014", "reviewerID": "A%013d", "asin": "B%09d", '
    '"reviewerName": "N. N.", "reviewText": "' + _TEXT + '", "summary": "Good", "unixReviewTime": %d}\n'
)


def main() -> None:
    """Make the files where they are not there, read them, and print rows a second, CPU seconds and peak memory."""
    options = _options()
    folder = Path(options.work) / f"{options.rows}-{options.products}-{options.seed}"
    metadata, reviews = _inputs(folder, options.rows, options.products, options.seed)
    staging = Path(tempfile.mkdtemp(prefix="staging-", dir=folder))
    pid = os.fork()
    if not pid:
        _read(metadata, reviews, staging)
        os._exit(0)
    peak, done = 0, False
    while not done:
        peak = max(peak, tree_rss(pid))
        time.sleep(0.05)
        done = os.waitpid(pid, os.WNOHANG)[0] == pid
    cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(staging)
    print(f"CPU {cpu.ru_utime + cpu.ru_stime:.1f} s, peak memory {peak / 1e6:.0f} MB")


def _read(metadata: Path, reviews: Path, staging: Path) -> None:
    from mindkg.sources.amazon import read_amazon

    started = time.perf_counter()
    sourced = read_amazon([metadata], reviews=[reviews], staging=staging)
    pairs = sum(len(batch) for batch in sourced.tables["cobuys"].to_arrow_iter())
    seconds = time.perf_counter() - started
    rate = sourced.rows_read / seconds
    print(f"{sourced.rows_read:,} rows, {pairs:,} pairs: {seconds:.1f} s, {rate:,.0f} rows/s", flush=True)
    print({name: count for name, count in sourced.notes.items() if count}, file=sys.stderr)


def _inputs(folder: Path, rows: int, products: int, seed: int) -> tuple[Path, Path]:
    """Return a file of metadata and one of reviews, made where they are missing."""
    metadata, reviews = folder / "meta.jsonl.gz", folder / "reviews.jsonl.gz"
    if not reviews.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with gzip.open(metadata, "wt", 1) as file:
            for number in range(products):
                row = {"asin": _asin(number), "title": f"Thing {number}", "category": ["Things"], "also_buy": []}
                file.write(json.dumps(row) + "\n")
        making = folder / "making.jsonl.gz"
        with gzip.open(making, "wt", 1) as file:
            for start in range(0, rows, _PIECE):
                generator = np.random.default_rng([seed, start])
                file.write(_reviews(generator, start, min(_PIECE, rows - start), products))
        making.rename(reviews)
    return metadata, reviews


def _reviews(generator: np.random.Generator, start: int, rows: int, products: int) -> str:
    sizes = np.minimum(generator.zipf(1.9, rows), 2_000)
    persons = np.repeat(np.arange(rows), sizes)[:rows]
    # the product of rank r with a probability like 1 / r
    bought = (products ** generator.random(rows)).astype(np.int64) - 1
    gaps = np.where(generator.random(rows) < 0.5, generator.integers(0, 5, rows), generator.integers(0, 200, rows))
    days = 12_000 + np.cumsum(gaps) % 5_000
    rows_of = zip((persons + start).tolist(), bought.tolist(), (days * 86_400).tolist(), strict=True)
    return "".join(map(_ROW.__mod__, rows_of))


def _asin(number: int) -> str:
    return f"B{number:09d}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="reviews")
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--work", default=Path(tempfile.gettempdir()) / "mindkg-ingest", help="folder for the files")
    parser.add_argument("--seed", type=int, default=0, help="other numbers give other input")
    return parser.parse_args()


if __name__ == "__main__":
    main()
