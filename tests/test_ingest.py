"""Amazon files: what the options do, what cannot be used, and that no person's name gets through."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pytest
from ingest_case import DAY, START, asin, ingest, lines, shop, support, write
from sources_case import rejects
from test_sources_damage import zst

from mindkg.errors import InputError
from mindkg.sources.amazon import read_amazon
from mindkg.sources.amazon.fields import picture
from mindkg.sources.amazon.lines import LONGEST, LONGEST_LITERAL, Piece, parse_line
from mindkg.sources.amazon.markup import plain_column, without_markup
from mindkg.sources.amazon.ratings import Columns
from mindkg.sources.amazon.reviews import _rated_careful, _rated_fast

PRODUCTS = [{"asin": asin(number), "title": f"Thing {number}"} for number in range(8)]


def review(person: str, number: int, day: int) -> dict[str, object]:
    return {"reviewerID": person, "asin": asin(number), "unixReviewTime": START + day * DAY}


def pairs(folder: Path, reviews: list[dict[str, object]], **options: int) -> dict[tuple[int, int], int]:
    files = write(folder / "meta.json", PRODUCTS), write(folder / "reviews.json", reviews)
    _, found = ingest(files[:1], files[1:], staging=folder / f"s-{len(list(folder.iterdir()))}", **options)
    return {(int(a[1:]), int(b[1:])): n for (a, b), n in support(found).items()}


def test_the_window_counts_days_both_ends_included(tmp_path: Path) -> None:
    reviews = [review("A", 0, 0), review("A", 1, 7), review("A", 2, 8), review("B", 0, 3), review("B", 1, 3)]
    assert pairs(tmp_path, reviews) == {(0, 1): 2, (1, 2): 1}
    assert pairs(tmp_path, reviews, window=8) == {(0, 1): 2, (0, 2): 1, (1, 2): 1}
    assert pairs(tmp_path, reviews, window=0) == {(0, 1): 1}


def test_a_product_reviewed_again_is_near_what_was_bought_then(tmp_path: Path) -> None:
    reviews = [review("A", 0, 0), review("A", 0, 100), review("A", 1, 100), review("A", 1, 102)]
    assert pairs(tmp_path, reviews) == {(0, 1): 1}


def test_a_basket_is_cut_to_what_was_reviewed_first(tmp_path: Path) -> None:
    reviews = [review("A", number, 5) for number in (7, 4, 6)] + [review("A", 5, 4), review("B", 6, 0)]
    assert pairs(tmp_path, reviews, max_basket=2) == {(4, 5): 1}
    files = tmp_path / "meta.json", tmp_path / "reviews.json"
    sourced, _ = ingest(files[:1], files[1:], staging=tmp_path / "s", max_basket=2)
    assert (sourced.notes["reviewers"], sourced.notes["baskets_cut"], sourced.notes["basket_products_cut"]) == (2, 1, 2)


def test_support_adds_lists_of_both_products_and_buyers(tmp_path: Path) -> None:
    metadata = [
        {"asin": asin(0), "also_buy": [asin(1), asin(1)], "bought_together": [asin(1)]},
        {"asin": asin(1), "related": {"also_bought": [asin(0)], "also_viewed": [asin(2)]}, "also_view": [asin(2)]},
        {"asin": asin(2), "also_buy": [asin(0)]},
    ]
    reviews = [review(person, number, 0) for person in ("A", "B") for number in (0, 1)]
    files = write(tmp_path / "meta.json", metadata), write(tmp_path / "reviews.json", reviews)
    sourced, found = ingest(files[:1], files[1:], staging=tmp_path / "s")
    assert support(found) == {(asin(0), asin(1)): 5, (asin(0), asin(2)): 1}
    told = "amazon-also_bought,amazon-also_buy,amazon-bought_together,amazon-reviews"
    assert sorted(found["cobuys"]["source"].to_pylist()) == [told, "amazon-also_buy"]
    sourced, found = ingest(files[:1], files[1:], staging=tmp_path / "t", min_support=2)
    assert list(support(found).values()) == [5]
    assert (sourced.notes["pairs"], sourced.notes["pairs_below_min_support"]) == (1, 1)
    _, found = ingest(files[:1], staging=tmp_path / "u", lists=["bought_together", "also_bought"])
    assert support(found) == {(asin(0), asin(1)): 2}


def test_a_sample_is_the_part_of_the_whole_that_it_names(tmp_path: Path) -> None:
    metadata, reviews = shop(3, products=60, persons=80)
    files = write(tmp_path / "meta.json", metadata), write(tmp_path / "reviews.json", reviews)
    _, whole = ingest(files[:1], files[1:], staging=tmp_path / "whole", max_basket=4)
    chosen = {}
    for limit, seed in ((30, 0), (12, 0), (30, 1)):
        sourced, found = ingest(
            files[:1], files[1:], staging=tmp_path / f"{limit}-{seed}", max_basket=4, limit=limit, seed=seed
        )
        ids = chosen[limit, seed] = set(found["products"]["product_id"].to_pylist())
        assert len(ids) == limit
        assert sourced.notes["products_sampled_away"] == 60 - limit
        assert support(found) == {pair: n for pair, n in support(whole).items() if set(pair) <= ids}
    assert support(whole)
    assert chosen[12, 0] < chosen[30, 0] != chosen[30, 1]


def test_sampling_by_category(tmp_path: Path) -> None:
    metadata, _ = shop(4, products=60)
    file = write(tmp_path / "meta.json", [*metadata, {"asin": "B0OTHER001", "category": ["Others"]}])
    _, found = ingest([file], staging=tmp_path / "s", category="kind 1", limit=15)
    assert found["products"]["category"].to_pylist() == [["Things", "Kind 1"]] * 15
    _, found = ingest([file], staging=tmp_path / "t", per_category=5)
    names = [path[0] for path in found["products"]["category"].to_pylist()]
    assert (names.count("Things"), names.count("Others")) == (5, 1)
    with pytest.raises(InputError, match=r"no product has the category 'Toys'.*Things"):
        ingest([file], staging=tmp_path / "u", category="Toys")


def test_a_sample_of_unknown_products_too(tmp_path: Path) -> None:
    metadata, reviews = shop(5, products=20, persons=40)
    files = write(tmp_path / "meta.json", metadata), write(tmp_path / "reviews.json", reviews)
    sourced, found = ingest(files[:1], files[1:], staging=tmp_path / "s", keep_unknown=True)
    untitled = [row for row in found["products"].to_pylist() if row["title"] is None]
    assert len(untitled) == sourced.notes["unknown_products_kept"] > 0
    assert sourced.notes["list_entries_of_unknown_products"] == sourced.notes["reviews_of_unknown_products"] == 0
    _, found = ingest(files[:1], files[1:], staging=tmp_path / "t", keep_unknown=True, limit=10)
    assert len(found["products"]) <= 10


@pytest.mark.parametrize("pack", [gzip.compress, zst], ids=["gz", "zst"])
@pytest.mark.parametrize("share", [1, 0.6])
def test_packed_files_whole_and_cut_off(pack, share, tmp_path: Path) -> None:
    noise = [os.urandom(150).hex() for _ in range(2000)]
    metadata = [{"asin": asin(n), "title": noise[n], "also_buy": [asin(n + 1)]} for n in range(2000)]
    packed = pack(lines(metadata))
    path = tmp_path / "meta.json.gz"
    path.write_bytes(packed[: int(len(packed) * share)])
    sourced, found = ingest([path], staging=tmp_path / "s")
    kept = sourced.rows_kept
    assert found["products"]["title"].to_pylist() == noise[:kept]
    assert len(found["cobuys"]) == kept - 1
    if share == 1:
        assert (kept, sourced.rows_rejected) == (2000, 0)
    else:
        assert 100 < kept < 1900
        assert rejects(found) == [(f"meta.json.gz:{kept + 1}", "bad_syntax")]


def test_reviews_cut_off_tell_nothing_of_the_last_one(tmp_path: Path) -> None:
    reviews = [{**review(f"A{n}", n % 8, n), "reviewerName": f"Secret {os.urandom(90).hex()}"} for n in range(500)]
    packed = gzip.compress(lines(reviews))
    cut = tmp_path / "reviews.json.gz"
    cut.write_bytes(packed[: len(packed) // 2])
    sourced, found = ingest([write(tmp_path / "meta.json", PRODUCTS)], [cut], staging=tmp_path / "s")
    [reject] = found["rejects"].to_pylist()
    assert reject["record"] == f"reviews.json.gz:{sourced.notes['reviews'] + 1}"
    assert (reject["reason"], reject["text"]) == ("bad_syntax", None)


def test_line_ends_byte_order_mark_and_a_last_line_without_end(tmp_path: Path) -> None:
    metadata, reviews = tmp_path / "meta.json", tmp_path / "reviews.json"
    metadata.write_bytes(b"\xef\xbb\xbf\r\n" + lines(PRODUCTS).replace(b"\n", b"\r\n").rstrip())
    reviews.write_bytes(lines([review("A", 0, 0), review("A", 1, 0)]).replace(b"\n", b"\r\n\r\n").rstrip())
    sourced, found = ingest([metadata], [reviews], staging=tmp_path / "s")
    assert (sourced.rows_read, sourced.rows_rejected, len(found["products"]), len(found["cobuys"])) == (10, 0, 8, 1)


RATINGS = {
    "2014": "{person},{product},5.0,{time}",
    "2018": "{product},{person},5.0,{time}",
    "2023": "{person},{product},5.0,{time}000,",
    "in quotes": '"{person}","{product}","5","{time}"',
}


def test_ratings_are_the_same_either_way() -> None:
    columns = Columns(1, 0, 3, 4)
    rows = [" B1 ,A 1,5.0,1400000000", ",A,,", "B2,,1,-5", "B3,A3,x,007"]
    piece = Piece(1, "".join(f"{row}\r\n" for row in rows).encode())
    fast, careful = _rated_fast(columns, piece), _rated_careful(columns, piece)
    assert fast is not None and not careful.damages
    assert fast.lines.tolist() == careful.lines.tolist() == [1, 2, 3, 4]
    assert fast.time.to_pylist() == [1_400_000_000, None, -5, 7]
    assert careful.time.to_pylist() == [1_400_000_000, None, -1, 7]
    for one, other in ((fast.person, careful.person), (fast.product, careful.product)):
        assert [text.strip() for text in one.to_pylist()] == [text.strip() for text in other.to_pylist()]
    for odd in ("B1,A,5.0,soon", "B1,A,5.0", '"B1",A,5.0,1', "\nB1,A,5.0,1"):
        assert _rated_fast(columns, Piece(9, odd.encode() + b"\n")) is None


@pytest.mark.parametrize("year", RATINGS)
def test_ratings_alone_say_what_reviews_say(year: str, tmp_path: Path) -> None:
    told = [(person, n, day) for person in ("A1B2C3D4E5F6G7", "A7G6F5E4D3C2B1") for n, day in ((0, 0), (1, 3), (2, 9))]
    expected = pairs(tmp_path / "json", [review(*one) for one in told])
    rows = [RATINGS[year].format(person=p, product=asin(n), time=START + day * DAY) for p, n, day in told]
    if year == "2023":
        rows.insert(0, "user_id,parent_asin,rating,timestamp,history")
    bad = [RATINGS[year].format(person="A1B2C3D4E5F6G7", product=asin(0), time="soon"), "A1B2C3D4E5F6G7,5.0", "caf\xe9"]
    ratings = tmp_path / "ratings.csv"
    ratings.write_bytes("\r\n".join(rows + bad).encode("latin-1"))
    sourced, found = ingest([write(tmp_path / "meta.json", PRODUCTS)], [ratings], staging=tmp_path / "s")
    assert {(int(a[1:]), int(b[1:])): n for (a, b), n in support(found).items()} == expected == {(0, 1): 2, (1, 2): 2}
    last = "bad_syntax" if year == "2023" else "bad_encoding"  # of a table the number of fields is counted first
    assert [reason for _, reason in rejects(found)] == ["bad_number", "bad_syntax", last]
    assert sourced.rows_read == len(PRODUCTS) + len(told) + len(bad)
    assert not any(found["rejects"]["text"].to_pylist())


def test_files_put_behind_each_other_keep_their_first_lines(tmp_path: Path) -> None:
    mark, metadata = b"\xef\xbb\xbf", tmp_path / "meta.json.gz"
    metadata.write_bytes(
        b"".join(gzip.compress(mark + lines(PRODUCTS[n : n + 4])) for n in (0, 4)) + gzip.compress(mark)
    )
    reviews = tmp_path / "reviews.json"
    reviews.write_bytes(b"".join(mark + lines([review("A", n, 0)]) for n in (0, 1)))
    sourced, found = ingest([metadata], [reviews], staging=tmp_path / "s")
    assert (sourced.rows_read, sourced.rows_rejected, len(found["products"]), len(found["cobuys"])) == (10, 0, 8, 1)
    assert set(found["products"]["source"].to_pylist()) == {"amazon-2018"}


def test_files_of_one_name_are_told_apart_in_rejects(tmp_path: Path) -> None:
    files = [tmp_path / year / "meta.json" for year in ("2014", "2018")]
    for number, path in enumerate(files):
        path.parent.mkdir()
        path.write_bytes(lines(PRODUCTS[number : number + 1]) + b"bad\n")
    reviews = tmp_path / "2018" / "reviews.json"
    reviews.write_bytes(lines([review("A", 0, 0)]) + b"bad\n")
    _, found = ingest(files, [reviews], staging=tmp_path / "s")
    records = [record for record, _ in rejects(found)]
    assert records == ["2014/meta.json:2", "2018/meta.json:2", "reviews.json:2"]


def test_numbers_for_ids_and_lists_in_strings(tmp_path: Path) -> None:
    books = [594451647, 594451648.0, "0594451649"]
    rows = [{"asin": books[0], "also_buy": f"['{books[2]}']"}, {"asin": books[1], "also_buy": '["0594451649"]'}]
    rows += [{"asin": books[2], "also_buy": "0594451647, 0594451648"}]
    _, found = ingest([write(tmp_path / "meta.json", rows)], staging=tmp_path / "s")
    assert found["products"]["product_id"].to_pylist() == ["0594451647", "0594451648", "0594451649"]
    assert found["cobuys"]["support"].to_pylist() == [2, 2]


def test_a_line_that_never_ends_costs_one_row(tmp_path: Path) -> None:
    long = b'{"asin": "' + b"x" * (3 * LONGEST) + b'"}\n'
    path = tmp_path / "meta.json"
    path.write_bytes(lines(PRODUCTS[:2]) + long + lines(PRODUCTS[2:]) + long.rstrip())
    _, found = ingest([path], staging=tmp_path / "s")
    assert rejects(found) == [("meta.json:3", "bad_syntax"), ("meta.json:10", "bad_syntax")]
    assert len(found["products"]) == 8


HOSTILE = {
    "a call": b"{'asin': __import__('os').system('touch /tmp/mindkg-was-here')}",
    "deep lists": b"{'asin': " + b"[" * 100_000,
    "deep dictionaries": b"{'asin':" * 50_000,
    "many signs": b"{'asin': " + b"-" * 100_000 + b"1}",
    "many sums": b"{'asin': " + b"1+" * 100_000 + b"1}",
    "many lambdas": b"{'asin': " + b"lambda:" * 50_000 + b"1}",
    "an endless number": b"{'asin': " + b"9" * 100_000 + b"}",
    "a key that cannot be one": b"{'asin': 'x', []: 1}",
    "too long": b"{'asin': '" + b"x" * LONGEST_LITERAL + b"'}",
    "a null byte": b"{'asin': 'x\x00'}",
    "deep JSON": b'{"asin": ' + b"[" * 1_000_000,
    "an endless JSON number": b'{"asin": ' + b"9" * 100_000 + b"}",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_lines_are_only_bad_syntax(kind: str) -> None:
    found = parse_line(HOSTILE[kind])
    assert isinstance(found, tuple)
    assert found[0] == "bad_syntax"
    assert "mindkg-was-here" not in found[1]
    assert not Path("/tmp/mindkg-was-here").exists()


def test_values_of_unexpected_types_cost_nothing_else(tmp_path: Path) -> None:
    deep: object = []
    for _ in range(150):
        deep = [deep]
    odd = [None, True, 3, 2.5, float("nan"), "", " ", "text", [], {}, [None], [[]], [{}], {"a": {}}, [3, [4]], deep]
    keys = ["title", "brand", "description", "category", "categories", "main_cat", "image", "imageURL", "images"]
    keys += ["imUrl", "related", "also_buy", "bought_together", "details", "store", "price", "feature"]
    rows = [{"asin": asin(n), **dict.fromkeys(keys, value)} for n, value in enumerate(odd)]
    rows += [{"asin": asin(100), "related": dict.fromkeys(["also_bought", "bought_together"], value)} for value in odd]
    sourced, found = ingest([write(tmp_path / "meta.json", rows)], staging=tmp_path / "s")
    assert sourced.rows_rejected == 0
    assert len(found["products"]) == len(odd) + 1


def test_pictures_in_full_size_and_never_the_sign_for_none() -> None:
    place = "https://m.media-amazon.com/images/I/"
    assert picture({"image": [place + "1a._SX38_SY50_CR,0,0,38,50_.jpg"]}) == place + "1a.jpg"
    assert picture({"imageURLHighRes": [], "imageURL": [place + "2b.jpg"]}) == place + "2b.jpg"
    assert picture({"imUrl": place + "x/no-img-sm._V192_.gif"}) == ""
    assert picture({"image": "pictures/a._x_.png"}) == "pictures/a._x_.png"


def test_markup_leaves_what_only_looks_like_it() -> None:
    assert without_markup("Cable <3m> & Ring, x<y and y>z") == "Cable <3m> & Ring, x<y and y>z"
    assert without_markup("&amp;lt;p&amp;gt;One&lt;/p&gt;<br/>two<!-- no --> <STYLE a>.b{c:d}") == "One two"


def test_code_is_told_from_words_about_functions() -> None:
    words = [
        "It performs the following function(s): heat, grill",
        "Multi function (3 in 1) tool",
        "The SUM function (1)",
    ]
    code = [
        "var aPageStart = (new Date()).getTime();",
        "x(function(A) { go() })",
        "function go ($, b){}",
        ".a-b{color:red}",
    ]
    plain, was_code = plain_column(pa.array(words + code))
    assert plain.to_pylist() == words + [""] * len(code)
    assert was_code.to_pylist() == [False] * len(words) + [True] * len(code)


def test_markup_that_never_ends_is_read_in_one_go() -> None:
    assert without_markup("<script " * 100_000) == ("<script " * 100_000).strip()
    for ampersand in ("amp;", "#38;", "#x26;"):
        assert without_markup("&" + ampersand * 200_000 + "lt;b&gt;Tea") == "Tea"


def test_a_category_may_begin_with_a_bracket(tmp_path: Path) -> None:
    rows = [{"asin": asin(0), "category": ["[DVD]", "Music"]}, {"asin": asin(1), "category": "[" * 10_000}]
    _, found = ingest([write(tmp_path / "meta.json", rows)], staging=tmp_path / "s")
    assert found["products"]["category"].to_pylist() == [["[DVD]", "Music"], ["[" * 10_000]]


def test_no_person_is_named_in_anything_kept(tmp_path: Path) -> None:
    reviews = [{**review("ASECRET", n, 0), "reviewerName": "Secret Name", "reviewText": "Secret text"} for n in (0, 1)]
    broken = [json.dumps(reviews[0])[:-9], json.dumps({**reviews[0], "asin": ""}), '{"reviewerID": "ASECRET"}']
    broken += [json.dumps({**reviews[0], "unixReviewTime": "ASECRET"}), json.dumps(reviews[0]) + "ASECRET"]
    path = tmp_path / "reviews.json"
    path.write_bytes(lines(reviews) + "\n".join(broken).encode())
    _, found = ingest([write(tmp_path / "meta.json", PRODUCTS)], [path], staging=tmp_path / "s")
    assert (len(found["cobuys"]), len(found["rejects"])) == (1, 5)
    kept = json.dumps({name: table.to_pylist() for name, table in found.items()})
    kept += "".join(file.read_bytes().decode("latin-1") for file in (tmp_path / "s").rglob("*.parquet"))
    assert "secret" not in kept.lower()


def test_what_a_user_can_get_wrong(tmp_path: Path) -> None:
    metadata, reviews = write(tmp_path / "meta.json", PRODUCTS), write(tmp_path / "reviews.json", [review("A", 0, 0)])
    (tmp_path / "words.txt").write_text("no objects\nhere\n")
    (tmp_path / "empty.json").write_bytes(b"")
    (tmp_path / "array.json").write_text(json.dumps(PRODUCTS))
    (tmp_path / "table.parquet").write_bytes(b"PAR1 and more")

    def message(*metadata: Path, reviews: tuple[Path, ...] = (), **options: object) -> str:
        with pytest.raises(InputError) as caught:
            read_amazon(metadata, reviews=reviews, staging=tmp_path / "s", **options)  # type: ignore[arg-type]
        return str(caught.value)

    assert "reviews, not metadata" in message(reviews)
    assert "--reviews" in message(metadata, reviews=(metadata,))
    assert "none of the first lines" in message(tmp_path / "words.txt")
    assert "none of the first lines" in message(tmp_path / "empty.json")
    assert "JSON array" in message(tmp_path / "array.json")
    assert "Parquet" in message(tmp_path / "table.parquet")
    assert "no such file" in message(tmp_path / "absent.json")
    assert "also_bought" in message(metadata, lists=["also_viewed"])
    assert "min_support cannot be 0" in message(metadata, min_support=0)
    assert "max_basket cannot be 1" in message(metadata, max_basket=1)
    assert "limit cannot be 0" in message(metadata, limit=0)
