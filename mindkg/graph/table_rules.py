"""The rules of ontology/shapes.ttl on the tables of a graph folder, whole columns at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from mindkg.graph.folder import open_table, used_relations
from mindkg.graph.rdf_batches import link_batches, node_ids, property_values
from mindkg.graph.rdf_model import IDENTIFIER, NODES, Link, Node, Property, expand
from mindkg.graph.rdf_terms import STRING, as_text
from mindkg.graph.shapes import CONSTRAINTS, Shape, unknown_constraint

_LEXICAL: Final = {
    "string": "",
    "integer": r"^[+-]?\d+$",
    "double": r"^([+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|NaN|[+-]?INF)$",
    "boolean": "^(true|false|0|1)$",
    "dateTime": r"^-?\d{4,}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?"
    r"(Z|[+-]\d\d:\d\d)?$",
    "langString": "",
}
"""What a text must look like to be a value of a datatype of XML Schema."""

_IS_OF: Final = {"integer": pa.types.is_integer, "double": pa.types.is_floating, "boolean": pa.types.is_boolean}
"""The columns whose values are of a datatype, whatever they are."""


class Tables:
    """The tables of a graph folder as nodes and what they say; what is read once is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ids: dict[str, pa.Array] = {}
        self._unique: dict[str, bool] = {}

    def table(self, name: str, columns: list[str]) -> pa.Table:
        """Return columns of a table; the identifiers of its nodes are ``ids``."""
        if name == "relations":
            return pa.Table.from_batches([self._relations]).select(columns)
        with open_table(self.folder, name) as file:
            return file.read(columns=columns)

    @cached_property
    def _relations(self) -> pa.RecordBatch:
        return used_relations(self.folder)

    def ids(self, kind: str) -> pa.Array:
        """Return the identifier of each row of the kind's table, in its order."""
        if kind not in self._ids:
            node = _NODES[kind]
            table = self.table(node.table, list(node.key)).combine_chunks()
            batches = table.to_batches()
            self._ids[kind] = node_ids(node, batches[0]) if batches else pa.array([], STRING)
        return self._ids[kind]

    def once(self, node: Node, path: str) -> bool:
        """Whether no node can have several values at a property: a row is a node, and has one value in one column."""
        ids = self.ids(node.kind)
        if node.kind not in self._unique:
            self._unique[node.kind] = pc.count_distinct(ids).as_py() == len(ids)
        plain = [p for p in node.properties if len(p.columns) == 1]
        return self._unique[node.kind] and path in {expand(IDENTIFIER), *(expand(p.predicate) for p in plain)}

    def values(self, node: Node, path: str) -> pa.Table:
        """Return what nodes have at a property: id, value (nulls left out)."""
        if path == expand(IDENTIFIER):
            return _pairs(self.ids(node.kind), self.ids(node.kind))
        for property_ in node.properties:
            if expand(property_.predicate) == path:
                return self._property(node, property_)
        for link in node.links:
            if link.predicate and expand(link.predicate) == path:
                return self._link(node, link)
        raise LookupError(f"{node.kind} has no property {path}")

    def rows(self, node: Node, path: str) -> pa.Array:
        """Return the value of a property of one column, one a row of the node's table."""
        (property_,) = (p for p in node.properties if expand(p.predicate) == path)
        return self.table(node.table, list(property_.columns)).column(0).combine_chunks()

    def _property(self, node: Node, property_: Property) -> pa.Table:
        table, ids, found = self.table(node.table, list(property_.columns)), self.ids(node.kind), []
        for column in property_.columns:
            found.append(_pairs(ids, property_values(table[column].combine_chunks(), property_)))
        return pa.concat_tables(found)

    def _link(self, node: Node, link: Link) -> pa.Table:
        found = [_pairs(pa.array([], STRING), pa.array([], STRING))]
        for batch in link_batches(self.folder, link):
            found.append(_pairs(batch[link.subject].cast(STRING), batch[link.object]))
        pairs = pa.concat_tables(found)
        # rules are about nodes: a subject that is none is found where it is referred to
        return pairs.filter(pc.is_in(pairs["id"], value_set=self.ids(node.kind)))


_NODES: Final = {node.kind: node for node in NODES}
_KINDS: Final = {expand(node.types[0]): node.kind for node in NODES}


def broken(tables: Tables, shape: Shape) -> set[str]:
    """Return the identifiers of the nodes that break the rule ``shape``.

    Raises StoreError where the rule is neither one of those that columns can be held to nor in ``RULES``.
    """
    if shape.rule in RULES:
        return _texts(RULES[shape.rule](tables))
    if shape.path is None or not shape.constraints.keys() <= CONSTRAINTS:
        raise unknown_constraint(shape)
    node = _NODES[shape.kind]
    pairs = tables.values(node, shape.path)
    found: set[str] = set()
    for name, values in shape.constraints.items():
        if name in ("minCount", "maxCount"):
            if values == ("1",) and tables.once(node, shape.path):
                # counting is dear, and here a look at the lengths tells
                if name == "minCount" and len(pairs) < len(tables.ids(node.kind)):
                    found |= _texts(_without(tables.ids(node.kind), pairs))
            else:
                found |= _texts(_miscounted(tables.ids(node.kind), pairs, name, int(values[0])))
        elif name == "disjoint":
            left, right = tables.rows(node, shape.path), tables.rows(node, values[0])
            found |= _texts(tables.ids(node.kind).filter(pc.fill_null(pc.equal(left, right), False)))
        else:
            found |= _texts(pairs["id"].filter(pc.invert(_allowed(tables, pairs["value"], name, values))))
    return found


