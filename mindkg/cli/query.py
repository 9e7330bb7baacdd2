"""The verbs that ask: query, queries, sparql, cypher."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mindkg.cli import completion
from mindkg.cli.arguments import KB, IncludeFiltered, Partial, Rows
from mindkg.cli.output import NOTHING_DISTILLED, Format, say, write_rows
from mindkg.cli.terminal import result, write_json

if TYPE_CHECKING:
    import pyarrow as pa

    from mindkg.queries import CatalogueQuery

Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        "-p",
        help="A parameter, key=value.",
        autocompletion=completion.query_parameters,
        show_default=False,
    ),
]
Bound = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        "-p",
        help="A parameter, key=value, read as JSON where it is JSON; quotes make text of a number: `-p id='\"501\"'`.",
        show_default=False,
    ),
]
QueryText = Annotated[
    str, typer.Argument(help="The query's text; - reads it from stdin, @FILE from a file.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the verbs to ``app``."""
    app.command(
        epilog="Examples: `mindkg query kb top-hypernyms -p relation=usedFor` · "
        "`mindkg query kb product-intentions -p product=MKG0000001 --engine oxigraph --format json`"
    )(query)
    app.command(epilog="Examples: `mindkg queries` · `mindkg queries shared-concepts`")(queries)
    app.command(epilog="Example: `mindkg sparql kb 'SELECT ?s { ?s a skos:Concept } LIMIT 5'`")(sparql)
    app.command(
        epilog="Example: `mindkg cypher kb 'MATCH (c:Concept) WHERE c.label = $label RETURN c.vague' -p label=cable`"
    )(cypher)


def query(
    kb: KB,
    name: Annotated[
        str,
        typer.Argument(
            help="A query of the catalogue (see `mindkg queries`).",
            autocompletion=completion.query_names,
            show_default=False,
        ),
    ],
    parameters: Parameters = None,
    engine: Annotated[
        str,
        typer.Option(
            help="ladybug, oxigraph, or a server loaded before: bolt://…, neo4j://…, http://…, https://…",
            autocompletion=completion.words("ladybug", "oxigraph"),
        ),
    ] = "ladybug",
    format: Rows = Format.table,
    include_filtered: IncludeFiltered = False,
    partial: Partial = False,
) -> None:
    """Answer a query of the catalogue; every engine gives the same rows in the same order."""
    from mindkg.knowledge_base import KnowledgeBase

    with KnowledgeBase.open(kb) as base:
        rows = base.query(
            name,
            engine=engine,
            include_filtered=include_filtered,
            partial=partial,
            progress=say,
            **_pairs(parameters or []),
        )
        empty = not base.manifest.tables["generations"].rows
    write_rows(rows, format)
    if empty and not rows.num_rows:
        say(NOTHING_DISTILLED)


def queries(
    name: Annotated[
        str | None,
        typer.Argument(help="Show this one whole.", autocompletion=completion.query_names, show_default=False),
    ] = None,
    format: Rows = Format.table,
) -> None:
    """List the catalogue, or show one query with its parameters, columns and both texts."""
    from mindkg.queries import catalogue, find

    found = [find(name)] if name else list(catalogue().values())
    if format is Format.json:
        write_json([_described(q, texts=bool(name)) for q in found])
    elif name:
        _show(found[0])
    else:
        import pyarrow as pa

        rows = [{"name": q.name, "summary": q.summary, "parameters": _signature(q)} for q in found]
        write_rows(pa.Table.from_pylist(rows), format)


def sparql(
    kb: KB,
    text: QueryText,
    engine: Annotated[
        str, typer.Option(help="oxigraph, or an endpoint loaded before: http://…, https://…")
    ] = "oxigraph",
    format: Rows = Format.table,
    include_filtered: IncludeFiltered = False,
    partial: Partial = False,
) -> None:
    """Answer a SPARQL query; the prefixes of the ontology are declared already."""
    write_rows(_answer(kb, engine, "sparql", _text(text), None, include_filtered, partial), format)


