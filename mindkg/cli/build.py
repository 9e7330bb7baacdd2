"""The verbs that make and keep a KB: build, info, clean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mindkg.cli.arguments import KB
from mindkg.cli.output import console, say, stages

if TYPE_CHECKING:
    from mindkg.pipeline import Built


def register(app: typer.Typer) -> None:
    """Add the verbs to ``app``."""
    app.command(
        epilog="Examples: `mindkg build answers.csv.gz -o kb` · `mindkg build 'parts/*.jsonl' --isa probase.txt -o kb` "
        "· `mindkg build answers.csv --field tail -o folkscope-kb --load ladybug --load oxigraph`"
    )(build)
    app.command(epilog="Example: `mindkg info kb --json`")(info)
    app.command(epilog="Example: `mindkg clean kb`")(clean)


def build(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="Files or glob patterns; none: go on from what the KB holds.", show_default=False),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The KB directory.")] = Path("kb"),
    isa: Annotated[
        Path | None,
        typer.Option(help="isA table: concept TAB instance TAB count (default: WordNet nouns).", show_default=False),
    ] = None,
    isa_order: Annotated[
        str | None, typer.Option(help="Columns of the isA table: concept-first or instance-first.", show_default=False)
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="Format of the sources (default: found from content).", show_default=False)
    ] = None,
    field: Annotated[
        str | None, typer.Option(help="Column with the raw text, such as tail.", show_default=False)
    ] = None,
    relations: Annotated[
        str | None,
        typer.Option(help="Relation of a triple: stated (by its text) or asked (for).", show_default=False),
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="Concepts kept for an intention (5).", show_default=False)] = None,
    load: Annotated[
        list[str] | None, typer.Option(help="Load this engine too: ladybug or oxigraph.", show_default=False)
    ] = None,
) -> None:
    """Build a KB from what a model said about pairs of products: the main job.

    Formats: MIND's distillation CSV, MIND's input CSV, IntentionQA, FolkScope, and the columns of the tables products,
    cobuys and generations as CSV, JSONL or Parquet; .gz and .zst too.
    """
    from mindkg import pipeline
    from mindkg.knowledge_base import KnowledgeBase
    from mindkg.stores.base import engine_class

    for engine in load or ():
        engine_class(engine)
    with stages() as progress:
        built = pipeline.build(
            sources or (),
            output,
            format=format,
            field=field,
            relations=relations,
            isa=isa,
            isa_order=isa_order,
            top_k=top_k,
            progress=progress,
        )
    _report(built)
    with KnowledgeBase.open(built.path) as kb:
        for engine in load or ():
            kb.load(engine, progress=say)


def _report(built: Built) -> None:
    manifest = built.manifest
    for stage in manifest.stages.values():
        say(f"{stage.stage}: {stage.read:,} rows read = {stage.kept:,} kept + {stage.rejected:,} rejected")
    conflicts = manifest.stages["sources"].notes.get("title_conflicts")
    if conflicts:
        say(f"sources: {conflicts:,} products have several titles; the most frequent one stands")
    rows = ", ".join(
        f"{manifest.tables[name].rows:,} {name}"
        for name in ("products", "cobuys", "assertions", "intentions", "mentions")
    )
    say(f"{built.path}: {rows}" if built.ran else f"{built.path}: nothing to do, all is up to date ({rows})")


def info(kb: KB, as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False) -> None:
    """Say what a KB holds: rows, where input rows went, inputs, options and versions."""
    from mindkg.knowledge_base import KnowledgeBase

    facts = KnowledgeBase.open(kb).info()
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False, indent=1))
    else:
        _show(facts)


def _show(facts: dict[str, Any]) -> None:
    from rich.table import Table

    out = console()
    out.print(f"{facts['path']}  built {facts['created']}  schema {facts['schema_version']}", markup=False)
    table = Table("table", "rows", header_style="bold")
    table.columns[1].justify = "right"
    for name, rows in facts["tables"].items():
        table.add_row(name, f"{rows:,}")
    out.print(table)
    for name, s in facts["stages"].items():
        out.print(f"{name}: {s['read']:,} rows read = {s['kept']:,} kept + {s['rejected']:,} rejected", markup=False)
    for i in facts["inputs"]:
        out.print(f"{i['role']}: {i['path']}  {i['bytes']:,} bytes  sha256 {i['sha256'][:16]}…", markup=False)
    options = ", ".join(f"{k}={v}" for k, v in facts["options"].items() if v is not None)
    out.print(f"options: {options}", markup=False)
    out.print(f"stores: {', '.join(facts['stores']) or 'none yet'}", markup=False)


def clean(kb: KB) -> None:
    """Remove tables and stores that neither the KB's present version nor the one before names."""
    from mindkg.knowledge_base import KnowledgeBase

    gone = KnowledgeBase.open(kb).clean()
    for path in gone:
        say(f"removed {path}")
    say(f"{len(gone)} removed")
