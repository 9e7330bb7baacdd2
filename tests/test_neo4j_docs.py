"""docs/neo4j.md runs: its commands and its Python, against a real server; and so do the saved queries."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, blocks
from neo4j import GraphDatabase
from neo4j_server import Server

pytest_plugins = ["neo4j_server"]
pytestmark = pytest.mark.xdist_group("neo4j")
PAGE = (ROOT / "docs" / "neo4j.md").read_text("utf-8")
EXAMPLES = ROOT / "examples" / "neo4j"


def test_the_page_runs_from_nothing_to_a_query(neo4j_uri: str, neo4j_home: Server, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "NEO4J_URI": neo4j_uri, "NEO4J_HOME": str(neo4j_home.home)}
    lines = [line.split("  #")[0].strip() for line in "".join(blocks("sh", PAGE)).splitlines() if line]
    own = [line for line in lines if line.startswith("mindkg ")]
    # the rest sets the environment, or starts the server that the tests bring themselves
    others = [line for line in lines if line not in own]
    assert [line.split()[:2] for line in others] == [
        ["export", "NEO4J_PASSWORD=change-me-please"],
        ["docker", "compose"],
        ["export", "NEO4J_URI=bolt://127.0.0.1:7687"],
    ]
    assert len(own) >= 8
    for command in own:
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        if command.startswith(("mindkg query", "mindkg cypher", "mindkg load")):
            assert done.stdout.count("\n") > 4, f"{command} shows no row"
    for code in blocks("python", PAGE):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0 and done.stdout, done.stderr
    with GraphDatabase.driver(neo4j_uri, auth=None) as driver:
        for query in (EXAMPLES / "saved-queries.cypher").read_text("utf-8").split(";\n\n"):
            assert query.startswith("// ")
            assert driver.execute_query(query).records, query


def test_the_compose_file_is_for_the_version_that_is_tested() -> None:
    text = (EXAMPLES / "compose.yaml").read_text("utf-8")
    assert "image: neo4j:5.26-community" in text
    # nothing is published but to this machine
    assert re.findall(r"^ +- (\S+):\d+:\d+ ", text, re.M) == ["127.0.0.1", "127.0.0.1"]
    assert all((ROOT / path).is_file() for path in re.findall(r"--file (\S+)", PAGE + text))


def test_the_style_knows_every_label() -> None:
    style = (EXAMPLES / "mindkg.grass").read_text("utf-8")
    labels = {p.stem for p in (ROOT / "loaders" / "neo4j" / "nodes").iterdir()}
    assert labels | {"MindKG"} == set(re.findall(r"^node\.(\w+) \{", style, re.M))
    assert style.count("{\n") == style.count("\n}")
