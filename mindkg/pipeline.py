"""The stages in order: sources, parse, link; each is skipped where its fingerprint stands in the KB already."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mindkg.errors import InputError
from mindkg.resources import data_folder
from mindkg.storage import KBDirectory, Manifest, StageRecord, TableEntry, describe_inputs, file_sha256, fingerprint

if TYPE_CHECKING:
    import daft

Progress = Callable[[str, int, int | None], None]
"""Called with a stage, the rows it has done since the call before (-1: it was skipped), and all its rows if known."""

STAGES: Final = ("sources", "parse", "link")
SKIPPED: Final = -1
_OPTIONS: Final[dict[str, Any]] = {
    "format": None,
    "field": None,
    "relations": "stated",
    "isa": None,
    "isa_order": "concept-first",
    "top_k": 5,
    "vague": None,
    "parents": 5,
    "levels": 3,
}
_WORDS: Final = {"relations": ("stated", "asked"), "isa_order": ("concept-first", "instance-first")}


@dataclass(frozen=True)
class Built:
    """What a build did: the KB's manifest, the stages that ran, and whether a version was published.

    Nothing runs where nothing has changed; going back to options that the KB was built with before publishes again
    what was there.
    """

    path: Path
    manifest: Manifest
    ran: tuple[str, ...]
    published: bool


@dataclass(frozen=True)
class _Build:
    """One build under the lock: the KB, the version before, what was asked for and where to report."""

    kb: KBDirectory
    before: Manifest | None
    files: tuple[Path, ...]
    options: Mapping[str, Any]
    inputs: list[dict[str, Any]]
    isa: dict[str, Any] | None
    progress: Progress


def build(
    sources: str | Path | Sequence[str | Path] = (),
    output: str | Path = "kb",
    *,
    format: str | None = None,
    field: str | None = None,
    relations: str | None = None,
    isa: str | Path | None = None,
    isa_order: str | None = None,
    top_k: int | None = None,
    vague: str | Path | None = None,
    parents: int | None = None,
    levels: int | None = None,
    progress: Progress | None = None,
) -> Built:
    """Build the KB ``output`` from ``sources`` (paths or glob patterns) and return what was done.

    Without sources it goes on from what the KB holds, with the options it was built with where none is given.
    ``format`` is one of ``mindkg.sources.FORMATS`` (found from content by default); ``field`` the column that holds
    the raw text; ``relations`` is ``stated`` or ``asked``; ``isa`` an isA table (the WordNet table by default) whose
    columns stand in ``isa_order`` (``concept-first`` or ``instance-first``); ``top_k`` the concepts kept for an
    intention; ``vague`` a file of concepts that say nothing, one a line, in place of the project's list; a concept gets
    its ``parents`` likeliest hypernyms, ``levels`` steps up. Raises InputError for what cannot be read, LockedError
    where another build is running.
    """
    from mindkg.sources import expand

    given: dict[str, Any] = {
        "format": format,
        "field": field,
        "relations": relations,
        "isa": str(Path(isa).resolve()) if isa else None,
        "isa_order": isa_order,
        "top_k": top_k,
        "vague": str(Path(vague).absolute()) if vague else None,
        "parents": parents,
        "levels": levels,
    }
    files = tuple(expand([sources] if isinstance(sources, str | Path) else sources))
    kb = KBDirectory(output)
    if not files:
        kb.open_manifest()
        if format or field:
            hint = "Give the source files too: format and field say how they are read"
            raise InputError("without sources there is nothing to read", hint=hint)
    with kb.writing():
        before = kb.usable_manifest() if files else kb.manifest()
        defaults = _OPTIONS if files or before is None else {**_OPTIONS, **before.options}
        options = {name: defaults[name] if value is None else value for name, value in given.items()}
        known = before.inputs if before else []
        inputs = describe_inputs(files, known) if files else [i for i in known if i["role"] == "source"]
        _check(options)
        table = _describe_isa(options["isa"], known)
        job = _Build(kb, before, files, options, inputs, table, progress or (lambda stage, rows, total: None))
        return _run(job)


def _check(options: Mapping[str, Any]) -> None:
    """Raise InputError for an option whose value is not one of its words."""
    for name, words in _WORDS.items():
        if options[name] not in words:
            raise InputError(f"{name} cannot be {options[name]!r}", hint=f"It is {' or '.join(words)}")
    for name in ("top_k", "parents", "levels"):
        if options[name] < 1:
            raise InputError(f"{name} cannot be {options[name]}", hint="It is at least 1")
    _vague(options["vague"])


def _vague(path: str | None) -> frozenset[str] | None:
    from mindkg.link.words import own_vague_concepts

    return own_vague_concepts(Path(path)) if path else None


def _describe_isa(path: str | None, known: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    if path is None:
        return None
    if not Path(path).is_file():
        hint = "Give a file of lines concept TAB instance TAB count with --isa"
        raise InputError("there is no isA table", record=path, hint=hint)
    return describe_inputs([Path(path)], known)[0]


def _run(job: _Build) -> Built:
    ran: list[str] = []
    records: dict[str, StageRecord] = {}
    for stage, key, run in (
        ("sources", _sources_key, _run_sources),
        ("parse", _parse_key, _run_parse),
        ("link", _link_key, _run_link),
    ):
        wanted = key(job, records)
        done = job.kb.finished(stage, wanted)
        if done is None:
            job.progress(stage, 0, None)
            done = run(job, wanted, records)
            ran.append(stage)
        else:
            job.progress(stage, SKIPPED, None)
        records[stage] = done
    if not ran and job.before and job.before.stages == records and job.before.options == job.options:
        return Built(job.kb.path, _remember(job), (), False)
    manifest = _publish(job, records)
    return Built(job.kb.path, manifest, tuple(ran), True)


def _remember(job: _Build) -> Manifest:
    """Return the manifest with the inputs as they lie now, so that a file that was only moved is not hashed again."""
    assert job.before is not None
    inputs = _inputs(job)
    if inputs == job.before.inputs:
        return job.before
    manifest = replace(job.before, inputs=inputs)
    job.kb.publish(manifest, keep=False)
    return manifest


def _inputs(job: _Build) -> list[dict[str, Any]]:
    return [{**i, "role": "source"} for i in job.inputs] + ([{**job.isa, "role": "isa"}] if job.isa else [])


def _sources_key(job: _Build, records: Mapping[str, StageRecord]) -> str:
    from mindkg import sources

    if not job.files and job.before:
        return job.before.stages["sources"].fingerprint
    contents = sorted(i["sha256"] for i in job.inputs)
    options = [job.options["format"], job.options["field"]]
    return fingerprint("sources", sources.VERSION, contents, options, _hashes("relations.ttl"))


def _parse_rules(job: _Build) -> str:
    from mindkg import parse

    files = _hashes("relations.ttl", "wordings.toml", "common-words.txt")
    return fingerprint(parse.VERSION, job.options["relations"], files)


def _parse_key(job: _Build, records: Mapping[str, StageRecord]) -> str:
    return fingerprint("parse", records["sources"].fingerprint, _parse_rules(job))


def _link_key(job: _Build, records: Mapping[str, StageRecord]) -> str:
    from mindkg import link
    from mindkg.link import isa

    table = job.isa["sha256"] if job.isa else "wordnet"
    options = [job.options[name] for name in ("isa_order", "top_k", "parents", "levels")]
    options += sorted(_vague(job.options["vague"]) or ())
    words = [file_sha256(path) for path in link.DATA_FILES]
    versions = [link.VERSION, isa.VERSION, version("spacy"), version("spacy-lookups-data")]
    return fingerprint("link", versions, records["parse"].fingerprint, table, options, words)


def _hashes(*names: str) -> list[str]:
    """Return the hashes of data files of ontology/ that a stage reads."""
    return [file_sha256(data_folder("ontology") / name) for name in names]


def _run_sources(job: _Build, key: str, records: Mapping[str, StageRecord]) -> StageRecord:
    from mindkg.sources import read

    with job.kb.scratch() as staging:
        sourced = read(
            job.files,
            staging=staging,
            format=job.options["format"],
            field=job.options["field"],
            progress=lambda rows: job.progress("sources", rows, None),
        )
        notes = {"title_conflicts": sourced.title_conflicts, "formats": dict(sourced.formats)}
        return job.kb.write_stage(
            "sources", key, sourced.tables, read=sourced.rows_read, kept=sourced.rows_kept, notes=notes
        )


def _run_parse(job: _Build, key: str, records: Mapping[str, StageRecord]) -> StageRecord:
    from mindkg.parse.tables import parse_tables

    rules = _parse_rules(job)
    previous = None
    if job.before and _has_parsed(job, rules):
        previous = {name: scan(job.kb, entry) for name, entry in job.before.tables.items()}
    tables = {name: scan(job.kb, entry) for name, entry in records["sources"].tables.items()}
    total = records["sources"].tables["generations"].rows
    parsed = parse_tables(
        tables,
        relations=job.options["relations"],
        previous=previous,
        progress=lambda rows: job.progress("parse", rows, total),
    )
    notes = {"rules": rules, "reused": parsed.reused}
    return job.kb.write_stage("parse", key, parsed.tables, read=total, kept_in="evidence", notes=notes)


def _steps(report: Callable[[int], None]) -> Callable[[int], None]:
    """Return a progress that is told how many rows are done in all and reports those since the call before."""
    done = 0

    def progress(rows: int) -> None:
        nonlocal done
        report(rows - done)
        done = rows

    return progress


def _has_parsed(job: _Build, rules: str) -> bool:
    """Return whether the version before was parsed by the same rules and is whole."""
    before = job.before
    assert before is not None
    same = "parse" in before.stages and before.stages["parse"].notes.get("rules") == rules
    return same and all(job.kb.is_whole(entry) for entry in before.tables.values())


def _run_link(job: _Build, key: str, records: Mapping[str, StageRecord]) -> StageRecord:
    from mindkg.link.isa import open_isa
    from mindkg.link.tables import link_tables

    options = job.options
    table = open_isa(
        Path(job.isa["path"]) if job.isa else None,
        order=options["isa_order"],
        progress=_steps(lambda rows: job.progress("isa", rows, None)),
    )
    intentions = records["parse"].tables["intentions"]
    linked = link_tables(
        scan(job.kb, intentions).select("intention_id", "text"),
        table,
        top_k=options["top_k"],
        vague=_vague(options["vague"]),
        parents=options["parents"],
        levels=options["levels"],
        progress=lambda rows: job.progress("link", rows, intentions.rows),
    )
    notes = {
        "isa": job.isa["path"] if job.isa else "wordnet",
        "isa_rows": {"read": table.rows + table.rejected, "kept": table.rows, "rejected": table.rejected},
    }
    read = intentions.rows + table.rows + table.rejected
    return job.kb.write_stage("link", key, linked.tables, read=read, kept=table.rows, kept_in="intentions", notes=notes)


def _publish(job: _Build, records: Mapping[str, StageRecord]) -> Manifest:
    tables: dict[str, TableEntry] = {}
    for stage in STAGES:
        tables |= records[stage].tables
    tables["rejects"] = _all_rejects(job.kb, [records[stage] for stage in STAGES])
    versions = {name: version(name) for name in ("mindkg", "daft", "pyarrow", "spacy")}
    manifest = Manifest(
        tables=tables,
        stages=dict(records),
        inputs=_inputs(job),
        options=dict(job.options),
        versions={**versions, "python": platform.python_version()},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    job.kb.publish(manifest)
    return manifest


def _all_rejects(kb: KBDirectory, records: Sequence[StageRecord]) -> TableEntry:
    parts = [r.tables["rejects"] for r in records if "rejects" in r.tables]
    key = fingerprint("rejects", *(p.fingerprint for p in parts))
    frame = scan(kb, parts[0])
    for part in parts[1:]:
        frame = frame.concat(scan(kb, part))
    return kb.write_table("rejects", key, frame)


def scan(kb: KBDirectory, entry: TableEntry) -> daft.DataFrame:
    """Return a table of a KB as a lazy Daft frame."""
    from mindkg.engine import read_parquet

    return read_parquet(kb.table_folder(entry))
