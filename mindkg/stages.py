"""The stages of a KB: what each one's fingerprint hangs on, and how its tables are made and recorded."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mindkg.errors import StorageError
from mindkg.inputs import Input, Inputs, input_of
from mindkg.resources import data_folder
from mindkg.schema import KEYS, TABLES
from mindkg.storage import KBDirectory, Manifest, StageRecord, TableEntry, file_sha256, fingerprint

if TYPE_CHECKING:
    import daft
    import pyarrow as pa

    from mindkg.abstractions import Abstracted
    from mindkg.distill.settings import Settings
    from mindkg.sources import Sourced

Progress = Callable[[str, int, int | None], None]
"""Called with a stage, the rows it has done since the call before (-1: it was skipped), and all its rows if known."""


def silent(stage: str, rows: int, total: int | None) -> None:
    """Say nothing: the progress of a call that was given none."""


Records = Mapping[str, StageRecord]
"""The stages that are done, by name."""

_PARSED: Final = ("verdicts", "assertions", "evidence", "intentions", "rejects")
_LINKED: Final = (
    *("intentions", "mentions", "concepts", "hypernyms", "ancestors", "rejects", "kinds"),
    "abstractions",
)
_DISTILLED: Final = ("features", "generations", "verdicts", "runs")


@dataclass(frozen=True)
class Source:
    """Files to read, by role: what else than their bytes decides what is read, and the reader.

    ``read`` takes the files of each role, all of this machine, an empty folder for temporary files and a progress.
    """

    files: Mapping[str, Sequence[Input]]
    options: Sequence[Any]
    read: Callable[[Mapping[str, Sequence[Path]], Path, Callable[[int], None]], Sourced]


@dataclass(frozen=True)
class Job:
    """One run under the KB's lock: the version before, what to read (None: what the KB holds), and the options."""

    kb: KBDirectory
    before: Manifest | None
    source: Source | None
    options: Mapping[str, Any]
    inputs: list[dict[str, Any]]
    isa: dict[str, Any] | None
    here: Inputs
    progress: Progress


@dataclass(frozen=True)
class Stage:
    """A stage by name: ``key`` gives its fingerprint, None where the KB has no such stage; ``run`` records it.

    A stage with tables ``of_answers`` has nothing to do where there are no answers: they are empty then.
    """

    name: str
    key: Callable[[Job, Records], str | None]
    run: Callable[[Job, str, Records], StageRecord]
    of_answers: tuple[str, ...] = ()

    def idle(self, records: Records) -> bool:
        """Return whether the stage has nothing to do after those of ``records``."""
        return bool(self.of_answers) and not tables_of(records)["generations"].rows

    def empty(self, job: Job, key: str) -> StageRecord:
        """Record the stage with empty tables."""
        return job.kb.write_stage(
            self.name, key, {name: TABLES[name].empty_table() for name in self.of_answers}, read=0
        )


def scan(kb: KBDirectory, entry: TableEntry) -> daft.DataFrame:
    """Return a table of a KB as a lazy Daft frame."""
    from mindkg.engine import read_parquet

    return read_parquet(kb.table_folder(entry))


def tables_of(records: Records) -> dict[str, TableEntry]:
    """Return the tables that the stages of ``records`` leave: a later stage's stands for an earlier one's."""
    done = [records[stage.name] for stage in STAGES if stage.name in records]
    return {name: entry for record in done for name, entry in record.tables.items()}


def _scanned(job: Job, records: Records) -> dict[str, daft.DataFrame]:
    return {name: scan(job.kb, entry) for name, entry in tables_of(records).items() if name != "rejects"}


# sources


def _sources_key(job: Job, records: Records) -> str:
    from mindkg import sources

    if job.source is None:
        return _sources_before(job)
    contents = sorted(f"{i['role']}={i['sha256']}" for i in job.inputs)
    return fingerprint("sources", sources.VERSION, contents, job.source.options, _hashes("relations.ttl"))


def _sources_before(job: Job) -> str:
    """Return the fingerprint of what was read before; StorageError where it is not there any more."""
    known = job.before.stages.get("sources") if job.before else None
    tables = known.tables.values() if known else ()
    damaged = next((entry for entry in tables if not job.kb.is_whole(entry, again=not job.kb.place.apart)), None)
    if known and not damaged:
        return known.fingerprint
    files = " ".join(shlex.quote(i["path"]) for i in job.inputs) or "SOURCE …"
    verb = "ingest" if job.options["ingest"] else "build"
    what = "a table read from the sources is missing or damaged" if known else "the manifest is missing the sources"
    hint = f"Read them again: mindkg {verb} {files} -o {shlex.quote(job.kb.address)}"
    raise StorageError(what, record=job.kb.place.named(damaged.path if damaged else ""), hint=hint)


