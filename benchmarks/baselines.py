"""What mindkg is compared with: the engines' own bulk loaders on ready files, rdflib, a Python dictionary."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import defaultdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Done, timed

if TYPE_CHECKING:
    from rdflib import Graph

RDFLIB_ROWS = 20_000
DICTIONARY_ROWS = 2_000_000


def oxigraph_alone(nt: str) -> Done:
    """Oxigraph's bulk loader on a ready N-Triples file; rows are triples."""
    import pyoxigraph

    place = Path(tempfile.mkdtemp(dir=Path(nt).parent))

    def work() -> int:
        store = pyoxigraph.Store(str(place))
        store.bulk_load(path=nt, format=pyoxigraph.RdfFormat.N_TRIPLES, lenient=True)
        store.flush()
        return len(store)

    try:
        started = time.perf_counter()
        rows = work()
        return Done(rows, time.perf_counter() - started)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def property_graph(kb: str, files: str) -> Done:
    """The Parquet files that LadybugDB's loader takes; not a baseline itself."""
    from mindkg.graph.property_graph import write_property_graph
    from mindkg.knowledge_base import KnowledgeBase

    Path(files).mkdir(parents=True)
    folder = KnowledgeBase.open(kb).graph()
    return timed(lambda: sum(write_property_graph(folder, Path(files)).values()))


def ladybug_alone(files: str) -> Done:
    """LadybugDB's COPY on ready Parquet files; rows are nodes and relationships."""
    import ladybug
    import pyarrow.parquet as pq

    # the project's own statements: the tables have to be the same
    from mindkg.stores.ladybug import _POOL, _copy, _definitions

    place = Path(tempfile.mkdtemp(dir=Path(files).parent))
    rows = {file: pq.ParquetFile(file).metadata.num_rows for file in _nodes_first(Path(files))}

    def work() -> int:
        database = ladybug.Database(str(place / "graph.lbug"), buffer_pool_size=_POOL)
        connection = ladybug.Connection(database)
        for statement in _definitions():
            connection.execute(statement)
        for file in rows:
            if rows[file]:
                connection.execute(_copy(file.stem, file))
        connection.execute("CHECKPOINT;")
        connection.close()
        database.close()
        return sum(rows.values())

    try:
        return timed(work)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _nodes_first(files: Path) -> list[Path]:
    from mindkg.graph.property_graph import NODES

    labels = {node.label for node in NODES}
    return sorted(files.glob("*.parquet"), key=lambda file: (file.stem not in labels, file.stem))


def rdflib_alone(kb: str, out: str, rows: int = RDFLIB_ROWS) -> Done:
    """The first ``rows`` assertions as rdflib makes them, written as N-Triples; rows are triples."""
    import pyarrow.parquet as pq
    from rdflib import Graph

    from mindkg.knowledge_base import KnowledgeBase

    folder = KnowledgeBase.open(kb).graph()
    assertions = pq.read_table(folder / "assertions.parquet").slice(0, rows).to_pylist()
    intentions = pq.read_table(folder / "intentions.parquet").slice(0, rows).to_pylist()

    def work() -> int:
        triples = Graph()
        _add(triples, assertions, intentions)
        triples.serialize(out, format="nt", encoding="utf-8")
        return len(triples)

    return timed(work)


def _add(triples: Graph, assertions: list[dict[str, Any]], intentions: list[dict[str, Any]]) -> None:
    from rdflib import DCTERMS, RDF, RDFS, Literal, Namespace

    from mindkg.vocabulary import DATA, MIND

    mind, assertion, intention, cobuy = (
        Namespace(iri) for iri in (MIND, f"{DATA}assertion/", f"{DATA}intention/", f"{DATA}cobuy/")
    )
    for row in assertions:
        node, pair, why = assertion[row["assertion_id"]], cobuy[row["cobuy_id"]], intention[row["intention_id"]]
        triples.add((pair, mind[row["relation"]], why))
        triples.add((node, RDF.type, mind.Assertion))
        triples.add((node, DCTERMS.identifier, Literal(row["assertion_id"])))
        triples.add((node, mind.cobuy, pair))
        triples.add((node, mind.relation, mind[row["relation"]]))
        triples.add((node, mind.intention, why))
        triples.add((node, mind.support, Literal(row["support"])))
        triples.add((node, mind.stated, Literal(row["stated"])))
    for row in intentions:
        node = intention[row["intention_id"]]
        triples.add((node, RDF.type, mind.Intention))
        triples.add((node, DCTERMS.identifier, Literal(row["intention_id"])))
        triples.add((node, RDFS.label, Literal(row["text"])))


def dictionary_isa(table: str, rows: int = DICTIONARY_ROWS) -> Done:
    """The first ``rows`` lines of an isA table in Python dictionaries, with the totals of both sides."""

    def work() -> int:
        index: dict[str, dict[str, int]] = defaultdict(dict)
        instances: dict[str, int] = defaultdict(int)
        concepts: dict[str, int] = defaultdict(int)
        done = 0
        with Path(table).open(encoding="utf-8", errors="replace") as file:
            for line in islice(file, rows):
                done += 1
                fields = line.rstrip("\n").split("\t")
                if len(fields) != 3 or not fields[2].isdigit():
                    continue
                concept, instance, count = fields[0], fields[1], int(fields[2])
                known = index[instance]
                known[concept] = known.get(concept, 0) + count
                instances[instance] += count
                concepts[concept] += count
        return done

    return timed(work)


TASKS = (oxigraph_alone, property_graph, ladybug_alone, rdflib_alone, dictionary_isa)
