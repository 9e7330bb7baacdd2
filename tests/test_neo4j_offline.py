"""A Neo4j that is stopped: its importer's files, the import, and what its server makes of mistakes."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pytest
from graph_maker import graph_rows, make_graph, write_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from neo4j import GraphDatabase
from neo4j_graphs import held, wanted
from neo4j_server import Server

from mindkg import identity
from mindkg.errors import InputError, StoreError
from mindkg.graph.neo4j_import import array_delimiter, files, write_neo4j_import
from mindkg.graph.property_graph import expected_counts
from mindkg.stores.neo4j import Neo4jStore
from mindkg.stores.neo4j_home import Neo4jHome
from mindkg.stores.neo4j_load import load_online
from mindkg.stores.neo4j_offline import explain_offline, load_offline

pytest_plugins = ["neo4j_server"]
pytestmark = pytest.mark.xdist_group("neo4j")

PIECES = (
    '"',
    ",",
    "\n",
    "\r\n",
    "\\",
    "\\n",
    "'",
    ";",
    "|",
    "\x1f",
    "\t",
    "\U0001f6d2",
    "שלום",
    "\u2028",
    "\ufeff",
    "\0",
)
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=6)


def graph_with(texts: list[str], folder: Path) -> Path:
    """Write a graph in which each of ``texts`` is a title, a category, an id of a product and a concept's label."""
    rows = graph_rows(5, 10)
    for i, text in enumerate(texts):
        category = [text, "x", text] if "\x1f" not in text else [text]
        rows["products"].append(
            {"product_id": f"{text[:900]} {i}", "title": text, "category": category, "source": "mind"}
        )
        rows["concepts"].append({"concept": f"{i} {text[:900]}", "vague": False, "instances": i})
    long = {"intention_id": identity.intention_key("long"), "text": '"a",\n\\' * 9_400, "heads": []}
    used = rows["assertions"][0]
    rows["intentions"].append(long)
    rows["assertions"].append({**used, "intention_id": long["intention_id"], "assertion_id": "z" * 20})
    rows["evidence"].append({**rows["evidence"][0], "assertion_id": "z" * 20})
    write_graph(folder, rows)
    return folder


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """What Hypothesis thinks of, each once, and what is known to break formats."""
    found: dict[str, None] = dict.fromkeys((*PIECES, "", " lead and trail ", '""', "x" * 65_536))

    @settings(max_examples=150, derandomize=True)
    @given(TEXTS)
    def collect(pieces: list[str]) -> None:
        found["".join(pieces)] = None

    collect()
    return list(found)


def test_the_life_of_a_home(neo4j_home: Server, texts: list[str], tmp_path: Path) -> None:
    """Import, import again, look at it through a server of another database, load over it, restart in the middle."""
    folder = graph_with(texts, tmp_path / "graph")
    home = neo4j_home
    assert any("would make the database neo4j" in line for line in explain_offline(folder, home.home))
    assert load_offline(folder, home.home) == expected_counts(folder)
    assert not list(home.home.glob(".mindkg-import-*"))
    lines: list[str] = []
    assert load_offline(folder, home.home, progress=lines.append) == expected_counts(folder)
    assert lines[-1] == "Neo4j holds this graph already"

    home.start()
    # all that went in comes out, and a load over Bolt knows the graph
    assert held(home.uri) == wanted(folder)
    assert load_online(folder, home.uri, progress=lines.append) == expected_counts(folder)
    assert lines[-1] == "Neo4j holds this graph already"
    with pytest.raises(StoreError, match="the server is running"):
        Neo4jHome(home.home).admin(["database", "import", "full", "neo4j", "--nodes=X"], tmp_path)

    newer = make_graph(tmp_path / "newer", seed=9, n=25)
    restarted = _restarted_in_the_middle(home, newer)
    assert held(home.uri) == wanted(newer)
    assert restarted < expected_counts(newer)["Assertion"] * 10

    with GraphDatabase.driver(home.uri, auth=None) as driver:
        driver.execute_query("CREATE (:Customer)")
    home.stop()
    # also under a name that Neo4j takes for the same, and after an import that was cut off before it began
    (home.home / "data" / "mindkg-import-neo4j").touch()
    with pytest.raises(StoreError, match="1 nodes that mindkg did not write, and an import would remove them"):
        load_offline(folder, home.home, database="NEO4J")


