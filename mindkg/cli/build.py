"""The verbs that make and keep a KB: build, info, clean."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mindkg.cli import completion
from mindkg.cli.arguments import (
    KB,
    AllowRejects,
    Embed,
    Encoding,
    Output,
    RayAddress,
    Replace,
    Rows,
    Runner,
    Spacy,
    WorkDir,
    use_runner,
    use_work_dir,
)
from mindkg.cli.interruption import keeps_stages
from mindkg.cli.output import NOTHING_DISTILLED, Format, counted, say, stages, write_rows
from mindkg.cli.terminal import result, write_json

if TYPE_CHECKING:
    from mindkg.knowledge_base import KnowledgeBase
    from mindkg.pipeline import Built

_SHOWN_ROWS: Final = 20
"""Rows of a table that are shown where no limit is given."""


def register(app: typer.Typer) -> None:
    """Add the verbs to ``app``."""
    app.command(
        epilog="Examples: `mindkg build answers.csv.gz -o kb` · `mindkg build 'parts/*.jsonl' --isa probase.txt -o kb` "
        "· `mindkg build answers.csv --field tail -o folkscope-kb --load ladybug --load oxigraph`"
    )(build)
    app.command(epilog="Examples: `mindkg info kb --json` · `mindkg info kb --table rejects --format csv`")(info)
    app.command(epilog="Example: `mindkg clean kb`")(clean)


def build(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, glob patterns, addresses (s3://BUCKET/KEY), - for stdin; none: go on from what the KB holds.",
            show_default=False,
        ),
    ] = None,
    output: Output = "kb",
    isa: Annotated[
        str | None,
        typer.Option(help="isA table: concept TAB instance TAB count (default: WordNet nouns).", show_default=False),
    ] = None,
    isa_order: Annotated[
        str | None,
        typer.Option(
            help="Columns of the isA table: concept-first or instance-first.",
            autocompletion=completion.words("concept-first", "instance-first"),
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            help="Format of the sources (default: found from content).",
            autocompletion=completion.words(
                "mind", "intentionqa", "folkscope", "mind-input", "generations", "cobuys", "products"
            ),
            show_default=False,
        ),
    ] = None,
    field: Annotated[
        str | None, typer.Option(help="Column with the raw text, such as tail.", show_default=False)
    ] = None,
    encoding: Encoding = None,
    relations: Annotated[
        str | None,
        typer.Option(
            help="Relation of a triple: stated (by its text) or asked (for).",
            autocompletion=completion.words("stated", "asked"),
            show_default=False,
        ),
    ] = None,
    top_k: Annotated[
        int | None, typer.Option(min=1, help="Concepts kept for an intention (5).", show_default=False)
    ] = None,
    vague: Annotated[
        Path | None,
        typer.Option(help="Concepts that say nothing, one a line, in place of the project's list.", show_default=False),
    ] = None,
    parents: Annotated[
        int | None, typer.Option(min=1, help="Hypernyms kept for a concept (5).", show_default=False)
    ] = None,
    levels: Annotated[int | None, typer.Option(min=1, help="Steps up to hypernyms (3).", show_default=False)] = None,
    embed: Embed = None,
    spacy: Spacy = None,
    load: Annotated[
        list[str] | None,
        typer.Option(
            help="Load this engine too: ladybug or oxigraph.",
            autocompletion=completion.words("ladybug", "oxigraph"),
            show_default=False,
        ),
    ] = None,
    replace: Replace = False,
    allow_rejects: AllowRejects = False,
    runner: Runner = "native",
    ray_address: RayAddress = None,
    work_dir: WorkDir = None,
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
    use_work_dir(work_dir)
    use_runner(runner, ray_address)
    keeps_stages(output)
    with stages() as progress:
        built = pipeline.build(
            sources or (),
            output,
            format=format,
            field=field,
            encoding=encoding,
            relations=relations,
            isa=isa,
            isa_order=isa_order,
            top_k=top_k,
            vague=vague,
            parents=parents,
            levels=levels,
            embed=embed,
            spacy=spacy,
            replace=replace,
            allow_rejects=allow_rejects,
            progress=progress,
        )
    report_build(built)
    with KnowledgeBase.open(output) as kb:
        for engine in load or ():
            kb.load(engine, progress=say)


def report_build(built: Built) -> None:
    """Say what a build did and where the rows of each stage went."""
    from mindkg.knowledge_base import KnowledgeBase

    kb = KnowledgeBase.open(built.address)
    facts = kb.info()
    for line in _stage_lines(facts):
        say(line)
    if built.replaced:
        say(f"no longer part of the KB: {', '.join(built.replaced)}")
    for file, words in facts["stages"]["sources"].get("read_as", {}).items():
        say(f"{file}: read as {words}")
    if facts["rejects"].get("sources", {}).get("bad_encoding") and not built.manifest.options.get("encoding"):
        say("rows that are not UTF-8 were rejected: name the encoding of the files, as in --encoding windows-1252")
    conflicts = facts["stages"]["sources"].get("title_conflicts")
    if conflicts:
        say(f"sources: {counted(conflicts, 'product')} with several titles; the most frequent one stands")
    nouns = {"products": "product", "cobuys": "co-buy", "assertions": "assertion", "intentions": "intention"}
    rows = ", ".join(counted(facts["tables"][name], noun) for name, noun in {**nouns, "mentions": "mention"}.items())
    if not built.published:
        say(f"{kb.address}: nothing to do, all is up to date ({rows})")
    else:
        again = "" if built.ran else "published again from what was there: "
        say(f"{kb.address}: {again}{rows}")
    if facts["refused"]:
        say(f"the filter refused {counted(facts['refused'], 'assertion')}: in the tables, not in the graph")


def _stage_lines(facts: dict[str, Any]) -> list[str]:
    """Return one line a stage that says where its rows went, with the reasons of its rejects."""
    lines = []
    for name, stage in facts["stages"].items():
        if not stage["read"] and name != "sources":  # there are no answers yet
            continue
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in facts["rejects"].get(name, {}).items())
        why = f" ({reasons})" if reasons else ""
        isa = stage.get("isa_rows")
        if isa:  # all that linking rejects are rows of the isA table
            lines.append(f"isa: {_conserved(isa)}{why}")
            stage, why = {part: stage[part] - isa[part] for part in isa}, ""
        lines.append(f"{name}: {_conserved(stage)}{why}")
    return lines


def _conserved(stage: dict[str, int]) -> str:
    return f"{counted(stage['read'], 'row')} read = {stage['kept']:,} kept + {stage['rejected']:,} rejected"


def info(
    kb: KB,
    as_json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
    table: Annotated[
        str | None,
        typer.Option(
            help="Write the rows of this table instead, such as rejects.",
            autocompletion=completion.tables,
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, help="Rows of that table (default: 20 as a table, all in the other formats).", show_default=False
        ),
    ] = None,
    format: Rows = Format.table,
) -> None:
    """Report what a KB holds: rows, where input rows went and why, inputs, options and versions."""
    from mindkg.knowledge_base import KnowledgeBase

    base = KnowledgeBase.open(kb)
    if table:
        _write_table(base, table, limit, format)
    elif as_json:
        write_json(base.info())
    else:
        _show(base.info())


def _write_table(base: KnowledgeBase, name: str, limit: int | None, format: Format) -> None:
    most = _SHOWN_ROWS if limit is None and format is Format.table else limit
    rows = base.table(name, limit=most)
    write_rows(rows, format)
    known = base.manifest.tables[name].rows
    if limit is None and rows.num_rows < known:
        say(f"{rows.num_rows:,} of {known:,} rows; more with --limit, all with --format csv")


def _show(facts: dict[str, Any]) -> None:
    import pyarrow as pa

    from mindkg.cli.tables import show_table

    result(f"{facts['path']}  built {facts['created']}  schema {facts['schema_version']}")
    rows = facts["tables"]
    show_table(pa.table({"table": list(rows), "rows": pa.array(rows.values(), pa.int64())}))
    for line in _stage_lines(facts):
        result(line)
    result(f"filter: {counted(facts['refused'], 'assertion')} refused, not in the graph")
    for i in facts["inputs"]:
        result(f"{i['role']}: {i['path']}  {i['bytes']:,} bytes  sha256 {i['sha256']}")
    result(f"options: {_options(facts['options'])}")
    result(f"stores: {', '.join(facts['stores']) or 'none yet'}")
    if not facts["tables"].get("generations"):
        result(NOTHING_DISTILLED)


def _options(options: Mapping[str, Any]) -> str:
    """Return the options that have a value; those of a stage in one pair of brackets."""
    given = ((name, value) for name, value in options.items() if value is not None and value not in ({}, [], ""))
    return ", ".join(
        f"{name}({_options(value)})" if isinstance(value, dict) else f"{name}={_value(value)}" for name, value in given
    )


def _value(value: Any) -> str:
    return ",".join(map(_value, value)) if isinstance(value, list) else str(value)


def clean(kb: KB) -> None:
    """Remove tables and stores that neither the KB's present version nor the one before names."""
    from mindkg.knowledge_base import KnowledgeBase

    gone = KnowledgeBase.open(kb).clean()
    for path in gone:
        say(f"removed {path}")
    say(f"{counted(len(gone), 'folder')} removed")
