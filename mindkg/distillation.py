"""The verb distill: ask a model what the ledger does not hold yet, then bring the KB's tables up to date."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, cast

from mindkg.distill.requests import MAX_ANSWER
from mindkg.distill.settings import OMITTABLE, PASSES, Pass, Settings, asked_relations
from mindkg.errors import InputError, UsageError
from mindkg.pipeline import Built, check_kb, run_locked
from mindkg.stages import Progress, distillations, ledger, scan, tables_of
from mindkg.storage import KBDirectory, write_json

if TYPE_CHECKING:
    import pyarrow as pa

    from mindkg.distill.backends import Backend
    from mindkg.distill.calibration import Method, Report
    from mindkg.distill.ledger import Ledger
    from mindkg.distill.rows import Rows

_EXTENT: Final = ("relations", "samples")


@dataclass(frozen=True)
class Distillation:
    """What a distillation did: the settings as they were used, counts by pass, and the build behind it.

    The counts of a pass are ``planned`` = ``answered`` + ``failed`` + ``missing`` requests; ``unasked`` products, pairs
    or generations lack what a request needs, ``waiting`` ones among them features that may still come.
    """

    settings: Settings
    counts: Mapping[str, Mapping[str, int]]
    built: Built


def distill(
    kb: str | Path,
    backend: str | Backend,
    *,
    model: str | None = None,
    revision: str = "",
    passes: Sequence[str] = PASSES,
    relations: Sequence[str] = (),
    max_error_rate: float = 0.1,
    workers: int | None = None,
    token_ids: bool = False,
    max_answer: int = MAX_ANSWER,
    say: Callable[[str], None] | None = None,
    progress: Progress | None = None,
    options: Mapping[str, Any] | None = None,
    **asked: Any,
) -> Distillation:
    """Run ``passes`` over the products and pairs of ``kb`` and return what was done.

    ``backend`` is a URL, ``local:MODEL``, ``replay:FILE`` or a Backend; ``options`` are those of its class.
    ``relations`` are those to ask for (all by default); ``asked`` are further fields of ``Settings``. With
    ``token_ids`` the filter asks for the tokens of yes and no themselves, where the server can (vLLM). Only what the
    ledger does not hold is sent, so a call that was interrupted goes on where it stopped. On Ray (``use_runner``)
    ``workers`` of the cluster ask side by side: one a machine by default, one a GPU if the model is local. Raises
    MindKGError where more than ``max_error_rate`` of the requests fail. An answer of more than ``max_answer`` bytes is
    a reject, and is asked again only with another limit.
    """
    from mindkg.distill.backends import open_backend
    from mindkg.distill.backends.openai import OpenAIBackend
    from mindkg.distill.passes import run_passes

    directory, tell = KBDirectory(kb), say or (lambda line: None)
    check_kb(directory)
    _settings(model or "", revision, passes, relations, **asked)  # a mistake shows before a model is loaded
    opened = open_backend(backend, model, revision, **(options or {})) if isinstance(backend, str) else backend
    try:
        settings = _settings(opened.model, opened.revision, passes, relations, **asked)
        with directory.writing(), directory.scratch() as staging:
            with ledger(directory) as known:
                settings = _fitted(settings, opened, known, tell)
                if token_ids and settings.filter_mode == "score":
                    settings = _with_token_ids(settings, opened, tell)
            asking, answers = _asking(opened, backend, directory, workers, options or {}, max_answer)
            with answers:
                if broken := len(answers.interrupted(settings.model)):
                    tell(f"{_answers(broken)} kept by version 0.1 broke off with an error of the server: asked again")
                with closing(asking):  # what workers still write to is not compacted
                    made = run_passes(
                        _tables_to_ask(directory),
                        settings,
                        root=directory.path,
                        ledger=answers,
                        staging=staging,
                        backend=asking,
                        max_error_rate=max_error_rate,
                        progress=progress,
                    )
                answers.compact()
                for line in answers.damage():
                    tell(line)
            for note in opened.notes() if isinstance(opened, OpenAIBackend) else ():
                tell(note)  # what only the run's own requests brought to light
            for stage, replaced in made.replaced.items():
                if replaced:
                    tell(f"{stage}: {_answers(replaced)} with U+FFFD in place of bytes that are not UTF-8")
            _check_answered(opened, made.counts, tell)
            if waiting := sum(n["waiting"] for n in made.counts.values()):
                how = "run it again, or ask without them: --passes intentions,filter"
                tell(f"{waiting:,} pairs wait for features that failed: {how}")
            built = run_locked(directory, {"distill": _with(settings, directory)}, progress=progress)
            return Distillation(settings, made.counts, built)
    finally:
        opened.close()


def _answers(number: int) -> str:
    return f"{number:,} answer" + ("s" if number != 1 else "")


def _check_answered(backend: Backend, counts: Mapping[str, Mapping[str, int]], say: Callable[[str], None]) -> None:
    """Say what became of recorded answers; raise InputError where nothing was answered, so that no trace stays."""
    from mindkg.distill.backends.replay import ReplayBackend

    if isinstance(backend, ReplayBackend):
        say(backend.told())
    planned, answered = (sum(n[word] for n in counts.values()) for word in ("planned", "answered"))
    if planned and not answered:
        hint = (
            "Recorded answers are found by product, pair and relation; those of a batch by --model and all it was asked"
        )
        raise InputError(f"none of {planned:,} requests has an answer", hint=hint)


def forget(kb: str | Path, model: str, *, progress: Progress | None = None) -> Built:
    """Take what ``model`` answered out of the tables of ``kb``; its answers stay in the ledger, paid for.

    Raises InputError where the KB was not distilled with such a model.
    """
    directory = KBDirectory(kb)
    known = distillations(directory.open_manifest().options)
    kept = [one for one in known if one.model != model]
    if len(kept) == len(known):
        names = ", ".join(sorted({one.model for one in known})) or "none"
        raise InputError(f"the KB was not distilled with {model!r}", hint=f"Models: {names}")
    with directory.writing():
        return run_locked(directory, {"distill": [one.to_json() for one in kept]}, progress=progress)


def _asking(
    opened: Backend,
    address: str | Backend,
    kb: KBDirectory,
    workers: int | None,
    options: Mapping[str, Any],
    max_answer: int,
) -> tuple[Backend, Ledger]:
    """Return who asks and where the answers are: this process, or workers of the cluster that Daft runs on."""
    from mindkg.distill.backends.spread import SpreadBackend, WrittenLedger
    from mindkg.distill.ledger import Ledger
    from mindkg.engine import runner

    if runner() == "native" or not isinstance(address, str):
        return opened, Ledger(kb.ledger, max_answer)
    concurrency = options.get("concurrency", 16)
    many = SpreadBackend(
        opened, address, kb.ledger, workers=workers, concurrency=concurrency, options=options, max_answer=max_answer
    )
    return many, WrittenLedger(kb.ledger, max_answer)


def write_batch(
    kb: str | Path,
    file: str | Path,
    *,
    model: str | None,
    revision: str = "",
    passes: Sequence[str] = PASSES,
    relations: Sequence[str] = (),
    overwrite: bool = False,
    **asked: Any,
) -> int:
    """Write the requests that have no answer yet into ``file``, for a batch service; return how many they are.

    A file that exists is replaced only with ``overwrite``.

    Requests of a pass whose input is still missing come with a later file, when the results of this one are taken in.
    """
    from mindkg.distill.backends.batch import BatchWriter
    from mindkg.distill.passes import run_passes

    directory = KBDirectory(kb)
    directory.open_manifest()
    settings = _settings(model or "", revision, passes, relations, **asked)
    with (
        BatchWriter(file, model, revision, overwrite=overwrite) as writer,
        directory.writing(),
        directory.scratch() as staging,
        ledger(directory) as answers,
    ):
        run_passes(
            _tables_to_ask(directory),
            settings,
            root=directory.path,
            ledger=answers,
            staging=staging,
            backend=writer,
            stop_at_missing=True,
        )
        return writer.lines


def dry_run(
    kb: str | Path,
    backend: str | None = None,
    *,
    model: str | None = None,
    revision: str = "",
    passes: Sequence[str] = PASSES,
    relations: Sequence[str] = (),
    **asked: Any,
) -> pa.Table:
    """Return how many requests a distillation would send in each pass, and about how many tokens; nothing is sent.

    Columns are those of ``mindkg.distill.estimate.SCHEMA``. Give the ``model``, which is part of every request's key,
    or the ``backend`` that knows it.
    """
    from mindkg.distill import estimate
    from mindkg.distill.backends import open_backend

    directory = KBDirectory(kb)
    directory.open_manifest()
    _settings(model or "", revision, passes, relations, **asked)  # a mistake shows before a model is loaded
    if model is None:
        if backend is None:
            raise UsageError("which answers are there depends on the model", hint="Give --model or --backend")
        opened = open_backend(backend, model, revision)
        model, revision = opened.model, opened.revision
        opened.close()
    settings = _settings(model, revision, passes, relations, **asked)
    with TemporaryDirectory(prefix="mindkg-") as staging, ledger(directory) as answers:
        return estimate.dry_run(
            _tables_to_ask(directory), settings, root=directory.path, ledger=answers, staging=Path(staging)
        )


def calibrate(
    kb: str | Path, labels: str | Path, *, method: Method = "isotonic", progress: Progress | None = None
) -> tuple[Report, Built]:
    """Fit the filter's scores of ``kb`` to ``labels`` that people gave, apply it, and return its report.

    ``labels`` is a CSV (``mindkg.distill.labels.read_labels``), ``method`` ``isotonic`` or ``platt``. The report goes
    to ``KB/calibration.json``; calibrated scores take the place of the filter's own in the table verdicts. Raises
    InputError where the KB has no scores or the labels do not do.
    """
    from mindkg.distill.calibration import METHODS
    from mindkg.distill.calibration import calibrate as fit
    from mindkg.distill.labels import read_labels
    from mindkg.distill.passes import run_passes
    from mindkg.distill.rows import Rows

    if method not in METHODS:
        raise UsageError(f"method cannot be {method!r}", hint=f"It is {' or '.join(METHODS)}")
    if not Path(labels).is_file():
        raise InputError("there is no file of labels", record=str(labels))
    directory = KBDirectory(kb)
    known = distillations(directory.open_manifest().options)
    scored = [one for one in known if "filter" in one.passes and one.filter_mode == "score"]
    if not scored:
        hint = "Distill with the filter in mode score first"
        raise InputError("the KB has no scores of the filter", record=str(kb), hint=hint)
    last = replace(scored[-1], calibration=None)
    with directory.writing():
        with directory.scratch() as staging, ledger(directory) as answers:
            tables = {**_tables_to_ask(directory), "verdicts": Rows(())}  # all are judged anew, from the ledger
            made = run_passes(
                tables, last, root=directory.path, ledger=answers, staging=staging, backend=None, progress=progress
            )
            generations = scan(directory, directory.open_manifest().stages["distill"].tables["generations"])
            told = read_labels(Path(labels), made.tables["verdicts"], generations)
        calibration, quality = fit(told.scores, told.labels.tolist(), method)
        found = {"labels": str(labels), "settings": last.to_json(), **quality.to_json(), "rejects": list(told.rejects)}
        write_json(directory.path / "calibration.json", found)
        options = [replace(one, calibration=calibration) if one is scored[-1] else one for one in known]
        built = run_locked(directory, {"distill": [one.to_json() for one in options]}, progress=progress)
        return quality, built


def paid(
    kb: str | Path,
    *,
    price_in: float | None = None,
    price_out: float | None = None,
    say: Callable[[str], None] | None = None,
) -> pa.Table:
    """Return what the ledger of ``kb`` holds by pass and model: answers, errors, tokens, cost and time.

    The prices are those of a million tokens read and written. ``say`` is called with a line for each damaged file.
    """
    directory = KBDirectory(kb)
    directory.open_manifest()
    with ledger(directory) as answers:
        summary: pa.Table = answers.summary(price_in, price_out)
        for line in answers.damage():
            (say or (lambda line: None))(line)
    return summary


def _settings(model: str, revision: str, passes: Sequence[str], relations: Sequence[str], **asked: Any) -> Settings:
    """Return the settings of a distillation; raises InputError for a word that is not known.

    The model is part of keys, tables and messages, none of which hold control characters or half a surrogate pair.
    """
    if not (model + revision).isprintable():
        name = ascii(model if not model.isprintable() else revision)
        hint = "Name the model with --model in printable characters"
        raise UsageError(f"the name or revision of a model has control characters: {name}", hint=hint)
    in_order = dict.fromkeys([*(name for name in PASSES if name in passes), *passes])
    return Settings(
        model,
        revision,
        passes=cast("tuple[Pass, ...]", tuple(in_order)),
        relations=asked_relations(tuple(relations)),
        **asked,
    )


def _tables_to_ask(kb: KBDirectory) -> dict[str, Rows]:
    """Return the tables that requests are made of: what the sources, the pictures and earlier distillations told."""
    from mindkg.distill.rows import Rows

    stages = kb.open_manifest().stages
    entries = tables_of({name: stages[name] for name in ("sources", "images", "distill") if name in stages})
    return {name: Rows.of(kb.table_folder(entry)) for name, entry in entries.items() if name != "rejects"}


def _fitted(settings: Settings, backend: Backend, known: Ledger, say: Callable[[str], None]) -> Settings:
    """Return the settings as the model of ``backend`` can be asked, and report where they differ.

    Parameters that it refuses are left out or lowered, since they are part of what names a run. The filter is in mode
    ``paper`` where there are no log-probabilities, and gives a model that thinks the room to do so.
    """
    from mindkg.distill.ask import probed
    from mindkg.distill.runs import sampling

    scores = "filter" in settings.passes and settings.filter_mode == "score" and "logprobs" not in settings.omit
    asked = replace(sampling("intentions", settings), logprobs=settings.top_logprobs if scores else 0)
    found = probed(backend, known, asked)
    for note in found.notes:
        say(note)
    omitted = ["max_tokens" if name == "max_completion_tokens" else name for name in found.omitted]
    lowered = {"max_tokens" if name == "max_completion_tokens" else name: most for name, most in found.lowered}
    omit = tuple(name for name in OMITTABLE if name in {*settings.omit, *omitted})
    fitted = replace(
        settings, omit=omit, **{name: min(most, getattr(settings, name)) for name, most in lowered.items()}
    )
    if "filter" not in settings.passes or settings.filter_mode != "score":
        return fitted
    if not scores or not found.logprobs:
        why = found.why or "log-probabilities are not asked for"
        say(f"{why}: the filter asks for free text (paper) instead of a score")
        return replace(fitted, filter_mode="paper")
    if found.thinks and settings.thinking == "default":
        say("the model thinks before it answers: the filter scores the first word after the thought (see --thinking)")
        return replace(fitted, thinking="on")
    return fitted


def _with_token_ids(settings: Settings, backend: Backend, say: Callable[[str], None]) -> Settings:
    """Return the settings with the tokens of yes and no, so that none of their spellings is missing from a score."""
    from mindkg.distill.backends.openai import OpenAIBackend

    if not isinstance(backend, OpenAIBackend):
        raise InputError("only a server can be asked for tokens by their ids", hint="Leave --token-ids out")
    found = replace(settings, token_ids=backend.token_ids())
    for note in backend.notes():
        say(note)
    return found


def _with(settings: Settings, kb: KBDirectory) -> list[dict[str, Any]]:
    """Return the KB's distillations, ``settings`` the last: those that differ from it only in extent become part of it.

    They are replayed in this order, so that each finds the rows of those before it as it did when it was asked.
    """
    known = distillations(kb.open_manifest().options)
    for one in known:
        if _alike(one, settings):
            settings = _merge(one, settings)
    return [one.to_json() for one in known if not _alike(one, settings)] + [settings.to_json()]


def _alike(one: Settings, other: Settings) -> bool:
    names = [field.name for field in fields(Settings) if field.name not in (*_EXTENT, "calibration")]
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _merge(one: Settings, other: Settings) -> Settings:
    asked = {*one.relations, *other.relations}
    return replace(
        other,
        calibration=one.calibration,
        relations=tuple(name for name in asked_relations() if name in asked),
        samples=max(one.samples, other.samples),
    )
