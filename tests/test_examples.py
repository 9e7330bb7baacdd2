"""The bundled sample is what its script makes, and has the shape the demo needs."""

from __future__ import annotations

import csv
import importlib.util
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

from mindkg.vocabulary import relation_name, relations

EXAMPLES = Path(__file__).parents[1] / "examples"
SAMPLE = EXAMPLES / "sample.csv"


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_sample", EXAMPLES / "make_sample.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _rows() -> list[dict[str, str]]:
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_sample_is_what_its_script_makes() -> None:
    assert SAMPLE.read_text(encoding="utf-8") == _script().sample_csv()


def test_sample_covers_every_relation_and_stays_small() -> None:
    asked = {relation_name(row["Relation"]) for row in _rows()}
    assert asked >= set(relations())
    assert SAMPLE.stat().st_size < 500_000


def test_sample_is_made_up() -> None:
    for row in _rows():
        assert re.fullmatch(r"(MKG\d{7})?", row["id_a"])
        assert re.fullmatch(r"MKG\d{7}", row["id_b"])
        assert all(row[key].startswith("https://example.org/") for key in ("item_a_img1_url", "item_b_img1_url"))


def test_sample_has_products_that_many_pairs_share_and_both_verdicts() -> None:
    rows = [row for row in _rows() if row["Agreement"]]
    pairs = {(row["id_a"], row["id_b"]) for row in rows}
    products = Counter(product for pair in pairs for product in pair)
    assert (len(pairs), len(products)) == (90, 60)
    assert min(products.values()) >= 2
    yes = sum(row["Agreement"].startswith("Yes") for row in rows) / len(rows)
    assert 0.45 < yes < 0.6
