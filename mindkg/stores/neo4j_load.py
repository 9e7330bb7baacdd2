"""Loading Neo4j."""

from __future__ import annotations

from pathlib import Path

from mindkg.errors import StoreError
from mindkg.stores.base import Progress


def load(
    folder: Path,
    *,
    uri: str | None = None,
    user: str | None = None,
    database: str | None = None,
    offline: bool = False,
    neo4j_home: str | Path | None = None,
    explain: bool = False,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Load the graph folder ``folder`` into Neo4j and return what it holds by class."""
    raise StoreError("Neo4j is not loaded yet")
