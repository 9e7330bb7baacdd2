"""Every real Amazon file: rows conserved, the known counts, and the pairs that counting one by one gives."""

from __future__ import annotations

import ast
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from ingest_case import expected_support, ingest, support

from mindkg.sources.amazon import MAX_BASKET, WINDOW

FILES: dict[str, tuple[str, str | None, dict[str, int]]] = {
    # name: metadata, reviews, counts; every row of these files is whole, so none is rejected
    "2014 washers": (
        "2014/amazon_metadata_washer.json",
        None,
        {"rows": 888, "products": 888, "titles": 181, "brands": 37, "pictures": 888, "entries": 1266, "pairs": 118}
        | {"unknown": 1093, "reviews": 0},
    ),
    "2014 music": (
        "2014/meta_Digital_Music.json.gz",
        "2014/reviews_Digital_Music_5.json.gz",
        {"rows": 7080, "products": 3718, "titles": 3718, "brands": 283, "pictures": 3711, "entries": 187777}
        | {"unknown": 171146, "pairs": 12673, "reviews": 3362},
    ),
    "2018 appliances": (
        "2018/meta_Appliances.json.gz",
        None,
        {"rows": 100, "products": 100, "titles": 100, "brands": 100, "pictures": 53, "entries": 928, "unknown": 909}
        | {"pairs": 16, "reviews": 0},
    ),
    "2018 gift cards": (
        "2018/meta_Gift_Cards.json.gz",
        "2018/Gift_Cards_5.json.gz",
        {"rows": 4519, "products": 1547, "titles": 1547, "brands": 527, "pictures": 660, "entries": 21681}
        | {"unknown": 15688, "pairs": 7141, "reviews": 2972},
    ),
    "2023 health": (
        "2023/meta_Health_and_Personal_Care.jsonl.gz",
        None,
        {"rows": 1714, "products": 1714, "titles": 1714, "brands": 1689, "pictures": 1714, "entries": 0, "pairs": 0}
        | {"unknown": 0, "reviews": 0},
    ),
    "2023 mixed": (
        "2023/meta_user_reviews_mixed.jsonl.gz",
        "2023/user_reviews_mixed.jsonl.gz",
        {"rows": 5482, "products": 2652, "titles": 2587, "brands": 0, "pictures": 0, "entries": 0, "pairs": 1965}
        | {"unknown": 0, "reviews": 2830},
    ),
}


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a real file in the keys of 2018's."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    found = [json.loads(line) if line[1:2] == b'"' else ast.literal_eval(line.decode()) for line in data.splitlines()]
    for row in found:
        row["asin"] = row.get("parent_asin") or row["asin"]
        row["reviewerID"] = row.get("user_id") or row.get("reviewerID")
        row["unixReviewTime"] = row["timestamp"] // 1000 if "timestamp" in row else row.get("unixReviewTime")
        row["related"] = {k: v for k, v in row.get("related", {}).items() if k in ("also_bought", "bought_together")}
    return found


@pytest.mark.parametrize("name", FILES)
def test_a_real_file(name: str, real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "amazon"
    metadata, reviews, counts = FILES[name]
    told = [folder / reviews] if reviews else []
    sourced, found = ingest([folder / metadata], told, staging=tmp_path / "s")
    products, notes = found["products"], sourced.notes
    assert counts == {
        "rows": sourced.rows_read,
        "products": len(products),
        "titles": len(products) - products["title"].null_count,
        "brands": len(products) - products["brand"].null_count,
        "pictures": len(products) - products["image"].null_count,
        "pairs": len(found["cobuys"]),
        "entries": notes["list_entries"],
        "unknown": notes["list_entries_of_unknown_products"],
        "reviews": notes["reviews"],
    }
    assert (sourced.rows_rejected, len(found["rejects"])) == (0, 0)
    assert set(sourced.formats.values()) == {f"amazon-{name[:4]}", *(["amazon-reviews"] if told else [])}
    texts = [text for column in ("title", "brand") for text in products[column].to_pylist() if text]
    assert not [text for text in texts if "&amp;" in text or "</" in text or "\n" in text or "  " in text]
    plain = expected_support(rows(folder / metadata), rows(folder / reviews) if reviews else [], WINDOW, MAX_BASKET)
    assert support(found) == plain


def test_all_real_files_at_once(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "amazon"
    metadata = [folder / metadata for metadata, _, _ in FILES.values()]
    reviews = [folder / reviews for _, reviews, _ in FILES.values() if reviews]
    assert sorted(path for path in folder.glob("*/*") if path.is_file()) == sorted([*metadata, *reviews])
    sourced, found = ingest(metadata, reviews, staging=tmp_path / "s", min_support=2)
    assert (sourced.rows_read, sourced.rows_rejected) == (sum(counts["rows"] for _, _, counts in FILES.values()), 0)
    assert sum(support(found).values()) > 2 * len(found["cobuys"]) > 0
