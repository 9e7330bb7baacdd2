"""Lines of metadata to products and the entries of their lists, in all processes; exact double rows are found."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.engine import daft, from_arrow, pool, spread
from mindkg.sources.amazon import fields
from mindkg.sources.amazon.csv_tables import metadata_lines
from mindkg.sources.amazon.lines import parse_line, pieces
from mindkg.sources.amazon.markup import plain_column
from mindkg.sources.amazon.staged import LINE_BITS, Reading, identifiers
from mindkg.sources.blocks import LIST_SEPARATOR, Damage, Rows, beginning
from mindkg.sources.text import category_path, clean_column

BATCH: Final = 1_000
"""Lines a worker takes at a time: a fifth of a second of work where they are Python, some MB of text."""
SMALL: Final = 4_000
"""Rows below which worker processes cost more than they bring."""

SLAB: Final = 1 << 26
"""Bytes of lines that are in memory at once; workers start anew for each."""

_TEXTS: Final = ("title", "brand", "description")
_PARSED: Final = pa.struct(
    [
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("text", pa.string()),
        ("digest", pa.binary()),
        ("product_id", pa.string()),
        *((name, pa.string()) for name in _TEXTS),
        ("category", pa.string()),
        ("image", pa.string()),
        ("source", pa.string()),
        ("code", pa.int64()),
        ("lists", pa.list_(pa.int8())),
        ("others", pa.list_(pa.string())),
    ]
)

Places = npt.NDArray[np.int64]


def read_metadata(
    reading: Reading, opened: Mapping[Path, Rows | None], lists: Sequence[str], progress: Callable[[int], None]
) -> tuple[Places, list[set[str]]]:
    """Stage the products of the files ``opened`` (tables, or None), the entries of their ``lists`` and the rejects.

    Returns the places of exact double rows, which are rejected too, sorted; and the layouts found in each file.
    """
    digests, places = [np.empty(0, "V16")], [np.empty(0, np.int64)]
    layouts: list[set[str]] = [set() for _ in opened]
    files = list(opened)
    for slab in _slabs(reading, opened):
        many = len(slab) > SMALL
        parsed = _parser(lists, many)(daft.col("line")).alias("parsed")
        for batch in spread(from_arrow(slab), many).select("place", parsed).to_arrow_iter():
            good = _take(reading, batch, files)
            places.append(good["place"].to_numpy())
            digests.append(np.frombuffer(b"".join(good["digest"].to_pylist()), "V16"))
            for number, name in set(zip((places[-1] >> LINE_BITS).tolist(), good["source"].to_pylist(), strict=True)):
                layouts[number].add(name)
            progress(len(batch))
    return _reject_doubles(reading, np.concatenate(digests), np.concatenate(places), opened), layouts


def _slabs(reading: Reading, files: Mapping[Path, Rows | None]) -> Iterator[pa.Table]:
    """Yield the lines of ``files`` that are not blank with their places, in tables of about ``SLAB`` bytes."""
    waiting: list[pa.Table] = []
    for number, (path, table) in enumerate(files.items()):
        for lines, damages in _placed(path, table, number, reading.encoding):
            reading.reject(path, damages)
            reading.count(path, len(damages) + len(lines))
            if lines:
                columns = zip(*lines, strict=True)
                waiting.append(pa.table([pa.array(values) for values in columns], ["place", "line"]))
            if sum(table.nbytes for table in waiting) >= SLAB:
                yield pa.concat_tables(waiting)
                waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _placed(
    path: Path, table: Rows | None, number: int, encoding: str | None
) -> Iterator[tuple[list[tuple[int, bytes]], list[Damage]]]:
    """Yield the lines of the file ``number`` that are not blank, each with its place, and the damages among them."""
    first = number << LINE_BITS
    if table is not None:
        for lines, damages in metadata_lines(table):
            yield [(first + line, row) for line, row in lines], damages
        return
    for piece in pieces(path, encoding):
        placed = zip(count(first + piece.first), piece.data.split(b"\n"))
        yield [(place, line) for place, line in placed if line and not line.isspace()], piece.damages


def _parser(lists: Sequence[str], many: bool) -> Any:
    """Return a Daft function of lines to what they say, in one process a core where there are many."""

    @daft.cls(**pool(many))
    class Parser:
        @daft.method.batch(return_dtype=daft.DataType.from_arrow_type(_PARSED), batch_size=BATCH)
        def __call__(self, lines: daft.Series) -> pa.Array:
            return parse_lines(lines.to_pylist(), lists)

    return Parser()


def parse_lines(lines: Sequence[bytes], lists: Sequence[str]) -> pa.StructArray:
    """Return what each line says of a product, or why it is refused, shape (lines,)."""
    rows = [_row(line, lists) for line in lines]
    columns: dict[str, pa.Array] = {
        field.name: pa.array([row.get(field.name) for row in rows], field.type) for field in _PARSED
    }
    ids = identifiers(pc.fill_null(columns["product_id"], ""))
    lacking = pc.and_(pc.is_null(columns["reason"]), pc.equal(ids, ""))
    columns["reason"] = pc.if_else(lacking, "missing_field", columns["reason"])
    columns["detail"] = pc.if_else(lacking, "no asin and no parent_asin", columns["detail"])
    bad = pc.is_valid(columns["reason"]).to_pylist()
    columns["text"] = pa.array([beginning(line) if b else None for line, b in zip(lines, bad, strict=True)])
    columns["product_id"] = ids
    code = np.zeros(len(rows), np.int64)
    for name in _TEXTS:
        plain, was_code = plain_column(columns[name])
        columns[name] = _optional(plain)
        code += np.asarray(pc.fill_null(was_code, False)).astype(np.int64)
    columns["code"] = pa.array(code)
    columns["category"] = _optional(_paths(columns["category"]))
    columns["image"] = _optional(clean_column(columns["image"]))
    return pa.StructArray.from_arrays([columns[f.name].cast(f.type) for f in _PARSED], fields=list(_PARSED))


def _row(line: bytes, lists: Sequence[str]) -> dict[str, Any]:
    value = parse_line(line)
    if isinstance(value, tuple):
        return {"reason": value[0], "detail": value[1]}
    value = dict(fields.unpacked(value))
    entries = list(fields.listed(value, lists))
    row: dict[str, Any] = {
        "product_id": fields.product_id(value),
        "title": fields.text(value.get("title")),
        "brand": fields.brand(value),
        "description": fields.text(value.get("description")),
        "category": fields.category(value),
        "image": fields.picture(value),
        "source": fields.year(value, line.lstrip()[1:].lstrip()[:1] != b'"'),
        "digest": hashlib.blake2b(line.strip(), digest_size=16).digest(),
        "lists": [number for number, _ in entries],
        "others": [other for _, other in entries],
    }
    if b"\\u" in line or b"\\U" in line:
        try:
            "".join(v if isinstance(v, str) else "".join(v) for k, v in row.items() if k in _CHECKED).encode()
        except UnicodeEncodeError:
            return {"reason": "bad_encoding", "detail": "half of a surrogate pair"}
    return row


_CHECKED = ("product_id", *_TEXTS, "category", "image", "others")


def _paths(column: pa.Array) -> pa.Array:
    """Return paths of categories with U+001F between their names, each cleaned and without tags."""
    encoded = column.dictionary_encode()
    split = [category_path(value) for value in encoded.dictionary.to_pylist()]
    names, _ = plain_column(pa.array([name for path in split for name in path], pa.string()))
    plain, paths = iter(names.to_pylist()), []
    for path in split:
        paths.append(LIST_SEPARATOR.join(name for name in [next(plain) for _ in path] if name))
    return pa.array(paths, pa.string()).take(encoded.indices)


def _optional(column: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)


def _take(reading: Reading, batch: pa.RecordBatch, files: Sequence[Path]) -> pa.Table:
    """Stage what a batch of parsed lines says, and return its good rows."""
    columns = dict(zip([f.name for f in _PARSED], batch["parsed"].cast(_PARSED).flatten(), strict=True))
    table = pa.table({"place": batch["place"], **columns})
    bad = pc.is_valid(table["reason"])
    _reject(reading, table.filter(bad), files)
    good = table.filter(pc.invert(bad)).combine_chunks()
    size = len(good)
    nothing = pa.nulls(size, pa.string())
    seen = good.append_column("domain", nothing).append_column("n", pa.array(np.ones(size, np.int64)))
    reading.staging.write("products", seen)
    reading.notes["texts_of_code"] += int(np.asarray(good["code"]).sum())
    owners = pc.list_parent_indices(good["others"])
    others = identifiers(pc.list_flatten(good["others"]).combine_chunks())
    entries = {
        "place": good["place"].take(owners),
        "list": pc.list_flatten(good["lists"]),
        "product": good["product_id"].take(owners),
        "other": others,
    }
    reading.staging.write("entries", pa.table(entries))
    return good


def _reject(reading: Reading, bad: pa.Table, files: Sequence[Path]) -> None:
    places = bad["place"].to_numpy()
    by_file: dict[int, list[Damage]] = {}
    for place, *why in zip(places.tolist(), *(bad[n].to_pylist() for n in ("reason", "detail", "text")), strict=True):
        by_file.setdefault(place >> LINE_BITS, []).append(Damage(_line(place), *why))
    for number, damages in by_file.items():
        reading.reject(files[number], damages)


def _line(place: int) -> int:
    return place & ((1 << LINE_BITS) - 1)


def _reject_doubles(
    reading: Reading, digests: npt.NDArray[np.void], places: Places, files: Mapping[Path, Rows | None]
) -> Places:
    """Reject each row whose bytes stand in an earlier one, by file and line; return their places, sorted."""
    halves = digests.view(np.uint64).reshape(-1, 2)
    order = np.lexsort((places, halves[:, 1], halves[:, 0]))
    same = (halves[order][1:] == halves[order][:-1]).all(axis=1)
    doubles = np.sort(places[order][1:][same])
    wanted = set(doubles.tolist())
    for number in np.unique(doubles >> LINE_BITS).tolist():
        path, table = list(files.items())[number]
        why = ("duplicate", "an earlier row is the same")
        for lines, _ in _placed(path, table, number, reading.encoding):
            doubled = [(place, line) for place, line in lines if place in wanted]
            reading.reject(path, [Damage(_line(place), *why, beginning(line)) for place, line in doubled])
    return doubles
