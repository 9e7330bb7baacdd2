"""The verbs on the graph: load, export, validate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mindkg.cli.arguments import KB, IncludeFiltered
from mindkg.cli.output import say


def register(app: typer.Typer) -> None:
    """Add the verbs to ``app``."""
    app.command(epilog="Example: `mindkg load kb oxigraph`")(load)
    app.command(epilog="Examples: `mindkg export kb --to turtle -o kb.ttl` · `mindkg export kb --to csv -o folder`")(
        export
    )
    app.command(epilog="Examples: `mindkg validate kb` · `mindkg validate kb --shacl`")(validate)


def load(
    kb: KB,
    engine: Annotated[str, typer.Argument(help="ladybug or oxigraph.", show_default=False)],
    include_filtered: IncludeFiltered = False,
) -> None:
    """Load the graph into an engine and compare the counts with the tables."""
    from mindkg.knowledge_base import KnowledgeBase

    with KnowledgeBase.open(kb) as base:
        counts = base.load(engine, include_filtered=include_filtered, progress=say)
    for name, n in counts.items():
        typer.echo(f"{name}\t{n}")


def export(
    kb: KB,
    to: Annotated[
        str, typer.Option("--to", help="turtle, ntriples, jsonld, graphml, csv or triples.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File (csv: folder); .gz is understood, - is stdout.", show_default=False),
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Base of the data's IRIs, such as https://example.org/data/.", show_default=False)
    ] = None,
    include_filtered: IncludeFiltered = False,
) -> None:
    """Write the graph in another form and say where; without -o it goes under KB/exports."""
    from mindkg.knowledge_base import KnowledgeBase

    opened = KnowledgeBase.open(kb)
    if str(output) == "-":
        opened.write(to, sys.stdout.buffer, base=base, include_filtered=include_filtered, progress=say)
    else:
        typer.echo(str(opened.export(to, output, base=base, include_filtered=include_filtered, progress=say)))


def validate(
    kb: KB,
    shacl: Annotated[bool, typer.Option("--shacl", help="Check the RDF with pyshacl (small graphs).")] = False,
    include_filtered: IncludeFiltered = False,
) -> None:
    """Check the graph against the shapes of the ontology; exit 1 if something breaks them."""
    from mindkg.knowledge_base import KnowledgeBase

    violations = KnowledgeBase.open(kb).validate(shacl=shacl, include_filtered=include_filtered)
    for v in violations:
        typer.echo(f"{v.rule}\t{v.node}\t{v.message}")
    say(f"{len(violations)} violations" if violations else "the graph is sound")
    raise typer.Exit(1 if violations else 0)
