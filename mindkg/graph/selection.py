"""What the graph holds: tables of a KB to the graph folder that every form of the graph is made from.

A graph folder has one Parquet file for each table in ``GRAPH_TABLES``, sorted by its key. ``evidence`` has the column
``run_id`` of its generation besides its own, ``mentions`` the column ``mention_id``: the key of its row in ``senses``,
which has words, concept and score once, however many intentions they stand in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from mindkg import identity
from mindkg.abstractions import ASSERTED, PAIRS, abstract
from mindkg.engine import read_parquet
from mindkg.parquet import dataset, read_table, writer
from mindkg.schema import TABLES

if TYPE_CHECKING:
    import pyarrow.dataset as ds

VERSION: Final = 3
"""Raised when the selection changes, so that what was made from an older one is made anew."""

GRAPH_TABLES: Final = (
    "products",
    "cobuys",
    "assertions",
    "evidence",
    "intentions",
    "mentions",
    "senses",
    "concepts",
    "hypernyms",
    "ancestors",
    "kinds",
    "abstractions",
    "runs",
)

EVIDENCE: Final = TABLES["evidence"].append(pa.field("run_id", pa.string(), nullable=False))
"""The schema of ``evidence`` in a graph folder."""

MENTIONS: Final = TABLES["mentions"].append(pa.field("mention_id", pa.string(), nullable=False))
"""The schema of ``mentions`` in a graph folder."""

SENSES: Final = pa.schema([MENTIONS.field(name) for name in ("mention_id", "surface", "concept", "rep")])
"""The schema of ``senses``: that words speak of a concept; a row for all mentions that say the same. Key: the first."""

_BATCH = 65_536


def graph_schema(table: str) -> pa.Schema:
    """Return the schema of ``table`` in a graph folder."""
    own = {"evidence": EVIDENCE, "mentions": MENTIONS, "senses": SENSES}
    return own[table] if table in own else TABLES[table]


def mention_ids(mentions: pa.RecordBatch) -> pa.Array:
    """Return the key of each mention's row in ``senses``: the hash of surface, concept and rep, shape (mentions,)."""
    columns = [mentions[name].cast(pa.large_string()) for name in ("surface", "concept", "rep")]
    said = pc.binary_join_element_wise(*columns, pa.scalar(identity.SEPARATOR, pa.large_string())).dictionary_encode()
    return identity.keys([said.dictionary]).take(said.indices)


def senses(mentions: pa.Table) -> pa.Table:
    """Return the rows of ``senses`` behind ``mentions`` (columns as in ``SENSES``), sorted by key."""
    return mentions.select(SENSES.names).group_by(SENSES.names).aggregate([]).sort_by("mention_id").cast(SENSES)


