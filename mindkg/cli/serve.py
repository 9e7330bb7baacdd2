"""The verb that opens a KB to other programs: serve."""

from __future__ import annotations

import signal
import threading
from typing import Annotated

import typer

from mindkg.cli.arguments import KB, IncludeFiltered
from mindkg.cli.output import say
from mindkg.cli.terminal import result

_EXAMPLE = "SELECT ?concept WHERE { ?x a skos:Concept ; skos:prefLabel ?concept } LIMIT 5"
_PREFIX = "PREFIX skos: <http://www.w3.org/2004/02/skos/core#> "


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command(epilog="Examples: `mindkg serve kb` · `mindkg serve kb --port 0`")(serve)


def serve(
    kb: KB,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port on 127.0.0.1; 0 takes one that is free.")
    ] = 7878,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that a query may take.")] = 60.0,
    max_rows: Annotated[int, typer.Option(min=1, help="Rows or triples that an answer may have.")] = 1_000_000,
    include_filtered: IncludeFiltered = False,
) -> None:
    """Answer SPARQL over HTTP on this machine, read-only, until Ctrl-C (needs the extra `serve`)."""
    from mindkg.errors import StoreError
    from mindkg.knowledge_base import KnowledgeBase

    base = KnowledgeBase.open(kb)
    over = threading.Event()
    with base.serve(port=port, timeout=timeout, max_rows=max_rows, include_filtered=include_filtered, progress=say) as (
        address,
        process,
    ):
        for number in (signal.SIGINT, signal.SIGTERM):  # not before: while the graph is loaded they end it at once
            signal.signal(number, lambda *_: over.set())
        result(f"{address}/query")
        say(f"Answering SPARQL at {address}/query, with a form for queries at {address}. Stop it with Ctrl-C. Try:")
        say(f"  curl {address}/query -H 'Accept: text/csv' --data-urlencode 'query={_PREFIX}{_EXAMPLE}'")
        while not over.wait(0.2):
            if process.poll() is not None:
                raise StoreError("The SPARQL server has ended", hint="Start it again")
    say("stopped")
