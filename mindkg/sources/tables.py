"""From staged observations to tables: products and features once each, support added up, records numbered."""

from __future__ import annotations

from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from mindkg.engine import daft, from_arrow
from mindkg.identity import keys
from mindkg.schema import TABLES
from mindkg.sources.blocks import LIST_SEPARATOR
from mindkg.sources.staging import STAGED, Staging

# Daft 0.7.26 loses groups when a later step needs none of the aggregates of a groupby (as count_rows of it does):
# every groupby here is followed by a filter on an aggregate, which keeps that one in the plan

col, lit = daft.col, daft.lit
functions = daft.functions


def _winners(seen: daft.DataFrame, by: list[str], value: str) -> daft.DataFrame:
    """Return for each ``by`` its most frequent ``value`` (the longest of several, then the first by code point).

    The column ``values`` says how many different ones there were.
    """
    counted = seen.where(col(value).not_null()).groupby(*by, value).agg(col("n").sum().alias("n"))
    counted = counted.with_column("length", functions.length(col(value)))
    window = daft.Window().partition_by(*by)
    ordered = window.order_by("n", "length", value, desc=[True, True, False])
    ranked = counted.with_columns(
        {"rank": functions.row_number().over(ordered), "values": col("n").count().over(window)}
    )
    return ranked.where(col("rank") == lit(1)).select(*by, value, "values")


def products(staging: Staging) -> tuple[daft.DataFrame, int]:
    """Return the table products, and how many products had several titles."""
    return merged(staging.scan("products"))


def merged(seen: daft.DataFrame) -> tuple[daft.DataFrame, int]:
    """Return the table products of what is ``seen`` (columns as staged), and how many products had several titles."""
    table = seen.groupby("product_id").agg(_sources(), col("n").sum()).where(col("n") > lit(0))
    conflicts = 0
    fields = ("title", "brand", "category", "domain", "description", "image")
    filled = seen.agg(*(col(name).count() for name in fields)).to_pydict()
    for name in fields:
        if not filled[name][0]:
            table = table.with_column(name, lit(None).cast(daft.DataType.string()))
            continue
        best = _winners(seen, ["product_id"], name).collect()
        if name == "title":
            conflicts = best.where(col("values") > lit(1)).count_rows()
        table = table.join(best.select("product_id", name), on="product_id", how="left")
    return with_path(table), conflicts


def with_path(table: daft.DataFrame) -> daft.DataFrame:
    """Return the columns of the table products of a row (columns as staged) for each product."""
    path = functions.coalesce(col("category"), col("domain"))
    parts = functions.split(path, LIST_SEPARATOR)
    nothing = lit([]).cast(daft.DataType.list(daft.DataType.string()))
    table = table.with_column("category", functions.when(path.is_null(), nothing).otherwise(parts))
    return table.select(*TABLES["products"].names)


def _sources() -> daft.Expression:
    return functions.list_join(functions.list_sort(col("source").list_agg_distinct()), ",").alias("source")


def cobuys(staging: Staging) -> daft.DataFrame:
    """Return the table cobuys: each pair once, with the support that its sources add up to."""
    seen = staging.scan("cobuys")
    pair = ["cobuy_id", "product_a", "product_b"]
    formats = seen.groupby(*pair, "source").agg(col("once").max(), col("each").sum())
    table = formats.groupby(*pair).agg((col("once") + col("each")).sum().alias("support"), _sources())
    table = table.where(col("support") >= lit(0))
    known = functions.when(col("support") < lit(1), lit(1)).otherwise(col("support"))
    return table.with_column("support", known.cast(daft.DataType.int64())).select(*TABLES["cobuys"].names)


def features(staging: Staging) -> tuple[daft.DataFrame, int]:
    """Return the table features, and how many products had several texts in one run."""
    best = _winners(staging.scan("features"), ["product_id", "run_id"], "text").collect()
    table = best.with_column("pictures", lit(None).cast(daft.DataType.int64()))
    return table.select(*TABLES["features"].names), best.where(col("values") > lit(1)).count_rows()


def numbered(staging: Staging) -> daft.DataFrame:
    """Return the staged records, those with the key of another one numbered in their source_record and key."""
    records = staging.scan("records")
    shared = records.groupby("generation_id").agg(col("run_id").count().alias("n")).where(col("n") > lit(1))
    shared = shared.select("generation_id").collect()
    if not shared.count_rows():
        return records
    again = records.join(shared, on="generation_id", how="semi").to_arrow().cast(STAGED["records"])
    rest = records.join(shared, on="generation_id", how="anti")
    return rest.concat(from_arrow(_number(again)).select(*rest.column_names))


def _number(again: pa.Table) -> pa.Table:
    """Give the second, third … record of each key its number; equal records may change places, so order is free."""
    again = again.sort_by([("generation_id", "ascending"), ("record_hash", "ascending")])
    ids = again["generation_id"].to_pylist()
    numbers = [1]
    for before, here in pairwise(ids):
        numbers.append(numbers[-1] + 1 if here == before else 1)
    first = pa.array([number == 1 for number in numbers])
    suffixed = pc.binary_join_element_wise(again["source_record"], pa.array([str(n) for n in numbers]), "#")
    records = pc.if_else(first, again["source_record"], suffixed)
    again = again.set_column(again.schema.get_field_index("source_record"), "source_record", records)
    asked = pc.fill_null(again["relation"], "")
    ids = keys([again["run_id"], again["cobuy_id"], asked, again["source_record"]])
    return again.set_column(again.schema.get_field_index("generation_id"), "generation_id", ids)


def generations(records: daft.DataFrame) -> daft.DataFrame:
    """Return the table generations of numbered records."""
    return records.select(*TABLES["generations"].names)


def verdicts(records: daft.DataFrame) -> daft.DataFrame:
    """Return the table verdicts of numbered records: raw, or a score alone where the source gives one."""
    judged = records.where(col("filter_run").not_null())
    nothing = lit(None).cast(daft.DataType.string())
    return judged.select(
        col("generation_id"),
        col("filter_run").alias("run_id"),
        col("verdict_text").alias("text"),
        nothing.alias("verdict"),
        col("score"),
        lit(None).cast(daft.DataType.float64()).alias("coverage"),
        nothing.alias("reason"),
    )
