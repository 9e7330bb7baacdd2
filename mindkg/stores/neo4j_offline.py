"""Loading a Neo4j that is stopped: with its own importer, ten times as fast as over Bolt."""

from __future__ import annotations

import os
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Final

from mindkg.errors import StoreError
from mindkg.graph.neo4j_import import FORMS, arguments, array_delimiter, check_ids, write_files
from mindkg.graph.property_graph import NODES, expected_counts, graph_key, relationship_types
from mindkg.stores.base import Progress, check_counts, counts, one_line
from mindkg.stores.neo4j import Neo4jStore, define, statement
from mindkg.stores.neo4j_home import Neo4jHome
from mindkg.stores.neo4j_load import Counts, expected_rows, holds

_FIRST: Final = 1
"""The number of the load that an import is."""


def load_offline(
    folder: Path, home: str | Path, *, database: str | None = None, progress: Progress | None = None
) -> Counts:
    """Load the graph folder ``folder`` into the stopped Neo4j in ``home`` and return what it holds by class.

    The database is written anew. One that is there already is looked at first: if it holds this graph nothing is done,
    and if it holds nodes that mindkg did not write it is left as it is (StoreError). Raises StoreError too where the
    server runs, where the importer fails, and where the counts differ from the tables.
    """
    say = progress or (lambda line: None)
    check_ids(folder)
    neo4j = Neo4jHome(home)
    name = _name(neo4j, database)
    begun = _begun(neo4j, name)
    if (neo4j.data() / "databases" / name).is_dir():
        say("looking at the database that is there")
        held = _held(neo4j, name, folder, cut_off=begun.exists())
        if held is not None:
            say("Neo4j holds this graph already")
            return held
    import_files(folder, neo4j, name, say)
    say("starting the server for constraints and counts")
    found = _finished(neo4j, name, folder, say)
    begun.unlink()
    return found


def explain_offline(folder: Path, home: str | Path, *, database: str | None = None) -> list[str]:
    """Return what ``load_offline`` would do, a line a step."""
    check_ids(folder)
    neo4j = Neo4jHome(home)
    name = _name(neo4j, database)
    there = (neo4j.data() / "databases" / name).is_dir()
    first = f"would replace the database {name} in {neo4j.data()}, if mindkg wrote all that is in it"
    options = " ".join(arguments(FORMS[0], array_delimiter(folder)))
    return [
        first if there else f"would make the database {name} in {neo4j.data()}",
        f"would write {sum(expected_rows(folder).values()):,} rows as CSV files, and remove them afterwards",
        f"would run neo4j-admin database import full {name} {options}",
        "would start the server for as long as it takes to make constraints and indexes",
        "would compare the counts of every label and type with the tables",
    ]


def _name(home: Neo4jHome, database: str | None) -> str:
    """Return the name of the database; Neo4j makes it lower-case, and so does its folder."""
    return (database or os.environ.get("NEO4J_DATABASE") or home.default_database()).lower()


def _begun(home: Neo4jHome, database: str) -> Path:
    """Return the file that is there from the beginning of an import until it is known to be good."""
    return home.data() / f"mindkg-import-{database}"


def import_files(folder: Path, home: Neo4jHome, database: str, say: Progress) -> None:
    """Write the files of the graph folder ``folder`` and import them; what the database held is gone then."""
    delimiter = array_delimiter(folder)
    with tempfile.TemporaryDirectory(prefix=".mindkg-import-", dir=home.path) as files:
        say("writing files for the importer")
        # not Parquet: the importer reads no lists from it
        try:
            rows, longest = write_files(folder, Path(files), FORMS[:1], delimiter, finished=False)
        except OSError as error:
            hint = "Free some space, or move Neo4j to a larger disk: the files take about as much as the tables"
            message = f"The files for the importer cannot be written: {error.strerror or one_line(error)}"
            raise StoreError(message, record=str(home.path), hint=hint) from error
        say(f"importing {sum(rows.values()):,} nodes and relationships")
        options = [*arguments(FORMS[0], delimiter, longest), "--overwrite-destination=true"]
        home.data().mkdir(parents=True, exist_ok=True)
        _begun(home, database).touch()
        home.admin(["database", "import", "full", database, *options], Path(files))


def _held(home: Neo4jHome, database: str, folder: Path, *, cut_off: bool) -> Counts | None:
    """Return the counts of a database that holds the graph already, None where it may be replaced.

    An import that was ``cut_off`` may have left a database that does not open.
    """
    others, held = 0, None
    try:
        with home.server(database) as address, closing(_connected(address, database)) as store:
            others = store.run(statement("load/other-nodes"))[0]["n"]
            if not others and not cut_off and holds(store, folder, graph_key(folder)):
                define(store, lambda line: None)
                held = counts(store)
    except StoreError:
        if not cut_off:
            raise
    if others:
        message = f"The database has {others:,} nodes that mindkg did not write, and an import would remove them"
        raise StoreError(message, record=str(home.path), hint="Load it online, with --uri, or another --database")
    return held


def _finished(home: Neo4jHome, database: str, folder: Path, say: Progress) -> Counts:
    with home.server(database) as address:
        store = _connected(address, database)
        try:
            define(store, say)
            say("checking the counts")
            check_counts("Neo4j", expected_rows(folder), _imported_rows(store))
            found = counts(store)
            check_counts("Neo4j", expected_counts(folder), found)
            store.run(statement("load/finish"), load=_FIRST)
            return found
        finally:
            store.close()


def _connected(address: str, database: str) -> Neo4jStore:
    return Neo4jStore.connect(address, database=database, partial=True)


def _imported_rows(store: Neo4jStore) -> Counts:
    """Return how many nodes of each label and relationships of each type there are: all of them are of the import."""
    texts = {node.label: statement("load/all-nodes", label=node.label) for node in NODES}
    texts |= {type_.type: statement("load/all-relationships", type=type_.type) for type_ in relationship_types()}
    return {name: int(store.run(text)[0]["n"]) for name, text in texts.items()}
