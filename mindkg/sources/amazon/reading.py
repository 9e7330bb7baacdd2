"""The order of it: metadata, reviews, which products there are and which are wanted, co-buys, tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.engine import daft, from_arrow
from mindkg.schema import TABLES, empty
from mindkg.sources import Sourced, tables
from mindkg.sources.amazon.cobuys import Universe, count_cobuys, is_entry
from mindkg.sources.amazon.csv_tables import Reviews, open_metadata, open_reviews
from mindkg.sources.amazon.lines import check_kind
from mindkg.sources.amazon.metadata import read_metadata
from mindkg.sources.amazon.ratings import columns_of
from mindkg.sources.amazon.reviews import read_reviews
from mindkg.sources.amazon.sampling import wanted_products
from mindkg.sources.amazon.settings import Settings
from mindkg.sources.amazon.staged import SCHEMAS, Reading
from mindkg.sources.blocks import Rows
from mindkg.sources.encodings import check_encoding
from mindkg.sources.files import names
from mindkg.sources.staging import Staging

REVIEWS: Final = "amazon-reviews"
UNKNOWN: Final = "amazon"
"""The source of products that no metadata tell of."""

col, lit = daft.col, daft.lit


def read_files(
    metadata: Sequence[Path],
    reviews: Sequence[Path],
    folder: Path,
    settings: Settings,
    progress: Callable[[int], None],
) -> Sourced:
    """Read files as :func:`mindkg.sources.amazon.read_amazon` says."""
    encoding = check_encoding(settings.encoding)
    tables_of = {path: open_metadata(path, encoding) for path in metadata}
    ratings = {path: open_reviews(path, encoding) or columns_of(path, encoding) for path in reviews}
    for path in metadata:
        if tables_of[path] is None:
            check_kind(path, "metadata", encoding)
    for path in reviews:
        if ratings[path] is None:
            check_kind(path, "reviews", encoding)
    with Staging(folder, SCHEMAS) as staging:
        reading = Reading(staging, names([*metadata, *reviews]), encoding)
        double, layouts = read_metadata(reading, tables_of, settings.lists, progress)
        read_reviews(reading, ratings, progress)
        products, conflicts = _products(reading, double)
        universe = _universe(reading, products, settings)
        named = count_cobuys(reading, settings, universe, double)
        formats = {str(path): ",".join(sorted(found)) for path, found in zip(metadata, layouts, strict=True)}
        return Sourced(
            tables={
                "products": _kept_products(reading, products, universe, named, settings),
                "cobuys": staging.scan("cobuys"),
                **{name: from_arrow(empty(name)) for name in ("features", "generations", "verdicts", "runs")},
                "rejects": staging.scan("rejects"),
            },
            rows_read=reading.rows_read,
            rows_kept=reading.rows_read - reading.rows_rejected,
            rows_rejected=reading.rows_rejected,
            title_conflicts=conflicts,
            formats=formats | {str(path): REVIEWS for path in reviews},
            notes=dict(reading.notes),
            files={
                str(path): {
                    "name": reading.called[path],
                    "read": reading.read[path],
                    "rejected": reading.rejected[path],
                }
                for path in (*metadata, *reviews)
            },
            read_as=_read_as(tables_of | {path: one.rows for path, one in ratings.items() if isinstance(one, Reviews)}),
        )


def _read_as(opened: Mapping[Path, Rows | None]) -> dict[str, str]:
    """Return which encoding and dialect each of the tables ``opened`` was found to be in."""
    return {str(path): ", ".join(filter(None, ["CSV", rows.read_as()])) for path, rows in opened.items() if rows}


def _products(reading: Reading, double: npt.NDArray[np.int64]) -> tuple[daft.DataFrame, int]:
    """Return the products that metadata tell of, each once, and how many have several titles."""
    seen = reading.staging.scan("products")
    if len(double):
        seen = seen.join(from_arrow(pa.table({"place": double})), on="place", how="anti")
    again = seen.groupby("product_id").agg(col("n").sum()).where(col("n") > lit(1)).select("product_id").collect()
    reading.notes["products_told_again"] = again.count_rows()
    if not reading.notes["products_told_again"]:
        return tables.with_path(seen), 0
    merged, conflicts = tables.merged(seen.join(again, on="product_id", how="semi").exclude("place"))
    return tables.with_path(seen.join(again, on="product_id", how="anti")).concat(merged), conflicts


def _universe(reading: Reading, products: daft.DataFrame, settings: Settings) -> Universe:
    """Return the products that co-buys may name: those of metadata, and the others where they are kept too."""
    columns = ["product_id", "category"] if settings.samples else ["product_id"]
    told = products.select(*columns).to_arrow()
    ids = _strings(told["product_id"])
    others = pa.array([], pa.string())
    if settings.keep_unknown:
        places = (("entries", "other"), ("reviews", "product"))
        others = pc.unique(pa.concat_arrays([_mentioned(reading, *place) for place in places]))
        others = others.filter(pc.invert(pc.is_in(others, value_set=ids)))
    everything = pa.concat_arrays([ids, others])
    order = pc.sort_indices(everything)
    known = order.to_numpy() < len(ids)
    wanted = np.ones(len(everything), bool)
    if settings.samples:
        paths = told["category"].combine_chunks().cast(pa.list_(pa.string()))
        paths = pa.concat_arrays([paths, pa.array([[]] * len(others), paths.type)])
        wanted = wanted_products(everything, paths, settings)[order.to_numpy()]
        reading.notes["products_sampled_away"] = int((known & ~wanted).sum())
    return Universe(everything.take(order), known, wanted)


def _strings(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays([chunk.cast(pa.string()) for chunk in column.chunks] or [pa.array([], pa.string())])


def _mentioned(reading: Reading, table: str, column: str) -> pa.Array:
    """Return the distinct ids in a column of a staged table that can be a product's id."""
    ids = _strings(reading.staging.scan(table).select(column).distinct().to_arrow()[column])
    return ids.filter(is_entry(ids))


def _kept_products(
    reading: Reading,
    products: daft.DataFrame,
    universe: Universe,
    named: npt.NDArray[np.int64],
    settings: Settings,
) -> daft.DataFrame:
    """Return the table products: those wanted of which metadata tell, and the unknown ones that co-buys name."""
    if settings.samples:
        chosen = universe.ids.filter(pa.array(universe.known & universe.wanted))
        products = products.join(from_arrow(pa.table({"product_id": chosen})), on="product_id", how="semi")
    unknown = universe.ids.take(pa.array(named[~universe.known[named]]))
    reading.notes["unknown_products_kept"] = len(unknown)
    if not len(unknown):
        return products
    columns = {field.name: pa.nulls(len(unknown), field.type) for field in TABLES["products"]}
    columns["category"] = pa.array([[]] * len(unknown), columns["category"].type)
    columns |= {"product_id": unknown, "source": pa.repeat(pa.scalar(UNKNOWN), len(unknown))}
    return products.concat(from_arrow(pa.table(columns)).select(*products.column_names))
