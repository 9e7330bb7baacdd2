"""Arguments and options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindkg.cli.output import Format

KB = Annotated[Path, typer.Argument(help="The KB directory.", show_default=False)]
IncludeFiltered = Annotated[
    bool, typer.Option("--include-filtered", help="With the assertions that the filter refused.")
]
Rows = Annotated[Format, typer.Option("--format", help="How the rows are written.")]
