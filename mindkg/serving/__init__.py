"""A read-only SPARQL server on a store that mindkg built, for curl, browsers and other programs.

Queries run in worker processes that can be killed: a query that takes too long, or whose client has gone, frees its
core. It listens at the loopback address only.
"""

from __future__ import annotations

import json
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from subprocess import Popen
from typing import BinaryIO, Final

import httpx

from mindkg.errors import StoreError
from mindkg.serving.limits import HOST, PORT, Limits
from mindkg.stores.base import one_line
from mindkg.stores.guard import guarded

__all__ = ["HOST", "PORT", "Limits", "serving"]

_PATIENCE: Final = 30.0
_LONGEST: Final = 200


@contextmanager
def serving(place: Path, *, port: int = PORT, limits: Limits | None = None) -> Iterator[tuple[str, Popen[bytes]]]:
    """Give the address of a server that reads the Oxigraph store in ``place``, and its process; it ends with the block.

    It ends with this program too, however that ends. Queries are answered at ADDRESS/query; nothing can be written.
    ``port`` 0 takes one that is free. Raises StoreError where the extra ``serve`` is not installed, the port is taken
    or the server does not start.
    """
    for package in ("starlette", "uvicorn"):
        if find_spec(package) is None:
            hint = 'Install it: pip install "mindkg[serve]"'
            raise StoreError(f"The SPARQL server needs {package}", hint=hint)
    port = _free_port(port)
    options = json.dumps({"place": str(place), "port": port, "limits": asdict(limits or Limits())})
    with tempfile.TemporaryFile() as log:
        address = f"http://{HOST}:{port}"
        with guarded([sys.executable, "-m", "mindkg.serving.server", options], log, 10) as process:
            _wait(process, address, log)
            yield address, process


def _free_port(port: int) -> int:
    """Return ``port``, or a free one for 0; raises StoreError where something listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: a port just left is free
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            hint = "Give another one with --port, or --port 0 for any"
            raise StoreError(f"The port {port} cannot be used: {one_line(error)}", hint=hint) from error
        return int(probe.getsockname()[1])


def _wait(process: Popen[bytes], address: str, log: BinaryIO) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        with suppress(httpx.TransportError):
            if httpx.get(address, trust_env=False).is_success:
                return
        if process.poll() is not None or time.monotonic() > until:
            log.seek(0)
            said = log.read().decode(errors="replace").strip().rpartition("\n")[2]
            raise StoreError(f"The SPARQL server does not start: {said[:_LONGEST]}", record=address)
        time.sleep(0.05)
