"""The verbs on the graph: load, export, validate."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from mindkg.cli import completion
from mindkg.cli.arguments import KB, IncludeFiltered, Overwrite
from mindkg.cli.output import counted, say
from mindkg.cli.terminal import result


def register(app: typer.Typer) -> None:
    """Add the verbs to ``app``."""
    app.command(
        epilog="Examples: `mindkg load kb oxigraph` · `mindkg load kb neo4j --uri bolt://127.0.0.1:7687` · "
        "`mindkg load kb neo4j --offline --neo4j-home /opt/neo4j` · "
        "`mindkg load kb sparql --endpoint http://127.0.0.1:3030/kb`"
    )(load)
    app.command(epilog="Examples: `mindkg export kb --to turtle -o kb.ttl` · `mindkg export kb --to csv -o folder`")(
        export
    )
    app.command(epilog="Examples: `mindkg validate kb` · `mindkg validate kb --shacl` · `mindkg validate kb --deep`")(
        validate
    )


def load(
    kb: KB,
    engine: Annotated[
        str,
        typer.Argument(
            help="ladybug, oxigraph, neo4j or sparql.",
            autocompletion=completion.words("ladybug", "oxigraph", "neo4j", "sparql"),
            show_default=False,
        ),
    ],
    uri: Annotated[
        str | None, typer.Option(help="neo4j: the server's address; else NEO4J_URI.", show_default=False)
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(
            help="neo4j: the user; else NEO4J_USERNAME, or neo4j. The password is NEO4J_PASSWORD.", show_default=False
        ),
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="neo4j: the database; else NEO4J_DATABASE.", show_default=False)
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="neo4j: write the files of a stopped server.")] = False,
    neo4j_home: Annotated[
        Path | None, typer.Option(help="neo4j: the folder of that server.", show_default=False)
    ] = None,
    endpoint: Annotated[str | None, typer.Option(help="sparql: the endpoint's address.", show_default=False)] = None,
    graph: Annotated[
        str | None,
        typer.Option(help="sparql: the IRI of the named graph; else SPARQL_GRAPH.", show_default=False),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Say what would be done, and do nothing.")] = False,
    include_filtered: IncludeFiltered = False,
) -> None:
    """Load the graph into an engine and compare the counts with the tables."""
    from mindkg.knowledge_base import KnowledgeBase

    if engine == "neo4j" and not offline and not explain:
        ask_password(user)
    with KnowledgeBase.open(kb) as base:
        counts = base.load(
            engine,
            uri=uri,
            user=user,
            database=database,
            offline=offline,
            neo4j_home=neo4j_home,
            endpoint=endpoint,
            graph=graph,
            explain=explain,
            include_filtered=include_filtered,
            progress=result if explain else say,
        )
    for name, n in counts.items():
        result(f"{name}\t{n}")


def ask_password(user: str | None = None) -> None:
    """Ask for Neo4j's password on a terminal where NEO4J_PASSWORD is not set; Enter is for a server without one."""
    if "NEO4J_PASSWORD" in os.environ or not sys.stdin.isatty():
        return
    name = user or os.environ.get("NEO4J_USERNAME") or "neo4j"
    prompt = f"Neo4j password of {name} (none: Enter)"
    os.environ["NEO4J_PASSWORD"] = typer.prompt(prompt, default="", hide_input=True, show_default=False, err=True)


def export(
    kb: KB,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="turtle, ntriples, jsonld, graphml, csv, triples or neo4j-import.",
            autocompletion=completion.words(
                "turtle", "ntriples", "jsonld", "graphml", "csv", "triples", "neo4j-import"
            ),
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File (csv, neo4j-import: folder); .gz is understood, - is stdout.",
            show_default=False,
        ),
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Base of the data's IRIs, such as https://example.org/data/.", show_default=False)
    ] = None,
    include_filtered: IncludeFiltered = False,
    overwrite: Overwrite = False,
) -> None:
    """Write the graph in another form and say where; without -o it goes under KB/exports."""
    from mindkg.knowledge_base import KnowledgeBase

    opened = KnowledgeBase.open(kb)
    if str(output) == "-":
        opened.write(to, sys.stdout.buffer, base=base, include_filtered=include_filtered, progress=say)
    else:
        written = opened.export(
            to, output, base=base, include_filtered=include_filtered, overwrite=overwrite, progress=say
        )
        result(str(written))


def validate(
    kb: KB,
    shacl: Annotated[bool, typer.Option("--shacl", help="Check the RDF with pyshacl (small graphs).")] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every file of the KB first, and name those that are damaged.")
    ] = False,
    include_filtered: IncludeFiltered = False,
) -> None:
    """Check the graph against the shapes of the ontology; exit 1 if something breaks them or a file is damaged."""
    from mindkg.knowledge_base import KnowledgeBase

    if deep:
        _check_files(kb)
    violations = KnowledgeBase.open(kb).validate(shacl=shacl, include_filtered=include_filtered)
    for v in violations:
        result(f"{v.rule}\t{v.node}\t{v.message}")
    say(counted(len(violations), "violation") if violations else "the graph is sound")
    raise typer.Exit(1 if violations else 0)


def _check_files(kb: str) -> None:
    """Write a line for each damaged file of a KB and exit 1 if there is one."""
    from mindkg.deep_check import find_damage

    damage = list(find_damage(kb))
    for one in damage:
        result(f"{one.path}\t{one.message}")
    if damage:
        say(counted(len(damage), "damaged file"))
        raise typer.Exit(1)
    say("all files are intact")