def select_graph(tables: Mapping[str, Path], folder: Path, *, include_filtered: bool = False) -> dict[str, int]:
    """Write the graph folder ``folder`` and return the rows of each of its tables.

    ``tables`` gives the folder of Parquet files of each table of the KB, sorted by key. The graph holds all products
    and co-buys with the products' kinds; the assertions that the filter did not refuse (all with ``include_filtered``)
    and what they say of kinds; the intentions, mentions, concepts (with all that is above them) and runs that those
    reach.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = {name: dataset(path) for name, path in tables.items()}
    rows = {name: _copy(source[name], folder, name) for name in ("products", "cobuys")}

    refused = None if include_filtered else pc.field("accepted").is_null() | pc.field("accepted")
    rows["assertions"] = _copy(source["assertions"], folder, "assertions", refused)
    assertions = folder / "assertions.parquet"

    rows["evidence"] = _write(_evidence(tables, assertions), folder, "evidence")
    rows["runs"] = _copy(source["runs"], folder, "runs", _reached("run_id", _values(folder, "evidence", "run_id")))

    intentions = _values(folder, "assertions", "intention_id")
    rows["intentions"] = _copy(source["intentions"], folder, "intentions", _reached("intention_id", intentions))
    said: list[pa.Table] = []
    mentions = _scan(source["mentions"], "mentions", _reached("intention_id", intentions))
    rows["mentions"] = _write(_named(mentions, said), folder, "mentions")
    rows["senses"] = _write(iter(senses(pa.concat_tables(said)).to_batches()), folder, "senses")

    rows["kinds"] = _copy(source["kinds"], folder, "kinds")
    rows["abstractions"] = _write(_abstractions(folder), folder, "abstractions")

    mentioned = pc.unique(pa.concat_arrays([_values(folder, name, "concept") for name in ("mentions", "kinds")]))
    above = source["ancestors"].to_table(columns=["ancestor"], filter=_reached("concept", mentioned))["ancestor"]
    reached = pc.unique(pa.concat_arrays([mentioned, above.combine_chunks()]))
    for name in ("concepts", "hypernyms", "ancestors"):
        rows[name] = _copy(source[name], folder, name, _reached("concept", reached))
    return rows


def _reached(column: str, values: pa.Array) -> pc.Expression:
    return pc.field(column).isin(values)


def _values(folder: Path, table: str, column: str) -> pa.Array:
    # one array keeps its type where there is no value; a chunked one without chunks would lose it
    return pc.unique(read_table(folder / f"{table}.parquet", columns=[column])[column].combine_chunks())


def _copy(source: ds.Dataset, folder: Path, name: str, rows: pc.Expression | None = None) -> int:
    return _write(_scan(source, name, rows), folder, name)


def _scan(source: ds.Dataset, name: str, rows: pc.Expression | None) -> Iterator[pa.RecordBatch]:
    batches: Iterator[pa.RecordBatch] = source.to_batches(columns=TABLES[name].names, filter=rows, batch_size=_BATCH)
    return batches


def _named(mentions: Iterator[pa.RecordBatch], said: list[pa.Table]) -> Iterator[pa.RecordBatch]:
    """Yield ``mentions`` with ``mention_id`` and put what they say into ``said``, each batch's senses once."""
    said.append(SENSES.empty_table())
    for batch in mentions:
        named = batch.append_column("mention_id", mention_ids(batch)).cast(MENTIONS)
        said.append(senses(pa.Table.from_batches([named])))
        yield named


def _evidence(tables: Mapping[str, Path], assertions: Path) -> Iterator[pa.RecordBatch]:
    """Yield the evidence of the selected assertions with the run of each generation, sorted by its key."""
    selected = read_parquet(assertions).select("assertion_id")
    runs = read_parquet(tables["generations"]).select("generation_id", "run_id")
    evidence = read_parquet(tables["evidence"]).join(selected, on="assertion_id", how="semi")
    joined = evidence.join(runs, on="generation_id").sort(["assertion_id", "generation_id"])
    for batch in joined.select(*EVIDENCE.names).to_arrow_iter():
        yield batch.cast(EVIDENCE)


def _abstractions(folder: Path) -> Iterator[pa.RecordBatch]:
    """Yield what the selected assertions say of kinds and concepts: of those alone that the graph holds."""
    asserted = read_table(folder / "assertions.parquet", columns=ASSERTED.names)
    here = pa.nulls(len(asserted), pa.bool_())  # what is here was selected, whatever the filter said
    asserted = asserted.set_column(ASSERTED.get_field_index("accepted"), ASSERTED.field("accepted"), here)
    cobuys, kinds, mentions = (
        read_table(folder / f"{name}.parquet", columns=columns)
        for name, columns in (
            ("cobuys", PAIRS.names),
            ("kinds", ["product_id", "concept"]),
            ("mentions", ["intention_id", "concept", "rank"]),
        )
    )
    yield from abstract(asserted, cobuys, kinds, mentions).table.to_batches()


def _write(batches: Iterator[pa.RecordBatch], folder: Path, name: str) -> int:
    schema, rows = graph_schema(name), 0
    with writer(folder / f"{name}.parquet", schema) as file:
        for batch in batches:
            if batch.num_rows:
                file.write_batch(batch.cast(schema))
                rows += batch.num_rows
    return rows
