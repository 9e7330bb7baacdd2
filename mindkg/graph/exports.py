"""The property graph for other tools: GraphML, CSV and networkx."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from mindkg.graph.output import writing
from mindkg.graph.property_graph import NODES, named_tables, node_tables, relationship_tables, relationship_types
from mindkg.graph.rdf_terms import STRING, contents, join
from mindkg.xml_text import FORBIDDEN_RE2, xml_column, xml_id

if TYPE_CHECKING:
    import networkx

_BATCH: Final = 65_536
_GRAPHML_TYPES: Final = {pa.int64(): "long", pa.float64(): "double", pa.bool_(): "boolean"}


def write_graphml(folder: Path, out: Path | BinaryIO, *, report: Callable[[str], None] | None = None) -> dict[str, int]:
    """Write the graph folder ``folder`` as GraphML to ``out`` and return the rows of each label and type.

    The id of a node is its label, a colon and its id (``Concept:cable``), with ``%`` and what XML cannot hold
    percent-encoded. In values what XML cannot hold is U+FFFD; ``report`` is given a line with how many there are.
    Lists are JSON. A path that ends in ``.gz`` is gzipped.
    """
    rows, replaced = {}, 0
    with writing(out) as file:
        file.write(b'<?xml version="1.0" encoding="UTF-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n')
        file.writelines(_keys())
        file.write(b'<graph id="mindkg" edgedefault="directed">\n')
        for node, table in node_tables(folder):
            ids = [(" id", node.label, "id")]
            rows[node.label], n = _write_elements(file, table, "node", ids, ("labels", node.label))
            replaced += n
        for type_, table in relationship_tables(folder):
            ends = [(" source", type_.start, "start"), (" target", type_.end, "end")]
            rows[type_.type], n = _write_elements(file, table, "edge", ends, ("label", type_.type))
            replaced += n
        file.write(b"</graph>\n</graphml>\n")
    if replaced and report:
        report(f"{replaced:,} characters that XML cannot hold are U+FFFD in the GraphML; other forms keep them")
    return rows


def write_csv(folder: Path, out: Path) -> dict[str, int]:
    """Write ``LABEL.csv`` and ``TYPE.csv`` (RFC 4180, UTF-8, with a header) into ``out`` and return the rows of each.

    Every text is quoted, a null is an empty field without quotes, lists are JSON.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows = {}
    for name, table in named_tables(folder):
        pyarrow.csv.write_csv(_without_lists(table), out / f"{name}.csv")
        rows[name] = table.num_rows
    return rows


def to_networkx(folder: Path) -> networkx.MultiDiGraph[tuple[str, str]]:
    """Return the graph folder ``folder`` as a directed multigraph.

    Nodes are (label, id), as in ``("Concept", "cable")``, with their properties; the key of an edge is its
    relationship type, for assertions the pair of type and id. Nulls are left out.
    """
    import networkx

    graph: networkx.MultiDiGraph[tuple[str, str]] = networkx.MultiDiGraph()
    for node, table in node_tables(folder):
        graph.add_nodes_from(((node.label, row["id"]), {"labels": node.label, **row}) for row in _present(table))
    for type_, table in relationship_tables(folder):
        for row in _present(table):
            start, end = (type_.start, row.pop("start")), (type_.end, row.pop("end"))
            key = (type_.type, row["id"]) if "id" in row else type_.type
            graph.add_edge(start, end, key=key, label=type_.type, **row)
    return graph


def _present(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=_BATCH):
        for row in batch.to_pylist():
            yield {name: value for name, value in row.items() if value is not None}


def _without_lists(table: pa.Table) -> pa.Table:
    for i, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            table = table.set_column(i, field.name, pa.chunked_array([_json(c) for c in table[i].chunks], pa.string()))
    return table


def _json(lists: pa.Array) -> pa.Array:
    """Return each list of texts of ``lists`` as JSON."""
    parts = pa.array([json.dumps(text, ensure_ascii=False) for text in lists.flatten().to_pylist()], pa.string())
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy()
    offsets = pa.array([0, *lengths.cumsum().tolist()], pa.int32())
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, parts), ", ")
    texts = pc.binary_join_element_wise("[", joined, "]", "")
    return pc.if_else(lists.is_valid(), texts, pa.scalar(None, pa.string()))


def _keys() -> Iterator[bytes]:
    """Yield the declaration of every property, each once for nodes and once for edges."""
    seen = {("node", "labels"): pa.string(), ("edge", "label"): pa.string()}
    for node in NODES:
        seen.update({("node", field.name): field.type for field in node.schema})
    for type_ in relationship_types():
        seen.update({("edge", f.name): f.type for f in type_.schema if f.name not in ("start", "end")})
    for (domain, name), of in seen.items():
        kind = _GRAPHML_TYPES.get(of, "string")
        yield f'<key id="{domain}-{name}" for="{domain}" attr.name="{name}" attr.type="{kind}"/>\n'.encode()


def _write_elements(
    file: BinaryIO, table: pa.Table, element: str, ids: list[tuple[str, str, str]], mark: tuple[str, str]
) -> tuple[int, int]:
    """Write one element per row of ``table``, a bounded number of rows at a time.

    Returns the rows, and how many characters of their values were replaced.
    """
    replaced = 0
    for batch in _without_lists(table).to_batches(max_chunksize=_BATCH):
        parts: list[pa.Array | str] = [f"<{element}"]
        for attribute, label, column in ids:
            parts += [f'{attribute}="{label}:', _id(batch.column(column)), '"']
        parts.append(f'><data key="{element}-{mark[0]}">{mark[1]}</data>')
        for name in (name for name in batch.schema.names if name not in ("start", "end")):
            data, n = _data(element, name, batch.column(name))
            parts.append(data)
            replaced += n
        lines = join(*parts, f"</{element}>\n")
        file.write(contents(lines))
    return int(table.num_rows), replaced


def _data(element: str, name: str, values: pa.Array) -> tuple[pa.Array, int]:
    """Return the element ``data`` of each row, empty where the value is null, and the number of replaced characters."""
    texts, replaced = values.cast(STRING), 0
    if pa.types.is_string(values.type):
        texts, replaced = xml_column(texts)
        texts = _escape(texts)
    return pc.fill_null(join(f'<data key="{element}-{name}">', texts, "</data>"), ""), replaced


def _id(ids: pa.Array) -> pa.Array:
    texts = ids.cast(STRING)
    if pc.any(pc.match_substring_regex(texts, FORBIDDEN_RE2.replace("[", "[%"))).as_py():
        texts = pa.array(map(xml_id, texts.to_pylist()), STRING)
    return _escape(texts)


def _escape(texts: pa.Array) -> pa.Array:
    """Return ``texts`` as they stand in elements and attributes alike, with the white space that XML would change."""
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        texts = pc.replace_substring(texts, character, entity)
    for character in "\t\n\r":
        texts = pc.replace_substring(texts, character, f"&#{ord(character)};")
    return texts
