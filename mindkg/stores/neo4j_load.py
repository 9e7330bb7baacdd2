"""Loading Neo4j over Bolt: in batches, with the progress kept in the database itself.

Every node and relationship that mindkg writes has ``mindkg_load``, the number of the load that wrote it last; a node
``MindKG`` says which graph that was and how many rows of it are done. Each batch and its progress are one transaction,
and the rows of a graph folder have one order, so a load that was stopped goes on after the last batch. The same node
has the claim of the loader that is at work; every transaction makes sure that it still stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mindkg.errors import StoreError
from mindkg.graph.neo4j_import import check_ids, without_empty_lists
from mindkg.graph.property_graph import (
    NODES,
    NodeTable,
    RelationshipTable,
    assertion_types,
    expected_counts,
    graph_key,
    node_tables,
    relationship_tables,
    relationship_types,
)
from mindkg.stores.base import Progress, check_counts, counts
from mindkg.stores.load_lock import Claim, load_lock, lost
from mindkg.stores.neo4j import Neo4jStore, checked, define, statement

if TYPE_CHECKING:
    import neo4j

_BATCH: Final = 4 << 20
"""Bytes of a batch: the server keeps a transaction in its heap, at several times the size."""
_ROW: Final = 200
"""Bytes that a row costs beside its values, so that a batch of the shortest rows has some 20,000."""
_REMOVED: Final = 20_000
"""Rows that one transaction removes."""

Counts = dict[str, int]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one label or relationship type, and the statement that writes them."""

    name: str
    text: str
    rows: pa.Table


def load_online(
    folder: Path,
    address: str,
    *,
    user: str | None = None,
    database: str | None = None,
    progress: Progress | None = None,
) -> Counts:
    """Load the graph folder ``folder`` into the Neo4j behind ``address`` and return what it holds by class.

    What an earlier load wrote is updated, and removed where it is gone; nodes that mindkg did not write stay as they
    are. A load that was interrupted goes on. Raises StoreError where the server cannot be reached or written to, where
    it has nodes of the same labels that mindkg did not write, and where its counts differ from the tables; InputError
    for an id that Neo4j does not take.
    """
    say = progress or (lambda line: None)
    check_ids(folder)
    store = Neo4jStore.connect(address, user=user, database=database, partial=True)
    try:
        _check_writable(store)
        check_foreign(store)
        define(store, say)
        graph = graph_key(folder)
        with load_lock(_Board(store), say) as claim:
            if holds(store, folder, graph):
                say("Neo4j holds this graph already")
            else:
                _Load(store, claim, say).run(folder, graph)
            return counts(store)
    finally:
        store.close()


def explain_online(folder: Path, address: str) -> list[str]:
    """Return what ``load_online`` would do, a line a step; the server is not asked.

    Raises StoreError for an address that ``load_online`` refuses.
    """
    check_ids(folder)
    nodes = ", ".join(f"{len(rows):,} {node.label}" for node, rows in node_tables(folder))
    types = ", ".join(f"{len(rows):,} {type_.type}" for type_, rows in relationship_tables(folder) if len(rows))
    return [
        f"would connect to {checked(address)}",
        "would make constraints on ids, full-text indexes on titles and intentions, an index on assertions' ids",
        f"would write nodes: {nodes}",
        f"would write relationships: {types or 'none'}",
        "would remove what an earlier load wrote and this graph lacks",
        "would compare the counts of every label and type with the tables",
    ]


def expected_rows(folder: Path) -> Counts:
    """Return how many nodes of each label and relationships of each type the graph folder ``folder`` makes."""
    nodes = {node.label: len(rows) for node, rows in node_tables(folder)}
    return nodes | {type_.type: len(rows) for type_, rows in relationship_tables(folder)}


def written_rows(store: Neo4jStore, load: int) -> Counts:
    """Return how many nodes of each label and relationships of each type the load ``load`` wrote."""
    texts = {node.label: statement("load/count-nodes", label=node.label) for node in NODES}
    for type_ in relationship_types():
        texts[type_.type] = statement("load/count-relationships", type=type_.type)
    return {name: int(store.run(text, load=load)[0]["n"]) for name, text in texts.items()}


