"""The made-up shop of the examples is what its script makes, and can be ingested whole."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

from ingest_case import ingest
from PIL import Image

SHOP = Path(__file__).parents[1] / "examples" / "shop"


def test_the_shop_is_what_its_script_makes(tmp_path: Path) -> None:
    shutil.copy(SHOP / "make_shop.py", tmp_path)
    runpy.run_path(str(tmp_path / "make_shop.py"), run_name="__main__")
    for name in ("metadata.jsonl", "reviews.jsonl"):
        assert (tmp_path / name).read_bytes() == (SHOP / name).read_bytes(), name
    made, kept = (sorted(path.name for path in (folder / "pictures").iterdir()) for folder in (tmp_path, SHOP))
    assert made == kept
    for name in made:  # the same pixels: how they are packed differs between versions of the library
        pixels = [Image.open(folder / "pictures" / name).convert("RGB").tobytes() for folder in (tmp_path, SHOP)]
        assert pixels[0] == pixels[1], name


def test_the_shop_is_ingested_whole(tmp_path: Path) -> None:
    sourced, found = ingest([SHOP / "metadata.jsonl"], [SHOP / "reviews.jsonl"], staging=tmp_path)
    products = found["products"].to_pylist()
    assert (sourced.rows_read, sourced.rows_rejected, len(products)) == (126, 0, 30)
    assert all((SHOP.parents[1] / row["image"]).is_file() for row in products)
    assert all(row["title"] and row["brand"] and row["description"] and len(row["category"]) == 3 for row in products)
    assert {row["source"] for row in found["cobuys"].to_pylist()} == {
        *("amazon-also_buy", "amazon-reviews", "amazon-also_buy,amazon-reviews")
    }
