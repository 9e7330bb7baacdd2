"""A process that evaluates one query at a time: ``python -m mindkg.serving.worker OPTIONS``.

Requests and replies are lines of JSON on stdin and stdout; an answer goes into the file that its request names. The
process can be killed at any moment; it ends itself when its parent has ended or a query took much too long.
"""

from __future__ import annotations

import codecs
import json
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import pyoxigraph
from pyoxigraph import QueryResultsFormat, RdfFormat

from mindkg.errors import MindKGError
from mindkg.graph.rdf_model import prefixes
from mindkg.serving.limits import Limits
from mindkg.serving.parent import end_with_parent
from mindkg.stores.oxigraph import OxigraphStore, check_query, refusal
from mindkg.xml_text import xml_text

_GRACE: Final = 5.0
"""Seconds after its time limit at which a worker that nobody killed ends itself."""

_IN_MEMORY: Final = 1 << 20
_XML: Final = (QueryResultsFormat.XML, RdfFormat.RDF_XML)


class TooLargeError(Exception):
    """An answer has more rows or bytes than the limits allow."""


class _Output:
    """A binary file that counts what is written and stops at the limits; ``lines`` are those of TSV or N-Triples."""

    def __init__(self, file: IO[bytes], limits: Limits, lines: int | None = None, *, xml: bool = False) -> None:
        self._file, self._bytes, self._lines = file, limits.max_bytes, lines
        self._decoder = codecs.getincrementaldecoder("utf-8")() if xml else None
        self.exceeded: str | None = None
        self._limits = limits

    def write(self, data: bytes) -> int:
        """Write ``data``; raises OSError at a limit, which ``exceeded`` names then."""
        self._bytes -= len(data)
        if self._lines is not None:
            self._lines -= data.count(b"\n")
        if self._lines is not None and self._lines < 0:
            self.exceeded = f"{self._limits.max_rows:,} rows"
        elif self._bytes < 0:
            self.exceeded = f"{self._limits.max_bytes:,} bytes"
        if self.exceeded:
            raise OSError("too large")
        self._file.write(data if self._decoder is None else xml_text(self._decoder.decode(data)).encode())
        return len(data)

    def flush(self) -> None:
        """Do nothing: the file is closed afterwards."""


def evaluate(store: pyoxigraph.Store, request: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """Write the answer to ``request`` into its file and return the reply: its media type, or a status and a reason."""
    try:
        check_query(request["query"])
        answer = store.query(request["query"], prefixes=dict(prefixes()), **_dataset(request))
        return _write(answer, request, limits)
    except TooLargeError as error:
        hint = "Add a LIMIT, or start the server with other limits (mindkg serve --help)"
        return {"status": 400, "reason": f"The answer has more than {error}. {hint}"}
    except MindKGError as error:
        return {"status": 400, "reason": str(error)}
    except (SyntaxError, ValueError, OSError, RuntimeError) as error:
        return {"status": 400, "reason": str(refusal(error, request["query"]))}


def _dataset(request: dict[str, Any]) -> dict[str, Any]:
    """Return the dataset that the protocol's parameters name; they replace FROM (SPARQL 1.1 Protocol, 2.1.4)."""
    default, named = ([pyoxigraph.NamedNode(iri) for iri in request[key]] for key in ("default", "named"))
    return {"default_graph": default, "named_graphs": named} if default or named else {}


def _write(answer: Any, request: dict[str, Any], limits: Limits) -> dict[str, Any]:
    triples = isinstance(answer, pyoxigraph.QueryTriples)
    media = request["triples" if triples else "rows"]
    if media is None:
        return {
            "status": 406,
            "reason": f"An answer of {'triples' if triples else 'rows'} has no form of those in Accept",
        }
    form: Any = RdfFormat.from_media_type(media) if triples else QueryResultsFormat.from_media_type(media)
    with Path(request["file"]).open("wb") as file:
        out = _Output(file, limits, xml=form in _XML)
        if isinstance(answer, pyoxigraph.QueryBoolean):
            _counted(answer, out, form)
        else:
            _write_many(answer, file, out, form, limits)
    return {"status": 200, "media": media}


def _write_many(answer: Any, file: IO[bytes], out: _Output, form: Any, limits: Limits) -> None:
    """Write rows or triples: first one per line, since these can be counted, then in the form that is wanted."""
    triples = isinstance(answer, pyoxigraph.QueryTriples)
    plain: Any = RdfFormat.N_TRIPLES if triples else QueryResultsFormat.TSV
    lines = limits.max_rows + (not triples)  # TSV has a header
    if form == plain:
        _counted(answer, _Output(file, limits, lines), form)
        return
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as rows:
        _counted(answer, _Output(rows, limits, lines), plain)
        rows.seek(0)
        if triples:
            found = pyoxigraph.parse(rows, format=plain)
            with _limit(out):
                pyoxigraph.serialize(found, out, form, prefixes=dict(prefixes()))  # type: ignore[arg-type]
        else:
            _counted(pyoxigraph.parse_query_results(rows, format=plain), out, form)


def _counted(answer: Any, out: _Output, form: Any) -> None:
    with _limit(out):
        answer.serialize(out, form)


@contextmanager
def _limit(out: _Output) -> Iterator[None]:
    """Raise TooLargeError in place of what writing raises at a limit of ``out``."""
    try:
        yield
    except Exception:
        if out.exceeded is None:
            raise
    if out.exceeded is not None:
        raise TooLargeError(out.exceeded)


def _reply(reply: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()


def main(options: str) -> None:
    """Answer requests from stdin until it ends."""
    given = json.loads(options)
    limits = Limits(**given["limits"])
    end_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which kills its workers
    store = OxigraphStore.open(Path(given["place"])).store
    resource.setrlimit(resource.RLIMIT_DATA, (limits.memory, limits.memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _reply({"ready": os.getpid()})
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_REAL, limits.timeout + _GRACE)  # its default is to end the process
        reply = evaluate(store, json.loads(line), limits)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _reply(reply)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except MindKGError as error:
        _reply({"error": str(error)})