def holds(store: Neo4jStore, folder: Path, graph: str) -> bool:
    """Return whether a load of ``graph`` was finished and all that it wrote is there."""
    state = store.run(statement("load/state"))
    if not state or not state[0]["finished"] or state[0]["graph"] != graph:
        return False
    return written_rows(store, state[0]["load"]) == expected_rows(folder) and counts(store) == expected_counts(folder)


def check_foreign(store: Neo4jStore) -> None:
    """Raise StoreError where the database has nodes of our labels that mindkg did not write: they would mix."""
    for node in NODES:
        n = store.run(statement("load/foreign-nodes", label=node.label))[0]["n"]
        if n:
            hint = "Load into another database, with --database or on another server"
            message = f"The database has {n:,} nodes labelled {node.label} that mindkg did not write"
            raise StoreError(message, record=store.address, hint=hint)


class _Board:
    """The claim on the graph, in the node MindKG of its database; see ``Board``."""

    def __init__(self, store: Neo4jStore) -> None:
        self.address = store.address
        self._store = store

    def take(self, claim: Claim, instead: Claim | None) -> Claim:
        values: dict[str, Any] = {"token": claim.token, "holder": claim.holder}
        values |= {"instead": instead.token, "beat": instead.beat} if instead else {"instead": "", "beat": -1}
        return Claim(**self._store.write(lambda tx: _rows(tx, "load/claim", **values)[0]))

    def beat(self, claim: Claim) -> None:
        self._store.run(statement("load/beat"), token=claim.token)

    def release(self, claim: Claim) -> None:
        self._store.run(statement("load/release"), token=claim.token)


class _Load:
    """One load, with the claim that it holds on the graph."""

    def __init__(self, store: Neo4jStore, claim: Claim, say: Progress) -> None:
        self.store, self.claim, self.say = store, claim, say
        self.number = 0

    def run(self, folder: Path, graph: str) -> None:
        """Write what is missing of ``folder``, remove what is older, and compare the counts."""
        state = self.store.run(statement("load/state"))
        again = bool(state) and bool(state[0]["finished"])
        begun = self._write(lambda tx: _rows(tx, "load/begin", graph=graph, again=again)[0])
        self.number, done = int(begun["load"]), int(begun["rows"])
        if done:
            self.say(f"going on after row {done:,}")
        at = 0
        expected: Counts = {}
        for part in _parts(folder):
            expected[part.name] = len(part.rows)
            if at + len(part.rows) > done:
                self.say(f"{part.name}: {len(part.rows):,} rows")
                self._write_part(part, at, max(done - at, 0))
            at += len(part.rows)
        if self.number > 1:
            self._remove_stale()
        self.say("checking the counts")
        check_counts("Neo4j", expected, written_rows(self.store, self.number))
        hint = "Relationships between mindkg's nodes that it did not write count too: remove them"
        check_counts("Neo4j", expected_counts(folder), counts(self.store), hint)
        self._write(lambda tx: _rows(tx, "load/finish", load=self.number))

    def _write(self, work: Callable[[neo4j.ManagedTransaction], T]) -> T:
        """Return what ``work`` does in a transaction that holds the claim; raises StoreError where that is lost."""

        def claimed(tx: neo4j.ManagedTransaction) -> T:
            if not _rows(tx, "load/beat", token=self.claim.token):
                raise lost(self.store.address)
            return work(tx)

        return self.store.write(claimed)

    def _write_part(self, part: Part, at: int, skipped: int) -> None:
        """Write the rows of ``part`` after the first ``skipped``; ``at`` rows of the graph come before the part."""
        for start, stop in batches(part.rows.slice(skipped)):
            rows = part.rows.slice(skipped + start, stop - start)
            values = {name: rows[name].to_pylist() for name in rows.column_names}
            progress = {"from": at + skipped + start, "to": at + skipped + stop}
            n = self._write(partial(_batch, text=part.text, values={**values, "load": self.number}, progress=progress))
            if n != len(rows):
                message = f"Neo4j took {n:,} of {len(rows):,} rows of {part.name}: nodes at their ends are missing"
                hint = "Run it again: what is missing is written anew"
                raise StoreError(message, record=self.store.address, hint=hint)

    def _remove_stale(self) -> None:
        """Remove what earlier loads wrote and this one did not: relationships, then nodes."""
        texts = {type_.type: statement("load/stale-relationships", type=type_.type) for type_ in relationship_types()}
        texts |= {node.label: statement("load/stale-nodes", label=node.label) for node in NODES}
        for name, text in texts.items():
            removed = 0
            while n := self._write(partial(_removed, text=text, load=self.number)):
                removed += n
            if removed:
                self.say(f"{name}: {removed:,} of earlier loads removed")


