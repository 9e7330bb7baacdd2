"""The claim of a load on a graph of a SPARQL server, in a named graph beside that one.

SPARQL Update has no answer, and servers differ in what two updates at one moment see. So a loader writes its claim
where none stands, looks, and takes its own away again where it finds another: of two that meet, at most one goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pyarrow as pa

from mindkg.errors import StoreError
from mindkg.resources import data_folder
from mindkg.stores.base import Progress
from mindkg.stores.load_lock import Claim
from mindkg.stores.sparql_http import Endpoint

_BESIDE: Final = "/lock"
"""What follows the name of a graph for the graph with the claims on it."""


class SparqlBoard:
    """The claims on the graph ``subject``; see ``Board``. ``rows`` returns the rows of a query."""

    def __init__(self, server: Endpoint, subject: str, rows: Callable[[str], pa.Table], report: Progress) -> None:
        self.address = server.address
        self._server, self._rows, self._report = server, rows, report
        self._lock = subject + _BESIDE
        self._beats = 0

    def take(self, claim: Claim, instead: Claim | None) -> Claim:
        """Write ``claim`` where none stands, or only ``instead``, unchanged; return the claim that stands then."""
        self._server.persist(lambda: self._server.update(self._text("claim.ru", claim, instead)), self._report)
        claims = self._server.persist(self.claims, self._report)
        others = [standing for standing in claims if standing.token != claim.token]
        if others:
            self.release(claim)
            return others[0]
        if not claims:
            hint = "mindkg needs named graphs to keep two loads apart"
            raise StoreError(f"The endpoint does not keep the graph {self._lock}", record=self.address, hint=hint)
        return claim

    def claims(self) -> list[Claim]:
        """Return the claims that stand: one at most, but while two loaders meet."""
        start = len(self._lock) + 1
        rows = self._rows(self._text("claims.rq")).to_pylist()
        return [Claim(str(row["claim"])[start:], str(row["holder"]), int(row["beat"])) for row in rows]

    def beat(self, claim: Claim) -> None:
        """Raise the beat of ``claim``; nothing happens where it does not stand any more."""
        self._beats += 1
        self._server.update(self._text("beat.ru", Claim(claim.token, claim.holder, self._beats)))

    def release(self, claim: Claim) -> None:
        """Remove ``claim``; nothing happens where it does not stand any more."""
        self._server.update(self._text("release.ru", claim))

    def _text(self, file: str, claim: Claim | None = None, other: Claim | None = None) -> str:
        from pyoxigraph import Literal

        text = (data_folder("loaders") / "sparql" / file).read_text("utf-8")
        text = text.replace("<LOCK>", f"<{self._lock}>")
        standing = other or claim
        text = text.replace("<OTHER>", self._node(other)).replace("<CLAIM>", self._node(claim))
        text = text.replace('"BEAT"', str(Literal(str(standing.beat if standing else ""))))
        return text.replace("HOLDER", str(Literal(claim.holder if claim else "")))

    def _node(self, claim: Claim | None) -> str:
        return f"<{self._lock}/{claim.token if claim else 'none'}>"