def _restarted_in_the_middle(home: Server, folder: Path) -> int:
    """Load ``folder`` while the server is killed and started again; return the rows that were done at the kill."""
    failed: list[StoreError] = []

    def load() -> None:
        try:
            load_online(folder, home.uri)
        except StoreError as error:
            failed.append(error)

    loader = threading.Thread(target=load)
    loader.start()
    done = 0
    with GraphDatabase.driver(home.uri, auth=None) as driver:
        while not done:
            record = driver.execute_query("MATCH (m:MindKG {finished: false}) RETURN m.rows AS rows").records
            done = record[0]["rows"] if record else 0
    home.stop(kill=True)
    home.start()
    loader.join()
    if failed:
        assert "\n" not in str(failed[0])
    load_online(folder, home.uri)
    return int(done)


def test_import_sh_reads_both_forms(neo4j_home: Server, texts: list[str], tmp_path: Path) -> None:
    folder = graph_with([text for text in texts if text], tmp_path / "graph")  # Parquet loses texts of no characters
    out = tmp_path / "out"
    rows = write_neo4j_import(folder, out)
    assert {p.name for p in out.iterdir()} == {
        *(f"{name}.{form}" for name in rows for form in ("csv", "parquet")),
        *("import.sh", "README.md", "after-import.cypher", "lists.cypher"),
    }
    admin = tmp_path / "neo4j-admin"
    admin.write_text(
        f'#!/bin/sh\nexport NEO4J_HOME={neo4j_home.home}\nmkdir -p "$NEO4J_HOME/plugins"\n'
        f'exec java -Dbasedir="$NEO4J_HOME" -cp "$NEO4J_HOME/lib/*" org.neo4j.server.startup.Neo4jAdminCommand "$@"\n'
    )
    admin.chmod(0o755)
    command = ["bash", str(out / "import.sh"), "parquet", "neo4j"]
    done = subprocess.run(command, env={**os.environ, "NEO4J_ADMIN": str(admin)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    # the offline load finds an admin tool in bin
    (neo4j_home.home / "bin").mkdir()
    shutil.copy(admin, neo4j_home.home / "bin" / "neo4j-admin")
    assert "5.26" in Neo4jHome(neo4j_home.home).admin(["--version"], tmp_path)
    with Neo4jHome(neo4j_home.home).server("neo4j") as address:
        store = Neo4jStore.connect(address)
        for file in ("lists.cypher", "after-import.cypher"):
            for statement in (out / file).read_text("utf-8").split(";\n"):
                if statement.strip():
                    store.run(statement)
        store.close()
        assert held(address) == wanted(folder)
        assert load_online(folder, address) == expected_counts(folder)


def test_headers_say_what_the_columns_are(tmp_path: Path) -> None:
    made = graph_rows(3, 6)
    made["products"][0]["category"] = ["a\x1fb"]
    write_graph(folder := tmp_path / "graph", made)
    rows = write_neo4j_import(folder, tmp_path / "out")
    first = {name: (tmp_path / "out" / f"{name}.csv").read_text("utf-8").splitlines()[0] for name in rows}
    assert first["Product"] == '"id:ID(Product)","title","brand","category:string[]","image","mindkg_load:long"'
    assert first["HAS_PRODUCT"] == '":START_ID(CoBuy)",":END_ID(Product)",":TYPE","mindkg_load:long"'
    assert first["assertions"].startswith('":START_ID(CoBuy)",":END_ID(Intention)",":TYPE","relation","id","stated",')
    script = (tmp_path / "out" / "import.sh").read_text("utf-8")
    assert "--multiline-fields=true --array-delimiter=U+001E" in script  # one of the categories has U+001F
    assert all(f"{name}.csv" in script and f"{name}.parquet" in script for name in rows)
    for name, table in files(folder):
        read = pyarrow.csv.read_csv(
            tmp_path / "out" / f"{name}.csv", parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True)
        )
        assert read.num_rows == rows[name] == len(table) and read.column_names == table.column_names


def test_the_delimiter_stands_in_no_category(tmp_path: Path) -> None:
    rows = graph_rows(1, 4, nasty=False)
    write_graph(tmp_path / "plain", rows)
    assert array_delimiter(tmp_path / "plain") == "\x1f"
    rows["products"][0]["category"] = ["a\x1fb", "c\x1e"]
    write_graph(tmp_path / "graph", rows)
    assert array_delimiter(tmp_path / "graph") == "\x1d"


def test_a_server_that_refuses(neo4j_home: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password, a database that cannot be written to, and a heap that is too small: one line each."""
    folder = make_graph(tmp_path / "graph", seed=3, n=6)
    neo4j_home.configure(dbms__security__auth_enabled="true", db__memory__transaction__max="4m")
    neo4j_home.start()
    with pytest.raises(StoreError, match=r"refuses the user or the password.*NEO4J_PASSWORD"):
        load_online(folder, neo4j_home.uri)
    monkeypatch.setenv("NEO4J_PASSWORD", "neo4j")
    with pytest.raises(StoreError, match="has to be changed first"):
        load_online(folder, neo4j_home.uri)
    with GraphDatabase.driver(neo4j_home.uri, auth=("neo4j", "neo4j")) as driver:
        driver.execute_query("ALTER CURRENT USER SET PASSWORD FROM 'neo4j' TO 'a good one'", database_="system")
    monkeypatch.setenv("NEO4J_PASSWORD", "wrong")
    with pytest.raises(StoreError, match="refuses the user or the password") as error:
        load_online(folder, neo4j_home.uri)
    assert "wrong" not in str(error.value)
    monkeypatch.setenv("NEO4J_PASSWORD", "a good one")
    wide = graph_rows(3, 6)
    wide["products"] = [{**row, "title": "x" * 500_000} for row in wide["products"]]
    write_graph(tmp_path / "wide", wide)
    with pytest.raises(StoreError, match="Neo4j ran out of memory"):
        load_online(tmp_path / "wide", neo4j_home.uri)
    neo4j_home.stop()
    neo4j_home.configure(server__databases__default_to_read_only="true")
    neo4j_home.start()
    began = time.monotonic()
    with pytest.raises(StoreError, match="The database is read-only"):
        load_online(folder, neo4j_home.uri)
    assert time.monotonic() - began < 30  # the driver would try for a minute


def test_the_database_is_that_of_the_environment_or_of_the_settings(
    neo4j_home: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_graph(tmp_path / "graph", n=3)
    neo4j_home.configure(initial__dbms__default_database="Shop")
    assert "would make the database shop" in explain_offline(folder, neo4j_home.home)[0]
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "neo4j.conf").write_text("server.directories.data=/elsewhere\n")
    monkeypatch.setenv("NEO4J_CONF", str(tmp_path / "etc"))
    assert explain_offline(folder, neo4j_home.home)[0] == "would make the database neo4j in /elsewhere"
    monkeypatch.setenv("NEO4J_DATABASE", "Two")
    assert "would make the database two" in explain_offline(folder, neo4j_home.home)[0]
    assert "would make the database three" in explain_offline(folder, neo4j_home.home, database="three")[0]


def test_a_folder_without_neo4j(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="There is no Neo4j in this folder"):
        load_offline(make_graph(tmp_path / "graph", n=3), tmp_path)


def test_equal_graphs_give_equal_files(tmp_path: Path) -> None:
    seed = random.Random(1).randrange(100)
    for name in ("a", "b"):
        write_neo4j_import(make_graph(tmp_path / f"graph-{name}", seed=seed, n=8), tmp_path / name)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
    assert pa.table(dict(files(tmp_path / "graph-a"))["MindKG"]).num_rows == 1


@pytest.mark.parametrize(("table", "column"), [("products", "product_id"), ("concepts", "concept")])
def test_an_id_that_neo4j_cannot_index_is_named_before_anything_is_written(
    table: str, column: str, tmp_path: Path
) -> None:
    rows = graph_rows(1, 4, nasty=False)
    rows[table][0][column] = "long日" * 1_500
    write_graph(folder := tmp_path / "graph", rows)
    for work in (
        lambda: load_online(folder, "bolt://127.0.0.1:1"),
        lambda: load_offline(folder, tmp_path / "no-neo4j"),
        lambda: write_neo4j_import(folder, tmp_path / "out"),
    ):
        with pytest.raises(
            InputError, match=r"at most 8,164 bytes, and 1 of \w+ are longer \(\w+ 'long日long"
        ) as error:
            work()
        assert "of 10,500 bytes" in str(error.value) and len(str(error.value)) < 400
    assert not (tmp_path / "out").exists()


def test_an_import_without_memory_or_room_is_one_line(neo4j_home: Server, tmp_path: Path) -> None:
    folder = make_graph(tmp_path / "graph", seed=3, n=20)
    script = (
        "import sys; from pathlib import Path; from mindkg.errors import MindKGError\n"
        "from mindkg.stores.neo4j_offline import load_offline\n"
        "try: load_offline(Path(sys.argv[1]), sys.argv[2])\n"
        "except MindKGError as error: sys.exit(f'mindkg: {error}')\n"
    )
    for limit in ("-v 4300000", "-f 4"):  # Daft, which is imported first, refuses less than 4 GiB
        command = ["bash", "-c", f'ulimit {limit}; exec "$@"', "bash", sys.executable, "-c", script]
        done = subprocess.run([*command, str(folder), str(neo4j_home.home)], capture_output=True, text=True)
        assert done.returncode == 1 and done.stderr.startswith("mindkg: ") and done.stderr.count("\n") == 1
        assert str(neo4j_home.home) in done.stderr and "Traceback" not in done.stderr
        assert not list(neo4j_home.home.glob(".mindkg-import-*"))
