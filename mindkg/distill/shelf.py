"""What the requests of a pass are made of, and what was drawn of them, in an SQLite file: a few rows in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from mindkg.distill.rows import Tables
from mindkg.distill.runs import intentions_run, run_of
from mindkg.distill.settings import Pass, Settings
from mindkg.errors import StorageError
from mindkg.thoughts import without_thoughts

_SQL: Final = Path(__file__).parent / "sql"
_SUBJECTS: Final = {"features": "bought", "intentions": "pairs", "filter": "generations"}


class Shelf:
    """The tables of ``sql/tables.sql`` as one pass needs them, over one connection."""

    def __init__(self, stage: Pass, connection: sqlite3.Connection) -> None:
        self.stage = stage
        self._connection = connection

    def subjects(self) -> int:
        """Return how many products, pairs or generations the pass would ask about if nothing lacked."""
        return int(self._one(f"SELECT count(*) FROM {_SUBJECTS[self.stage]}")[0])

    def askable(self) -> int:
        """Return how many of them it asks about."""
        return self.subjects() - int(self._one(f"SELECT count(*) FROM ({_query(f'unasked-{self.stage}')})")[0])

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Return the rows of ``sql/STAGE.sql``, in their order."""
        return self._connection.execute(_query(self.stage))

    def unasked(self) -> Iterator[tuple[str, bool]]:
        """Return the ids of what is not asked about, and whether it only waits for features."""
        return self._connection.execute(_query(f"unasked-{self.stage}"))

    def insert(self, table: str, columns: str, rows: Iterable[tuple[Any, ...]], where: str = "true") -> None:
        """Put ``rows`` into ``table``: the first of a key that lacks nothing; ``where`` names values by number (?1)."""
        places = ", ".join(f"?{number + 1}" for number in range(columns.count(",") + 1))
        self._connection.executemany(f"INSERT OR IGNORE INTO {table} ({columns}) SELECT {places} WHERE {where}", rows)

    def index(self, table: str, columns: str) -> None:
        """Let the rows of ``table`` be found, and read in the order of ``columns``."""
        self._connection.execute(f"CREATE INDEX {table}_index ON {table} ({columns})")

    def matched(self, first: str, last: str) -> sqlite3.Cursor:
        """Return what was planned under the keys from ``first`` to ``last`` in ``told``, behind their places."""
        return self._connection.execute(_query("matched"), (first, last))

    def missing(self) -> int:
        """Return how many of the requests that were planned have no record in ``told``."""
        return int(self._one("SELECT count(*) FROM planned WHERE key NOT IN (SELECT key FROM told)")[0])

    def unsent(self) -> tuple[int, float, float]:
        """Return how many keys have no answer, the characters of their requests, and how many have a picture."""
        n, characters, pictured = self._one(_query("unsent"))
        return int(n), float(characters), float(pictured)

    def _one(self, query: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._connection.execute(query).fetchone()
        return row


@contextmanager
def shelf(stage: Pass, tables: Tables, settings: Settings, folder: Path) -> Iterator[Shelf]:
    """Give the shelf of a pass over ``tables``, in a file of ``folder`` that is gone when the block ends.

    The filter judges the generations of these settings' own run where ``intentions`` is one of the passes, else all
    that have no verdict of this run yet. Where several runs describe a product, its features are those of these
    settings' own run, else of the run whose id sorts first. Raises StorageError where the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{stage}.sqlite"
    file.unlink(missing_ok=True)
    # the thread that draws requests need not be the one that made this
    connection = sqlite3.connect(file, check_same_thread=False)
    try:
        connection.executescript((_SQL / "tables.sql").read_text("utf-8"))
        made = Shelf(stage, connection)
        _fill(made, tables, settings)
        yield made
    except sqlite3.Error as error:
        hint = "Make room on that disk and run it again: what was answered is kept"
        raise StorageError(f"requests cannot be planned: {error}", record=str(file), hint=hint) from error
    finally:
        connection.close()
        file.unlink(missing_ok=True)


def _fill(made: Shelf, tables: Tables, settings: Settings) -> None:
    for pairs in tables["cobuys"].batches("cobuy_id", "product_a", "product_b"):
        ids, a, b = (column.to_pylist() for column in pairs.columns)
        made.insert("bought", "product_id", ((product,) for product in (*a, *b)))
        if made.stage != "features":
            made.insert("pairs", "cobuy_id, product_a, product_b", zip(ids, a, b, strict=True))
    bought = "?1 IN bought"
    for products in tables["products"].batches("product_id", "title"):
        made.insert("products", "product_id, title", _told(products), bought)
    if "images" in tables:
        for images in tables["images"].batches("product_id", "sha256", "path", "status"):
            stored = images.filter(pc.equal(images["status"], "ok"))
            made.insert("pictures", "product_id, sha256, path", _plain(stored.drop_columns("status")), bought)
    if made.stage == "features":
        return
    for run in _runs(tables, settings):
        for features in tables["features"].batches("product_id", "text", "run_id"):
            described = features.filter(pc.equal(features["run_id"], run))
            texts = _answers(described["text"])
            rows = zip(described["product_id"].to_pylist(), texts.to_pylist(), strict=True)
            made.insert("features", "product_id, text", rows, bought)
    if made.stage == "intentions" and "waiting" in tables:
        for waiting in tables["waiting"].batches("product_id"):
            made.insert("waiting", "product_id", _plain(waiting))
    if made.stage == "filter":
        _fill_generations(made, tables, settings)


def _fill_generations(made: Shelf, tables: Tables, settings: Settings) -> None:
    """Put the generations to judge on the shelf; only those of these settings' own run know their sample."""
    own = intentions_run(settings, tables["features"]).run_id
    alone = "intentions" not in settings.passes
    if alone and "verdicts" in tables:
        run = run_of("filter", settings).run_id
        for verdicts in tables["verdicts"].batches("generation_id", "run_id"):
            judged = verdicts.filter(pc.equal(verdicts["run_id"], run)).drop_columns("run_id")
            made.insert("judged", "generation_id", _plain(judged))
    columns = ("cobuy_id", "generation_id", "relation", "source_record", "text", "run_id")
    for batch in tables["generations"].batches(*columns):
        named = batch.set_column(columns.index("text"), "text", _said(_answers(batch["text"])))
        rows = (
            (cobuy, generation, relation or "", int(record) if run == own else 0, text)
            for cobuy, generation, relation, record, text, run in _plain(named)
            if alone or run == own
        )
        made.insert("generations", "cobuy_id, generation_id, relation, sample, text", rows, "?2 NOT IN judged")
    made.index("generations", "cobuy_id, generation_id")


def _runs(tables: Tables, settings: Settings) -> list[str]:
    """Return the runs of the features, these settings' own one first."""
    own = run_of("features", settings).run_id
    known: set[str] = set()
    for batch in tables["features"].batches("run_id"):
        known.update(pc.unique(batch["run_id"]).to_pylist())
    return sorted(known, key=lambda run: (run != own, run))


def _told(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """Return the rows of a batch of two columns; what says nothing in the second one is None."""
    return zip(batch.column(0).to_pylist(), _said(batch.column(1)).to_pylist(), strict=True)


def _answers(texts: pa.Array) -> pa.Array:
    """Return what a model said besides its thoughts; nothing where it never came to an end with them."""
    return pa.array([text and without_thoughts(text) for text in texts.to_pylist()], pa.string())


def _said(column: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), None, column)


def _plain(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _query(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text("utf-8").rstrip().removesuffix(";")