def _run_sources(job: Job, key: str, records: Records) -> StageRecord:
    assert job.source is not None
    files = {role: [job.here.file(place) for place in places] for role, places in job.source.files.items()}
    with job.kb.scratch() as staging, job.here.named():
        sourced = job.source.read(files, staging, lambda rows: job.progress("sources", rows, None))
        formats = {job.here.called(file): name for file, name in sourced.formats.items()}
        notes = {"title_conflicts": sourced.title_conflicts, "formats": formats, **sourced.notes}
        notes["read_as"] = {job.here.called(file): words for file, words in sourced.read_as.items()}
        notes["files"] = {job.here.called(file): counts for file, counts in sourced.files.items()}
        return job.kb.write_stage(
            "sources", key, sourced.tables, read=sourced.rows_read, kept=sourced.rows_kept, notes=notes
        )


# images


def _images_key(job: Job, records: Records) -> str | None:
    if not (job.kb.path / "images").is_dir():
        if job.kb.place.apart and job.before and "images" in job.before.stages:
            hint = "Put them back, or set MINDKG_WORK_DIR as it was: the KB's pictures are in it"
            raise StorageError("the KB's pictures are gone", record=str(job.kb.path / "images"), hint=hint)
        return None
    from mindkg import images

    return fingerprint("images", images.VERSION, records["sources"].fingerprint, images.digest(job.kb.path))


def _run_images(job: Job, key: str, records: Records) -> StageRecord:
    from mindkg.images import image_tables

    products = scan(job.kb, records["sources"].tables["products"])
    with job.kb.scratch() as staging:
        told = image_tables(products, job.kb.path, staging)
        notes = {"unasked": told.unasked}
        return job.kb.write_stage("images", key, told.tables, read=told.read, kept=told.kept, notes=notes)


# distill


def _distill_key(job: Job, records: Records) -> str | None:
    from mindkg import distill

    if not job.options["distill"]:
        return None
    known = job.before.stages.get("distill") if job.before else None
    if known and known.kept and not job.kb.ledger.is_dir():
        hint = "Put it back, or set MINDKG_WORK_DIR as it was: answers that are paid for are in it"
        raise StorageError("the KB's ledger is gone", record=str(job.kb.ledger), hint=hint)
    from mindkg.distill.templates import FOLDER

    given = [records[name].fingerprint for name in ("sources", "images") if name in records]
    words = [file_sha256(path) for path in sorted(FOLDER.glob("*.txt"))] + _hashes("relations.ttl", "thoughts.toml")
    with ledger(job.kb) as answers:
        return fingerprint("distill", distill.VERSION, given, job.options["distill"], words, answers.digest())


def _run_distill(job: Job, key: str, records: Records) -> StageRecord:
    """Make tables of what the ledger answers to each of the KB's settings, and put them to those of the sources."""
    from mindkg.distill.passes import run_passes

    tables = _scanned(job, records)
    # files are read in less memory than frames
    given: dict[str, Any] = {n: job.kb.table_folder(t) for n, t in tables_of(records).items() if n != "rejects"}
    rejects: list[daft.DataFrame] = []
    notes: dict[str, Any] = {"passes": []}
    with job.kb.scratch() as staging, ledger(job.kb) as answers:
        for number, settings in enumerate(distillations(job.options)):
            folder = staging / str(number)
            folder.mkdir()
            made = run_passes(
                given, settings, root=job.kb.path, ledger=answers, staging=folder, progress=job.progress, backend=None
            )
            tables |= {name: _united(name, tables[name], made.tables[name]) for name in _DISTILLED}
            given |= {name: tables[name] for name in _DISTILLED}
            rejects.append(made.tables["rejects"])
            notes["passes"].append({"model": settings.model, **made.counts})
        return _record_distilled(job, key, tables, rejects, notes)


def _record_distilled(
    job: Job, key: str, tables: Mapping[str, daft.DataFrame], rejects: Sequence[daft.DataFrame], notes: dict[str, Any]
) -> StageRecord:
    judged = [name for name in _DISTILLED if name != "runs"]
    refused = rejects[0]
    for more in rejects[1:]:
        refused = refused.concat(more)
    refused = refused.distinct("stage", "record").collect()
    kept = {name: tables[name].collect() for name in _DISTILLED}
    read = sum(kept[name].count_rows() for name in judged) + refused.count_rows()
    return job.kb.write_stage("distill", key, {**kept, "rejects": refused}, read=read, kept_in=judged, notes=notes)


def _united(name: str, known: daft.DataFrame, new: daft.DataFrame) -> daft.DataFrame:
    """Return the rows of ``known`` and those of ``new`` whose key is not there: settings may share answers."""
    keys: list[str | daft.Expression] = [*KEYS[name]]
    return known.concat(new.join(known.select(*keys), on=keys, how="anti").select(*known.column_names)).collect()


def ledger(kb: KBDirectory) -> AbstractContextManager[Any]:
    """Return the KB's ledger of answers that are paid for."""
    from mindkg.distill.ledger import Ledger

    return Ledger(kb.ledger)


def distillations(options: Mapping[str, Any]) -> list[Settings]:
    """Return the settings that a KB was distilled with, the first one first."""
    from mindkg.distill.settings import Settings

    return [Settings.from_json(plain) for plain in options.get("distill") or ()]


# parse


