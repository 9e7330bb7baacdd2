"""What generated texts are made of: sentences in the manner of LLaVA-1.5, and nouns of the WordNet that ships."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

OPENINGS: Final = (
    *["The potential co-buy intention for these two products could be that "] * 83,
    *["The potential co-buy intention could be that "] * 12,
    *["The potential co-buy intention for people purchasing these two products simultaneously could be that "] * 4,
    "The intention behind buying these two products together could be that ",
)
OTHERWISE: Final = (
    "they both cater to the needs of ",
    "they are both designed for ",
    "they are both used for ",
    "they both are a type of ",
    "they are both related to ",
    "they both have a ",
    "the buyer is looking for ",
    "the person wants to own ",
    "they are both part of ",
    "they complement each other as ",
    "the buyer is setting up a ",
    "they are both made of ",
)
"""What a text states that does not state the relation asked for."""

TAILS: Final = (
    ("", " and ", ""),
    ("a variety of ", " for ", ""),
    ("improving the ", " of a ", ""),
    ("organizing ", " in a ", " at home"),
    ("a complete ", " ", " set"),
    ("people who enjoy ", " and ", ""),
    ("high-quality ", " with ", ""),
    ("preparing a ", " for the ", ""),
    ("an outdoor ", " or ", " trip"),
    ("protecting the ", " from ", ""),
    ("a gift such as ", " or ", ""),
    ("the same ", ", ", ""),
    ("women who need ", " during ", ""),
    ("enhancing ", ", ", " and comfort"),
)
"""What stands before the first noun, between the two, and behind the second."""

ELABORATIONS: Final = (
    *[""] * 6,
    ", making them a practical choice",
    ", which makes them suitable for each other",
    ", and the buyer needs them for daily use",
    ", providing comfort and convenience",
)
CLAUSES: Final = (
    " is designed to provide comfort, durability and {} for everyday use at home or on the way, ",
    " offers a {} of high quality that is easy to clean, to carry and to store after it was used, ",
    " features a sleek and modern design with a {} that goes well with every room of the house, ",
    " is a popular choice for people who appreciate {} and good workmanship at a reasonable price, ",
    " comes with a {} that keeps everything in its place during a long trip or a busy day, ",
)
ENDINGS: Final = (
    " has a {} and can be used on different occasions. By purchasing both products, the buyer can enjoy the benefit of",
    " is made of durable materials such as {}, which ensures a long life. Additionally, both products share a similar",
    " provides an additional {}. This combination allows the customer to have a complete solution for their needs.",
    " is known for its {} and its unique look. The combination of these two products can create a stylish and modern",
)
DESCRIPTIONS: Final = (
    "The image features a {} with a sleek and modern design.",
    "It is made of durable materials, ensuring a long life even where a {} is used every day.",
    "The {} has an adjustable strap and a handle, making it easy to carry and to store.",
    "\n\nThe product is available in several colors, and its {} adds a touch of elegance to any room.",
    "The overall design is practical, and the {} makes it suitable for many occasions, such as travel or work.",
    "The exterior is smooth and free of any marks, while the inside holds a {}.",
)
REASONS: Final = (
    "The two products serve a similar purpose, and the {} makes them attractive to the same customers.",
    "A buyer may need only one of them, depending on the {} and on individual preferences.",
    "Both products are made of high-quality materials, which adds to their {}.",
    "\n\nThe reason for this answer is that the {} of one product goes well with the other.",
    "Overall, the combination of {} and practical features makes these products an appealing choice, and",
)
YES: Final = (
    *["Yes, the potential co-buy intention would encourage me to buy both products simultaneously. "] * 6,
    *["Yes. "] * 3,
    "Yes, based on the given intention, I would buy both. ",
)
NO: Final = (
    *["No. "] * 4,
    *["No, the potential co-buy intention does not necessarily encourage the consumer to buy both products. "] * 6,
)
REFUSALS: Final = (
    "I'm sorry, but I cannot determine the intention from the images.",
    "The potential co-buy intention for these two products could be that they are both used for",
)
"""Answers that give no intention."""

BRANDS: Final = ("Norvale", "Tessaly", "Brightfen", "Oakmere", "Cordelle", "Vantis", "Pellworth", "Juniper & Co.")
LOOKS: Final = ("Stainless Steel", "Adjustable", "Classic", "Men's", "Women's", "Portable", "Waterproof", "Kids'")
SIZES: Final = (
    "(Pack of 2)",
    "6 Feet",
    "10 Inch, Black",
    "Set of 4 with Carrying Case",
    "Large",
    "- Navy Blue, One Size",
)
CATEGORIES: Final = ("Electronics", "Clothing, Shoes & Jewelry", "Home & Kitchen", "Sports & Outdoors")


@cache
def nouns() -> pa.Array:
    """Return the plain nouns of the isA table that ships, those with the largest counts first."""
    from mindkg.link.isa import SHIPPED

    names = ["concept", "instance", "count"]
    table = csv.read_csv(
        SHIPPED,
        csv.ReadOptions(column_names=names),
        csv.ParseOptions(delimiter="\t", quote_char=False),
        csv.ConvertOptions(column_types={"concept": pa.string(), "instance": pa.string()}),
    )
    plain = table.filter(pc.match_substring_regex(table["instance"], "^[a-z]{3,14}( [a-z]{3,10})?$"))
    sums = plain.group_by("instance").aggregate([("count", "sum")])
    return sums.sort_by([("count_sum", "descending"), ("instance", "ascending")])["instance"].combine_chunks()


Ranks = npt.NDArray[np.int64]


def zipf(random: np.random.Generator, rows: int, ranks: int, shift: float) -> Ranks:
    """Return ``rows`` ranks below ``ranks``, by the law of Zipf and Mandelbrot: frequency ~ 1 / (rank + ``shift``)."""
    spread = np.log((ranks + shift) / shift)
    drawn = shift * (np.exp(random.random(rows) * spread) - 1)
    ranked: Ranks = np.minimum(drawn.astype(np.int64), ranks - 1)
    return ranked


def pick(random: np.random.Generator, choices: pa.Array | tuple[str, ...], rows: int) -> pa.Array:
    """Return ``rows`` of ``choices``, each as likely as the other."""
    array = choices if isinstance(choices, pa.Array) else pa.array(choices)
    return array.take(pa.array(random.integers(0, len(array), rows)))


def pick_number(random: np.random.Generator, choices: tuple[int, ...], rows: int) -> Ranks:
    """Return ``rows`` of ``choices``, each as likely as the other."""
    return np.array(choices, np.int64)[random.integers(0, len(choices), rows)]


def join(*parts: pa.Array | str) -> pa.Array:
    """Return the strings of ``parts`` put together, row by row; a str stands in every row."""
    return pc.binary_join_element_wise(*parts, "")
