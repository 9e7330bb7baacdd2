"""Whatever the order of rows and files: the same tables, those of a plain account; both ways of reading agree."""

from __future__ import annotations

import json
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_case import DAY, asin, expected_support, ingest, shop, support, write

from mindkg.sources.amazon import baskets
from mindkg.sources.amazon import lines as amazon_lines
from mindkg.sources.amazon.lines import Piece
from mindkg.sources.amazon.reviews import _careful, _fast


@pytest.mark.parametrize(("seed", "window", "max_basket"), [(1, 7, 50), (2, 0, 3), (3, 12, 2)])
def test_support_is_what_counting_one_by_one_gives(seed: int, window: int, max_basket: int, tmp_path: Path) -> None:
    metadata, reviews = shop(seed, products=30, persons=60)
    files = write(tmp_path / "meta.json", metadata), write(tmp_path / "reviews.json", reviews)
    _, found = ingest(files[:1], files[1:], staging=tmp_path / "s", window=window, max_basket=max_basket)
    assert support(found) == expected_support(metadata, reviews, window, max_basket)


@settings(max_examples=150)
@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 7), st.integers(0, 30)), max_size=60),
    window=st.integers(0, 12),
    max_basket=st.integers(2, 6),
    piece=st.integers(1, 70),
)
def test_pairs_of_baskets(rows: list[tuple[int, int, int]], window: int, max_basket: int, piece: int) -> None:
    reviews = np.array(rows, baskets.REVIEW)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baskets, "SLICE", piece)
        found: Counter[tuple[str, str]] = Counter()
        notes: Counter[str] = Counter()
        for pairs, buyers in baskets.pairs_of(reviews, window, max_basket, np.ones(8, bool), notes):
            for pair, count in zip(pairs.tolist(), buyers.tolist(), strict=True):
                found[asin(pair >> 32), asin(pair & 0xFFFFFFFF)] += count
    metadata = [{"asin": asin(number)} for number in range(8)]
    told = [{"reviewerID": str(who), "asin": asin(what), "unixReviewTime": day * DAY} for who, what, day in rows]
    assert found == expected_support(metadata, told, window, max_basket)
    assert notes["reviews_repeated"] == len(rows) - len({row[:2] for row in rows})


@settings(max_examples=3)
@given(seed=st.integers(0, 10_000), cuts=st.lists(st.integers(0, 60), max_size=3))
def test_order_and_files_do_not_matter(seed: int, cuts: list[int]) -> None:
    metadata, reviews = shop(seed)
    options: dict[str, Any] = {"max_basket": 4, "limit": 9, "keep_unknown": bool(seed % 2), "min_support": 1 + seed % 2}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write(folder / "meta.json", metadata), write(folder / "reviews.json", reviews)
        sourced, found = ingest(files[:1], files[1:], staging=folder / "s", **options)
        chance = random.Random(seed)
        split = [
            [
                write(folder / kind / f"{chance.random()}.json", rows[start:end])
                for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), None], strict=True)
                if rows[start:end]
            ]
            for kind, rows in (
                ("m", chance.sample(metadata, len(metadata))),
                ("r", chance.sample(reviews, len(reviews))),
            )
        ]
        again, other = ingest(split[0], split[1], staging=folder / "t", **options)
    assert sourced.notes == again.notes
    assert {name: table for name, table in found.items() if name != "rejects"} == {
        name: table for name, table in other.items() if name != "rejects"
    }


value = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.lists(st.integers(), max_size=2)
)
time = st.one_of(st.integers(-5, 10**13), st.integers(), st.integers(0, 10**13).map(str), st.floats(), value)
account = st.one_of(st.text(max_size=12), value)
names = ("reviewerID", "user_id", "asin", "parent_asin", "reviewText")
fields = {**dict.fromkeys(names, account), **dict.fromkeys(("unixReviewTime", "timestamp"), time)}
usual = st.fixed_dictionaries(
    {}, optional={**dict.fromkeys(names, st.text(max_size=12)), "timestamp": st.integers(-5, 10**13), "x": value}
)
review = st.one_of(usual, st.fixed_dictionaries({}, optional=fields))
broken = st.sampled_from(
    [b"{}", b"{}{}", b"[]", b'{"asin": "A"', b"", b" ", b'{"asin": "\xff"}', b'{"asin": "\\ud800"}']
)


@settings(max_examples=300)
@given(rows=st.lists(st.one_of(review, usual, broken), min_size=1, max_size=5))
def test_the_fast_way_says_what_the_careful_one_does(rows: list[Any]) -> None:
    data = b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)
    fast = _fast(Piece(7, data))
    if fast is None:
        return
    careful = _careful(Piece(7, data))
    assert not careful.damages
    assert (fast.person, fast.product) == (careful.person, careful.product)
    assert [t if t is None else max(t, -1) for t in fast.time.to_pylist()] == careful.time.to_pylist()
    assert fast.lines.tolist() == careful.lines.tolist()


def test_the_usual_review_goes_the_fast_way() -> None:
    row = {"overall": 5.0, "reviewerID": "A", "asin": "B", "style": {"Size:": " L"}, "unixReviewTime": 1}
    new = {"rating": 5.0, "images": [], "parent_asin": "B", "user_id": "A", "timestamp": 1, "verified_purchase": True}
    assert _fast(Piece(1, json.dumps(row).encode() + b"\n" + json.dumps(new).encode() + b"\r\n")) is not None


@settings(max_examples=60)
@given(
    rows=st.lists(st.integers(0, 90), min_size=1, max_size=20),
    size=st.integers(1, 70),
    ends=st.booleans(),
)
def test_pieces_hold_every_line_once(rows: list[int], size: int, ends: bool) -> None:
    data = b"\n".join(bytes([97 + n % 26]) * length for n, length in enumerate(rows)) + b"\n" * ends
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        path = Path(name) / "lines"
        path.write_bytes(data)
        patch.setattr(amazon_lines.chunks, "__defaults__", (size,))
        patch.setattr(amazon_lines, "LONGEST", 40)
        found = list(amazon_lines.pieces(path))
    whole = {
        number: line
        for piece in found
        for number, line in enumerate(piece.data.split(b"\n")[:-1], piece.first)
        if piece.data
    }
    damaged = {damage.line for piece in found for damage in piece.damages}
    expected = data.removesuffix(b"\n").split(b"\n") if data.strip(b"\n") else []
    lines = {number: line for number, line in enumerate(expected, 1) if line}
    assert {number: line for number, line in whole.items() if line} == {
        number: line for number, line in lines.items() if number not in damaged
    }
    assert all(len(lines[number]) > 40 for number in damaged)
