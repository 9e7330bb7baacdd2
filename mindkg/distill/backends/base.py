"""What every backend can do, and which one an address names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from mindkg.distill.requests import Answer, Request, RequestError, Sampling
from mindkg.errors import InputError, nearest

Outcome = Answer | RequestError | None
"""An answer, why there is none, or None where the backend knows nothing of the request (a recorded file)."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What a model does with a request of one sampling.

    ``logprobs`` says whether the answer's first token comes with those of its alternatives, and ``why`` not. ``thinks``
    says whether the model thinks before it answers. ``omitted`` parameters are refused, ``lowered`` ones are allowed up
    to a number. ``remedied`` says that log-probabilities come only with parameters of one server. ``notes`` are lines
    for the user.
    """

    logprobs: bool = True
    why: str = ""
    thinks: bool = False
    omitted: tuple[str, ...] = ()
    lowered: tuple[tuple[str, int], ...] = ()
    remedied: bool = False
    notes: tuple[str, ...] = ()


class Backend(Protocol):
    """Answers requests. ``model`` and ``revision`` go into the keys of the requests and into the table of runs."""

    model: str
    revision: str

    def probe(self, sampling: Sampling) -> Probed:
        """Return what the model does with a request of this sampling; sends one, and others where it is refused."""
        ...

    def answers(self, requests: Iterable[Request]) -> Iterator[tuple[Request, Outcome]]:
        """Yield each request of ``requests`` once, with its outcome, in any order, as the outcomes come in.

        Requests are drawn only as fast as they can be sent, and pictures are opened when they are sent. Raises
        MindKGError where going on is useless (no server, a wrong key); what concerns one request is its outcome.
        """
        ...

    def close(self) -> None:
        """Let go of connections, files and memory."""
        ...


def open_backend(address: str, model: str | None = None, revision: str = "", **options: Any) -> Backend:
    """Return the backend that ``address`` names: a URL, ``local:MODEL`` or ``replay:FILE``.

    ``options`` are those of the backend's class: ``concurrency`` and ``timeout`` of a URL, ``device``, ``dtype`` and
    ``batch_tokens`` of a local model. Raises InputError for any other address.
    """
    kind, _, rest = address.partition(":")
    if kind in ("http", "https"):
        from mindkg.distill.backends.openai import OpenAIBackend

        return OpenAIBackend(address, model, revision, **options)
    if kind == "local" and rest:
        from mindkg.distill.backends.local import LocalBackend

        return LocalBackend(rest, model, revision, **options)
    if kind == "replay" and rest:
        from mindkg.distill.backends.replay import ReplayBackend

        return ReplayBackend(rest, model, revision, **options)
    near = nearest(kind, ("http", "https", "local", "replay")) if kind not in ("local", "replay") else ""
    hint = f"{near} Give http://HOST/v1, local:MODEL or replay:FILE".lstrip()
    raise InputError(f"no backend {address!r}", hint=hint)
