"""What a request of the SPARQL 1.1 Protocol asks for: its query, its dataset and the form of the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from mindkg.serving.limits import MAX_BODY, NAMES

ROWS: Final[Mapping[str, str]] = {
    "application/sparql-results+json": "application/sparql-results+json",
    "application/json": "application/sparql-results+json",
    "application/sparql-results+xml": "application/sparql-results+xml",
    "application/xml": "application/sparql-results+xml",
    "text/xml": "application/sparql-results+xml",
    "text/csv": "text/csv",
    "text/tab-separated-values": "text/tab-separated-values",
}
TRIPLES: Final[Mapping[str, str]] = {
    "text/turtle": "text/turtle",
    "application/n-triples": "application/n-triples",
    "text/plain": "application/n-triples",
    "application/rdf+xml": "application/rdf+xml",
    "application/xml": "application/rdf+xml",
    "application/ld+json": "application/ld+json",
    "application/json": "application/ld+json",
}
"""The media types that may be asked for and what is sent for each, the preferred first."""

_FORM: Final = "application/x-www-form-urlencoded"
_QUERY: Final = "application/sparql-query"
_MAX_FIELDS: Final = 100


class RefusedError(Exception):
    """A request that is not answered; ``status`` and the text say why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, the graphs that the protocol's parameters name, and the media types of its answer (None: none fits)."""

    query: str
    default: tuple[str, ...]
    named: tuple[str, ...]
    rows: str | None
    triples: str | None


def check_origin(request: Request) -> None:
    """Raise RefusedError unless the request is meant for this server and comes from no page of another one.

    A page of another site reaches it under a name of its own (DNS rebinding), or from its own origin.
    """
    host = request.headers.get("host", "")
    name, _, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    if (name or host).lower() not in NAMES or (name and not port.isdigit() and not host.endswith("]")):
        raise RefusedError(421, f"This server answers at {', '.join(sorted(NAMES))} only")
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "none")
    visit = request.url.path == "/" and request.headers.get("sec-fetch-mode") == "navigate"
    if (origin is not None and origin.lower() != f"http://{host.lower()}") or (
        site not in ("none", "same-origin") and not visit
    ):
        raise RefusedError(403, "Pages of other sites may not ask this server")


async def read_asked(request: Request) -> Asked:
    """Return what ``request`` asks for; raises RefusedError."""
    fields = _fields(request.url.query)
    query = None
    if request.method == "POST":
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media == "application/sparql-update":
            raise RefusedError(403, "This server is read-only")
        if media not in (_FORM, _QUERY) or request.headers.get("content-encoding", "identity") != "identity":
            raise RefusedError(415, f"Send {_FORM} or {_QUERY}, not compressed")
        body = await _body(request)
        if media == _FORM:
            fields = _fields(body)
        else:
            query = body
    given = [value for name, value in fields if name == "query"] + ([query] if query is not None else [])
    if any(name == "update" for name, _ in fields):
        raise RefusedError(403, "This server is read-only")
    if len(given) != 1:
        raise RefusedError(400, "Give exactly one query, in the parameter query or as application/sparql-query")
    accept = ", ".join(request.headers.getlist("accept")) or "*/*"
    default, named = (tuple(v for n, v in fields if n == f"{kind}-graph-uri") for kind in ("default", "named"))
    return Asked(given[0], default, named, rows=preferred(accept, ROWS), triples=preferred(accept, TRIPLES))


def preferred(accept: str, forms: Mapping[str, str]) -> str | None:
    """Return what to send for the header ``accept`` (RFC 9110, section 12.5.1), None where nothing fits.

    >>> preferred("text/csv;q=0.5, application/sparql-results+xml", ROWS)
    'application/sparql-results+xml'
    >>> preferred("text/html, */*;q=0.1", ROWS), preferred("image/png", TRIPLES)
    ('application/sparql-results+json', None)
    """
    ranges = [_range(part) for part in accept.split(",")]

    def quality(media: str) -> float:
        kinds = (media, media.partition("/")[0] + "/*", "*/*")
        return next((q for kind in kinds for name, q in ranges if name == kind), 0.0)

    best = max(forms, key=quality)  # the first of equals
    return forms[best] if quality(best) > 0 else None


def _range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weights = [value for key, _, value in (p.partition("=") for p in parameters) if key.strip() == "q"]
    try:
        return name, float(weights[0]) if weights else 1.0
    except ValueError:
        return name, 0.0


async def _body(request: Request) -> str:
    """Return the body as text; raises RefusedError where it is too long or no UTF-8."""
    read = bytearray()
    async for part in request.stream():
        read += part
        if len(read) > MAX_BODY:
            raise RefusedError(413, f"A request has {MAX_BODY:,} bytes at most")
    try:
        return read.decode()
    except UnicodeDecodeError:
        raise RefusedError(400, "The request is not UTF-8") from None


def _fields(text: str) -> Sequence[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise RefusedError(400, f"The parameters are not UTF-8, or more than {_MAX_FIELDS}") from None
