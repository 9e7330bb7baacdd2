"""Make a small shop in the shapes of Amazon Review files: metadata.jsonl, reviews.jsonl and pictures/*.png.

Every product, brand, id and person is made up. Run ``python examples/shop/make_shop.py`` from anywhere; the same script
makes the same bytes. The first half of the products is written as in 2018, the other as in 2023; reviews likewise.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from PIL import Image, ImageDraw

HERE = Path(__file__).parent
START = 1_500_000_000
DAY = 86_400
SIZE = 96
"""Pixels of a picture's side."""

# group, kind, title, brand, colour, shape, what is said about it
PRODUCTS = (
    ("Camping", "Tents", "Ridgeway 2-Person Dome Tent", "Fernhill", "olive", "dome", "Two poles, sealed seams."),
    ("Camping", "Sleeping Bags", "Dormouse Mummy Sleeping Bag, 0 C", "Fernhill", "navy", "tall", "Warm to freezing."),
    ("Camping", "Stoves", "Kettle & Co Folding Gas Stove", "Emberly", "gray", "flat", "Boils a litre in 4 minutes."),
    ("Camping", "Stoves", "Emberly Gas Cartridge 230 g", "Emberly", "orange", "can", "Screw thread, seals itself."),
    ("Camping", "Cookware", "Trailpot Aluminium Pot Set", "Emberly", "silver", "pot", "Two pots that nest."),
    ("Camping", "Lighting", "Glowbug LED Headlamp", "Nightjar", "yellow", "round", "300 lumens, red light too."),
    ("Camping", "Mats", "Cloudlet Sleeping Mat", "Fernhill", "teal", "flat", "Fills itself, packs small."),
    ("Tea", "Kettles", "Whistler Enamel Kettle 1.5 l", "Potter & Finch", "red", "pot", "Sings when it boils."),
    ("Tea", "Mugs", "Blue Stoneware Mug 12 oz", "Potter & Finch", "blue", "can", "Glazed by hand."),
    ("Tea", "Teapots", "Round Glass Teapot with Infuser", "Leafwell", "lightblue", "dome", "See it steep."),
    ("Tea", "Loose Tea", "Leafwell Assam Loose Leaf 250 g", "Leafwell", "brown", "can", "Strong, malty, for mornings."),
    ("Tea", "Honey", "Meadow Honey Dipper Jar", "Beeline", "gold", "can", "Clear honey and a wooden dipper."),
    ("Tea", "Biscuits", "Oatling Ginger Biscuits", "Oatling", "tan", "round", "Crisp, made with oats."),
    ("Cycling", "Lights", "Pedalglow USB Bike Light Set", "Spoke & Son", "white", "round", "Front and rear."),
    ("Cycling", "Locks", "Ironclasp D-Lock", "Ironclasp", "black", "dome", "Hardened shackle, two keys."),
    ("Cycling", "Helmets", "Shellby Commuter Helmet", "Shellby", "lime", "dome", "Vents, a dial, a peak."),
    ("Cycling", "Pumps", "Puffin Mini Pump", "Spoke & Son", "gray", "tall", "Fits both valves."),
    ("Cycling", "Repair", "Patchwell Puncture Kit", "Spoke & Son", "green", "flat", "Six patches, levers, glue."),
    ("Cycling", "Bottles", "Gulp Squeeze Bottle 750 ml", "Gulp", "cyan", "tall", "No taste of plastic."),
    ("Painting", "Brushes", "Sable Round Brush Set of 6", "Artling", "maroon", "tall", "Fine points, short handles."),
    ("Painting", "Paints", "Artling Watercolour Tin, 24 Pans", "Artling", "purple", "flat", "Bright and lightfast."),
    ("Painting", "Paper", "Coldpress Watercolour Pad A4", "Milltown", "ivory", "flat", "300 g, twelve sheets."),
    ("Painting", "Easels", "Tabletop Beech Easel", "Milltown", "peru", "dome", "Folds flat."),
    ("Painting", "Pencils", "Graphite Pencil Tin HB to 8B", "Artling", "dimgray", "tall", "Twelve grades."),
    ("Garden", "Cans", "Greenthumb Watering Can 5 l", "Greenthumb", "green", "pot", "A long spout and a rose."),
    ("Garden", "Gloves", "Thornproof Garden Gloves", "Greenthumb", "darkkhaki", "flat", "Goatskin, long cuffs."),
    ("Garden", "Tools", "Little Digger Hand Trowel", "Spadework", "steelblue", "tall", "Forged, with marks for depth."),
    ("Garden", "Seeds", "Cottage Wildflower Seed Mix", "Spadework", "pink", "round", "For bees and butterflies."),
    ("Garden", "Pots", "Terracotta Pot 20 cm, Pack of 3", "Potter & Finch", "sienna", "pot", "With saucers."),
    ("Garden", "Twine", "Jute Garden Twine 100 m", "Spadework", "wheat", "can", "On a spool, with a blade."),
)


