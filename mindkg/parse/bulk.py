"""The same parsing over Daft frames, on all cores."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, Literal

import pyarrow as pa

from mindkg.engine import daft, pool, spread
from mindkg.parse.intention import fields
from mindkg.parse.verdict import parse_verdict

BATCH: Final = 4_000
"""Rows a worker takes at a time: a tenth of a second of work, a few MB of text."""

_INTENTION: Final = pa.struct(
    [
        ("status", pa.string()),
        ("reason", pa.string()),
        ("relation", pa.string()),
        ("stated", pa.string()),
        ("text", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
    ]
)
_VERDICT: Final = pa.struct([("verdict", pa.string()), ("reason", pa.string())])


SMALL: Final = 8_000
"""Rows below which worker processes cost more than they bring."""


def parse_frame(
    frame: daft.DataFrame, relations: Literal["stated", "asked"] = "stated", *, rows: int | None = None
) -> daft.DataFrame:
    """Return one row for each row of ``frame`` (generation_id, relation, text, title_a, title_b).

    Columns: generation_id, status, reason, relation, stated, text (canonical), start, end, as ``parse_intention``
    gives them with ``relations``. Lazy; the order of rows is that of ``frame``'s partitions. ``rows`` says how many
    there are, where that is known: few are parsed in this process.
    """
    many = _many(rows)
    read = _workers(partial(_intentions, relations=relations), _INTENTION, many)
    columns = (daft.col(name) for name in ("text", "relation", "title_a", "title_b"))
    return _with_fields(spread(frame, many), read(*columns), ["generation_id"], _INTENTION)


def verdict_frame(frame: daft.DataFrame, *, rows: int | None = None) -> daft.DataFrame:
    """Return ``frame`` (text, and any other columns) with verdict and reason, as ``parse_verdict`` gives."""
    many = _many(rows)
    read = _workers(_verdicts, _VERDICT, many)
    return _with_fields(spread(frame, many), read(daft.col("text")), frame.column_names, _VERDICT)


def _many(rows: int | None) -> bool:
    return rows is None or rows > SMALL


def _with_fields(frame: daft.DataFrame, parsed: Any, keep: list[str], struct: pa.StructType) -> daft.DataFrame:
    fields = [field.name for field in struct]
    # the struct first, under a name of its own: some of its fields are named as columns of the frame
    wide = frame.select(*keep, parsed.alias("_parsed"))
    return wide.select(*(c for c in keep), *(daft.col("_parsed").get(f).alias(f) for f in fields))


def _workers(read: Any, struct: pa.StructType, many: bool) -> Any:
    """Return ``read`` (lists of values to an Arrow array) as a Daft function that runs in one process a core."""

    @daft.cls(**pool(many))
    class Parser:
        @daft.method.batch(return_dtype=daft.DataType.from_arrow_type(struct), batch_size=BATCH)
        def __call__(self, *columns: daft.Series) -> pa.Array:
            return read(*(column.to_pylist() for column in columns))

    return Parser()


def _intentions(
    texts: list[str | None],
    asked: list[str | None],
    titles_a: list[str | None],
    titles_b: list[str | None],
    relations: Literal["stated", "asked"] = "stated",
) -> pa.Array:
    found = [
        fields(text or "", relation, (a or "", b or ""), relations)
        for text, relation, a, b in zip(texts, asked, titles_a, titles_b, strict=True)
    ]
    status, reason, relation, stated, _, canonical, start, end = zip(*found, strict=True) if found else ((),) * 8
    return _struct((status, reason, relation, stated, canonical, start, end), _INTENTION)


def _verdicts(texts: list[str | None]) -> pa.Array:
    found = [parse_verdict(text or "") for text in texts]
    return _struct(([p.verdict for p in found], [p.reason for p in found]), _VERDICT)


def _struct(columns: tuple[Sequence[Any], ...], struct: pa.StructType) -> pa.Array:
    # by Daft, since pa.array loads pandas where it is installed, which takes a worker longer than 4,000 texts
    series = (
        daft.Series.from_pylist(list(values), dtype=daft.DataType.from_arrow_type(field.type))
        for values, field in zip(columns, struct, strict=True)
    )
    return pa.StructArray.from_arrays([one.to_arrow() for one in series], names=struct.names)
