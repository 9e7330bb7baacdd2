"""The stages in order, and the verbs that run them; each is skipped where its fingerprint stands in the KB already."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mindkg.errors import RejectedError, UsageError
from mindkg.inputs import STDIN, Input, Inputs, check_same_inputs, input_of, inputs_of
from mindkg.rejections import mostly_rejected
from mindkg.stages import STAGES, Job, Progress, Records, Source, own_vague, scan, silent, tables_of
from mindkg.storage import PREVIOUS, KBDirectory, Manifest, StageRecord, TableEntry, fingerprint

if TYPE_CHECKING:
    from mindkg.images import Fetched

SKIPPED: Final = -1
_CHECKED: Final = ("sources", "parse")
"""The stages that must not reject most of what they read."""
_OPTIONS: Final[dict[str, Any]] = {
    "format": None,
    "field": None,
    "encoding": None,
    "ingest": None,
    "distill": [],
    "relations": "stated",
    "isa": None,
    "isa_order": "concept-first",
    "top_k": 5,
    "vague": None,
    "parents": 5,
    "levels": 3,
    "embed": None,
    "spacy": None,
}
_WORDS: Final = {"relations": ("stated", "asked"), "isa_order": ("concept-first", "instance-first")}


@dataclass(frozen=True)
class Built:
    """What a build did: the KB's manifest, the stages that ran, and whether a version was published.

    Nothing runs where nothing has changed; going back to options that the KB was built with before publishes again
    what was there. ``replaced`` are the source files that the version before was made of and this one is not.
    ``address`` is what the KB is opened by; ``path`` is the same, or the work folder of a KB in an object store.
    """

    path: Path
    address: str
    manifest: Manifest
    ran: tuple[str, ...]
    published: bool
    replaced: tuple[str, ...] = ()


def build(
    sources: str | Path | Sequence[str | Path] = (),
    output: str | Path = "kb",
    *,
    format: str | None = None,
    field: str | None = None,
    encoding: str | None = None,
    relations: str | None = None,
    isa: str | Path | None = None,
    isa_order: str | None = None,
    top_k: int | None = None,
    vague: str | Path | None = None,
    parents: int | None = None,
    levels: int | None = None,
    embed: str | None = None,
    spacy: str | None = None,
    replace: bool = False,
    allow_rejects: bool = False,
    progress: Progress | None = None,
) -> Built:
    """Build the KB ``output`` from ``sources`` (paths, glob patterns, addresses, - for stdin) and report what was done.

    Without sources it goes on from what the KB holds, with the options it was built with where none is given.
    ``format`` is one of ``mindkg.sources.FORMATS`` (found from content by default); ``field`` the column that holds
    the raw text; ``encoding`` that of the files (found from content by default); ``relations`` is ``stated`` or
    ``asked``; ``isa`` an isA table (the WordNet table by default) whose
    columns stand in ``isa_order`` (``concept-first`` or ``instance-first``); ``top_k`` the concepts kept for an
    intention; ``vague`` a file of concepts that say nothing, one a line, in place of the project's list; a concept gets
    its ``parents`` likeliest hypernyms, ``levels`` steps up. ``embed`` names a model of sentence embeddings that helps
    to choose senses, ``spacy`` a trained pipeline that takes the place of the rules for phrases. Raises InputError for
    what cannot be read, and where the KB was made of other inputs and not ``replace``; LockedError where another build
    is running; RejectedError where most rows of a file, or most answers, are rejected and not ``allow_rejects``: a KB
    that is new is published all the same, so that its rejects can be read, any other one stays as it was.
    """
    from mindkg.sources import read
    from mindkg.sources.encodings import check_encoding

    given: dict[str, Any] = {
        "relations": relations,
        "isa": _isa_place(isa) if isa else None,
        "isa_order": isa_order,
        "top_k": top_k,
        "vague": str(Path(vague).absolute()) if vague else None,
        "parents": parents,
        "levels": levels,
        "embed": embed,
        "spacy": spacy,
    }
    files = _expanded(sources)
    if not files:
        KBDirectory(output).published_manifest()
        if format or field or encoding:
            hint = "Give the source files too: format, field and encoding say how they are read"
            raise UsageError("without sources there is nothing to read", hint=hint)
        return run(output, given, progress=progress)
    given |= {"format": format, "field": field, "encoding": check_encoding(encoding)}
    source = Source(
        {"source": files},
        [format, field, given["encoding"]],
        lambda here, staging, report: read(
            here["source"], staging=staging, format=format, field=field, encoding=encoding, progress=report
        ),
    )
    return run(output, given, source=source, replace=replace, allow_rejects=allow_rejects, progress=progress)


def ingest(
    metadata: str | Path | Sequence[str | Path],
    output: str | Path = "kb",
    *,
    reviews: str | Path | Sequence[str | Path] = (),
    lists: Sequence[str] | None = None,
    window: int | None = None,
    min_support: int = 1,
    max_basket: int | None = None,
    keep_unknown: bool = False,
    category: str | None = None,
    per_category: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    encoding: str | None = None,
    replace: bool = False,
    allow_rejects: bool = False,
    progress: Progress | None = None,
) -> Built:
    """Make products and co-buys of Amazon ``metadata`` and ``reviews``, the beginning of a KB; return what was done.

    The options are those of ``mindkg.sources.amazon.read_amazon``, with its defaults. Raises InputError for a file or
    an option that cannot be used, and where the KB was made of other inputs and not ``replace``; LockedError where
    another process writes to the KB; RejectedError as ``build`` does.
    """
    from mindkg.sources import amazon
    from mindkg.sources.amazon.settings import Settings

    options: dict[str, Any] = {
        "lists": list(amazon.LISTS if lists is None else lists),
        "window": amazon.WINDOW if window is None else window,
        "min_support": min_support,
        "max_basket": amazon.MAX_BASKET if max_basket is None else max_basket,
        "keep_unknown": keep_unknown,
        "category": category,
        "per_category": per_category,
        "limit": limit,
        "seed": seed,
        "encoding": encoding,
    }
    Settings(**{**options, "lists": tuple(options["lists"])})  # a mistake shows before anything is read
    files = {"metadata": _expanded(metadata), "reviews": _expanded(reviews)}
    if all(STDIN in places for places in files.values()):
        raise UsageError("stdin can be only one of metadata and reviews", hint="Give the other one as a file")
    source = Source(
        files,
        ["amazon", amazon.VERSION, options],
        lambda here, staging, report: amazon.read_amazon(
            here["metadata"], reviews=here["reviews"], staging=staging, progress=report, **options
        ),
    )
    return run(
        output, {"ingest": options}, source=source, replace=replace, allow_rejects=allow_rejects, progress=progress
    )


def images(
    kb: str | Path,
    *,
    base: str | Path | None = None,
    concurrency: int = 16,
    per_host: int = 4,
    max_bytes: int = 10_000_000,
    max_pixels: int = 40_000_000,
    timeout: float = 30.0,
    retries: int = 4,
    allow_private: bool = False,
    progress: Progress | None = None,
) -> tuple[Fetched, Built]:
    """Fetch the first picture of each product of ``kb`` that has none yet; return what was fetched and what was built.

    The options are those of ``mindkg.images.fetch_images``. A call that was interrupted goes on where it stopped.
    Raises InputError for an option out of range, LockedError where another process writes to the KB.
    """
    from mindkg.images import count_pictures, fetch_images

    directory, report = KBDirectory(kb), progress or silent
    check_kb(directory)
    products = scan(directory, directory.open_manifest().tables["products"])
    with directory.writing():
        total = count_pictures(products)
        report("fetch", 0, total)
        fetched = fetch_images(
            products,
            directory.path,
            base=Path(base) if base else None,
            concurrency=concurrency,
            per_host=per_host,
            max_bytes=max_bytes,
            max_pixels=max_pixels,
            timeout=timeout,
            retries=retries,
            allow_private=allow_private,
            progress=lambda pictures: report("fetch", pictures, total),
        )
        return fetched, run_locked(directory, {}, progress=progress)


def _expanded(patterns: str | Path | Sequence[str | Path]) -> tuple[Input, ...]:
    """Return the files and the addresses of objects that ``patterns`` name, each once."""
    from mindkg import object_store
    from mindkg.sources import expand

    given = [patterns] if isinstance(patterns, str | Path) else list(patterns)
    piped = [pattern for pattern in given if str(pattern) == STDIN]
    given = [pattern for pattern in given if str(pattern) != STDIN]
    addresses = {pattern: object_store.address_of(pattern) for pattern in given}
    found = {one for address in addresses.values() if address for one in object_store.expand(address)}
    return (*expand([pattern for pattern, address in addresses.items() if not address]), *sorted(found), *piped[:1])


def _isa_place(isa: str | Path) -> str:
    place = input_of(isa)
    return place if isinstance(place, str) else str(place.resolve())


def run(
    output: str | Path,
    given: Mapping[str, Any],
    *,
    source: Source | None = None,
    replace: bool = False,
    allow_rejects: bool = False,
    progress: Progress | None = None,
) -> Built:
    """Run what is not up to date in the KB ``output`` and publish it, holding its lock.

    ``given`` are the options that the caller gave (None: as before, or the default where the KB is made anew);
    without a ``source`` the KB's own sources stand. A ``source`` of other inputs needs ``replace``.
    """
    kb = KBDirectory(output)
    with kb.writing(), kb.failing():
        return run_locked(kb, given, source=source, replace=replace, allow_rejects=allow_rejects, progress=progress)


def run_locked(
    kb: KBDirectory,
    given: Mapping[str, Any],
    *,
    source: Source | None = None,
    replace: bool = False,
    allow_rejects: bool = False,
    progress: Progress | None = None,
) -> Built:
    """Do as ``run`` does where the caller holds the KB's lock."""
    before = kb.usable_manifest() or kb.usable_manifest(PREVIOUS) if source else kb.manifest()
    kept = {} if before is None else before.options
    if source:  # what is read anew is linked anew too, but answers of a model stay paid for
        kept = {name: value for name, value in kept.items() if name == "distill"}
    options = {**_OPTIONS, **kept, **_present(given)}
    _check_options(options)
    known = before.inputs if before else []
    report = progress or silent
    with inputs_of(kb, lambda: report("fetch", 0, None)) as here:
        if source:
            inputs = [
                {**i, "role": role} for role, places in source.files.items() for i in here.describe(places, known)
            ]
        else:
            inputs = [i for i in known if i["role"] != "isa"]
        if source and before and not replace:
            check_same_inputs(before, inputs, options)
        table = _describe_isa(options["isa"], here, known)
        built, problem = _run(
            Job(kb, before, source, options, inputs, table, here, report), allow_rejects or not source
        )
    if problem:
        raise problem
    left = {i["sha256"] for i in inputs}
    return dataclasses.replace(
        built, replaced=tuple(i["path"] for i in known if i["role"] != "isa" and i["sha256"] not in left)
    )


