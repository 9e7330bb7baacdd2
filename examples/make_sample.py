"""Make examples/sample.csv from examples/sample.toml: rows shaped like MIND's, every word of them made up.

Run ``python examples/make_sample.py`` after changing sample.toml. The same input gives the same bytes, and a test says
that sample.csv is what this script makes.
"""

from __future__ import annotations

import csv
import io
import itertools
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
COLUMNS = (
    *("id_a", "id_b", "Product_a", "Product_b", "Relation", "product_a_desc", "product_b_desc"),
    *("Intention", "tail", "Agreement", "Cate"),
    *("item_a_cate", "item_b_cate", "item_a_img1_url", "item_b_img1_url"),
)

RELATIONS_A_PAIR = 4
"""How many of its theme's answers a pair inside a theme gets; neighbouring pairs share some, as real ones do."""

SELDOM_STATED = (
    *("mannerOf", "similarTo", "distinctFrom", "deriveFrom", "definedAs", "createdBy"),
    *("madeOf", "capableOf", "can", "isA", "relatedTo", "other"),
)
"""What a model is asked for in the half of the rows where it answers something else."""

OPENINGS = (
    *["The potential co-buy intention for these two products could be that"] * 9,
    "The potential co-buy intention could be that",
)
OPEN_OPENINGS = (
    "The potential co-buy intention for people purchasing these two products simultaneously could be",
    "The potential co-buy intention for these two products could be",
)
AGREEMENTS = (
    "Yes, the potential co-buy intention would encourage me to buy both products simultaneously. {reason}",
    "No. The potential co-buy intention does not necessarily encourage the consumer to buy both products. {reason}",
    "Yes. {reason}",
    "No, I would not buy both products simultaneously for this intention. {reason}",
    "Yes",
    "Yes, because {intention}. {reason}",
    "No. {reason}",
    "Yes, I would buy both. {reason}",
    "No.",
    "Yes. It is reasonable that {intention}. {reason}",
    "It depends on the needs of the buyer.",
    "No, the two products can be bought independently. {reason}",
    "Yes, absolutely. {reason}",
)
REASONS = (
    "The two products go well together and the reason given is plausible.",
    "A buyer may already have one of them, or may have a limited",
    "The {a} and the {b} complement each other, which makes it convenient to buy them in one order.",
    "The decision depends on the individual preferences and needs of the customer, and not only",
)


def cut(text: str, length: int) -> str:
    """``text`` as a model leaves it that has no tokens left: broken off behind the word that reaches ``length``."""
    return text if len(text) <= length else text[:length].rpartition(" ")[0]


def description(product: dict[str, Any]) -> str:
    """What the model says about one picture."""
    return cut(
        f"The image features {product['look']}. The {product['title']} can {product['can']}.\n\n"
        f"It is a practical choice for {product['who']}, and its design is simple and",
        230,
    )


def answer(number: int, says: str, a: dict[str, Any], b: dict[str, Any]) -> str:
    """The raw text for a pair: the intention first, then something about each product, seldom to its end."""
    is_open = says.startswith("to ")
    openings = OPEN_OPENINGS if is_open else OPENINGS
    text = (
        f"{openings[number % len(openings)]} {says}. "
        f"The {a['title']} can {a['can']}, while the {b['title']} can {b['can']}. "
        f"By purchasing both products, {a['who']} can have everything they need in one place, and they do not have to "
        "look for another product that fits."
    )
    return text if number % 10 == 0 else cut(text, 330 + number * 7 % 90)


def agreement(number: int, says: str, a: dict[str, Any], b: dict[str, Any]) -> str:
    """What the filter says about the intention."""
    reason = REASONS[number // 3 % len(REASONS)].format(a=a["title"], b=b["title"])
    intention = f"the buyer wants {says}" if says.startswith("to ") else says
    return AGREEMENTS[(number * 5 + 4) % len(AGREEMENTS)].format(reason=reason, intention=intention)


def row(number: int, relation: str, says: str, a: dict[str, Any], b: dict[str, Any]) -> dict[str, str]:
    """One line of the CSV; an answer that has its own text (a reject) replaces Intention later."""
    return {
        "id_a": a["id"],
        "id_b": b["id"],
        "Product_a": a["title"],
        "Product_b": b["title"],
        "Relation": relation,
        "product_a_desc": description(a),
        "product_b_desc": description(b),
        "Intention": answer(number, says, a, b),
        "tail": f"PersonX bought a product of Item A and a product of Item B because {says}.",
        "Agreement": agreement(number, says, a, b),
        "Cate": a["cate"],
        "item_a_cate": a["category"],
        "item_b_cate": b["category"],
        "item_a_img1_url": f"https://example.org/images/{a['id']}.jpg",
        "item_b_img1_url": f"https://example.org/images/{b['id']}.jpg",
    }


def theme_answers(theme: dict[str, Any], often: Counter[str]) -> Iterator[tuple[str, str, str, str]]:
    """Yield relation asked for, what the model says, and the two products, for five pairs of a theme.

    ``often`` counts what was asked for so far: every second answer is put under a relation that it does not state.
    """
    answers = list(theme["says"].items())
    pairs = itertools.combinations([product["id"] for product in theme["products"]], 2)
    for place, (a, b) in enumerate(itertools.islice(pairs, 5)):
        picked = [answers[(place * 3 + step) % len(answers)] for step in range(RELATIONS_A_PAIR)]
        used = {relation for relation, _ in picked[::2]}
        for step, (relation, says) in enumerate(picked):
            if step % 2:
                relation = min(set(SELDOM_STATED) - used, key=lambda name: (often[name], SELDOM_STATED.index(name)))
            used.add(relation)
            often[relation] += 1
            yield relation, says, a, b


def rows(sample: dict[str, Any]) -> list[dict[str, str]]:
    """All lines: the pairs inside each theme, the pairs across themes, and what a build has to reject."""
    products: dict[str, dict[str, Any]] = {}
    asked: list[tuple[str, str, str, str]] = []
    often: Counter[str] = Counter()
    for theme in sample["theme"]:
        shared = {key: theme[key] for key in ("cate", "category", "who")}
        products.update({product["id"]: product | shared for product in theme["products"]})
        asked.extend(theme_answers(theme, often))
    for bridge in sample["bridge"]:
        asked.extend((relation, says, *bridge["pair"]) for relation, says in bridge["says"].items())
    made = [
        row(number, relation, says, products[a], products[b]) for number, (relation, says, a, b) in enumerate(asked)
    ]
    for reject in sample["reject"]:
        a, b = (products[key] for key in reject["pair"])
        wrong = {key: value for key, value in reject.items() if key != "pair"}
        made.append(row(0, reject["Relation"], "", a, b) | {"tail": "", "Agreement": ""} | wrong)
    return made


def sample_csv() -> str:
    """The text of sample.csv."""
    with (HERE / "sample.toml").open("rb") as file:
        sample = tomllib.load(file)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(sample))
    return text.getvalue()


if __name__ == "__main__":
    (HERE / "sample.csv").write_text(sample_csv(), encoding="utf-8", newline="\n")