def cypher(
    kb: KB,
    text: QueryText,
    parameters: Bound = None,
    engine: Annotated[str, typer.Option(help="ladybug, or a Neo4j loaded before: bolt://…, neo4j://…")] = "ladybug",
    format: Rows = Format.table,
    include_filtered: IncludeFiltered = False,
    partial: Partial = False,
) -> None:
    """Answer a Cypher query; parameters are bound, numbers and true/false as such."""
    values = {key: _typed(value) for key, value in _pairs(parameters or []).items()}
    write_rows(_answer(kb, engine, "cypher", _text(text), values, include_filtered, partial), format)


_SPEAKERS: Final = {"sparql": ("oxigraph", "http://", "https://"), "cypher": ("ladybug", "bolt", "neo4j")}
"""How the names or addresses of the engines begin that speak a language."""


def _answer(
    kb: str,
    engine: str,
    language: str,
    text: str,
    values: dict[str, Any] | None,
    include_filtered: bool,
    partial: bool,
) -> pa.Table:
    """Return the rows of a query in ``language``; raises UsageError where ``engine`` speaks another one."""
    from mindkg.errors import UsageError
    from mindkg.knowledge_base import KnowledgeBase

    for other, beginnings in _SPEAKERS.items():
        if other != language and engine.startswith(beginnings):
            raise UsageError(f"{engine} does not speak {language}", hint=f"Ask it with: mindkg {other}")
    with KnowledgeBase.open(kb) as base:
        store = base.store(engine, include_filtered=include_filtered, partial=partial, progress=say)
        return store.query(text, values)


def _pairs(parameters: list[str]) -> dict[str, str]:
    from mindkg.errors import UsageError

    for parameter in parameters:
        if "=" not in parameter:
            raise UsageError(f"parameter {parameter!r} has no value", hint="Write -p key=value")
    return {key: value for key, _, value in (parameter.partition("=") for parameter in parameters)}


def _typed(value: str) -> Any:
    try:
        typed = json.loads(value)
    except ValueError:
        return value
    return value if typed is None or isinstance(typed, dict) else typed


def _text(text: str) -> str:
    from mindkg.errors import InputError

    if text == "-":
        return sys.stdin.read()
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the query: {error}", hint="Give a text file of UTF-8 after @") from error


def _signature(q: CatalogueQuery) -> str:
    return ", ".join(p.name if p.required else f"[{p.name}]" for p in q.parameters)


def _described(q: CatalogueQuery, *, texts: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": q.name,
        "summary": q.summary,
        "parameters": [
            {"name": p.name, "type": p.type, "required": p.required, "default": p.default, "about": p.about}
            for p in q.parameters
        ],
        "columns": [{"name": c.name, "type": c.type} for c in q.columns],
    }
    return {**described, "sparql": q.sparql, "cypher": q.cypher} if texts else described


def _show(q: CatalogueQuery) -> None:
    """Write the query as text that can be copied: no line is wrapped, and comments explain the parameters."""
    result(f"{q.name}: {q.summary}")
    for p in q.parameters:
        result(f"  -p {p.name}=…  {p.type}, {'required' if p.required else f'default {p.default!r}'}: {p.about}")
    result("columns: " + ", ".join(f"{c.name} ({c.type})" for c in q.columns))
    for language, text in (("SPARQL", q.sparql), ("Cypher", q.cypher)):
        comment = "#" if language == "SPARQL" else "//"
        result("")
        for line in [f"{comment} {language}", *_placed(q, language), *_body(text, comment)]:
            result(line)


def _body(text: str, comment: str) -> list[str]:
    """Return the lines of a query without its header."""
    return [line for line in text.rstrip().splitlines() if not line.startswith(f"{comment}+")]


def _placed(q: CatalogueQuery, language: str) -> list[str]:
    """Return comments that say where the values of the parameters stand in the text."""
    if language == "SPARQL":
        return [
            f"# {p.name}: " + ("the number after LIMIT" if p.name == "limit" else f"in VALUES ?{p.name} {{ … }}")
            for p in q.parameters
        ]
    examples = {p.name: p.default if p.default is not None else f"the {p.name}" for p in q.parameters}
    given = ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in examples.items())
    return [f"// in Neo4j Browser or cypher-shell, first: :params {{{given}}}"] if given else []
