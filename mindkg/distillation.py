"""The verb distill: ask a model what the ledger does not hold yet, then bring the KB's tables up to date."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mindkg.distill.settings import PASSES, Settings, asked_relations
from mindkg.pipeline import Built, run_locked
from mindkg.stages import Progress, distillations, ledger, scan, tables_of
from mindkg.storage import KBDirectory

if TYPE_CHECKING:
    import daft
    import pyarrow as pa

    from mindkg.distill.backends import Backend

_EXTENT: Final = ("relations", "samples")


@dataclass(frozen=True)
class Distillation:
    """What a distillation did: the settings as they were used, counts by pass, and the build behind it.

    The counts of a pass are ``planned`` = ``answered`` + ``failed`` + ``missing`` requests. ``built`` is None where
    nothing was sent (a dry run).
    """

    settings: Settings
    counts: Mapping[str, Mapping[str, int]]
    built: Built | None


def distill(
    kb: str | Path,
    backend: str | Backend,
    *,
    model: str | None = None,
    revision: str = "",
    passes: Sequence[str] = PASSES,
    relations: Sequence[str] = (),
    max_error_rate: float = 0.1,
    say: Callable[[str], None] | None = None,
    progress: Progress | None = None,
    options: Mapping[str, Any] | None = None,
    **asked: Any,
) -> Distillation:
    """Run ``passes`` over the products and pairs of ``kb`` and return what was done.

    ``backend`` is a URL, ``local:MODEL``, ``replay:FILE`` or a Backend; ``options`` are those of its class.
    ``relations`` are those to ask for (all by default); ``asked`` are further fields of ``Settings``. Only what the
    ledger does not hold is sent, so a call that was interrupted goes on where it stopped. Raises MindKGError where more
    than ``max_error_rate`` of the requests fail.
    """
    from mindkg.distill.backends import open_backend
    from mindkg.distill.passes import run_passes

    directory, tell = KBDirectory(kb), say or (lambda line: None)
    report = progress or (lambda stage, rows, total: None)
    directory.open_manifest()
    opened = open_backend(backend, model, revision, **(options or {})) if isinstance(backend, str) else backend
    try:
        settings = settings_for(opened.model, opened.revision, passes, relations, **asked)
        settings = _mode(settings, opened, tell)
        with directory.writing(), directory.scratch() as staging, ledger(directory) as answers:
            tables = tables_to_ask(directory)
            made = run_passes(
                tables,
                settings,
                root=directory.path,
                ledger=answers,
                staging=staging,
                backend=opened,
                max_error_rate=max_error_rate,
                progress=report,
            )
            answers.compact()
            built = run_locked(directory, {"distill": _with(settings, directory)}, progress=progress)
            return Distillation(settings, made.counts, built)
    finally:
        opened.close()


def write_batch(
    kb: str | Path,
    file: str | Path,
    *,
    model: str | None,
    revision: str = "",
    passes: Sequence[str] = PASSES,
    relations: Sequence[str] = (),
    **asked: Any,
) -> int:
    """Write the requests that have no answer yet into ``file``, for a batch service; return how many they are.

    Requests of a pass whose input is still missing come with a later file, when the results of this one are taken in.
    """
    from mindkg.distill.backends.batch import BatchWriter
    from mindkg.distill.passes import run_passes

    directory = KBDirectory(kb)
    directory.open_manifest()
    settings = settings_for(model or "", revision, passes, relations, **asked)
    with BatchWriter(file, model, revision) as writer:
        with directory.writing(), directory.scratch() as staging, ledger(directory) as answers:
            run_passes(
                tables_to_ask(directory), settings, root=directory.path, ledger=answers, staging=staging, backend=writer
            )
        return writer.lines


def paid(kb: str | Path, *, price_in: float | None = None, price_out: float | None = None) -> pa.Table:
    """Return what the ledger of ``kb`` holds by pass and model: answers, errors, tokens, cost and time.

    The prices are those of a million tokens read and written.
    """
    directory = KBDirectory(kb)
    directory.open_manifest()
    with ledger(directory) as answers:
        summary: pa.Table = answers.summary(price_in, price_out)
    return summary


def settings_for(model: str, revision: str, passes: Sequence[str], relations: Sequence[str], **asked: Any) -> Settings:
    """Return the settings of a distillation; raises InputError for a word that is not known."""
    return Settings(
        model,
        revision,
        passes=tuple(sorted(set(passes), key=_place)),  # type: ignore[arg-type] # checked by Settings
        relations=asked_relations(tuple(relations)),
        **asked,
    )


def _place(name: str) -> int:
    return PASSES.index(name) if name in PASSES else len(PASSES)  # type: ignore[arg-type]


def tables_to_ask(kb: KBDirectory) -> dict[str, daft.DataFrame]:
    """Return the tables that requests are made of: what the sources, the pictures and earlier distillations told."""
    stages = kb.open_manifest().stages
    entries = tables_of({name: stages[name] for name in ("sources", "images", "distill") if name in stages})
    return {name: scan(kb, entry) for name, entry in entries.items() if name != "rejects"}


def _mode(settings: Settings, backend: Backend, say: Callable[[str], None]) -> Settings:
    """Return the settings, in mode ``paper`` where the backend gives no log-probabilities."""
    if "filter" in settings.passes and settings.filter_mode == "score" and not backend.logprobs():
        say("the model gives no log-probabilities: the filter asks for free text (paper) instead of a score")
        return replace(settings, filter_mode="paper")
    return settings


def _with(settings: Settings, kb: KBDirectory) -> list[dict[str, Any]]:
    """Return the KB's distillations with ``settings`` among them: those that differ only in extent become one."""
    known = distillations(kb.open_manifest().options)
    merged = [_merge(one, settings) if _alike(one, settings) else one for one in known]
    if not any(_alike(one, settings) for one in known):
        merged.append(settings)
    return [one.to_json() for one in merged]


def _alike(one: Settings, other: Settings) -> bool:
    names = [field.name for field in fields(Settings) if field.name not in _EXTENT]
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _merge(one: Settings, other: Settings) -> Settings:
    asked = {*one.relations, *other.relations}
    return replace(
        one,
        relations=tuple(name for name in asked_relations() if name in asked),
        samples=max(one.samples, other.samples),
    )
