"""What docs/sparql.md shows runs, on real servers; and serve starts, answers and ends."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from conftest import ROOT, blocks

import mindkg
from mindkg.cli.serve import serve as cli_serve
from mindkg.errors import StoreError
from mindkg.knowledge_base import KnowledgeBase
from mindkg.serving import serving
from mindkg.stores import open_remote
from mindkg.stores.base import counts

if TYPE_CHECKING:
    from sparql_servers import Server

pytest_plugins = ["sparql_servers"]
pytestmark = pytest.mark.xdist_group("sparql")

PAGE = (ROOT / "docs" / "sparql.md").read_text("utf-8")
BIN = Path(sys.executable).parent
ENVIRONMENT = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}
ELSEWHERE = ("pip ", "docker ", "java ")
"""How the commands begin that make a machine ready: other tests look at what they name."""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project's examples and the KB of its sample, as the page's reader has it."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "examples").symlink_to(ROOT / "examples")
    mindkg.build([ROOT / "examples" / "sample.csv"], folder / "kb")
    return folder


def served(workplace: Path, port: str) -> subprocess.Popen[str]:
    command = [str(BIN / "mindkg"), "serve", "kb", "--port", port]
    return subprocess.Popen(command, cwd=workplace, env=ENVIRONMENT, stdout=-1, stderr=-1, text=True)


def test_every_command_runs_and_shows_something(workplace: Path, start: Callable[..., Server]) -> None:
    fuseki, serving = start("fuseki").address, served(workplace, "0")
    assert serving.stdout is not None
    oxigraph = serving.stdout.readline().strip().removesuffix("/query")
    places = {"http://127.0.0.1:3030/kb": fuseki, "http://127.0.0.1:7878": oxigraph}
    try:
        commands = [line for block in blocks("sh", PAGE) for line in block.splitlines()]
        own = [c for c in commands if not c.startswith(ELSEWHERE) and c != "mindkg serve kb"]
        assert len(own) >= 10 and len(commands) - len(own) == 4
        for command in [*own, *(shlex.join([sys.executable, "-c", code]) for code in blocks("python", PAGE))]:
            for shown, real in places.items():
                command = command.replace(shown, real)
            done = subprocess.run(command, shell=True, cwd=workplace, env=ENVIRONMENT, capture_output=True, text=True)
            assert done.returncode == 0, f"{command}\n{done.stderr}"
            assert done.stdout.strip() or command.startswith("mindkg build"), f"{command} shows nothing"
    finally:
        serving.terminate()
        serving.communicate(timeout=30)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_answers_shows_an_example_and_ends(workplace: Path, number: signal.Signals) -> None:
    process = served(workplace, "0")
    assert process.stdout is not None and process.stderr is not None
    address = process.stdout.readline().strip()
    try:
        with KnowledgeBase.open(workplace / "kb") as kb:
            assert counts(open_remote(address)) == kb.load("oxigraph")
        assert httpx.post(address.replace("/query", "/update"), data={"update": "CLEAR ALL"}).status_code == 403
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0 and said.rstrip().endswith("stopped")
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)
    example = said[said.index("curl") : said.index("stopped")]
    assert address in example and "skos:Concept" in example
    assert "Ctrl-C" in said


def test_a_killed_serve_leaves_no_server(workplace: Path) -> None:
    process = served(workplace, "0")
    assert process.stdout is not None
    address = process.stdout.readline().strip().removesuffix("/query")
    assert httpx.get(address, trust_env=False).is_success
    process.kill()
    process.communicate(timeout=30)
    until = time.monotonic() + 30
    with pytest.raises(httpx.TransportError):
        while time.monotonic() < until:
            httpx.get(address, trust_env=False)
            time.sleep(0.05)


def test_ctrl_c_ends_a_serve_that_still_loads(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the graph is loaded, which may take minutes, the signals do what they do for every verb."""
    seen, before = [], [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def loading(*_: object, **__: object) -> None:
        seen.extend([signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)])
        raise StoreError("enough")

    monkeypatch.setattr(KnowledgeBase, "serve", loading)
    with pytest.raises(StoreError, match="enough"):
        cli_serve(str(workplace / "kb"))
    assert seen == before


def test_a_server_with_the_graph_of_another_kb_is_told(workplace: Path, tmp_path: Path) -> None:
    mindkg.build([ROOT / "examples" / "sample.csv"], tmp_path / "other", relations="asked")
    lines: list[str] = []
    with (
        KnowledgeBase.open(workplace / "kb") as kb,
        KnowledgeBase.open(tmp_path / "other") as other,
        kb.serve(port=0) as (address, _),
    ):
        held = kb.query("graph-counts", engine=address, progress=lines.append)
        assert not any("does not hold" in line for line in lines)
        assert other.query("graph-counts", engine=address, progress=lines.append) == held
    assert f"{address} does not hold the graph of this KB" in lines[-1]


def test_serve_says_what_lacks(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with KnowledgeBase.open(workplace / "kb") as kb:
        place = kb.store("oxigraph").place  # type: ignore[attr-defined]
    with serving(place, port=0) as (address, _):
        assert counts(open_remote(address))["Product"]
        port = int(address.rpartition(":")[2])
        with pytest.raises(StoreError, match=f"The port {port} cannot be used"), serving(place, port=port):
            pass
    with pytest.raises(StoreError, match="does not start"), serving(workplace, port=0):
        pass
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(StoreError, match=r"pip install \"mindkg\[serve\]\""), serving(place, port=0):
        pass


def test_the_compose_file_starts_the_server_that_the_tests_use() -> None:
    import sparql_servers

    text = (ROOT / "examples" / "fuseki" / "compose.yaml").read_text("utf-8")
    assert f"jena-fuseki-server:{sparql_servers.FUSEKI} " in text
    assert text.count(f"jena-fuseki-server-{sparql_servers.FUSEKI}.jar") == 2
    (options,) = re.findall(r"\.jar (--port 3030 --update --tdb2 --loc=kb /kb)$", text, re.M)
    (shown,) = re.findall(r"^java -jar \S+ --localhost (.*)$", PAGE, re.M)
    assert shown == options.replace("--loc=kb", "--loc=kb-data")
    assert '"127.0.0.1:3030:3030"' in text


@pytest.mark.parametrize(("verb", "engine"), [("sparql", "bolt://127.0.0.1:9"), ("cypher", "http://127.0.0.1:9/kb")])
def test_an_engine_is_asked_in_its_language(workplace: Path, verb: str, engine: str) -> None:
    command = [str(BIN / "mindkg"), verb, "kb", "MATCH (n) RETURN n", "--engine", engine]
    done = subprocess.run(command, cwd=workplace, env=ENVIRONMENT, capture_output=True, text=True)
    other = {"sparql": "cypher", "cypher": "sparql"}[verb]
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert done.stderr.strip() == f"mindkg: {engine} does not speak {verb}. Ask it with: mindkg {other}"