def _allowed(tables: Tables, values: pa.ChunkedArray, name: str, wanted: tuple[str, ...]) -> pa.ChunkedArray:
    """Return for each value whether the constraint ``name`` allows it."""
    if name == "class":
        return pc.is_in(values, value_set=tables.ids(_KINDS[wanted[0]]))
    if name == "datatype":
        return _of_datatype(values, wanted[0].rsplit("#", 1)[1])
    if name == "in":
        return pc.is_in(values, value_set=pa.array(wanted, values.type))
    if name == "pattern":
        return pc.match_substring_regex(values, wanted[0])
    if name == "minLength":
        return pc.greater_equal(pc.utf8_length(values), int(wanted[0]))
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        # what is no number at all breaks the rule of its datatype
        return pa.chunked_array([pa.repeat(True, len(values))], pa.bool_())
    compare = {"minInclusive": pc.greater_equal, "maxInclusive": pc.less_equal}[name]
    return compare(values, pa.scalar(float(wanted[0])))


def _of_datatype(values: pa.ChunkedArray, datatype: str) -> pa.ChunkedArray:
    if not _LEXICAL[datatype] or _IS_OF.get(datatype, pa.types.is_null)(values.type):
        return pa.chunked_array([pa.repeat(True, len(values))], pa.bool_())
    return pc.match_substring_regex(_as_text(values), _LEXICAL[datatype])


def _miscounted(ids: pa.Array, pairs: pa.Table, name: str, count: int) -> pa.Array:
    """Return the ids that have fewer (minCount) or more (maxCount) different values than ``count``."""
    if name == "minCount" and count == 1:
        return _without(ids, pairs)
    texts = pa.table({"id": pairs["id"], "value": _as_text(pairs["value"])})
    counted = texts.group_by(["id", "value"]).aggregate([]).group_by("id").aggregate([("value", "count")])
    if name == "maxCount":
        return counted["id"].filter(pc.greater(counted["value_count"], count))
    enough = counted["id"].filter(pc.greater_equal(counted["value_count"], count))
    return ids.filter(pc.invert(pc.is_in(ids, value_set=enough)))


def _without(ids: pa.Array, pairs: pa.Table) -> pa.Array:
    return ids.filter(pc.invert(pc.is_in(ids, value_set=pairs["id"])))


def _as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([as_text(chunk) for chunk in values.chunks], STRING)


def _pairs(ids: pa.Array, values: pa.Array) -> pa.Table:
    values = values.cast(STRING) if pa.types.is_string(values.type) else values
    return pa.table({"id": ids, "value": values}).filter(pc.is_valid(values))


def _texts(ids: pa.Array | pa.ChunkedArray) -> set[str]:
    return set(pc.unique(ids).to_pylist())


def _not_asserted(tables: Tables) -> pa.Array:
    named = tables.values(_NODES["assertion"], expand("mind:intention"))["value"]
    ids = tables.ids("intention")
    return ids.filter(pc.invert(pc.is_in(ids, value_set=named)))


def _not_of_one_assertion(tables: Tables) -> pa.ChunkedArray:
    evidence = tables.table("evidence", ["generation_id", "assertion_id"])
    counted = evidence.group_by("generation_id").aggregate([("assertion_id", "count_distinct")])
    several = counted["generation_id"].filter(pc.greater(counted["assertion_id_count_distinct"], 1))
    known = pc.is_in(evidence["assertion_id"].cast(STRING), value_set=tables.ids("assertion"))
    return pa.chunked_array([*several.chunks, *evidence["generation_id"].filter(pc.invert(known)).chunks], pa.string())


def _support_is_not_evidence(tables: Tables) -> pa.ChunkedArray:
    support = tables.table("assertions", ["assertion_id", "support"])
    evidence = tables.table("evidence", ["assertion_id", "generation_id"])
    counted = evidence.group_by("assertion_id").aggregate([("generation_id", "count_distinct")])
    joined = support.join(counted, "assertion_id", join_type="inner")
    wrong = pc.not_equal(_as_text(joined["support"]), _as_text(joined["generation_id_count_distinct"]))
    return joined["assertion_id"].filter(wrong)


def _broader_but_no_ancestor(tables: Tables) -> pa.ChunkedArray:
    above = tables.table("ancestors", ["concept", "ancestor"]).rename_columns(["concept", "hypernym"])
    known = pa.table({"concept": tables.ids("concept")})
    broader = tables.table("hypernyms", ["concept", "hypernym"])
    broader = broader.filter(pc.is_in(broader["concept"].cast(STRING), value_set=known["concept"]))
    return broader.join(above, ["concept", "hypernym"], join_type="left anti")["concept"]


def _nothing(tables: Tables) -> pa.Array:
    return pa.array([], STRING)


RULES: Final[dict[str, Callable[[Tables], pa.Array | pa.ChunkedArray]]] = {
    "intention-asserted": _not_asserted,
    "generation-assertion": _not_of_one_assertion,
    "assertion-evidence": _support_is_not_evidence,
    # the triple is written from the very row of the assertion
    "assertion-triple": _nothing,
    "concept-closure": _broader_but_no_ancestor,
}
"""The rules that are not about the values of one property."""
