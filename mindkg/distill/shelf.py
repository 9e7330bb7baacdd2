"""What the requests of a pass are made of, in an SQLite file: read in order, a few rows at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mindkg.distill.runs import run_of
from mindkg.distill.settings import Pass, Settings
from mindkg.errors import StorageError

if TYPE_CHECKING:
    import daft

_SQL: Final = Path(__file__).parent / "sql"
_ROWS: Final = 2_000
"""Rows that are Python values at a time."""


@contextmanager
def shelf(
    stage: Pass, tables: Mapping[str, daft.DataFrame], judged: daft.DataFrame | None, settings: Settings, folder: Path
) -> Iterator[Iterator[tuple[Any, ...]]]:
    """Give the rows of ``sql/STAGE.sql`` over ``tables``, in their order; the file is gone when the block ends.

    ``judged`` are the generations that the filter judges. Where several runs describe a product, its features are those
    of these settings' own run, else of the run whose id sorts first. Raises StorageError where the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{stage}.sqlite"
    file.unlink(missing_ok=True)
    # the thread that draws requests need not be the one that made this
    connection = sqlite3.connect(file, check_same_thread=False)
    try:
        connection.executescript(_statement("tables"))
        for name, frame in _filled(stage, tables, judged, settings):
            _fill(connection, name, frame)
        if judged is not None:
            connection.executescript(_statement("by_pair"))
        yield connection.execute(_statement(stage))
    except sqlite3.Error as error:
        hint = "Make room on that disk and run it again: what was answered is kept"
        raise StorageError(f"requests cannot be planned: {error}", record=str(file), hint=hint) from error
    finally:
        connection.close()
        file.unlink(missing_ok=True)


def bought(cobuys: daft.DataFrame) -> daft.DataFrame:
    """Return the ids of the products that stand in a pair, each once: one column, ``product_id``."""
    from mindkg.engine import daft

    sides = [cobuys.select(daft.col(side).alias("product_id")) for side in ("product_a", "product_b")]
    return sides[0].concat(sides[1]).distinct()


def _filled(
    stage: Pass, tables: Mapping[str, daft.DataFrame], judged: daft.DataFrame | None, settings: Settings
) -> Iterator[tuple[str, daft.DataFrame]]:
    """Yield the rows of each table of ``sql/tables.sql`` that a pass needs; the first row of a key stays."""
    from mindkg.engine import daft

    col = daft.col
    ids = bought(tables["cobuys"]).collect()
    titled = tables["products"].where(col("title").not_null() & (col("title").strip() != daft.lit("")))
    yield "products", _of(titled.select("product_id", "title"), ids)
    if "images" in tables:
        stored = tables["images"].where((col("status") == daft.lit("ok")) & col("path").not_null())
        stored = stored.where(col("sha256").not_null())
        yield "pictures", _of(stored.select("product_id", "sha256", "path"), ids)
    if stage == "features":
        yield "bought", ids
        return
    yield "pairs", tables["cobuys"].select("cobuy_id", "product_a", "product_b")
    for run in _runs(tables["features"], settings):
        described = tables["features"].where(col("run_id") == daft.lit(run))
        yield "features", _of(described.select("product_id", "text"), ids)
    if judged is not None:
        yield "generations", judged.select("cobuy_id", "generation_id", "relation", "sample", "text")


def _of(frame: daft.DataFrame, ids: daft.DataFrame) -> daft.DataFrame:
    return frame.join(ids, on="product_id", how="semi")


def _runs(features: daft.DataFrame, settings: Settings) -> list[str]:
    own = run_of("features", settings).run_id
    known = sorted(features.select("run_id").distinct().to_pydict()["run_id"])
    return sorted(known, key=lambda run: run != own)


def _fill(connection: sqlite3.Connection, name: str, frame: daft.DataFrame) -> None:
    places = ", ".join("?" * len(frame.column_names))
    columns = ", ".join(frame.column_names)
    for batch in frame.to_arrow_iter(results_buffer_size=1):
        for start in range(0, batch.num_rows, _ROWS):
            part = batch.slice(start, _ROWS)
            rows = zip(*(column.to_pylist() for column in part.columns), strict=True)
            connection.executemany(f"INSERT OR IGNORE INTO {name} ({columns}) VALUES ({places})", rows)
    connection.commit()


def _statement(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text("utf-8")
