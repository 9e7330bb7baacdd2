"""A Neo4j that lies in a folder: its settings, its admin tool, and the server itself for as long as it is needed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mindkg.errors import StoreError
from mindkg.stores.guard import guarded

_OPENED: Final = ("java.nio", "java.io", "sun.nio.ch", "java.util.concurrent")
_JVM: Final = (
    *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED),
    "--add-modules=jdk.incubator.vector",
)
_PATIENCE: Final = 300
"""Seconds in which the server has to start, and to stop."""
_SAID: Final = 300
_RUNNING: Final = "the server is running. Stop it first"


class Neo4jHome:
    """The folder of a Neo4j: a distribution with ``bin``, or only its jars in ``lib``."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        if not (self.path / "bin" / "neo4j-admin").is_file() and not any((self.path / "lib").glob("neo4j-*.jar")):
            hint = "Give the folder with bin/neo4j-admin or lib/neo4j-*.jar as --neo4j-home"
            raise StoreError("There is no Neo4j in this folder", record=str(self.path), hint=hint)

    def settings(self) -> dict[str, str]:
        """Return what neo4j.conf sets, in the folder NEO4J_CONF or conf."""
        file = self._conf() / "neo4j.conf"
        lines = file.read_text("utf-8").splitlines() if file.is_file() else []
        pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
        return {name.strip(): value.strip() for name, _, value in pairs}

    def data(self) -> Path:
        """Return the folder of the databases."""
        return self.path / self.settings().get("server.directories.data", "data")

    def default_database(self) -> str:
        """Return the database that the server shows who asks for none."""
        return self.settings().get("initial.dbms.default_database", "neo4j")

    def admin(self, arguments: Sequence[str], folder: Path) -> str:
        """Run the admin tool in ``folder`` and return what it says; raises StoreError, one line, where it fails."""
        tool = self.path / "bin" / "neo4j-admin"
        command = [str(tool)] if tool.is_file() else [_java(), f"-Dbasedir={self.path}", *self._jars(), _ADMIN]
        (self.path / "plugins").mkdir(exist_ok=True)  # it is looked into, and missed loudly
        env = {**os.environ, "NEO4J_HOME": str(self.path), "NEO4J_CONF": str(self._conf())}
        done = subprocess.run([*command, *arguments], cwd=folder, env=env, capture_output=True, text=True)
        if done.returncode:
            reason = _reason(done.stdout + done.stderr)
            hint = (
                None if reason == _RUNNING else "If space or memory is short, look at the disk, ulimit -v and ulimit -f"
            )
            raise StoreError(f"neo4j-admin fails: {reason}", record=str(self.path), hint=hint)
        return done.stdout

    @contextmanager
    def server(self, database: str) -> Iterator[str]:
        """Give the address of the server, which runs on this machine alone and without passwords as long as the block.

        ``database`` is its default database. Its own settings hold but for those of the network and of writing.
        """
        with tempfile.TemporaryDirectory(prefix="mindkg-conf-") as folder:
            conf, log = Path(folder) / "conf", Path(folder) / "log"
            port = _free_port()
            self._write_conf(conf, port, database)
            command = [_java(), *self._heap(), *_JVM, *self._jars(), self._entry(), f"--home-dir={self.path}"]
            command += [f"--config-dir={conf}", "--console-mode"]
            # whatever becomes of us, no server without passwords stays behind
            with log.open("wb") as out, guarded(command, out, _PATIENCE) as process:
                _wait(process, log)
                yield f"bolt://127.0.0.1:{port}"

    def _conf(self) -> Path:
        return Path(os.environ.get("NEO4J_CONF") or self.path / "conf")

    def _write_conf(self, conf: Path, port: int, database: str) -> None:
        if self._conf().is_dir():
            shutil.copytree(self._conf(), conf)
        conf.mkdir(exist_ok=True)
        ours = {
            "server.default_listen_address": "127.0.0.1",
            "server.bolt.enabled": "true",
            "server.bolt.listen_address": f"127.0.0.1:{port}",
            "server.bolt.advertised_address": f"127.0.0.1:{port}",
            "server.bolt.tls_level": "DISABLED",
            "server.http.enabled": "false",
            "server.https.enabled": "false",
            "server.databases.default_to_read_only": "false",
            "server.databases.read_only": "",
            "dbms.security.auth_enabled": "false",
            "dbms.usage_report.enabled": "false",
            "initial.dbms.default_database": database,
        }
        settings = {**self.settings(), **ours}
        (conf / "neo4j.conf").write_text("".join(f"{k}={v}\n" for k, v in settings.items() if v), "utf-8")

    def _jars(self) -> list[str]:
        return ["-cp", f"{self.path}/lib/*"]

    def _heap(self) -> list[str]:
        size = self.settings().get("server.memory.heap.max_size")
        return [f"-Xmx{size}"] if size else []

    def _entry(self) -> str:
        enterprise = any((self.path / "lib").glob("neo4j-server-enterprise-*.jar"))
        edition = "com.neo4j.server.enterprise.Enterprise" if enterprise else "org.neo4j.server.Community"
        return f"{edition}EntryPoint"


_ADMIN: Final = "org.neo4j.server.startup.Neo4jAdminCommand"


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(f"{home}/bin/java") if home else shutil.which("java")
    if java is None:
        raise StoreError("There is no Java", hint="Neo4j 5 needs Java 17 or 21: install it, or set JAVA_HOME")
    return java


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while b"Started." not in (said := log.read_bytes()):
        if process.poll() is not None or time.monotonic() > until:
            raise StoreError(f"Neo4j does not start: {_reason(said.decode('utf-8', 'replace'))}")
        time.sleep(0.1)


def _reason(said: str) -> str:
    """Return the line of a Java program's last words that says most: a lock, else the last cause."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.lstrip().startswith("at ")]
    if any(("lock" in line.lower() and "file" in line.lower()) or "in use" in line.lower() for line in lines):
        return _RUNNING
    causes = [line for line in lines if "Caused by:" in line or "ERROR" in line] or lines
    return causes[-1][:_SAID] if causes else "it says nothing"
