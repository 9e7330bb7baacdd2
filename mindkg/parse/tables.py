"""The parse stage: generations and raw verdicts to verdicts, assertions, evidence, intentions and rejects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import pyarrow as pa

from mindkg import identity
from mindkg.engine import daft, when
from mindkg.parse.bulk import parse_frame, verdict_frame
from mindkg.schema import ASKED, NO, OPEN, RETYPED, SCORE_UNIT, YES

STAGE: Final = "parse"
_PARSED: Final = ("generation_id", "status", "reason", "relation", "stated", "text", "start", "end")
_TITLED: Final = ("relation", "text", "title_a", "title_b")
_REJECT_TEXT = 500

col, lit = daft.col, daft.lit


@dataclass(frozen=True)
class Parsed:
    """The tables of the parse stage, and how many generations an earlier build had parsed already."""

    tables: Mapping[str, daft.DataFrame]
    reused: int


@daft.func.batch(return_dtype=daft.DataType.string())
def _keys(*columns: daft.Series) -> object:
    return identity.keys(c.to_arrow() for c in columns)


def parse_tables(
    tables: Mapping[str, daft.DataFrame],
    *,
    relations: Literal["stated", "asked"] = "stated",
    previous: Mapping[str, daft.DataFrame] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Parsed:
    """Return the tables ``verdicts``, ``assertions``, ``evidence``, ``intentions`` (heads empty) and ``rejects``.

    ``tables`` holds products, cobuys, generations and verdicts. ``relations`` is ``stated`` (the relation of a triple
    is what its text states) or ``asked`` (the paper's counting). ``previous`` holds the tables of an earlier build
    under the same rules: a generation that stands there with the same text and titles is not parsed again.
    """
    titled = _with_titles(tables)
    reused = _reusable(titled, previous) if previous else None
    if reused is not None:
        titled = titled.join(reused.select("generation_id"), on="generation_id", how="anti")
    read = tables["generations"].count_rows()
    new = read - (reused.count_rows() if reused is not None else 0)
    raw = titled.select("generation_id", *_TITLED)
    parsed = _collect(parse_frame(raw, relations=relations, rows=new), progress)
    if reused is not None:
        parsed = parsed.concat(reused).collect()

    verdicts = _verdicts(tables["verdicts"]).collect()
    facts = _facts(parsed, tables["generations"], verdicts).collect()
    return Parsed(
        tables={
            "verdicts": verdicts,
            "assertions": _assertions(facts),
            "evidence": facts.select("assertion_id", "generation_id", "start", "end"),
            "intentions": facts.select("intention_id", "text")
            .distinct()
            .with_column("heads", lit([]).cast(daft.DataType.list(daft.DataType.string()))),
            "rejects": _rejects(parsed, tables["generations"]),
        },
        reused=read - new,
    )


def _collect(parsed: daft.DataFrame, progress: Callable[[int], None] | None) -> daft.DataFrame:
    """Return ``parsed`` computed, telling ``progress`` how many rows each batch had."""
    batches = []
    for batch in parsed.select(*_PARSED).to_arrow_iter():
        batches.append(batch)
        if progress:
            progress(batch.num_rows)
    schema = parsed.select(*_PARSED).schema().to_pyarrow_schema()
    return daft.from_arrow(pa.Table.from_batches(batches, schema=batches[0].schema if batches else schema))


def _with_titles(tables: Mapping[str, daft.DataFrame]) -> daft.DataFrame:
    """Return the generations with the titles of their two products."""
    titles = tables["products"].select("product_id", "title")
    pairs = tables["cobuys"].select("cobuy_id", "product_a", "product_b")
    for side in ("a", "b"):
        named = titles.select(col("product_id").alias(f"product_{side}"), col("title").alias(f"title_{side}"))
        pairs = pairs.join(named, on=f"product_{side}", how="left")
    pairs = pairs.select("cobuy_id", "title_a", "title_b")
    return tables["generations"].select("generation_id", "cobuy_id", "relation", "text").join(pairs, on="cobuy_id")


def _reusable(titled: daft.DataFrame, previous: Mapping[str, daft.DataFrame]) -> daft.DataFrame:
    """Return what an earlier build made of the generations that have not changed, in the form of ``parse_frame``."""
    before = _with_titles(previous).select("generation_id", *(col(c).alias(f"old_{c}") for c in _TITLED))
    joined = titled.join(before, on="generation_id")
    for column in _TITLED:
        joined = joined.where(col(column).eq_null_safe(col(f"old_{column}")))
    unchanged = joined.select("generation_id", col("relation").alias("asked"))

    texts = previous["intentions"].select("intention_id", "text")
    made = previous["assertions"].select("assertion_id", "relation", "intention_id").join(texts, on="intention_id")
    kept = unchanged.join(previous["evidence"], on="generation_id").join(made, on="assertion_id")
    as_asked = col("relation").eq_null_safe(col("asked"))
    stated = when(as_asked, ASKED).when(col("relation") == lit(OPEN), OPEN).otherwise(RETYPED)
    kept = kept.with_columns({"status": lit("ok"), "reason": lit(None).cast(daft.DataType.string()), "stated": stated})

    refused = previous["rejects"].where(col("stage") == lit(STAGE))
    refused = refused.select(col("record").alias("generation_id"), "reason").join(unchanged, on="generation_id")
    nothing = {c: lit(None).cast(daft.DataType.string()) for c in ("relation", "stated", "text")}
    span = {c: lit(None).cast(daft.DataType.int64()) for c in ("start", "end")}
    refused = refused.with_columns({"status": lit("reject"), **nothing, **span})
    return kept.select(*_PARSED).concat(refused.select(*_PARSED)).collect()


def _verdicts(raw: daft.DataFrame) -> daft.DataFrame:
    """Return the verdicts with each free text read; those that came with a verdict or a mere score stay as they are."""
    unread = col("verdict").is_null() & col("text").not_null()
    scored, texts = raw.where(~unread), raw.where(unread)
    read = verdict_frame(texts.exclude("verdict", "reason"), rows=texts.count_rows())
    return scored.concat(read.select(*raw.column_names))


def _facts(parsed: daft.DataFrame, generations: daft.DataFrame, verdicts: daft.DataFrame) -> daft.DataFrame:
    """Return one row a parsed generation, with the keys of its assertion and what the filter said."""
    said = verdicts.select(
        "generation_id",
        (col("verdict") == lit(YES)).cast(daft.DataType.int64()).alias("yes"),
        (col("verdict") == lit(NO)).cast(daft.DataType.int64()).alias("no"),
        "score",
    )
    said = said.groupby("generation_id").agg(
        col("yes").sum(),
        col("no").sum(),
        col("yes").count().alias("verdicts"),
        (col("score") * SCORE_UNIT).round().cast(daft.DataType.int64()).sum().alias("score"),
        col("score").count().alias("scores"),
    )
    facts = parsed.where(col("status") == lit("ok")).join(
        generations.select("generation_id", "cobuy_id", "typicality"), on="generation_id"
    )
    facts = facts.with_column("intention_id", _keys(col("text")))
    facts = facts.with_column("assertion_id", _keys(col("cobuy_id"), col("relation"), col("intention_id")))
    return facts.join(said, on="generation_id", how="left")


def _assertions(facts: daft.DataFrame) -> daft.DataFrame:
    strength = when(col("stated") == lit(ASKED), 0).when(col("stated") == lit(RETYPED), 1).otherwise(2)
    grouped = facts.with_column("stated", strength).groupby("assertion_id").agg(
        col("cobuy_id").any_value(),
        col("relation").any_value(),
        col("intention_id").any_value(),
        col("stated").min(),
        col("generation_id").count().alias("support"),
        col("score").sum(),
        col("scores").sum(),
        (col("typicality") * SCORE_UNIT).round().cast(daft.DataType.int64()).sum().alias("typical"),
        col("typicality").count().alias("typicals"),
        col("yes").sum(),
        col("no").sum(),
        col("verdicts").sum(),
    )  # fmt: skip
    word = when(col("stated") == lit(0), ASKED).when(col("stated") == lit(1), RETYPED).otherwise(OPEN)
    refused = (col("verdicts") > lit(0)) & (col("no") == col("verdicts"))
    return grouped.with_columns(
        {
            "stated": word,
            "plausibility": _mean("score", "scores"),
            "typicality": _mean("typical", "typicals"),
            "accepted": when(col("yes") > lit(0), True).when(refused, False).otherwise(None),
        }
    )


def _mean(total: str, count: str) -> daft.Expression:
    return when(col(count) > lit(0), col(total) / SCORE_UNIT / col(count)).otherwise(None)


def _rejects(parsed: daft.DataFrame, generations: daft.DataFrame) -> daft.DataFrame:
    refused = parsed.where(col("status") != lit("ok")).select("generation_id", "reason")
    texts = generations.select("generation_id", col("text").left(_REJECT_TEXT), col("relation").alias("asked"))
    detail = when(col("reason") == lit("unknown_relation"), col("asked")).otherwise(None)
    return refused.join(texts, on="generation_id").select(
        lit(STAGE).alias("stage"), col("generation_id").alias("record"), "reason", detail.alias("detail"), "text"
    )
