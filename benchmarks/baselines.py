"""What mindkg is compared with: the engines' own bulk loaders on ready files, rdflib, a Python dictionary, DuckDB."""

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
    import pyarrow as pa
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


def phrase_of(table: str) -> str:
    """Return the instance of the first line of an isA table."""
    with Path(table).open(encoding="utf-8") as file:
        return file.readline().split("\t")[1]


def intentions(answers: str) -> pa.Table:
    """Return intention_id (the number of the row), text, relation and titles of each answer in MIND's layout."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    columns = ["Product_a", "Product_b", "Relation", "tail", "item_a_cate"]
    rows = csv.read_csv(
        answers,
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            include_columns=columns, column_types=dict.fromkeys(columns, pa.string()), strings_can_be_null=False
        ),
    )
    number = pa.array(range(rows.num_rows)).cast(pa.string())
    return pa.table(
        {
            "intention_id": pc.utf8_lpad(number, 16, "0"),
            "text": pc.replace_substring_regex(rows["tail"], "^.*because they ", ""),
            "relation": pc.if_else(pc.equal(rows["Relation"], "propertOf"), "propertyOf", rows["Relation"]),
            "titles": pc.binary_join_element_wise(rows["Product_a"], rows["Product_b"], rows["item_a_cate"], " "),
        }
    )


def duckdb_isa(table: str, work: str) -> Done:
    """DuckDB: an isA table to Parquet, equal pairs added up, with the totals of both sides; rows are lines."""
    import duckdb

    base = duckdb.connect()
    base.execute("SET memory_limit = '3GB'")
    base.execute(f"SET temp_directory = '{work}/duckdb'")

    def convert() -> int:
        base.execute(_LINES, [table])
        base.execute(f"COPY ({_SUMMED}) TO '{work}/{DUCKDB_ISA}' (FORMAT parquet)")
        ((lines,),) = base.execute("SELECT count(*) FROM lines").fetchall()
        return int(lines)

    return timed(convert)


def duckdb_join(work: str, answers: str) -> Done:
    """DuckDB: the last one to three words of each intention joined to the table that duckdb_isa wrote.

    The five concepts with the largest P(c|e) for each intention's longest known end; no noun phrases, no sense from
    context, no hierarchy: less than linking does. Rows are intentions.
    """
    import duckdb

    texts = intentions(answers).select(["intention_id", "text"])
    base = duckdb.connect()
    base.execute("SET memory_limit = '3GB'")
    base.execute(f"SET temp_directory = '{work}/duckdb'")
    base.register("intentions", texts)

    def join() -> int:
        base.execute(f"CREATE TABLE linked AS {_JOINED}", [f"{work}/{DUCKDB_ISA}"])
        return texts.num_rows

    return timed(join)


DUCKDB_ISA = "duckdb-isa.parquet"

_LINES = """
CREATE TEMP TABLE lines AS
SELECT lower(column0) AS concept, lower(column1) AS instance, try_cast(column2 AS BIGINT) AS count
FROM read_csv(?, delim = '\t', header = false, quote = '', escape = '', all_varchar = true, ignore_errors = true,
              columns = {'column0': 'VARCHAR', 'column1': 'VARCHAR', 'column2': 'VARCHAR'}, auto_detect = false)
"""

_SUMMED = """
WITH pairs AS (SELECT instance, concept, sum(count) AS count FROM lines WHERE count > 0 GROUP BY ALL),
instances AS (SELECT instance, sum(count) AS total FROM pairs GROUP BY ALL),
concepts AS (SELECT concept, sum(count) AS concept_total FROM pairs GROUP BY ALL)
SELECT * FROM pairs JOIN instances USING (instance) JOIN concepts USING (concept)
"""

_JOINED = """
WITH words AS (SELECT intention_id, string_split(lower(text), ' ') AS words FROM intentions),
ends AS (
  SELECT intention_id, size, array_to_string(words[-size:], ' ') AS instance
  FROM words, (SELECT unnest([1, 2, 3]) AS size) WHERE len(words) >= size
),
known AS (
  SELECT ends.*, concept, count / total AS typicality, count / concept_total AS back
  FROM ends JOIN read_parquet(?) USING (instance)
)
SELECT * FROM known
QUALIFY size = max(size) OVER (PARTITION BY intention_id)
  AND row_number() OVER (PARTITION BY intention_id, size ORDER BY typicality DESC, concept) <= 5
"""

TASKS = (
    *(oxigraph_alone, property_graph, ladybug_alone, rdflib_alone),
    *(dictionary_isa, duckdb_isa, duckdb_join),
)
