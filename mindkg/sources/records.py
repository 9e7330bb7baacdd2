"""Blocks of rows to observations: what each row says about products, co-buys and answers, or why it is refused."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from importlib.metadata import version

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.identity import keys, run_key
from mindkg.sources.blocks import LIST_SEPARATOR, Block
from mindkg.sources.formats import Layout
from mindkg.sources.staging import STAGED, Staging
from mindkg.sources.text import category_path, clean_column, clean_lines_column
from mindkg.vocabulary import is_unspecified, relation_name

_NUMBER = r"^[ \t]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?[ \t]*$"
_COUNT = r"^[ \t]*\+?0*[1-9]\d{0,11}(\.0*)?[ \t]*$"
"""Up to 10¹²: sums of more would not fit into 64 bits."""
_FRAGMENT = r"""["\n]|[,.;] |\S\s+\S+\s+\S|^.{200}"""
"""A quote, or some words of a sentence: what an id does not have, but a piece of a broken row does."""
_FEATURES, _INTENTIONS, _FILTER = "features", "intentions", "filter"

Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Reading:
    """What one call of ``read`` has met so far."""

    staging: Staging
    rows_read: int = 0
    rows_kept: int = 0
    rows_rejected: int = 0
    runs: dict[str, dict[str, str | None]] = field(default_factory=dict)
    rejected: Counter[str] = field(default_factory=Counter)

    def run(self, stage: str, layout: Layout, model: str = "", revision: str = "", prompt_version: str = "") -> str:
        """Return the key of a run, having noted it."""
        parameters = json.dumps({"field": layout.field, "format": layout.format.name}, sort_keys=True)
        model = model or "unknown"
        run_id = run_key(stage, model, revision, prompt_version, parameters)
        if run_id in self.runs:
            return run_id
        self.runs[run_id] = {
            "run_id": run_id,
            "stage": stage,
            "model": model,
            "revision": revision,
            "prompt_version": prompt_version,
            "parameters": parameters,
            "started": None,
            "ended": None,
            "code_version": version("mindkg"),
        }
        return run_id

    def reject(self, rows: list[tuple[str, str, str, str]]) -> None:
        """Note refused rows: record, reason, detail and text of each."""
        if not rows:
            return
        self.rows_rejected += len(rows)
        self.rejected.update(row[0].rpartition(":")[0] for row in rows)
        names = ("stage", "record", "reason", "detail", "text")
        found = [dict(zip(names, ("sources", *row), strict=True)) for row in rows]
        self.staging.write("rejects", pa.Table.from_pylist(found, schema=STAGED["rejects"]))


@dataclass(frozen=True, slots=True)
class Known:
    """What a source may refer to: product ids, and the keys of co-buys by the source's own or our key."""

    products: pa.Array
    cobuys_given: pa.Array
    cobuys: pa.Array


def take(reading: Reading, block: Block, layout: Layout, file: str, known: Known | None = None) -> None:
    """Stage what the rows of ``block`` say, and the rejects; each row ends in exactly one of the two."""
    reading.rows_read += len(block) + len(block.damages)
    reading.reject([(f"{file}:{d.line}", d.reason, d.detail, d.text) for d in block.damages])
    if not len(block):
        return
    rows = _Rows(block, layout)
    rows.check(known)
    refused = np.flatnonzero(rows.bad)
    reading.reject(
        [(f"{file}:{block.lines[i]}", *rows.reasons[rows.reason[i]], block.raw(int(i))) for i in refused.tolist()]
    )
    reading.rows_kept += len(block) - len(refused)
    if len(refused) == len(block):
        return
    rows.keep(pa.array(~rows.bad))
    {"products": _products, "cobuys": _cobuys, "generations": _generations}[layout.format.kind](reading, rows)


class _Rows:
    """The fields of a block's rows, and which of them are refused."""

    def __init__(self, block: Block, layout: Layout) -> None:
        self.layout = layout
        self.raw = {name: block.columns[column] for name, column in layout.fields.items()}
        self.texts = [block.columns[column] for column in layout.text]
        self.size = len(block)
        self.empty = pa.repeat(pa.scalar("", pa.string()), self.size)
        self.cleaned: dict[str, pa.Array] = {}
        self.numbers: dict[str, pa.Array] = {}
        self.cobuy_ids: pa.Array | None = None
        self.reasons: list[tuple[str, str]] = [("", "")]
        self.reason = np.zeros(self.size, np.int64)

    @property
    def bad(self) -> Mask:
        """Which rows are refused, shape (rows,)."""
        return np.not_equal(self.reason, 0)

    def clean(self, name: str) -> pa.Array:
        """Return the cleaned values of a field, empty where the file has no such column."""
        if name not in self.cleaned:
            self.cleaned[name] = clean_column(self.raw[name]) if name in self.raw else self.empty
        return self.cleaned[name]

    def keep(self, mask: pa.Array) -> None:
        """Go on with the rows of ``mask`` only."""
        if pc.all(mask).as_py():
            return
        for columns in (self.raw, self.cleaned, self.numbers):
            columns.update({name: column.filter(mask) for name, column in columns.items()})
        self.texts = [column.filter(mask) for column in self.texts]
        self.cobuy_ids = self.cobuy_ids.filter(mask) if self.cobuy_ids is not None else None
        self.empty = self.empty.filter(mask)
        self.size = len(self.empty)

    def refuse(self, mask: pa.Array, reason: str, detail: str) -> None:
        """Refuse the rows of ``mask`` that are not refused yet."""
        found = np.asarray(mask) & ~self.bad
        if found.any():
            self.reasons.append((reason, detail))
            self.reason[found] = len(self.reasons) - 1

    def check(self, known: Known | None) -> None:
        """Refuse rows that lack a field, pair a product with itself, hold a bad number or refer to the unknown."""
        kind = self.layout.format.kind
        refers = kind == "generations" and "product_a" not in self.layout.fields
        needed = ["cobuy"] if refers else ["product_a"] if kind == "products" else ["product_a", "product_b"]
        for name in [*needed, "relation"] if self.layout.format.labelled else needed:
            self.refuse(pc.equal(self.clean(name), ""), "missing_field", f"{self.layout.fields[name]} is empty")
        self._check_ids([name for name in ("product_a", "product_b", "cobuy") if name in self.raw])
        if not refers and kind != "products":
            same = pc.equal(self.clean("product_a"), self.clean("product_b"))
            self.refuse(same, "self_pair", "the product is paired with itself")
        for name in ("typicality", "score", "support"):
            if name in self.raw:
                self._number(name)
        if known is None:
            return
        if refers:
            place = pc.index_in(self.clean("cobuy"), value_set=known.cobuys_given)
            self.cobuy_ids = known.cobuys.take(place)
            self.refuse(pc.is_null(place), "unknown_product", "no source tells the products of this cobuy_id")
        else:
            for name in needed:
                unknown = pc.invert(pc.is_in(self.clean(name), value_set=known.products))
                self.refuse(unknown, "unknown_product", f"no source tells of the product in {self.layout.fields[name]}")

    def _check_ids(self, names: list[str]) -> None:
        """Refuse rows that are a header again, or made of fragments: what stands for an id there is none."""
        again = [pc.equal(self.clean(name), self.layout.fields[name]) for name in names]
        if again:
            self.refuse(reduce(pc.and_, again), "bad_syntax", "the header stands here again")
        for name in names:
            fragment = pc.match_substring_regex(self.raw[name], _FRAGMENT)
            self.refuse(fragment, "bad_syntax", f"{self.layout.fields[name]} is not an id")

    def _number(self, name: str) -> None:
        values = self.raw[name]
        absent = pc.match_substring_regex(values, r"^\s*$")
        fits = pc.match_substring_regex(values, _COUNT if name == "support" else _NUMBER)
        trimmed = pc.utf8_trim_whitespace(pc.if_else(fits, values, pa.scalar(None, pa.string())))
        number = trimmed.cast(pa.float64())
        if name != "support":
            fits = pc.and_(fits, pc.fill_null(pc.and_(pc.greater_equal(number, 0), pc.less_equal(number, 1)), False))
        wanted = "a whole number from 1" if name == "support" else "a number from 0 to 1"
        self.refuse(pc.invert(pc.or_(absent, fits)), "bad_number", f"{self.layout.fields[name]} is not {wanted}")
        self.numbers[name] = number

    def text(self) -> pa.Array:
        """Return the raw text of each row: the first of the text columns that is not blank, else the first one."""
        text = self.texts[-1]
        for column in reversed(self.texts[:-1]):
            text = pc.if_else(pc.match_substring_regex(column, r"\S"), column, text)
        return text

    def hashes(self) -> pa.Array:
        """Return the hash of each row's fields as the file has them, in an order that does not depend on the file."""
        fields = [self.raw.get(name, self.empty) for name in sorted(self.layout.format.columns)]
        return keys([*fields, *self.texts])


def _optional(column: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)


def _seen(table: pa.Table, by: list[str]) -> pa.Table:
    """Return the distinct rows of ``table`` with how often each stands there, as ``n``."""
    counted = table.append_column("n", pa.repeat(pa.scalar(1, pa.int64()), len(table))).group_by(by, use_threads=False)
    return counted.aggregate([("n", "sum")]).rename_columns([*by, "n"])


def _stage_products(reading: Reading, rows: _Rows, side: str) -> None:
    source = pa.repeat(pa.scalar(rows.layout.format.name, pa.string()), rows.size)
    columns = {
        "product_id": rows.clean(f"product_{side}"),
        "title": _optional(rows.clean(f"title_{side}")),
        "category": _optional(_categories(rows.raw.get(f"category_{side}", rows.empty))),
        "domain": _optional(rows.clean("domain")),
        "image": _optional(rows.clean(f"image_{side}")),
        "source": source,
    }
    of_product = rows.layout.format.kind == "products"
    for name in ("brand", "description"):
        columns[name] = _optional(rows.clean(name)) if of_product else pa.nulls(rows.size, pa.string())
    names = [name for name in STAGED["products"].names if name != "n"]
    reading.staging.write("products", _seen(pa.table({n: columns[n] for n in names}), names))


def _categories(column: pa.Array) -> pa.Array:
    """Return paths of categories with U+001F between their parts, each part cleaned."""
    encoded = column.dictionary_encode()
    paths = [LIST_SEPARATOR.join(category_path(value)) for value in encoded.dictionary.to_pylist()]
    return pa.array(paths, pa.string()).take(encoded.indices)


def _products(reading: Reading, rows: _Rows) -> None:
    _stage_products(reading, rows, "a")


def _pairs(rows: _Rows) -> dict[str, pa.Array]:
    """Return product_a and product_b, sorted, and the key of each row's pair."""
    a, b = rows.clean("product_a"), rows.clean("product_b")
    swapped = pc.greater(a, b)
    first, second = pc.if_else(swapped, b, a), pc.if_else(swapped, a, b)
    pair = pc.binary_join_element_wise(first, second, "\x1f").dictionary_encode()
    places = pa.array(np.unique(np.asarray(pair.indices), return_index=True)[1])
    ids = keys([first.take(places), second.take(places)]).take(pair.indices)
    return {"cobuy_id": ids, "product_a": first, "product_b": second}


def _stage_cobuys(reading: Reading, rows: _Rows, pairs: Mapping[str, pa.Array], once: int) -> None:
    by = ["cobuy_id", "product_a", "product_b", "given"]
    ones = pa.repeat(pa.scalar(1, pa.int64()), rows.size)
    each = pc.fill_null(rows.numbers["support"].cast(pa.int64()), 1) if "support" in rows.numbers else ones
    given = _optional(rows.clean("cobuy")) if "cobuy" in rows.raw else pa.nulls(rows.size, pa.string())
    table = pa.table({**pairs, "given": given, "each": each}).group_by(by, use_threads=False)
    found = table.aggregate([("each", "sum")]).rename_columns([*by, "each"])
    size, layout = len(found), rows.layout
    zeros = pa.repeat(pa.scalar(0, pa.int64()), size)
    constant = {
        "source": pa.repeat(pa.scalar(layout.format.name, pa.string()), size),
        "once": pa.repeat(pa.scalar(once, pa.int64()), size),
        "each": found["each"] if layout.format.kind == "cobuys" else zeros,
    }
    reading.staging.write("cobuys", pa.table({**{name: found[name] for name in by}, **constant}))


def _cobuys(reading: Reading, rows: _Rows) -> None:
    _stage_cobuys(reading, rows, _pairs(rows), once=0)


def _generations(reading: Reading, rows: _Rows) -> None:
    cobuy_ids = rows.cobuy_ids
    if cobuy_ids is None:
        pairs = _pairs(rows)
        cobuy_ids = pairs["cobuy_id"]
        for side in "ab":
            _stage_products(reading, rows, side)
            _stage_features(reading, rows, side)
        # rows that only refer to a pair say nothing about how often it is bought
        _stage_cobuys(reading, rows, pairs, once=0 if rows.layout.format.name == "generations" else 1)
    runs = _run_ids(reading, rows, _INTENTIONS)
    hashes = rows.hashes()
    own = rows.clean("record")
    records = pc.if_else(pc.equal(own, ""), hashes, own)
    relations = _relations(rows.clean("relation"))
    table = {
        "generation_id": keys([runs, cobuy_ids, pc.fill_null(relations, ""), records]),
        "cobuy_id": cobuy_ids,
        "relation": relations,
        "text": rows.text(),
        "finish_reason": _optional(rows.clean("finish_reason")),
        "run_id": runs,
        "source_record": records,
        "typicality": rows.numbers.get("typicality", pa.nulls(rows.size, pa.float64())),
        "pictures": pa.nulls(rows.size, pa.int64()),
        "record_hash": hashes,
        **_judged(reading, rows),
    }
    reading.staging.write("records", pa.table(table))


def _judged(reading: Reading, rows: _Rows) -> dict[str, pa.Array]:
    """Return what a filter said of each row, or its score; the run is null where it did neither."""
    texts = rows.raw.get("verdict", rows.empty)
    texts = pc.if_else(pc.match_substring_regex(texts, r"\S"), texts, pa.scalar(None, pa.string()))
    scores = rows.numbers.get("score", pa.nulls(rows.size, pa.float64()))
    judged = pc.or_(pc.is_valid(texts), pc.is_valid(scores))
    runs = pa.nulls(rows.size, pa.string())
    if pc.any(judged).as_py():
        runs = pc.if_else(judged, _run_ids(reading, rows, _FILTER), pa.scalar(None, pa.string()))
    return {"filter_run": runs, "verdict_text": texts, "score": scores}


def _stage_features(reading: Reading, rows: _Rows, side: str) -> None:
    if f"feature_{side}" not in rows.raw:
        return
    seen = _seen(
        pa.table({"product_id": rows.clean(f"product_{side}"), "text": rows.raw[f"feature_{side}"]}),
        ["product_id", "text"],
    )
    texts = clean_lines_column(seen["text"].combine_chunks())
    seen = seen.set_column(1, "text", texts).filter(pc.not_equal(texts, ""))
    if len(seen):
        run_id = reading.run(_FEATURES, rows.layout)
        run_ids = pa.repeat(pa.scalar(run_id, pa.string()), len(seen))
        reading.staging.write("features", seen.append_column("run_id", run_ids))


def _run_ids(reading: Reading, rows: _Rows, stage: str) -> pa.Array:
    """Return the key of each row's run; its model is what the source says of the intentions, else unknown."""
    said = ("model", "revision", "prompt_version")
    if stage == _FILTER or not any(name in rows.raw for name in said):
        return pa.repeat(pa.scalar(reading.run(stage, rows.layout), pa.string()), rows.size)
    told = pc.binary_join_element_wise(*(rows.clean(name) for name in said), "\x1f").dictionary_encode()
    run_ids = [reading.run(stage, rows.layout, *value.split("\x1f")) for value in told.dictionary.to_pylist()]
    return pa.array(run_ids, pa.string()).take(told.indices)


def _relations(labels: pa.Array) -> pa.Array:
    """Return our name of each relation, the source's label where we have none, null where none was asked for."""
    encoded = labels.dictionary_encode()
    labelled = encoded.dictionary.to_pylist()
    names = [None if is_unspecified(label) else relation_name(label) or label for label in labelled]
    return pa.array(names, pa.string()).take(encoded.indices)
