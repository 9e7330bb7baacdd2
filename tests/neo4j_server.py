"""A real Neo4j 5.26 for tests, from the jars of Maven Central; NEO4J_URI names another one that is used instead.

The jars are fetched once into a folder that outlives the run: MINDKG_SERVER_CACHE, else ``mindkg-servers`` in the
user's cache. Each server has a private home and a free port. Tests that ask for ``neo4j`` belong into one group
(``@pytest.mark.xdist_group("neo4j")``): its workers share nothing, and a server for each of them is too much.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import free_port, need_java
from filelock import FileLock

VERSION = "5.26.0"
ARTIFACTS = ("org.neo4j:neo4j", "org.neo4j.app:neo4j-server", "org.neo4j:neo4j-import-tool")
JAVA = [
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED",
    "--add-modules=jdk.incubator.vector",
]
QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""What makes a Java program that lives for seconds take half the processor time."""
SETTINGS = {
    "server.http.enabled": "false",
    "server.https.enabled": "false",
    "dbms.usage_report.enabled": "false",
    "dbms.security.auth_enabled": "false",
    "server.memory.pagecache.size": "128m",
    "db.tx_log.rotation.size": "16m",
    "db.tx_log.preallocate": "false",
}


@dataclass
class Server:
    """A Neo4j of our own: ``home`` is its private folder, ``uri`` where it answers while it runs."""

    home: Path
    port: int = field(default_factory=lambda: free_port())
    heap: str = "1g"
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"bolt://127.0.0.1:{self.port}"

    def configure(self, **settings: str) -> None:
        """Write conf/neo4j.conf: SETTINGS, the port, and ``settings`` with ``__`` for a dot."""
        lines = SETTINGS | {"server.bolt.listen_address": f"127.0.0.1:{self.port}"}
        lines |= {name.replace("__", "."): value for name, value in settings.items()}
        (self.home / "conf").mkdir(parents=True, exist_ok=True)
        (self.home / "conf" / "neo4j.conf").write_text("".join(f"{k}={v}\n" for k, v in lines.items()))
        if not (self.home / "lib").exists():
            (self.home / "lib").symlink_to(jars())

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = self.home / "server.log"
        command = ["java", f"-Xmx{self.heap}", *QUICK.split(), *JAVA, "-cp", f"{self.home}/lib/*"]
        command += ["org.neo4j.server.CommunityEntryPoint", f"--home-dir={self.home}", f"--config-dir={self.home}/conf"]
        with log.open("wb") as out:
            self.process = subprocess.Popen([*command, "--console-mode"], stdout=out, stderr=out)
        until = time.monotonic() + 120
        while b"Started." not in log.read_bytes():
            if self.process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError(f"Neo4j does not start: {log.read_text()[-2000:]}")
            time.sleep(0.1)

    def stop(self, kill: bool = False) -> None:
        """Stop it, or kill it at once."""
        if self.process is not None:
            self.process.kill() if kill else self.process.terminate()
            self.process.wait(timeout=60)
            self.process = None


def jars() -> Path:
    """Return the folder of Neo4j's jars, fetched if they are not there yet."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mindkg-servers"
    cache = Path(os.environ.get("MINDKG_SERVER_CACHE") or default)
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / f"neo4j-{VERSION}"
    with FileLock(cache / "neo4j.lock"):
        if not place.is_dir():
            fetching = cache / f"neo4j-{VERSION}.part"
            shutil.rmtree(fetching, ignore_errors=True)
            fetching.mkdir()
            (fetching / "pom.xml").write_text(pom())
            command = ["mvn", "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"]
            subprocess.run(
                [*command, "-DoutputDirectory=."], cwd=fetching, check=True, stdout=subprocess.PIPE, timeout=600
            )
            fetching.rename(place)
    return place


def pom() -> str:
    named = [artifact.split(":") for artifact in ARTIFACTS]
    wanted = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{VERSION}</version></dependency>"
        for group, name in named
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>x</groupId>'
        f"<artifactId>x</artifactId><version>1</version><dependencies>{wanted}</dependencies></project>"
    )


@pytest.fixture
def neo4j_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of the test's own, configured and not started; whatever runs at the end is stopped."""
    need_java("Neo4j")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", QUICK)  # for the admin tool, and the server that an offline load starts
    server = Server(tmp_path / "neo4j-home")
    server.configure()
    yield server
    server.stop(kill=True)


@pytest.fixture(scope="session")
def neo4j_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that runs for the whole session: ours, or that of NEO4J_URI if it is empty."""
    given = os.environ.get("NEO4J_URI")
    if given:
        yield given
        return
    need_java("Neo4j")
    server = Server(tmp_path_factory.mktemp("neo4j"))
    server.configure()
    server.start()
    yield server.uri
    server.stop(kill=True)


@contextmanager
def emptied(address: str) -> Iterator[str]:
    """Give ``address`` of a server whose database is empty, and empty it again afterwards."""
    from neo4j import GraphDatabase

    user, password = os.environ.get("NEO4J_USERNAME", "neo4j"), os.environ.get("NEO4J_PASSWORD")
    with GraphDatabase.driver(address, auth=(user, password) if password else None) as driver:
        found = driver.execute_query("MATCH (n) RETURN count(n) AS n").records[0]["n"]
        assert not found, f"the database behind {address} holds {found} nodes: the tests want an empty one"
        try:
            yield address
        finally:
            driver.execute_query("MATCH (n) DETACH DELETE n")
            for record in driver.execute_query("SHOW CONSTRAINTS YIELD name").records:
                driver.execute_query(f"DROP CONSTRAINT `{record['name']}`")
            for record in driver.execute_query("SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP'").records:
                driver.execute_query(f"DROP INDEX `{record['name']}`")


@pytest.fixture
def neo4j_uri(neo4j_server: str) -> Iterator[str]:
    """The address of a server whose database is empty; it is emptied again afterwards."""
    with emptied(neo4j_server) as address:
        yield address
