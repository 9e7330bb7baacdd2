"""Asking a model what the ledger does not hold yet; each answer is in the ledger before the next one is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from mindkg.distill.backends.base import Backend, Probed
from mindkg.distill.backends.parameters import FORBIDDABLE
from mindkg.distill.ledger import Ledger
from mindkg.distill.requests import Answer, Prompt, Request, RequestError, Sampling, Subject, request_key
from mindkg.errors import MindKGError

LEAST: Final = 20
"""Requests that must have come back before the share of errors says anything."""

_DONE: Final = "probed"
_THINKS: Final = "thinks"


@dataclass(frozen=True, slots=True)
class Asked:
    """What came back: ``sent`` = ``answered`` + ``failed`` requests; of ``unknown`` ones the backend knew nothing."""

    sent: int
    answered: int
    failed: int
    unknown: int


def ask(
    requests: Iterable[Request],
    backend: Backend,
    ledger: Ledger,
    *,
    max_error_rate: float = 0.1,
    progress: Callable[[int], None] | None = None,
) -> Asked:
    """Send those of ``requests`` that have no answer in ``ledger``, write down what comes back, and return the counts.

    Requests are drawn as they are sent. ``progress`` is called with the number of requests that came back. Raises
    MindKGError where more than ``max_error_rate`` of at least ``LEAST`` requests failed, those counted that the ledger
    answers already, or all of fewer, and what the backend raises; what was answered until then is in the ledger.
    """
    drawn = answered = failed = unknown = 0

    def counted() -> Iterator[Request]:
        nonlocal drawn
        for request in requests:
            drawn += 1
            yield request

    error: RequestError | None = None
    for request, outcome in backend.answers(ledger.missing(counted())):
        if outcome is None:
            unknown += 1
        else:
            ledger.append(request, outcome)
            outcome = ledger.kept(outcome)
            if isinstance(outcome, RequestError):
                failed, error = failed + 1, outcome
            else:
                answered += 1
        if progress:
            progress(answered + failed + unknown)
        if error and drawn >= LEAST and failed > max_error_rate * drawn:
            raise _too_many(answered, failed, error)
    if error and failed == drawn:
        raise _too_many(answered, failed, error)
    return Asked(answered + failed, answered, failed, unknown)


def probed(backend: Backend, ledger: Ledger, sampling: Sampling) -> Probed:
    """Return what the model of ``backend`` does with ``sampling``, asking at most once for a model.

    What was found out is kept, so that a run which goes on asks for nothing twice, unless the model gave no
    log-probabilities: another server may. One that withholds them is found out by its first answer.
    """
    omitted = {name: f"omits {name}" for name in FORBIDDABLE}
    lowered = {most: f"lowers top_logprobs to {most}" for most in range(sampling.logprobs)}
    facts = {fact: _fact(backend, sampling, fact) for fact in (_DONE, _THINKS, *omitted.values(), *lowered.values())}
    missing = {request.key for request in ledger.missing(facts.values())}
    known = {fact for fact, request in facts.items() if request.key not in missing}
    if _DONE in known:
        return Probed(
            thinks=_THINKS in known,
            omitted=tuple(name for name, fact in omitted.items() if fact in known),
            lowered=tuple(("top_logprobs", most) for most, fact in lowered.items() if fact in known),
        )
    found = backend.probe(sampling)
    if found.logprobs and not found.remedied and all(name == "top_logprobs" for name, _ in found.lowered):
        learned = [_THINKS] if found.thinks else []
        learned += [omitted[name] for name in found.omitted] + [lowered[most] for _, most in found.lowered]
        for fact in (*learned, _DONE):
            ledger.append(facts[fact], Answer(""))
    return found


def _fact(backend: Backend, sampling: Sampling, fact: str) -> Request:
    """Return the request under whose key the ledger keeps that ``fact`` is true of a model."""
    prompt = Prompt("probe", "2", "", fact)
    key = request_key(backend.model, backend.revision, prompt, (), sampling, 0)
    return Request(key, "probe", Subject(), "", prompt, (), sampling, backend.model)


def _too_many(answered: int, failed: int, error: RequestError) -> MindKGError:
    hint = "The answers so far are kept: run it again when the cause is gone, or allow more with --max-error-rate"
    return MindKGError(f"{failed} of {answered + failed} requests failed, the last one so: {error}", hint=hint)
