"""The benchmark of ingest runs and says what it measured."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_benchmark_measures_made_up_reviews(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.ingest", "--rows", "3000", "--products", "50", "--work", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(
        r"3,050 rows, \d+ pairs: [\d.]+ s, [\d,]+ rows/s\nCPU [\d.]+ s, peak memory \d+ MB\n", done.stdout
    )
    assert not list(tmp_path.glob("*/staging-*"))
