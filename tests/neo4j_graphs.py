"""What a Neo4j holds and what a graph folder says that it should hold, in a form that can be compared."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from neo4j import Driver, GraphDatabase

from mindkg.graph.property_graph import node_tables, relationship_tables

Graph = tuple[dict[str, dict[str, dict[str, Any]]], dict[str, dict[tuple[str, str], dict[str, Any]]]]
"""Nodes by label and id, relationships by type and ids of their ends; with their properties."""

NODES = "MATCH (n) WHERE n.mindkg_load IS NOT NULL RETURN labels(n)[0] AS label, properties(n) AS properties"
RELATIONSHIPS = "MATCH (s)-[r]->(e) WHERE r.mindkg_load IS NOT NULL RETURN type(r) AS type, s.id AS s, e.id AS e, properties(r) AS properties"  # noqa: E501


def held(driver: Driver | str) -> Graph:
    """Return what mindkg wrote into the default database behind ``driver``."""
    if isinstance(driver, str):
        with GraphDatabase.driver(driver, auth=None) as own:
            return held(own)
    nodes: dict[str, dict[str, dict[str, Any]]] = {}
    for row in driver.execute_query(NODES).records:
        properties = row["properties"]
        assert properties["id"] not in nodes.setdefault(row["label"], {})
        nodes[row["label"]][properties["id"]] = _plain(properties)
    relationships: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for row in driver.execute_query(RELATIONSHIPS).records:
        assert (row["s"], row["e"]) not in relationships.setdefault(row["type"], {})
        relationships[row["type"]][row["s"], row["e"]] = _plain(row["properties"])
    return nodes, relationships


def wanted(folder: Path) -> Graph:
    """Return what the graph folder ``folder`` says."""
    nodes = {node.label: {row["id"]: _plain(row) for row in rows.to_pylist()} for node, rows in node_tables(folder)}
    relationships = {
        type_.type: {(row.pop("start"), row.pop("end")): _plain(row) for row in rows.to_pylist()}
        for type_, rows in relationship_tables(folder)
        if len(rows)
    }
    return {label: rows for label, rows in nodes.items() if rows}, relationships


def loads(driver: Driver) -> set[int]:
    """Return the numbers of the loads that wrote what is there."""
    found: Iterable[Any] = driver.execute_query("MATCH (n) RETURN DISTINCT n.mindkg_load AS load").records
    return {row["load"] for row in found if row["load"] is not None}


def _plain(properties: dict[str, Any]) -> dict[str, Any]:
    """Return what is stored: Neo4j has no nulls, and a list that says nothing is left out."""
    return {k: v for k, v in properties.items() if v is not None and v != [] and k != "mindkg_load"}
