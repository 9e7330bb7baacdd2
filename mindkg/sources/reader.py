"""The one way through: files opened, blocks taken, tables made."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from mindkg.engine import daft, from_arrow
from mindkg.errors import ConservationError, InputError
from mindkg.schema import TABLES
from mindkg.sources import Sourced, tables
from mindkg.sources.blocks import Block, Rows
from mindkg.sources.csv_rows import open_csv
from mindkg.sources.encodings import Text
from mindkg.sources.files import CutOffError, chunks, names
from mindkg.sources.formats import Format, Layout, choose, layout
from mindkg.sources.json_rows import open_jsonl
from mindkg.sources.parquet_rows import open_parquet
from mindkg.sources.records import Known, Reading, take
from mindkg.sources.staging import Staging

col = daft.col


def open_rows(path: Path, encoding: str | None = None) -> Rows:
    """Open a file as Parquet, JSON Lines or CSV, by its first bytes; text in ``encoding``, found where it is None."""
    try:
        if next(chunks(path, 1 << 16), b"").startswith(b"PAR1"):
            return open_parquet(path)
        head = next(Text(path, encoding).chunks(), b"")[: 1 << 16]
    except CutOffError:
        head = b""
    refuse(head, path)
    named = {suffix.lower() for suffix in path.suffixes} & {".jsonl", ".ndjson", ".json"}
    if named or head.lstrip().startswith((b"{", b"[")):
        return open_jsonl(path, encoding)
    return open_csv(path, encoding)


def refuse(head: bytes, path: Path) -> None:
    """Raise InputError for what begins as a file that people take for CSV or JSON Lines, with what to do about it."""
    if head.startswith(b"PK\x03\x04"):
        raise InputError(
            "this is a zip archive or an Excel file", record=str(path), hint="Unpack it, or save it as CSV"
        )
    if _begins_array(head.lstrip()):
        hint = "JSON Lines has one object on each line; jq -c '.[]' makes them of an array"
        raise InputError("this is a JSON array", record=str(path), hint=hint)


def _begins_array(head: bytes) -> bool:
    """Return whether an array of rows begins here, and not only a damaged line of JSON Lines."""
    if not head.startswith(b"["):
        return False
    try:
        first = json.loads(head.partition(b"\n")[0])
    except (ValueError, RecursionError):
        return True
    return any(isinstance(value, dict) for value in first)


def read_files(
    files: Sequence[Path],
    folder: Path,
    format: str | None,
    field: str | None,
    encoding: str | None,
    progress: Callable[[int], None] | None,
) -> Sourced:
    """Read ``files`` as :func:`mindkg.sources.read` says."""
    opened = []
    for path in files:
        rows = open_rows(path, encoding)
        found = choose(rows.header, format, str(path))
        opened.append((_turn(plan := _layout(found, rows, field, path)), path, rows, plan))
    opened.sort(key=lambda entry: entry[:2])
    with Staging(folder) as staging:
        reading = Reading(staging)
        known, turn, called, read = None, 0, names(files), Counter[str]()
        for its_turn, path, rows, plan in opened:
            if its_turn > 1 and its_turn != turn:
                known = _known(staging)
            turn = its_turn
            for block in _ahead(rows.blocks(plan.wanted)):
                take(reading, block, plan, called[path], known if turn > 1 else None)
                read[str(path)] += len(block) + len(block.damages)
                if progress is not None:
                    progress(len(block) + len(block.damages))
        formats = {str(path): plan.format.name for _, path, _, plan in opened}
        read_as = {str(path): words for _, path, rows, _ in opened if (words := rows.read_as())}
        counts: dict[str, dict[str, int | str]] = {
            str(path): {"name": called[path], "read": read[str(path)], "rejected": reading.rejected[called[path]]}
            for path in files
        }
        return replace(_sourced(reading, staging, formats), read_as=read_as, files=counts)


def _layout(found: Format, rows: Rows, field: str | None, path: Path) -> Layout:
    return layout(found, rows.header, field, str(path), complete=rows.complete)


def _ahead(blocks: Iterator[Block]) -> Iterator[Block]:
    """Yield ``blocks``, the next one being read while the caller works on this one."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, blocks, None)
        while (block := waiting.result()) is not None:
            waiting = pool.submit(next, blocks, None)
            yield block


def _turn(plan: Layout) -> int:
    """Return when a file is read: what others refer to comes first."""
    if plan.format.kind == "products":
        return 0
    if plan.format.kind == "generations":
        return 1 if "product_a" in plan.fields else 3
    return 2


def _known(staging: Staging) -> Known:
    """Return the products and co-buys that the files read so far name."""
    products = staging.scan("products").select("product_id").distinct().to_arrow()["product_id"]
    pairs = staging.scan("cobuys").select("given", "cobuy_id").distinct().to_arrow()
    own = pa.table({"given": pairs["cobuy_id"], "cobuy_id": pairs["cobuy_id"]})
    # our own key stands before a source's, and of two pairs with one key the first, whatever the order of the files
    foreign = pairs.filter(pairs["given"].is_valid()).sort_by([("given", "ascending"), ("cobuy_id", "ascending")])
    both = pa.concat_tables([own, foreign.cast(own.schema)]).combine_chunks()
    return Known(
        products.combine_chunks().cast(pa.string()),
        both["given"].combine_chunks().cast(pa.string()),
        both["cobuy_id"].combine_chunks().cast(pa.string()),
    )


def _sourced(reading: Reading, staging: Staging, formats: dict[str, str]) -> Sourced:
    if reading.rows_read != reading.rows_kept + reading.rows_rejected:
        raise ConservationError(
            f"sources: {reading.rows_read} rows read, {reading.rows_kept} kept, {reading.rows_rejected} rejected"
        )
    products, title_conflicts = tables.products(staging)
    features, feature_conflicts = tables.features(staging)
    records = tables.numbered(staging)
    runs = pa.Table.from_pylist(list(reading.runs.values()), schema=TABLES["runs"])
    return Sourced(
        tables={
            "products": products,
            "cobuys": tables.cobuys(staging),
            "features": features,
            "generations": tables.generations(records),
            "verdicts": tables.verdicts(records),
            "runs": from_arrow(runs),
            "rejects": staging.scan("rejects"),
        },
        rows_read=reading.rows_read,
        rows_kept=reading.rows_kept,
        rows_rejected=reading.rows_rejected,
        title_conflicts=title_conflicts,
        formats=formats,
        feature_conflicts=feature_conflicts,
    )
