"""The stages in order: sources, parse, link; each is skipped where its fingerprint stands in the KB already."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
}
_WORDS: Final = {"relations": ("stated", "asked"), "isa_order": ("concept-first", "instance-first")}


@dataclass(frozen=True)
class Built:
    """What a build did: the KB it published and the stages that ran (none where nothing had changed)."""

    path: Path
    manifest: Manifest
    ran: tuple[str, ...]


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
    sources: Sequence[str | Path] = (),
    output: str | Path = "kb",
    *,
    format: str | None = None,
    field: str | None = None,
    relations: str | None = None,
    isa: str | Path | None = None,
    isa_order: str | None = None,
    top_k: int | None = None,
    progress: Progress | None = None,
) -> Built:
    """Build the KB ``output`` from ``sources`` (paths or glob patterns) and return what was done.

    Without sources it goes on from what the KB holds, with the options it was built with where none is given.
    ``format`` is one of ``mindkg.sources.FORMATS`` (found from content by default); ``field`` the column that holds
    the raw text; ``relations`` is ``stated`` or ``asked``; ``isa`` an isA table (the WordNet table by default) whose
    columns stand in ``isa_order`` (``concept-first`` or ``instance-first``); ``top_k`` the concepts kept for an
    intention. Raises InputError for what cannot be read, LockedError where another build is running.
    """
    from mindkg.sources import expand

    given: dict[str, Any] = {
        "format": format,
        "field": field,
        "relations": relations,
        "isa": str(Path(isa).resolve()) if isa else None,
        "isa_order": isa_order,
        "top_k": top_k,
    }
    files = tuple(expand(sources))
    kb = KBDirectory(output)
    if not files:
        kb.open_manifest()
    with kb.writing():
        before = kb.manifest()
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
    if options["top_k"] < 1:
        raise InputError("top_k must be at least 1")


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
        return Built(job.kb.path, job.before, ())
    manifest = _publish(job, records)
    return Built(job.kb.path, manifest, tuple(ran))


def _sources_key(job: _Build, records: Mapping[str, StageRecord]) -> str:
    from mindkg import sources

    if not job.files and job.before:
        return job.before.stages["sources"].fingerprint
    contents = sorted(i["sha256"] for i in job.inputs)
    options = [job.options["format"], job.options["field"]]
    return fingerprint("sources", sources.VERSION, contents, options, _ontology())


def _parse_rules(job: _Build) -> str:
    from mindkg import parse

    return fingerprint(parse.VERSION, job.options["relations"], _ontology())


def _parse_key(job: _Build, records: Mapping[str, StageRecord]) -> str:
    return fingerprint("parse", records["sources"].fingerprint, _parse_rules(job))


def _link_key(job: _Build, records: Mapping[str, StageRecord]) -> str:
    from mindkg import link

    table = job.isa["sha256"] if job.isa else "wordnet"
    options = [job.options["isa_order"], job.options["top_k"]]
    words = [file_sha256(path) for path in link.DATA_FILES]
    return fingerprint("link", link.VERSION, records["parse"].fingerprint, table, options, words)


def _ontology() -> list[str]:
    """Return the hashes of the data files that say how texts are read."""
    return [file_sha256(path) for path in sorted(data_folder("ontology").iterdir()) if path.name in _RULE_FILES]


_RULE_FILES: Final = ("relations.ttl", "wordings.toml", "common-words.txt")


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
    if job.before and job.before.stages["parse"].notes.get("rules") == rules:
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
    return job.kb.write_stage("parse", key, parsed.tables, read=parsed.read, kept=parsed.kept, notes=notes)


def _run_link(job: _Build, key: str, records: Mapping[str, StageRecord]) -> StageRecord:
    from mindkg.link.isa import open_isa
    from mindkg.link.tables import link_tables

    table = open_isa(Path(job.isa["path"]) if job.isa else None, order=job.options["isa_order"])
    intentions = records["parse"].tables["intentions"]
    linked = link_tables(
        scan(job.kb, intentions).select("intention_id", "text"),
        table,
        top_k=job.options["top_k"],
        progress=lambda rows: job.progress("link", rows, intentions.rows),
    )
    notes = {"isa": job.isa["path"] if job.isa else "wordnet", "isa_rows": table.rows}
    kept = intentions.rows + table.rows
    read = kept + table.rejected
    return job.kb.write_stage("link", key, linked.tables, read=read, kept=kept, notes=notes)


def _publish(job: _Build, records: Mapping[str, StageRecord]) -> Manifest:
    tables: dict[str, TableEntry] = {}
    for stage in STAGES:
        tables |= records[stage].tables
    tables["rejects"] = _all_rejects(job.kb, [records[stage] for stage in STAGES])
    roles = [{**i, "role": "source"} for i in job.inputs] + ([{**job.isa, "role": "isa"}] if job.isa else [])
    versions = {name: version(name) for name in ("mindkg", "daft", "pyarrow", "spacy")}
    manifest = Manifest(
        tables=tables,
        stages=dict(records),
        inputs=roles,
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
