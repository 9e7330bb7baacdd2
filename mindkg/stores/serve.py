"""The Oxigraph server, read-only, on a store that mindkg built: SPARQL over HTTP for curl and other programs."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import BinaryIO, Final

import httpx

from mindkg.errors import StoreError
from mindkg.stores.base import one_line
from mindkg.stores.guard import guarded

HOST: Final = "127.0.0.1"
PORT: Final = 7878
"""Where it listens unless another port is given: nobody but this machine reaches it."""

_PATIENCE: Final = 30.0
_LONGEST: Final = 200


@contextmanager
def serving(place: Path, *, port: int = PORT) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Give the address of a server that reads the Oxigraph store in ``place``, and its process; it ends with the block.

    It ends with this program too, however that ends. Queries are answered at ADDRESS/query; nothing can be written.
    ``port`` 0 takes one that is free. Raises StoreError where the server is not installed, the port is taken or the
    server does not start.
    """
    command, port = [str(_program()), "serve-read-only"], _free_port(port)
    with tempfile.TemporaryFile() as log:
        address = f"http://{HOST}:{port}"
        with guarded([*command, "--location", str(place), "--bind", f"{HOST}:{port}"], log, 10) as process:
            _wait(process, address, log)
            yield address, process


def _program() -> Path:
    """Return the binary that the wheel ``oxigraph`` brings; raises StoreError where it is not installed."""
    try:
        files = distribution("oxigraph").files or []
    except PackageNotFoundError:
        hint = 'Install it: pip install "mindkg[serve]"'
        raise StoreError("The Oxigraph server is not installed", hint=hint) from None
    found = (
        Path(str(file.locate())).resolve() for file in files if file.stem == "oxigraph" and "bin" in str(file.parent)
    )
    program = next((file for file in found if file.is_file()), None)
    if program is None:
        raise StoreError("The package oxigraph has no server in it", hint="Install it again: pip install oxigraph")
    return program


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


def _wait(process: subprocess.Popen[bytes], address: str, log: BinaryIO) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        with suppress(httpx.TransportError):
            if httpx.get(address, trust_env=False).is_success:
                return
        if process.poll() is not None or time.monotonic() > until:
            log.seek(0)
            said = " ".join(log.read().decode(errors="replace").partition("Stack backtrace")[0].split())
            raise StoreError(f"The Oxigraph server does not start: {said[:_LONGEST]}", record=address)
        time.sleep(0.05)