def _parts(folder: Path) -> Iterator[Part]:
    """Yield the nodes of each label, then the relationships of each type."""
    for node, rows in node_tables(folder):
        yield Part(node.label, _statement(node), without_empty_lists(rows))
    for type_, rows in relationship_tables(folder):
        yield Part(type_.type, _statement(type_), without_empty_lists(rows))


def _statement(table: NodeTable | RelationshipTable) -> str:
    if isinstance(table, NodeTable):
        return statement(f"nodes/{table.label}")
    if table in assertion_types().values():
        return statement("relationships/assertion", type=table.type)
    return statement(f"relationships/{table.type}")


def _batch(tx: neo4j.ManagedTransaction, text: str, values: Mapping[str, Any], progress: Mapping[str, int]) -> int:
    """Write one batch, with the progress in it, and return its rows."""
    if not _rows(tx, "load/advance", load=values["load"], **progress):
        raise StoreError("This batch is written already", hint="Run the load again: it goes on where it stopped")
    return int(tx.run(text, dict(values)).single(strict=True)["n"])


def _removed(tx: neo4j.ManagedTransaction, text: str, load: int) -> int:
    return int(tx.run(text, load=load, limit=_REMOVED).single(strict=True)["n"])


def _rows(tx: neo4j.ManagedTransaction, name: str, **parameters: Any) -> list[dict[str, Any]]:
    return [dict(record) for record in tx.run(statement(name), parameters)]


def batches(rows: pa.Table) -> Iterator[tuple[int, int]]:
    """Yield the first row of each batch of ``rows`` and the row behind its last, by the bytes that they hold.

    >>> list(batches(pa.table({"text": ["x" * 3_000_000, "y" * 3_000_000, "z", "z"]})))
    [(0, 1), (1, 4)]
    """
    ends = np.cumsum(_sizes(rows))
    start = 0
    while start < len(rows):
        before = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, before + _BATCH, side="right")), start + 1)
        yield start, stop
        start = stop


def _sizes(rows: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the bytes of each row, shape (rows,)."""
    total = np.full(len(rows), _ROW, np.int64)
    for column in rows.columns:
        if pa.types.is_string(column.type):
            total += pc.fill_null(pc.binary_length(column), 0).to_numpy().astype(np.int64)
        elif pa.types.is_list(column.type):
            lists = column.combine_chunks()
            bytes_ = pc.binary_length(pc.list_flatten(lists)).to_numpy()
            total += np.bincount(pc.list_parent_indices(lists).to_numpy(), bytes_, len(rows)).astype(np.int64)
    return total


def _check_writable(store: Neo4jStore) -> None:
    """Raise StoreError where the database is not there or read-only: the driver would try for a minute."""
    try:
        found = store.databases()
    except StoreError:
        return  # the user may not list databases; the first write says what is wrong
    # Neo4j knows no upper case in the names of databases
    wanted = (store.database or "").lower()
    named = [row for row in found if (wanted in (row["name"], *row["aliases"]) if wanted else row["home"])]
    if not named and store.database:
        names = ", ".join(sorted(str(row["name"]) for row in found))
        raise StoreError(f"Neo4j has no database {store.database!r}", record=store.address, hint=f"It has: {names}")
    if named and named[0]["access"] == "read-only":
        hint = "Make it writable: server.databases.read_only in conf/neo4j.conf"
        raise StoreError("The database is read-only", record=store.address, hint=hint)
