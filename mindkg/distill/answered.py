"""Answers of the ledger → rows of the KB's tables, a batch at a time."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from mindkg.distill import planned
from mindkg.distill.ledger import SCHEMA as LEDGER
from mindkg.distill.requests import PASSING, PICTURE_FAILED
from mindkg.distill.runs import Run
from mindkg.distill.scores import plausibilities, verdicts
from mindkg.distill.settings import Pass, Settings
from mindkg.identity import keys
from mindkg.schema import TABLES

STAGE: Final = "distill"
TABLE: Final[dict[Pass, str]] = {"features": "features", "intentions": "generations", "filter": "verdicts"}
"""The table that a pass fills."""

TOLD: Final = ("text", "finish_reason", "first", "error", "answered", "status")
"""What is taken from the ledger."""

JOINED: Final = pa.schema([*planned.SCHEMA, *(LEDGER.field(name).remove_metadata() for name in TOLD)])
"""A planned request with what the ledger says of it."""


def answer_rows(run: Run, settings: Settings, answers: pa.Table) -> pa.Table:
    """Return the rows of ``TABLE[run.stage]`` for planned requests joined with their answers."""
    named = {name: answers[name] for name in answers.column_names}
    named["run_id"] = pa.repeat(pa.scalar(run.run_id), len(answers))
    if run.stage == "intentions":
        named["source_record"] = answers["sample"].cast(pa.string())
        named["generation_id"] = keys([named[name] for name in ("run_id", "cobuy_id", "relation", "source_record")])
    if run.stage == "filter" and settings.filter_mode == "score":
        named |= _judged(settings, answers)
    schema = TABLES[TABLE[run.stage]]
    nothing = pa.nulls(len(answers))
    return pa.table([named.get(field.name, nothing).cast(field.type) for field in schema], schema=schema)


def _judged(settings: Settings, answers: pa.Table) -> dict[str, pa.Array]:
    """Return score, coverage, verdict and reason; all null where the server gave no log-probabilities.

    Such an answer's word stays in ``text`` without a verdict, so that the parse stage reads it.
    """
    scores, coverages = plausibilities(answers["first"].to_pylist())
    if settings.calibration:
        scores = settings.calibration.apply(scores)
    least = settings.min_coverage
    verdict, reason = verdicts(scores, coverages, threshold=settings.threshold, min_coverage=least)
    told = {"score": pa.array(scores, from_pandas=True), "coverage": pa.array(coverages, from_pandas=True)}
    return {**told, "verdict": verdict, "reason": reason}


def reject_rows(stage: Pass, failed: pa.Table) -> pa.Table:
    """Return the rejects of failed requests, which are in columns of ``JOINED``.

    The record is the product, the pair/relation#sample, or the generation that was asked about.
    """
    if stage == "intentions":
        sample = failed["sample"].cast(pa.string())
        asked = pc.binary_join_element_wise(failed["cobuy_id"], failed["relation"], "/")
        record = pc.binary_join_element_wise(asked, sample, "#")
    else:
        record = failed["product_id" if stage == "features" else "generation_id"]
    picture = pc.starts_with(failed["error"], PICTURE_FAILED)
    columns = {
        "stage": pa.repeat(pa.scalar(STAGE), len(failed)),
        "record": record,
        "reason": pc.if_else(picture, "picture_failed", "request_failed"),
        "detail": failed["error"],
        "text": pa.nulls(len(failed), pa.string()),
    }
    schema = TABLES["rejects"]
    return pa.table([columns[field.name].cast(field.type) for field in schema], schema=schema)


def passing(failed: pa.Table) -> pa.ChunkedArray:
    """Return which failed requests, in columns of ``JOINED``, another try may answer: their error is of the moment."""
    lost = pc.and_(pc.is_null(failed["status"]), pc.invert(pc.starts_with(failed["error"], PICTURE_FAILED)))
    return pc.or_(lost, pc.is_in(failed["status"], pa.array(sorted(PASSING), pa.int64())))
