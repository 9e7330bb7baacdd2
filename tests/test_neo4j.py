"""The store over a real Neo4j."""

from __future__ import annotations

import pytest

from mindkg.stores import open_remote

pytest_plugins = ["neo4j_server"]
pytestmark = pytest.mark.xdist_group("neo4j")


def test_it_answers(neo4j_uri: str) -> None:
    store = open_remote(neo4j_uri)
    assert store.query("RETURN 1 AS one").to_pylist() == [{"one": 1}]
    store.close()
