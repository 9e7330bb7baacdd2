"""Real SPARQL servers for tests: Apache Jena Fuseki and the Oxigraph server; SPARQL_ENDPOINT names one to use instead.

Fuseki's jar is fetched once from Maven Central into a folder that outlives the run (MINDKG_SERVER_CACHE, else
``mindkg-servers`` in the user's cache). Each server has private data and a free port. Tests that ask for one belong
into one group (``@pytest.mark.xdist_group("sparql")``), so that it runs once.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
import pytest
from conftest import free_port, need_java
from filelock import FileLock

FUSEKI = "5.6.0"


@dataclass
class Server:
    """A SPARQL server of our own in a private folder; ``address`` is what a user would give."""

    home: Path
    command: list[str]
    port: int = field(default_factory=lambda: free_port())
    path: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.home.mkdir(parents=True, exist_ok=True)
        command = [part.replace("PORT", str(self.port)) for part in self.command]
        with (self.home / "server.log").open("wb") as log:
            self.process = subprocess.Popen(command, cwd=self.home, stdout=log, stderr=log)
        until = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{self.port}/", trust_env=False)
                return
            if self.process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError(f"no server: {(self.home / 'server.log').read_text()[-2000:]}")
            time.sleep(0.05)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Kill it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=60)
            self.process = None


def fuseki(home: Path, *options: str) -> Server:
    """Return a Fuseki with one dataset, /kb, that ``options`` describe; in memory and writable without them."""
    need_java("Fuseki")
    java = ["java", "-Xmx1g", "-XX:TieredStopAtLevel=1", "-jar", str(jar()), "--localhost", "--port", "PORT"]
    return Server(home, [*java, *(options or ("--update", "--mem")), "/kb"], path="/kb")


def oxigraph(home: Path, verb: str = "serve") -> Server:
    """Return an Oxigraph server on a store in ``home``."""
    program = shutil.which("oxigraph", path=str(Path(sys.executable).parent)) or "oxigraph"
    return Server(home, [program, verb, "--location", str(home / "store"), "--bind", "127.0.0.1:PORT"])


def jar() -> Path:
    """Return Fuseki's jar, fetched if it is not there yet."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mindkg-servers"
    cache = Path(os.environ.get("MINDKG_SERVER_CACHE") or default)
    cache.mkdir(parents=True, exist_ok=True)
    name = f"jena-fuseki-server-{FUSEKI}.jar"
    with FileLock(cache / "fuseki.lock"):
        if not (cache / name).is_file():
            fetching = cache / "fuseki.part"
            command = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact=org.apache.jena:jena-fuseki-server:{FUSEKI}"]
            command += [f"-DoutputDirectory={fetching}"]
            subprocess.run(command, cwd=cache, check=True, stdout=subprocess.PIPE, timeout=600)
            (fetching / name).rename(cache / name)
    return cache / name


@pytest.fixture(scope="session")
def fuseki_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Fuseki that runs for the whole session."""
    with fuseki(tmp_path_factory.mktemp("fuseki")) as server:
        yield server.address


@pytest.fixture(scope="session")
def oxigraph_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an Oxigraph server that runs for the whole session."""
    with oxigraph(tmp_path_factory.mktemp("oxigraph")) as server:
        yield server.address


@pytest.fixture(scope="session", params=["fuseki", "oxigraph"])
def sparql_server(request: pytest.FixtureRequest) -> str:
    """The address of a server that runs for the whole session: each of ours, or that of SPARQL_ENDPOINT."""
    given = os.environ.get("SPARQL_ENDPOINT")
    if given and request.param != "fuseki":
        pytest.skip("SPARQL_ENDPOINT is used instead")
    return given or str(request.getfixturevalue(f"{request.param}_server"))


@pytest.fixture(scope="session")
def sparql_addresses(request: pytest.FixtureRequest) -> list[str]:
    """The addresses of all of them."""
    given = os.environ.get("SPARQL_ENDPOINT")
    return [given] if given else [request.getfixturevalue(f"{kind}_server") for kind in ("fuseki", "oxigraph")]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers of the test's own: ``start("fuseki", OPTION…)``, ``start("oxigraph", VERB)``; they end with it."""
    running: list[Server] = []

    def begin(kind: str, *options: str) -> Server:
        server = {"fuseki": fuseki, "oxigraph": oxigraph}[kind](tmp_path, *options)
        server.start()
        running.append(server)
        return server

    yield begin
    for server in running:
        server.stop()


@pytest.fixture
def graph_name(request: pytest.FixtureRequest) -> str:
    """The name of a graph that no other test loads into."""
    return f"https://example.org/{re.sub(r'[^a-z0-9]+', '-', request.node.name)}"
