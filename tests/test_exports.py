"""The exports of the property graph hold what the graph folder holds, whatever its texts are."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import networkx
import pyarrow.parquet as pq
import pytest
from graph_maker import graph_rows, make_graph, read_graph, write_graph

from mindkg.errors import ConservationError
from mindkg.graph.exports import to_networkx, write_csv, write_graphml
from mindkg.graph.property_graph import (
    assertion_types,
    expected_counts,
    node_tables,
    relationship_types,
    write_property_graph,
)
from mindkg.vocabulary import relations


@pytest.fixture(params=[0, 1, 2])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make_graph(tmp_path / "graph", seed=request.param, n=25)


def test_files_of_the_property_graph_hold_every_row(folder: Path, tmp_path: Path) -> None:
    rows = write_property_graph(folder, tmp_path / "lpg")
    counts, data = expected_counts(folder), read_graph(folder)
    assert {label: rows[label] for label in ("Product", "CoBuy", "Intention", "Concept")} == {
        label: counts[label] for label in ("Product", "CoBuy", "Intention", "Concept")
    }
    assert sum(rows[t.type] for t in assertion_types().values()) == counts["Assertion"]
    assert rows["HAS_PRODUCT"] == 2 * counts["CoBuy"]
    assert (rows["HAS_CONCEPT"], rows["BROADER"], rows["HAS_ANCESTOR"]) == (
        counts["Mention"],
        counts["Hypernymy"],
        counts["Ancestry"],
    )
    assert {p.stem for p in (tmp_path / "lpg").iterdir()} == set(rows)
    found = {}
    for relation, type_ in assertion_types().items():
        for row in pq.read_table(tmp_path / "lpg" / f"{type_.type}.parquet").to_pylist():
            assert row["relation"] == relation
            found[row["id"]] = (row["start"], row["end"], row["generations"], row["runs"])
    for assertion in data["assertions"]:
        evidence = [e for e in data["evidence"] if e["assertion_id"] == assertion["assertion_id"]]
        assert found[assertion["assertion_id"]] == (
            assertion["cobuy_id"],
            assertion["intention_id"],
            sorted(e["generation_id"] for e in evidence),
            sorted({e["run_id"] for e in evidence}),
        )


def test_every_relation_has_its_own_type() -> None:
    types = [type_.type for type_ in relationship_types()]
    assert len(types) == len(set(types)) == len(relations()) + 7


def test_evidence_of_no_assertion_is_an_error(tmp_path: Path) -> None:
    folder = make_graph(tmp_path / "graph", n=8)
    table = pq.read_table(folder / "assertions.parquet")
    pq.write_table(table.slice(1), folder / "assertions.parquet")
    with pytest.raises(ConservationError, match="belong to no assertion"):
        write_property_graph(folder, tmp_path / "lpg")


def test_an_empty_graph_is_exported(tmp_path: Path) -> None:
    folder = make_graph(tmp_path / "graph", n=8)
    for file in folder.iterdir():
        pq.write_table(pq.read_table(file).slice(0, 0), file)
    assert set(write_property_graph(folder, tmp_path / "lpg").values()) == {0}
    assert set(write_csv(folder, tmp_path / "csv").values()) == {0}
    write_graphml(folder, tmp_path / "kb.graphml")
    assert len(networkx.read_graphml(tmp_path / "kb.graphml")) == len(to_networkx(folder)) == 0


def test_csv_gives_every_value_back(folder: Path, tmp_path: Path) -> None:
    rows = write_csv(folder, tmp_path / "csv")
    write_property_graph(folder, tmp_path / "lpg")
    for name in rows:
        expected = pq.read_table(tmp_path / "lpg" / f"{name}.parquet").to_pylist()
        with (tmp_path / "csv" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            found = list(csv.DictReader(file))
        assert len(found) == len(expected) == rows[name]
        for got, row in zip(found, expected, strict=True):
            for column, value in row.items():
                if isinstance(value, list):
                    assert json.loads(got[column]) == value
                elif isinstance(value, float):
                    assert float(got[column]) == pytest.approx(value, rel=1e-12)
                else:
                    assert got[column] == _plain(value)


def _plain(value: object) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def test_graphml_is_read_by_networkx(folder: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    rows = write_graphml(folder, tmp_path / "kb.graphml", report=lines.append)
    written = (tmp_path / "kb.graphml").read_text("utf-8").count("\ufffd")
    assert written and lines == [
        f"{written:,} characters that XML cannot hold are U+FFFD in the GraphML; other forms keep them"
    ]
    graph, ours = networkx.read_graphml(tmp_path / "kb.graphml", force_multigraph=True), to_networkx(folder)
    assert graph.number_of_nodes() == ours.number_of_nodes()
    assert graph.number_of_edges() == ours.number_of_edges() == sum(n for name, n in rows.items() if name.isupper())
    assert sorted(
        d["text"].replace("\ufffd", "") for _, d in graph.nodes(data=True) if d["labels"] == "Intention"
    ) == sorted(_allowed(d["text"]) for _, d in ours.nodes(data=True) if d["labels"] == "Intention")
    scores = sorted(d["plausibility"] for *_, d in graph.edges(data=True) if "plausibility" in d)
    assert scores == pytest.approx(sorted(d["plausibility"] for *_, d in ours.edges(data=True) if "plausibility" in d))
    assert sorted(d["id"] for *_, d in graph.edges(data=True) if d.get("relation")) == sorted(
        a["assertion_id"] for a in read_graph(folder)["assertions"]
    )


def test_exports_are_gzipped_by_name(folder: Path, tmp_path: Path) -> None:
    write_graphml(folder, tmp_path / "kb.graphml")
    write_graphml(folder, tmp_path / "kb.graphml.gz")
    assert gzip.decompress((tmp_path / "kb.graphml.gz").read_bytes()) == (tmp_path / "kb.graphml").read_bytes()


def _allowed(text: str) -> str:
    return "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff"))


def test_networkx_has_the_properties_and_no_node_of_its_own(folder: Path) -> None:
    graph, data = to_networkx(folder), read_graph(folder)
    nodes = ("products", "cobuys", "intentions", "concepts", "abstractions")
    assert graph.number_of_nodes() == sum(len(data[table]) for table in nodes)
    assert all("labels" in attributes for _, attributes in graph.nodes(data=True))
    product = next(p for p in data["products"] if p["title"] is not None)
    assert graph.nodes[("Product", product["product_id"])]["title"] == product["title"]
    mention = data["mentions"][0]
    edge = graph.edges[("Intention", mention["intention_id"]), ("Concept", mention["concept"]), "HAS_CONCEPT"]
    assert (edge["surface"], edge["rep"], edge["rank"]) == (mention["surface"], mention["rep"], mention["rank"])


def test_a_pair_has_the_titles_of_its_products(tmp_path: Path) -> None:
    rows = graph_rows(1, 4, nasty=False)
    pair = rows["cobuys"][0]
    one, other = ({row["product_id"]: row for row in rows["products"]}[pair[end]] for end in ("product_a", "product_b"))
    one["title"], other["title"] = "日" * 39 + " and more", ""
    write_graph(tmp_path, rows)
    (titles,) = [table for node, table in node_tables(tmp_path) if node.label == "CoBuy"]
    found = dict(zip(titles["id"].to_pylist(), titles["title"].to_pylist(), strict=True))
    assert found[pair["cobuy_id"]] == f"{'日' * 39}… + {other['product_id']}"
    assert len(found) == len(rows["cobuys"]) and None not in found.values()
