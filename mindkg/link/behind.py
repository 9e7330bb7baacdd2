"""What stands behind an intention: the relation of an assertion of it, titles and categories of the products."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from mindkg.engine import daft


def with_context(tables: Mapping[str, daft.DataFrame]) -> daft.DataFrame:
    """Return ``tables["intentions"]`` as intention_id, text, relation and titles, for tables.link_tables.

    ``tables`` also has assertions, cobuys and products. Where several assertions have an intention, that of the least
    assertion_id speaks; what is unknown is null or left out.
    """
    from mindkg.engine import from_arrow

    asserted = _first_assertions(tables["assertions"])
    intentions = _plain(tables["intentions"], "intention_id", "text")
    which = pc.index_in(intentions["intention_id"], asserted["intention_id"].combine_chunks())
    pairs = _plain(tables["cobuys"], "cobuy_id", "product_a", "product_b")
    pair = pc.index_in(asserted["cobuy_id"], pairs["cobuy_id"].combine_chunks())
    products = _plain(tables["products"], "product_id", "title", "category")
    known = products["product_id"].combine_chunks()
    said = _said(products)
    both = [said.take(pc.index_in(pairs[side].take(pair), known)) for side in ("product_a", "product_b")]
    titles = pc.binary_join_element_wise(*both, " ", null_handling="skip")
    return from_arrow(
        intentions.append_column("relation", asserted["relation"].take(which)).append_column(
            "titles", titles.take(which)
        )
    )


def _plain(frame: daft.DataFrame, *columns: str) -> pa.Table:
    """Return ``columns`` as Arrow's small strings, category as a list of them."""
    types = {"category": pa.list_(pa.string())}
    schema = pa.schema([(name, types.get(name, pa.string())) for name in columns])
    return frame.select(*columns).to_arrow().cast(schema)


def _first_assertions(assertions: daft.DataFrame) -> pa.Table:
    """Return the row of the least assertion_id of each intention."""
    rows = _plain(assertions, "assertion_id", "intention_id", "relation", "cobuy_id")
    rows = rows.sort_by([("intention_id", "ascending"), ("assertion_id", "ascending")]).combine_chunks()
    keys = rows["intention_id"].combine_chunks()
    if len(keys) < 2:
        return rows
    new = pc.not_equal(keys.slice(1), keys.slice(0, len(keys) - 1))
    return rows.filter(pa.concat_arrays([pa.array([True]), new]))


def _said(products: pa.Table) -> pa.ChunkedArray:
    """Return title and categories of each product as one string."""
    categories = pc.binary_join(products["category"], " ")
    return pc.binary_join_element_wise(products["title"], categories, " ", null_handling="skip")
