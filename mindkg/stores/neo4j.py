"""Neo4j, a server: Cypher over Bolt."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pyarrow as pa

from mindkg.stores.base import Dialect

if TYPE_CHECKING:
    import neo4j


class Neo4jStore:
    """A property graph in a Neo4j server; see ``Store``."""

    engine: ClassVar[str] = "neo4j"
    dialect: ClassVar[Dialect] = "cypher"

    def __init__(self, driver: neo4j.Driver, database: str | None) -> None:
        self._driver = driver
        self.database = database

    @classmethod
    def connect(cls, address: str, *, user: str | None = None, database: str | None = None) -> Self:
        """Return the store behind ``address``; raises StoreError where nothing answers.

        ``user`` is NEO4J_USERNAME or neo4j unless given, ``database`` NEO4J_DATABASE or the user's home database. The
        password is NEO4J_PASSWORD; without one no credentials are sent.
        """
        import neo4j

        password = os.environ.get("NEO4J_PASSWORD")
        name = user or os.environ.get("NEO4J_USERNAME") or "neo4j"
        driver = neo4j.GraphDatabase.driver(address, auth=(name, password) if password else None)
        driver.verify_connectivity()
        return cls(driver, database or os.environ.get("NEO4J_DATABASE"))

    def query(self, text: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Return the rows of the Cypher query ``text``; raises QueryError, one line."""
        result = self._driver.execute_query(text, dict(parameters or {}), database_=self.database)
        return pa.Table.from_pylist([dict(record) for record in result.records])

    def close(self) -> None:
        """Let go of the connection; the store answers no more."""
        self._driver.close()
