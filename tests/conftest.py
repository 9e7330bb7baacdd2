"""What several test modules need."""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")

ROOT = Path(__file__).resolve().parent.parent


_CACHE = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a cache of converted isA tables of its own, shared by its worker processes."""
    if "MINDKG_TEST_CACHE" not in os.environ:
        config.stash[_CACHE] = tempfile.mkdtemp(prefix="mindkg-tests-")
        os.environ["MINDKG_TEST_CACHE"] = os.environ["MINDKG_CACHE"] = config.stash[_CACHE]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove that cache."""
    if _CACHE in config.stash:
        shutil.rmtree(config.stash[_CACHE], ignore_errors=True)


def blocks(language: str, page: str) -> list[str]:
    """The blocks of code in ``language`` of a page in Markdown."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.M | re.S)


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def missing(message: str) -> None:
    """Skip a test that lacks something of the machine, and say what; in CI that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def need_java(server: str) -> None:
    """Skip a test whose ``server`` needs Java and Maven where they are missing; in CI that is a failure."""
    programs = [program for program in ("java", "mvn") if shutil.which(program) is None]
    if programs:
        missing(f"a real {server} needs {' and '.join(programs)}")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real files; tests that need it skip where it is absent, and fail in CI."""
    folder = Path(os.environ.get("MINDKG_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        missing(f"no real data at {folder} (set MINDKG_REAL_DATA)")
    return folder
