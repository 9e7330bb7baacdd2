"""The Typer application that the verb groups register with."""

from __future__ import annotations

from typing import Annotated

import typer

from mindkg import __version__
from mindkg.cli import build, concepts, distill, graph, hypernyms, query, serve, text
from mindkg.cli.terminal import result

app = typer.Typer(
    name="mindkg",
    help="Build, query and export a knowledge graph of why people buy things together.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)


def _version(wanted: bool) -> None:
    if wanted:
        result(f"mindkg {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Build, query and export a knowledge graph of why people buy things together."""


for group in (build, distill, query, graph, serve, concepts, hypernyms, text):
    group.register(app)
