"""The tables: one documented pyarrow schema each, their keys, and the closed lists of words that stand in them."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

SCHEMA_VERSION: Final = 3

ASKED, RETYPED, OPEN = "asked", "retyped", "open"
STATED: Final = (ASKED, RETYPED, OPEN)
"""How an assertion got its relation.

The one asked for, the one that the text states (another, or none was asked for), or ``open``: the text states none.
"""

YES, NO, UNPARSABLE = "yes", "no", "unparsable"
VERDICTS: Final = (YES, NO, UNPARSABLE)

PARSE_REASONS: Final = (
    "empty",
    "prompt_echo",
    "refusal",
    "wrong_language",
    "off_topic",
    "prefix_only",
    "truncated",
    "unknown_relation",
)
"""Why an answer gives no intention, in the order in which they are tried."""

REASONS: Final = (
    *PARSE_REASONS,
    "bad_encoding",
    "bad_syntax",
    "missing_field",
    "bad_number",
    "self_pair",
    "unknown_product",
    "duplicate",
    "request_failed",
    "picture_failed",
)
"""The closed list of reasons a reject can have."""


def _column(name: str, type_: pa.DataType, about: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, type_, nullable=nullable, metadata={"about": about})


_TEXT, _INT, _FLOAT, _BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
_PRODUCT = "the product's own id (ASIN)"
_COBUY = "key of the co-buy"
_RUN = "key of the run it comes from"
_GENERATION = "key of the generation"
_PICTURES = "how many pictures the model saw; null where the source does not say"
_RELATION = "a name declared in ontology/relations.ttl"

SCORE_UNIT: Final = 1e12
"""Scores are averaged as whole numbers of 1e-12: a sum of floats depends on the order of the rows."""

TABLES: Final[dict[str, pa.Schema]] = {
    "products": pa.schema(
        [
            _column("product_id", _TEXT, _PRODUCT),
            _column("title", _TEXT, "cleaned title", nullable=True),
            _column("brand", _TEXT, "brand", nullable=True),
            _column("category", pa.list_(_TEXT), "path of categories, broadest first"),
            _column("description", _TEXT, "cleaned description", nullable=True),
            _column("image", _TEXT, "URL or path of the first picture", nullable=True),
            _column("source", _TEXT, "format of the source that names it"),
        ]
    ),
    "images": pa.schema(
        [
            _column("product_id", _TEXT, _PRODUCT),
            _column("url", _TEXT, "where the picture was asked for: a URL, a data: URL's beginning, or a path"),
            _column("path", _TEXT, "the stored file, relative to the KB", nullable=True),
            _column("sha256", _TEXT, "of the stored file's bytes, in hexadecimal", nullable=True),
            _column("width", _INT, "pixels", nullable=True),
            _column("height", _INT, "pixels", nullable=True),
            _column("status", _TEXT, "ok or failed"),
            _column("reason", _TEXT, "why there is no picture", nullable=True),
        ]
    ),
    "cobuys": pa.schema(
        [
            _column("cobuy_id", _TEXT, _COBUY),
            _column("product_a", _TEXT, "the product id that sorts first"),
            _column("product_b", _TEXT, "the other product id, never equal to product_a"),
            _column("support", _INT, "how many buyers or lists say that the two are bought together"),
            _column("source", _TEXT, "format of the source that names it"),
        ]
    ),
    "features": pa.schema(
        [
            _column("product_id", _TEXT, _PRODUCT),
            _column("run_id", _TEXT, _RUN),
            _column("text", _TEXT, "what the model says about the product"),
            _column("pictures", _INT, _PICTURES, nullable=True),
        ]
    ),
    "generations": pa.schema(
        [
            _column("generation_id", _TEXT, "key of run, co-buy, relation asked and source record"),
            _column("cobuy_id", _TEXT, _COBUY),
            _column(
                "relation",
                _TEXT,
                "the relation asked for, in our spelling where it is known; null where no particular one was asked for",
                nullable=True,
            ),
            _column("text", _TEXT, "the raw answer, untouched"),
            _column("finish_reason", _TEXT, "why the model stopped: stop, length or unknown", nullable=True),
            _column("run_id", _TEXT, _RUN),
            _column("source_record", _TEXT, "the source's own id, else hash of the record and its occurrence number"),
            _column("typicality", _FLOAT, "0 to 1 as the source gives it", nullable=True),
            _column("pictures", _INT, _PICTURES, nullable=True),
        ]
    ),
    "verdicts": pa.schema(
        [
            _column("generation_id", _TEXT, _GENERATION),
            _column("run_id", _TEXT, _RUN),
            _column("text", _TEXT, "raw answer of the filter", nullable=True),
            _column("verdict", _TEXT, "yes, no or unparsable", nullable=True),
            _column("score", _FLOAT, "P(yes) / (P(yes) + P(no)); null where only free text was asked", nullable=True),
            _column("coverage", _FLOAT, "P(yes) + P(no)", nullable=True),
            _column("reason", _TEXT, "what decided the verdict", nullable=True),
        ]
    ),
    "assertions": pa.schema(
        [
            _column("assertion_id", _TEXT, "key of co-buy, relation and intention"),
            _column("cobuy_id", _TEXT, _COBUY),
            _column("relation", _TEXT, f"the relation that the text states: {_RELATION}"),
            _column("intention_id", _TEXT, "key of the intention"),
            _column("stated", _TEXT, "asked, retyped or open; the strongest of its generations"),
            _column("support", _INT, "number of generations behind it"),
            _column("plausibility", _FLOAT, "mean score of its generations, 0 to 1", nullable=True),
            _column("typicality", _FLOAT, "mean typicality of its generations, 0 to 1", nullable=True),
            _column("accepted", _BOOL, "true: a generation has a yes; false: all verdicts are no", nullable=True),
        ]
    ),
    "evidence": pa.schema(
        [
            _column("assertion_id", _TEXT, "key of the assertion"),
            _column("generation_id", _TEXT, _GENERATION),
            _column("start", _INT, "first code point of the intention in the raw text", nullable=True),
            _column("end", _INT, "code point behind the intention in the raw text", nullable=True),
        ]
    ),
    "intentions": pa.schema(
        [
            _column("intention_id", _TEXT, "key of the canonical text"),
            _column("text", _TEXT, "canonical text (PARSING.md, section 5)"),
            _column("heads", pa.list_(_TEXT), "lemmas of the heads of its noun phrases, in order"),
        ]
    ),
    "mentions": pa.schema(
        [
            _column("intention_id", _TEXT, "key of the intention"),
            _column("concept", _TEXT, "label of the concept"),
            _column("surface", _TEXT, "the words of the intention that are linked"),
            _column("start", _INT, "first code point of the surface in the canonical text"),
            _column("end", _INT, "code point behind the surface"),
            _column("typicality", _FLOAT, "P(concept given instance)"),
            _column("p_instance", _FLOAT, "P(instance given concept), smoothed"),
            _column("rep", _FLOAT, "product of the two: basic-level score"),
            _column("rank", _INT, "1 is the best concept of the intention"),
        ]
    ),
    "concepts": pa.schema(
        [
            _column("concept", _TEXT, "label"),
            _column("vague", _BOOL, "stands in the list of concepts that say nothing"),
            _column("instances", _INT, "sum of the counts of its instances in the isA table"),
        ]
    ),
    "hypernyms": pa.schema(
        [
            _column("concept", _TEXT, "label of the narrower concept"),
            _column("hypernym", _TEXT, "label of the broader concept"),
            _column("count", _INT, "count in the isA table"),
            _column("p", _FLOAT, "count over the counts of all hypernyms of the concept"),
        ]
    ),
    "ancestors": pa.schema(
        [
            _column("concept", _TEXT, "label"),
            _column("ancestor", _TEXT, "label of a concept above it"),
            _column("distance", _INT, "hops of the shortest way up, at least 1"),
        ]
    ),
    "kinds": pa.schema(
        [
            _column("product_id", _TEXT, _PRODUCT),
            _column("concept", _TEXT, "label of the concept that the product is"),
            _column("surface", _TEXT, "the words that name it, in lower case"),
            _column("source", _TEXT, "title or category: where the words stand"),
        ]
    ),
    "abstractions": pa.schema(
        [
            _column("abstraction_id", _TEXT, "key of the two kinds, relation and concept"),
            _column("kind_a", _TEXT, "what one product of the pairs is; the label that sorts first"),
            _column("kind_b", _TEXT, "what the other product is, possibly the same"),
            _column("relation", _TEXT, _RELATION),
            _column("concept", _TEXT, "best concept of the intentions"),
            _column("support", _INT, "number of assertions behind it, without those that the filter refused"),
            _column("pairs", _INT, "number of co-buys behind it"),
            _column("plausibility", _FLOAT, "mean over its assertions that have one, 0 to 1", nullable=True),
        ]
    ),
    "runs": pa.schema(
        [
            _column("run_id", _TEXT, "key of stage, model, revision, prompt version and parameters"),
            _column("stage", _TEXT, "features, intentions or filter"),
            _column("model", _TEXT, "name of the model, or unknown"),
            _column("revision", _TEXT, "revision of the model, or empty"),
            _column("prompt_version", _TEXT, "version of the prompt, or empty"),
            _column("parameters", _TEXT, "JSON with sorted keys"),
            _column("started", _TEXT, "ISO 8601 UTC time", nullable=True),
            _column("ended", _TEXT, "ISO 8601 UTC time", nullable=True),
            _column("code_version", _TEXT, "version of mindkg"),
        ]
    ),
    "rejects": pa.schema(
        [
            _column("stage", _TEXT, "the stage that refused the record"),
            _column("record", _TEXT, "file:line of a source's row, or the key of a generation"),
            _column("reason", _TEXT, "a word of the closed list"),
            _column("detail", _TEXT, "what exactly was wrong", nullable=True),
            _column("text", _TEXT, "the refused text, or its beginning", nullable=True),
        ]
    ),
}
"""Every table of a KB by name; rows are sorted by the key."""

KEYS: Final[dict[str, tuple[str, ...]]] = {
    "products": ("product_id",),
    "images": ("product_id",),
    "cobuys": ("cobuy_id",),
    "features": ("product_id", "run_id"),
    "generations": ("generation_id",),
    "verdicts": ("generation_id", "run_id"),
    "assertions": ("assertion_id",),
    "evidence": ("assertion_id", "generation_id"),
    "intentions": ("intention_id",),
    "mentions": ("intention_id", "concept"),
    "concepts": ("concept",),
    "hypernyms": ("concept", "hypernym"),
    "ancestors": ("concept", "ancestor"),
    "kinds": ("product_id",),
    "abstractions": ("abstraction_id",),
    "runs": ("run_id",),
    "rejects": ("stage", "record"),
}
"""The columns that name a row of each table, in sorting order."""


def empty(table: str) -> pa.Table:
    """Return the table ``table`` without rows.

    >>> empty("evidence").column_names
    ['assertion_id', 'generation_id', 'start', 'end']
    """
    return TABLES[table].empty_table()