def main() -> None:
    """Write all files beside this script."""
    chance = random.Random(2)
    groups: dict[str, list[int]] = {}
    for number, product in enumerate(PRODUCTS):
        groups.setdefault(product[0], []).append(number)
    rows = [_row(number, chance.sample(groups[product[0]], 4)) for number, product in enumerate(PRODUCTS)]
    _write("metadata.jsonl", rows)
    _write("reviews.jsonl", [review for person in range(24) for review in _basket(person, chance, groups)])
    (HERE / "pictures").mkdir(exist_ok=True)
    for number, (*_, colour, shape, _about) in enumerate(PRODUCTS):
        _draw(colour, shape).save(HERE / "pictures" / f"{asin(number)}.png", optimize=True)


def asin(number: int) -> str:
    """Return the made-up id of a product."""
    return f"B0SHOP{number:04d}"


def _row(number: int, partners: list[int]) -> dict[str, object]:
    group, kind, title, brand, _, _, about = PRODUCTS[number]
    picture = f"examples/shop/pictures/{asin(number)}.png"
    if 2 * number < len(PRODUCTS):
        return {
            "category": ["Example Shop", group, kind],
            "description": [f"<p>{about}</p>"],
            "title": title.replace("&", "&amp;"),
            "also_buy": [asin(other) for other in partners if other != number],
            "also_view": [],
            "image": [picture],
            "brand": brand,
            "main_cat": "Example Shop",
            "price": f"${5 + number}.00",
            "asin": asin(number),
        }
    return {
        "main_category": "Example Shop",
        "title": title,
        "price": 5.0 + number,
        "images": [{"variant": "MAIN", "large": picture, "thumb": picture, "hi_res": None}],
        "store": brand,
        "categories": ["Example Shop", group, kind],
        "description": [about],
        "details": {"Brand": brand},
        "parent_asin": asin(number),
        "bought_together": None,
    }


def _basket(person: int, chance: random.Random, groups: dict[str, list[int]]) -> list[dict[str, object]]:
    """Return what one person reviewed: some products of one group within days, and one of another later."""
    group, other = chance.sample(sorted(groups), 2)
    first = START + person * 40 * DAY
    bought = [(number, first + chance.randrange(5) * DAY) for number in chance.sample(groups[group], 3)]
    bought.append((chance.choice(groups[other]), first + 60 * DAY))
    if person % 2:
        return [
            {"reviewerID": f"AEXAMPLE{person:03d}", "asin": asin(number), "overall": 5.0, "unixReviewTime": time}
            for number, time in bought
        ]
    return [
        {"user_id": f"AEXAMPLE{person:03d}", "parent_asin": asin(number), "rating": 4.0, "timestamp": time * 1000}
        for number, time in bought
    ]


def _write(name: str, rows: list[dict[str, object]]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
    (HERE / name).write_text("".join(lines), encoding="utf-8")


def _draw(colour: str, shape: str) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), "white")
    pen = ImageDraw.Draw(image)
    if shape == "round":
        pen.ellipse((20, 20, 76, 76), fill=colour, outline="black")
    elif shape == "dome":
        pen.pieslice((12, 24, 84, 120), 180, 360, fill=colour, outline="black")
    elif shape == "tall":
        pen.rounded_rectangle((36, 8, 60, 88), 8, fill=colour, outline="black")
    elif shape == "flat":
        pen.rectangle((12, 40, 84, 66), fill=colour, outline="black")
    elif shape == "can":
        pen.rectangle((28, 28, 68, 80), fill=colour, outline="black")
        pen.ellipse((28, 20, 68, 36), fill="white", outline="black")
    else:
        pen.polygon(((22, 36), (74, 36), (66, 82), (30, 82)), fill=colour, outline="black")
        pen.arc((60, 40, 92, 70), 270, 90, fill="black", width=3)
    return image.quantize(8, dither=Image.Dither.NONE)


if __name__ == "__main__":
    main()