def _present(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def check_kb(kb: KBDirectory) -> None:
    """Raise what a build of ``kb`` without sources would, before hours of other work: an isA table that is gone."""
    _check_options({**_OPTIONS, **kb.open_manifest().options})


def _check_options(options: Mapping[str, Any]) -> None:
    """Raise InputError for an option that cannot be used: a word, a number, a file or a model that is not there."""
    from mindkg.link.isa import check_isa
    from mindkg.link.steps import Steps
    from mindkg.sources import check_format

    for name, words in _WORDS.items():
        if options[name] not in words:
            raise UsageError(f"{name} cannot be {options[name]!r}", hint=f"It is {' or '.join(words)}")
    for name in ("top_k", "parents", "levels"):
        if options[name] < 1:
            raise UsageError(f"{name} cannot be {options[name]}", hint="It is at least 1")
    check_format(options["format"])
    own_vague(options["vague"])
    Steps(embed=options["embed"], spacy=options["spacy"]).check_models()
    if options["isa"] and isinstance(input_of(options["isa"]), Path):
        check_isa(options["isa"], options["isa_order"])


def _describe_isa(path: str | None, here: Inputs, known: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    return here.describe([input_of(path)], known)[0] if path else None


def _run(job: Job, allow_rejects: bool) -> tuple[Built, RejectedError | None]:
    """Run and publish; the error is that of a stage that rejected most rows, which a first version may show."""
    problem: RejectedError | None = None
    ran: list[str] = []
    records: dict[str, StageRecord] = {}
    for stage in STAGES:
        wanted = stage.key(job, records)
        if wanted is None:
            continue
        done = job.kb.finished(stage.name, wanted)
        if done is None and stage.idle(records):
            done = stage.empty(job, wanted)
        elif done is None:
            job.progress(stage.name, 0, None)
            done = stage.run(job, wanted, records)
            ran.append(stage.name)
        elif not stage.idle(records):
            job.progress(stage.name, SKIPPED, None)
        records[stage.name] = done
        if not allow_rejects and problem is None and stage.name in _CHECKED:
            problem = mostly_rejected(job.kb, done)
            if problem and job.before:
                problem.hint = "The KB is as it was. Let these rows take their place all the same: --allow-rejects"
                raise problem
    if not ran and job.before and _is_published(job, records):
        return Built(job.kb.path, job.kb.address, _remember(job), (), False), problem
    manifest = _publish(job, records)
    return Built(job.kb.path, job.kb.address, manifest, tuple(ran), True), problem


def _is_published(job: Job, records: Records) -> bool:
    """Return whether the version before is what ``records`` would make, and the rejects of all stages are intact."""
    before = job.before
    assert before is not None
    same = before.stages == records and before.options == job.options
    return same and job.kb.is_whole(before.tables["rejects"], again=not job.kb.place.apart)


def _remember(job: Job) -> Manifest:
    """Return the manifest with the inputs as they lie now, so that a file that was only moved is not hashed again."""
    assert job.before is not None
    inputs = _inputs(job)
    if inputs == job.before.inputs:
        return job.before
    manifest = dataclasses.replace(job.before, inputs=inputs)
    job.kb.publish(manifest, keep=False)
    return manifest


def _inputs(job: Job) -> list[dict[str, Any]]:
    return job.inputs + ([{**job.isa, "role": "isa"}] if job.isa else [])


def _publish(job: Job, records: Records) -> Manifest:
    tables = tables_of(records)
    tables["rejects"] = _all_rejects(job.kb, list(records.values()))
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
