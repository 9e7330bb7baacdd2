"""The verb that analyses a KB's hypernyms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindkg.cli import completion
from mindkg.cli.arguments import KB, Overwrite
from mindkg.cli.output import say
from mindkg.cli.terminal import result


def register(app: typer.Typer) -> None:
    """Add the verb to ``app``."""
    app.command(
        epilog="Examples: `mindkg hypernyms kb -o report` · `mindkg hypernyms kb -o report --focus clothing` · "
        "`mindkg hypernyms mind-kb -o report --compare folkscope-kb --names MIND,FolkScope`"
    )(hypernyms)


def hypernyms(
    kb: KB,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the report.")] = Path("hypernyms"),
    compare: Annotated[str | None, typer.Option(help="Another KB to set beside it.", show_default=False)] = None,
    focus: Annotated[
        str | None,
        typer.Option(
            help="The concept whose neighbourhood is drawn (default: a frequent one).",
            autocompletion=completion.concepts,
            show_default=False,
        ),
    ] = None,
    limit: Annotated[int, typer.Option(help="Most frequent concepts in the hypernym graph.", min=1)] = 2000,
    names: Annotated[
        str | None,
        typer.Option(help="What the two KBs are called, with a comma (default: their folders).", show_default=False),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Report on a KB's hypernyms: their distribution, what the filter does to it, two KBs compared, and their graph.

    One self-contained page, each figure as SVG and PNG, its data as CSV and Parquet, the graph as GraphML, GEXF and an
    interactive page. Says where the page is.
    """
    from mindkg.analysis.report import hypernym_report
    from mindkg.knowledge_base import KnowledgeBase

    called = _names(names)
    other = KnowledgeBase.open(compare) if compare else None
    report = hypernym_report(
        KnowledgeBase.open(kb),
        output,
        compare=other,
        focus=focus,
        limit=limit,
        names=called,
        overwrite=overwrite,
        progress=say,
    )
    for line in report.lines:
        say(line)
    result(str(report.page))


def _names(text: str | None) -> tuple[str, str] | None:
    """Return the two names in ``text``; raises BadParameter where there are not two different ones."""
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2 or not all(parts) or parts[0] == parts[1]:
        raise typer.BadParameter("give two different names with a comma between", param_hint="--names")
    return parts[0], parts[1]
