"""A real S3 server for tests: S3Proxy over a folder, whose jar is fetched once as Fuseki's is (sparql_servers.py).

It speaks HTTP on a free port of this machine and checks signatures. Tests that ask for it belong into one group
(``@pytest.mark.xdist_group("s3")``), so that it runs once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
import pytest
from conftest import free_port, need_java
from filelock import FileLock
from neo4j_server import QUICK

S3PROXY = "4.1.0"
KEY, SECRET = "the-key-of-the-test", "the-secret-of-the-test"
BUCKET = "bucket"


@dataclass
class S3Server:
    """An S3 server on the folder ``home``; ``bucket`` is the folder of its one bucket."""

    home: Path
    port: int = field(default_factory=lambda: free_port())
    read_only: bool = False
    process: subprocess.Popen[bytes] | None = None

    @property
    def bucket(self) -> Path:
        return self.home / "data" / BUCKET

    def environment(self) -> dict[str, str]:
        """Return the variables by which its users find it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> Self:
        """Start it and wait until it answers."""
        self.bucket.mkdir(parents=True, exist_ok=True)
        self.bucket.chmod(0o700)  # one that all may read is a public bucket
        settings = {
            "s3proxy.endpoint": f"http://127.0.0.1:{self.port}",
            "s3proxy.authorization": "aws-v2-or-v4",
            "s3proxy.identity": KEY,
            "s3proxy.credential": SECRET,
            "s3proxy.read-only-blobstore": str(self.read_only).lower(),
            "jclouds.provider": "filesystem-nio2",
            "jclouds.filesystem.basedir": str(self.home / "data"),
            "jclouds.identity": "none",
            "jclouds.credential": "none",
        }
        properties = self.home / f"{self.port}.properties"
        properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        command = ["java", "-Xmx256m", *QUICK.split(), "-jar", str(jar()), "--properties", str(properties)]
        with (self.home / "server.log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + 120
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/", trust_env=False)
                return self
            except httpx.TransportError:
                if self.process.poll() is not None or time.monotonic() > until:
                    self.stop()
                    raise RuntimeError(f"no server: {(self.home / 'server.log').read_text()[-2000:]}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        """Kill it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=60)
            self.process = None


def jar() -> Path:
    """Return S3Proxy's jar, fetched if it is not there yet; skip the test without Java or Maven, fail it in CI."""
    need_java("S3 server")
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mindkg-servers"
    cache = Path(os.environ.get("MINDKG_SERVER_CACHE") or default)
    cache.mkdir(parents=True, exist_ok=True)
    name = f"s3proxy-{S3PROXY}-jar-with-dependencies.jar"
    with FileLock(cache / "s3proxy.lock"):
        if not (cache / name).is_file():
            fetching = cache / "s3proxy.part"
            artifact = f"org.gaul:s3proxy:{S3PROXY}:jar:jar-with-dependencies"
            command = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={fetching}"]
            subprocess.run(command, cwd=cache, check=True, stdout=subprocess.PIPE, timeout=600)
            (fetching / name).rename(cache / name)
    return cache / name


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server that runs for the whole session."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def s3(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """That server in the environment, with a work folder of the test's own and an empty bucket."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MINDKG_WORK_DIR", str(tmp_path / "work"))
    shutil.rmtree(s3_server.bucket)
    s3_server.bucket.mkdir(mode=0o700)
    return s3_server
