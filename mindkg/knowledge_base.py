"""What a user opens: a KB's tables, its graph in every form, and the engines that answer queries on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self, cast

import pyarrow as pa

from mindkg import stages
from mindkg.checksums import damaged_file, seal
from mindkg.errors import InputError, MindKGError, StorageError, StoreError, UsageError, nearest
from mindkg.places import discard
from mindkg.schema import KEYS, SCHEMA_VERSION, TABLES
from mindkg.storage import KBDirectory, Manifest, fingerprint

if TYPE_CHECKING:
    import subprocess

    import daft
    import networkx
    import rdflib

    from mindkg.graph.validate import Violation
    from mindkg.stores import Store

Progress = Callable[[str], None]
"""Called with a line that says what is being done now."""

DEFAULT_ENGINE: Final = "ladybug"


class KnowledgeBase:
    """A finished KB, opened for reading at the version that is published now.

    A build that publishes later does not disturb it; open the KB again to see the newer version. Stores are made when
    they are first asked for, under ``kb/stores``, and used again as long as the tables stay the same.

    ``path`` is the KB's folder; of a KB in an object store it is the one in the work folder, and ``address`` says where
    its tables are.
    """

    def __init__(self, path: str | Path, manifest: Manifest) -> None:
        self._directory = KBDirectory(path)
        apart = self._directory.place.apart
        self.path = self._directory.path if apart else Path(path)
        self.address = self._directory.address if apart else str(self.path)
        self.manifest = manifest
        self._stores: dict[tuple[str, bool, bool], Store] = {}

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Return the KB at ``path``, or at that address; raises StorageError where there is none or it is broken."""
        return cls(path, KBDirectory(path).open_manifest())

    def close(self) -> None:
        """Close the stores that were opened."""
        while self._stores:
            self._stores.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        rows = {name: self.manifest.tables[name].rows for name in ("products", "cobuys", "assertions", "concepts")}
        return f"KnowledgeBase({self.address!r}, {', '.join(f'{n:,} {name}' for name, n in rows.items())})"

    # tables

    def table(self, name: str, *, limit: int | None = None) -> pa.Table:
        """Return the table ``name`` (see ``mindkg.schema.TABLES``), its rows sorted by key; the first ``limit`` rows.

        Raises UsageError for an unknown name.
        """
        from mindkg.parquet import dataset, read_table, reading
        from mindkg.places import FILE

        file = self._folder(name) / FILE
        if limit is None:
            return read_table(file).cast(TABLES[name])
        with reading(file):
            return dataset(file).head(limit, batch_size=limit, batch_readahead=0).cast(TABLES[name])

    def scan(self, name: str) -> daft.DataFrame:
        """Return the table ``name`` as a lazy Daft frame."""
        self._folder(name)
        return stages.scan(self._directory, self.manifest.tables[name])

    def info(self) -> dict[str, Any]:
        """Return what the KB holds: rows of tables, where input rows went, inputs, options, versions and stores.

        ``rejects`` counts them by stage and reason, ``refused`` the assertions that the filter refused.
        """
        m = self.manifest
        rejects: dict[str, dict[str, int]] = {}
        reasons = self.table("rejects").group_by(["stage", "reason"]).aggregate([([], "count_all")])
        for row in reasons.sort_by([("count_all", "descending"), ("reason", "ascending")]).to_pylist():
            rejects.setdefault(row["stage"], {})[row["reason"]] = row["count_all"]
        accepted = self.table("assertions")["accepted"]
        stages = {
            s.stage: {"read": s.read, "kept": s.kept, "rejected": s.rejected, **s.notes} for s in m.stages.values()
        }
        return {
            "path": self.address,
            "created": m.created,
            "schema_version": SCHEMA_VERSION,
            "tables": {name: m.tables[name].rows for name in KEYS if name in m.tables},
            "stages": stages,
            "rejects": rejects,
            "refused": sum(v["counts"] for v in accepted.value_counts().to_pylist() if v["values"] is False),
            "inputs": m.inputs,
            "options": m.options,
            "versions": m.versions,
            "stores": sorted({p.parent.name for p in self._directory.work.glob(f"stores/*/{m.fingerprint}-*")}),
        }

    def clean(self) -> list[Path | str]:
        """Remove what no version of the KB names any more; return the paths that went, or the addresses."""
        with self._directory.writing(), self._directory.loading():
            return sorted([*self._directory.clean(), *self._old_variants()], key=str)

    def _old_variants(self) -> list[Path]:
        """Remove the stores of these tables that another version of mindkg or of an engine made."""
        from mindkg.stores import ENGINES

        current = {self._store_folder(name, flag) for name in ("graph", *ENGINES) for flag in (False, True)}
        old = [p for p in self._directory.work.glob(f"stores/*/{self.manifest.fingerprint}-*") if p not in current]
        for path in old:
            discard(path)
        return old

    # the graph

    def graph(self, *, include_filtered: bool = False, progress: Progress | None = None) -> Path:
        """Return the folder of Parquet files that hold the graph, made if it is not there yet.

        What the filter refused is in it only with ``include_filtered``.
        """
        from mindkg.graph import selection

        target = self._store_folder("graph", include_filtered)
        if not self._is_intact(target):
            with self._directory.loading():
                if not self._is_intact(target):  # another process may have made it meanwhile
                    _say(progress, "selecting what the graph holds")
                    tables = {name: self._folder(name) for name in self.manifest.tables}
                    with self._directory.building(target) as folder:
                        selection.select_graph(tables, folder, include_filtered=include_filtered)
                        seal(folder)
        return target

    def _is_intact(self, folder: Path) -> bool:
        """Return whether a graph folder or a store is there and all its files are what was written."""
        return damaged_file(folder, self._directory.verified) is None

    def load(
        self,
        engine: str = DEFAULT_ENGINE,
        *,
        uri: str | None = None,
        user: str | None = None,
        database: str | None = None,
        offline: bool = False,
        neo4j_home: str | Path | None = None,
        endpoint: str | None = None,
        graph: str | None = None,
        explain: bool = False,
        include_filtered: bool = False,
        progress: Progress | None = None,
    ) -> dict[str, int]:
        """Load the graph into ``engine`` (ladybug, oxigraph, neo4j or sparql) and return what it holds by class.

        The embedded ones are loaded if they are stale. ``neo4j`` takes the server's ``uri``, ``user`` and ``database``
        (else NEO4J_URI, NEO4J_USERNAME and NEO4J_DATABASE; the password is NEO4J_PASSWORD), or, with ``offline``, the
        folder ``neo4j_home`` of a server that is stopped (its settings' database where none is named). ``sparql`` takes
        the ``endpoint`` and the IRI of the named ``graph``. With ``explain`` nothing is loaded: the steps go to
        ``progress``, and the counts are those that the engine would hold.

        Raises InputError for an option of another engine, StoreError where the engine cannot be loaded or holds
        something else than the tables afterwards.
        """
        servers: dict[str, Any] = {
            "uri": uri,
            "user": user,
            "database": database,
            "offline": offline,
            "neo4j_home": neo4j_home,
        }
        _check_options(engine, {"neo4j": servers, "sparql": {"endpoint": endpoint, "graph": graph}})
        if engine == "neo4j":
            return self._load_neo4j(**servers, explain=explain, include_filtered=include_filtered, progress=progress)
        if engine == "sparql":
            return self._load_sparql(endpoint, graph, explain, include_filtered, progress)
        from mindkg.stores.base import counts

        if explain:
            return self._explain(engine, include_filtered, progress)
        return counts(self.store(engine, include_filtered=include_filtered, progress=progress))

    def _load_neo4j(
        self,
        uri: str | None,
        user: str | None,
        database: str | None,
        offline: bool,
        neo4j_home: str | Path | None,
        explain: bool,
        include_filtered: bool,
        progress: Progress | None,
    ) -> dict[str, int]:
        from mindkg.graph.property_graph import expected_counts
        from mindkg.stores import neo4j_load, neo4j_offline

        if offline and not neo4j_home:
            raise UsageError("an offline load needs the folder of Neo4j", hint="Give it: --neo4j-home DIR")
        if neo4j_home and not offline:
            raise UsageError("the option neo4j_home is for an offline load", hint="Add --offline")
        address = uri or os.environ.get("NEO4J_URI")
        if offline and (uri or user):
            raise UsageError("an offline load reaches no server", hint="Leave out --uri and --user")
        if not offline and not address:
            raise UsageError("a Neo4j server has an address", hint="Give it: --uri bolt://127.0.0.1:7687")
        folder = self.graph(include_filtered=include_filtered, progress=progress)
        if explain:
            online = [] if offline else neo4j_load.explain_online(folder, address or "")
            for line in online or neo4j_offline.explain_offline(folder, neo4j_home or "", database=database):
                _say(progress, line)
            return expected_counts(folder)
        if offline:
            return neo4j_offline.load_offline(folder, neo4j_home or "", database=database, progress=progress)
        return neo4j_load.load_online(folder, address or "", user=user, database=database, progress=progress)

    def _load_sparql(
        self,
        endpoint: str | None,
        graph: str | None,
        explain: bool,
        include_filtered: bool,
        progress: Progress | None,
    ) -> dict[str, int]:
        from mindkg.graph.property_graph import expected_counts

        if endpoint is None:
            hint = "Give it: --endpoint http://127.0.0.1:3030/kb"
            raise UsageError("a SPARQL server has an address", hint=hint)
        from mindkg.stores.sparql import explain_sparql, load_sparql

        steps = explain_sparql(endpoint, graph)  # a mistake shows before the graph is made
        folder = self.graph(include_filtered=include_filtered, progress=progress)
        if explain:
            for step in steps:
                _say(progress, step)
            return expected_counts(folder)
        return load_sparql(folder, endpoint, graph=graph, progress=progress)

    def _explain(self, engine: str, include_filtered: bool, progress: Progress | None) -> dict[str, int]:
        from mindkg.graph.property_graph import expected_counts
        from mindkg.stores.base import engine_class

        engine_class(engine)
        target = self._store_folder(engine, include_filtered)
        if target.is_dir():
            _say(progress, f"{engine} holds the graph already, in {target}")
        else:
            _say(progress, f"would load the graph into {engine}, in {target}, and compare the counts with the tables")
        return expected_counts(self.graph(include_filtered=include_filtered, progress=progress))

    def store(
        self,
        engine: str = DEFAULT_ENGINE,
        *,
        include_filtered: bool = False,
        partial: bool = False,
        progress: Progress | None = None,
    ) -> Store:
        """Return the embedded ``engine`` opened on the graph, loaded before if it is stale or does not open.

        Where ``engine`` is the address of a server, such as bolt://127.0.0.1:7687 or http://127.0.0.1:3030/kb, it is
        that server with what was loaded into it; nothing is loaded then. While a load into the server is at work, and
        after one that was interrupted, queries raise QueryError; with ``partial`` they get what is there.
        """
        from mindkg.stores import load_store, open_store
        from mindkg.stores.base import engine_class, is_address

        partial = partial and is_address(engine)  # what a KB holds itself is whole
        known = self._stores.get((engine, include_filtered, partial))
        if known is not None:
            return known
        if is_address(engine):
            if include_filtered:
                hint = "Load it again with --include-filtered"
                raise InputError("a server holds what was loaded into it", record=engine, hint=hint)
            return self._stores.setdefault((engine, False, partial), self._remote(engine, partial, progress))
        engine_class(engine)  # an unknown name shows before anything is made
        target = self._store_folder(engine, include_filtered)
        store = self._opened(engine, target)
        if store is None:
            folder = self.graph(include_filtered=include_filtered, progress=progress)
            with self._directory.loading():
                store = self._opened(engine, target)  # another process may have made it meanwhile
                if store is None:
                    _say(progress, f"loading the graph into {engine}")
                    load_store(engine, folder, target, progress)
                    store = open_store(engine, target)
        self._stores[engine, include_filtered, partial] = store
        return store

    def _opened(self, engine: str, target: Path) -> Store | None:
        """Return the store in ``target``, None where there is none that is intact and opens: it is made anew then."""
        from mindkg.stores import open_store

        if not self._is_intact(target):
            return None
        try:
            return open_store(engine, target)
        except StoreError:
            return None

    def _remote(self, address: str, partial: bool, progress: Progress | None) -> Store:
        """Return the server at ``address``; where it says that it holds another graph than this KB's, that is said."""
        from mindkg.stores import open_remote
        from mindkg.stores.base import another_graph

        server = open_remote(address, partial=partial)
        try:
            server.check_whole()
        except MindKGError:
            server.close()
            raise
        try:
            folders = [self.graph(progress=progress)]
        except StorageError:  # a KB that nothing can be written to may still ask
            return server
        filtered = self._store_folder("graph", include_filtered=True)
        if filtered.is_dir():
            folders.append(filtered)
        if warning := another_graph(server, folders):
            _say(progress, warning)
        return server

    # queries

    def query(
        self,
        name: str,
        *,
        engine: str = DEFAULT_ENGINE,
        include_filtered: bool = False,
        partial: bool = False,
        progress: Progress | None = None,
        **parameters: Any,
    ) -> pa.Table:
        """Return the rows of the catalogue query ``name`` (see ``mindkg queries``) for its ``parameters``.

        ``engine`` is ladybug, oxigraph or the address of a server that was loaded before (see ``store``). The rows and
        their order are the same everywhere. A product, concept or intention may be named by its id or, whatever
        the case, by its title, label or text. ``partial`` queries a server of which only a part was loaded, too.
        Raises UsageError for an unknown query, a missing parameter or a value of the wrong type, QueryError for a
        value that the KB does not have.
        """
        from mindkg import queries
        from mindkg.stores.base import engine_class, is_address

        if not is_address(engine):
            engine_class(engine)
        query = queries.find(name)
        values = queries.resolve(query, parameters, self._columns)  # a mistake shows before an engine is loaded
        store = self.store(engine, include_filtered=include_filtered, partial=partial, progress=progress)
        return queries.run(store, query, values)

    def sparql(self, text: str, *, include_filtered: bool = False, progress: Progress | None = None) -> pa.Table:
        """Return the rows of a SPARQL query; raises QueryError, one line, where it is refused."""
        return self.store("oxigraph", include_filtered=include_filtered, progress=progress).query(text)

    def cypher(
        self,
        text: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        include_filtered: bool = False,
        progress: Progress | None = None,
    ) -> pa.Table:
        """Return the rows of a Cypher query with bound ``parameters``; raises QueryError where it is refused."""
        return self.store("ladybug", include_filtered=include_filtered, progress=progress).query(text, parameters)

    def serve(
        self,
        *,
        port: int = 7878,
        timeout: float = 60.0,
        max_rows: int = 1_000_000,
        include_filtered: bool = False,
        progress: Progress | None = None,
    ) -> AbstractContextManager[tuple[str, subprocess.Popen[bytes]]]:
        """Give the address of a read-only SPARQL server on the graph, and its process; it ends with the block.

        A query has ``timeout`` seconds and ``max_rows`` rows or triples, and is refused beyond. Needs the extra
        ``serve``. Raises StoreError where the port is taken.
        """
        from mindkg.serving import Limits, serving
        from mindkg.stores.oxigraph import OxigraphStore

        store = self.store("oxigraph", include_filtered=include_filtered, progress=progress)
        limits = Limits(timeout=timeout, max_rows=max_rows)
        return serving(cast("OxigraphStore", store).place, port=port, limits=limits)

    # other forms

    def export(
        self,
        to: str,
        output: str | Path | None = None,
        *,
        base: str | None = None,
        include_filtered: bool = False,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Path:
        """Write the graph as ``to``, a name of ``mindkg.graph.forms.FORMS``, and return the path.

        Without ``output`` it goes under the KB's ``exports`` and replaces what is there; elsewhere a file, or files of
        others in a folder, are replaced only with ``overwrite``. ``base`` is the base of data IRIs. Raises InputError
        for what the form does not take, or that cannot be written.
        """
        from mindkg import outputs
        from mindkg.graph import forms

        target = Path(output) if output else self.path / "exports" / forms.FORMS.get(to, "")
        overwrite = overwrite or not output
        forms.check_form(to, base, target.name)
        if to in forms.FOLDERS:
            outputs.check_folder(target, to, overwrite=overwrite)
        else:
            outputs.check_file(target, overwrite=overwrite)
        graph = self.graph(include_filtered=include_filtered, progress=progress)
        _say(progress, f"writing {target}")
        if to in forms.FOLDERS:
            with outputs.new_folder(target, to, overwrite=overwrite) as folder:
                forms.write_folder(to, graph, folder)
        else:
            with outputs.new_file(target, overwrite=overwrite) as stream:
                forms.write_form(to, graph, stream, base, progress)
        return target

    def write(
        self,
        to: str,
        stream: BinaryIO,
        *,
        base: str | None = None,
        include_filtered: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Write the graph as ``to``, a form of one file, to the binary ``stream``; the rest as in ``export``."""
        from mindkg.graph import forms

        forms.check_form(to, base, "")
        if to in forms.FOLDERS:
            raise UsageError(f"{to} is a folder of files and cannot go into a stream", hint="Give a folder with -o")
        folder = self.graph(include_filtered=include_filtered, progress=progress)
        forms.write_form(to, folder, stream, base, progress)

    def validate(self, *, shacl: bool | None = None, include_filtered: bool = False) -> list[Violation]:
        """Return what breaks the SHACL rules of the ontology: nothing in a sound KB.

        The rules are checked on the tables; with ``shacl`` pyshacl checks the RDF itself (small graphs).
        """
        from mindkg.graph import validate

        folder = self.graph(include_filtered=include_filtered)
        return validate.validate_graph(folder) if shacl else validate.validate_tables(folder)

    def to_rdflib(self, *, include_filtered: bool = False) -> rdflib.Graph:
        """Return the graph as an rdflib Graph over the Oxigraph store, read-only, with the prefixes of the ontology."""
        import rdflib
        from oxrdflib import OxigraphStore
        from pyoxigraph import Store
        from rdflib.graph import DATASET_DEFAULT_GRAPH_ID

        from mindkg.graph.rdf_model import prefixes

        self.load("oxigraph", include_filtered=include_filtered)
        place = self._store_folder("oxigraph", include_filtered)
        store = OxigraphStore(store=Store.read_only(str(place)))
        graph = rdflib.Graph(store=store, identifier=DATASET_DEFAULT_GRAPH_ID, bind_namespaces="none")
        for prefix, iri in prefixes().items():
            graph.bind(prefix, iri)
        return graph

    def to_networkx(self, *, include_filtered: bool = False) -> networkx.MultiDiGraph[tuple[str, str]]:
        """Return the property graph as a networkx MultiDiGraph; nodes are (label, id)."""
        from mindkg.graph.exports import to_networkx

        return to_networkx(self.graph(include_filtered=include_filtered))

    def _columns(self, name: str, columns: list[str]) -> pa.Table:
        import pyarrow.parquet as pq

        return pq.read_table(self._folder(name), columns=columns).cast(
            pa.schema([TABLES[name].field(c) for c in columns])
        )

    def _folder(self, name: str) -> Path:
        if name not in self.manifest.tables:
            hint = nearest(name, self.manifest.tables) or f"Tables: {', '.join(sorted(self.manifest.tables))}"
            raise UsageError(f"there is no table {name!r}", hint=hint)
        return self._directory.table_folder(self.manifest.tables[name])

    def _store_folder(self, engine: str, include_filtered: bool) -> Path:
        from mindkg.graph import selection
        from mindkg.stores.base import ENGINES, shape

        parts = shape(engine) if engine in ENGINES else []
        variant = fingerprint(version("mindkg"), selection.VERSION, include_filtered, *parts)[:6]
        return self._directory.store_folder(engine, f"{self.manifest.fingerprint}-{variant}")


def _say(progress: Progress | None, line: str) -> None:
    if progress:
        progress(line)


def _check_options(engine: str, options: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise InputError where an option is given that belongs to another engine."""
    for owner, values in options.items():
        given = [name for name, value in values.items() if value]
        if given and owner != engine:
            raise UsageError(f"the option {given[0]} is one of {owner}, not of {engine}", hint="Leave it out")