def _parse_rules(job: Job) -> str:
    from mindkg import parse

    files = _hashes("relations.ttl", "wordings.toml", "thoughts.toml", "common-words.txt")
    return fingerprint(parse.VERSION, job.options["relations"], files)


def _parse_key(job: Job, records: Records) -> str:
    given = [records[name].fingerprint for name in ("sources", "distill") if name in records]
    return fingerprint("parse", given, _parse_rules(job))


def _run_parse(job: Job, key: str, records: Records) -> StageRecord:
    from mindkg.parse.tables import parse_tables

    rules = _parse_rules(job)
    previous = None
    if job.before and _has_parsed(job, rules):
        previous = {name: scan(job.kb, entry) for name, entry in job.before.tables.items()}
    total = tables_of(records)["generations"].rows
    parsed = parse_tables(
        _scanned(job, records),
        relations=job.options["relations"],
        previous=previous,
        progress=lambda rows: job.progress("parse", rows, total),
    )
    notes = {"rules": rules, "reused": parsed.reused}
    return job.kb.write_stage("parse", key, parsed.tables, read=total, kept_in=["evidence"], notes=notes)


def _has_parsed(job: Job, rules: str) -> bool:
    """Return whether the version before was parsed by the same rules and is whole."""
    before = job.before
    assert before is not None
    same = "parse" in before.stages and before.stages["parse"].notes.get("rules") == rules
    return same and all(job.kb.is_whole(entry) for entry in before.tables.values())


# link


def own_vague(path: str | None) -> frozenset[str] | None:
    """Return the user's own vague concepts, None where ``path`` is."""
    from mindkg.link.words import own_vague_concepts

    return own_vague_concepts(Path(path)) if path else None


def _link_key(job: Job, records: Records) -> str:
    from mindkg import link
    from mindkg.link import isa

    table = job.isa["sha256"] if job.isa else "wordnet"
    options = [job.options[name] for name in ("isa_order", "top_k", "parents", "levels", "embed", "spacy")]
    options += sorted(own_vague(job.options["vague"]) or ())
    words = [file_sha256(path) for path in link.DATA_FILES]
    versions = [link.VERSION, isa.VERSION, version("spacy"), version("spacy-lookups-data")]
    return fingerprint("link", versions, records["parse"].fingerprint, table, options, words)


def _run_link(job: Job, key: str, records: Records) -> StageRecord:
    from mindkg.link.behind import with_context
    from mindkg.link.isa import open_isa
    from mindkg.link.kinds import kinds
    from mindkg.link.steps import Steps
    from mindkg.link.tables import link_tables

    options = job.options
    with job.here.named():
        table = open_isa(
            job.here.file(input_of(job.isa["path"])) if job.isa else None,
            order=options["isa_order"],
            progress=_steps(lambda rows: job.progress("isa", rows, None)),
        )
    intentions, tables = records["parse"].tables["intentions"], _scanned(job, records)
    vague = own_vague(options["vague"])
    known = kinds(tables["products"], table, vague)
    linked = link_tables(
        with_context(tables),
        table,
        top_k=options["top_k"],
        vague=vague,
        steps=Steps(embed=options["embed"], spacy=options["spacy"]),
        kinds=known["concept"],
        parents=options["parents"],
        levels=options["levels"],
        progress=lambda rows: job.progress("link", rows, intentions.rows),
    )
    made = _abstracted(tables, known, linked.tables["mentions"])
    notes = {
        "isa": job.isa["path"] if job.isa else "wordnet",
        "isa_rows": {"read": table.rows + table.rejected, "kept": table.rows, "rejected": table.rejected},
        "abstracted": made.left_out,
        "cycles_broken": linked.cycles(),
    }
    read = intentions.rows + table.rows + table.rejected
    written = {**linked.tables, "kinds": known, "abstractions": made.table}
    return job.kb.write_stage("link", key, written, read=read, kept=table.rows, kept_in=["intentions"], notes=notes)


def _abstracted(tables: Mapping[str, daft.DataFrame], kinds: pa.Table, mentions: pa.Table) -> Abstracted:
    from mindkg.abstractions import ASSERTED, PAIRS, abstract
    from mindkg.engine import to_arrow

    return abstract(to_arrow(tables["assertions"], ASSERTED), to_arrow(tables["cobuys"], PAIRS), kinds, mentions)


def _steps(report: Callable[[int], None]) -> Callable[[int], None]:
    """Return a progress that is told how many rows are done in all and reports those since the call before."""
    done = 0

    def progress(rows: int) -> None:
        nonlocal done
        report(rows - done)
        done = rows

    return progress


def _hashes(*names: str) -> list[str]:
    """Return the hashes of data files of ontology/ that a stage reads."""
    return [file_sha256(data_folder("ontology") / name) for name in names]


STAGES: Final = (
    Stage("sources", _sources_key, _run_sources),
    Stage("images", _images_key, _run_images),
    Stage("distill", _distill_key, _run_distill),
    Stage("parse", _parse_key, _run_parse, _PARSED),
    Stage("link", _link_key, _run_link, _LINKED),
)
"""The stages in their order."""
