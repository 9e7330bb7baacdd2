"""Writes answers.jsonl: what a model might say about the made-up shop, for ``mindkg distill --backend replay:FILE``.

Run it from the project's folder after ``mindkg ingest``: ``python examples/shop/make_answers.py shop``. All answers are
made up from the sentences below; the same KB gives the same bytes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import mindkg

USES = {
    "Camping": ["camping in the mountains", "cooking a hot meal outdoors", "a good night of sleep in a tent"],
    "Tea": ["making tea at home", "serving tea to guests", "an afternoon tea with biscuits"],
    "Cycling": ["cycling to work", "repairing a bicycle on the road", "riding safely at night"],
    "Painting": ["watercolour painting", "sketching outdoors", "an art class"],
    "Garden": ["gardening", "planting wildflowers", "watering plants on a balcony"],
}
KINDS = {
    "Camping": ["camping equipment", "outdoor gear"],
    "Tea": ["tea accessory", "gift for a tea lover"],
    "Cycling": ["bicycle accessory", "safety equipment"],
    "Painting": ["art supplies", "painting tool"],
    "Garden": ["garden tool", "gardening supplies"],
}
REFUSED = "they are both used for flying to the moon."
OUT = Path(__file__).parent / "answers.jsonl"


def answers(kb: mindkg.KnowledgeBase) -> list[dict[str, Any]]:
    """Return the records: features of each product, then two intentions of each pair with the filter's words."""
    products = {row["product_id"]: row for row in kb.table("products").to_pylist()}
    records: list[dict[str, Any]] = [
        {"product_id": asin, "text": f"{row['title']} is plain and sturdy, and made for {row['category'][1].lower()}."}
        for asin, row in products.items()
    ]
    for number, pair in enumerate(kb.table("cobuys").to_pylist()):
        a, b = pair["product_a"], pair["product_b"]
        theme = products[a]["category"][1]
        use, kind = USES[theme][number % 3], KINDS[theme][number % 2]
        odd = number % 7 == 6
        used = (
            REFUSED if odd else f"they are both used for {use}. A customer who plans this needs the one and the other."
        )
        said = {"usedFor": used, "isA": f"that they both are a type of {kind}."}
        for relation, text in said.items():
            verdict = "No, this is far-fetched." if odd and relation == "usedFor" else "Yes, I would buy both for it."
            intention = f"The potential co-buy intention could be {text}"
            records.append(
                {"product_a": a, "product_b": b, "relation": relation, "text": intention, "verdict": verdict}
            )
    return records


if __name__ == "__main__":
    with mindkg.KnowledgeBase.open(sys.argv[1]) as opened:
        OUT.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in answers(opened)), encoding="utf-8")
