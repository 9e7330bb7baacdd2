"""One question to a model, its key, and what comes back: the types that planning, ledger and backends agree by."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from mindkg.distill.settings import Pass
from mindkg.errors import MindKGError

KEY_DIGITS: Final = 32

MAX_ANSWER: Final = 200_000
"""Bytes of UTF-8 that an answer may have unless the user sets another limit: about 50,000 tokens."""

_OVERHEAD: Final = 8
_LEAST_BODY: Final = 1 << 20


def most_bytes(max_answer: int) -> int:
    """Return how many bytes are read of what holds an answer: escapes, thoughts and log-probabilities stand beside it.

    >>> most_bytes(200_000)
    1600000
    """
    return max(_LEAST_BODY, _OVERHEAD * max_answer)


@dataclass(frozen=True, slots=True)
class Picture:
    """A stored picture, named by the SHA-256 of its bytes; it is opened when a request is sent, not before."""

    sha256: str
    path: Path


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a model answers; what is None is not sent.

    ``logprobs`` is how many alternatives of each token are asked for, 0 for none; ``token_ids`` are those of which
    log-probabilities are wanted instead. ``thinking`` is False where it is switched off.
    """

    temperature: float | None = 0.2
    max_tokens: int | None = 512
    seed: int | None = 0
    logprobs: int = 0
    thinking: bool | None = None
    token_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """The words of one request in the order they are sent: ``system``, then the pictures, then ``text``."""

    name: str
    version: str
    system: str
    text: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request asks about: a product (features), a pair and a relation (intentions), or a generation (filter).

    ``sample`` counts the answers to one and the same question from 0.
    """

    product_id: str = ""
    cobuy_id: str = ""
    relation: str = ""
    generation_id: str = ""
    sample: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One question: requests of one ``group`` (a pair or a product) share pictures and the prompt's beginning.

    They stand next to each other in a plan and one is sent first, so that a server's prefix cache is hit. Two requests
    with one ``key`` are the same question and are sent once.
    """

    key: str
    stage: Pass | Literal["probe"]
    subject: Subject
    group: str
    prompt: Prompt
    pictures: tuple[Picture, ...]
    sampling: Sampling
    model: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said. ``first`` holds the alternatives of the first token with their log-probabilities.

    ``first`` is None where the server gave none; token counts are None where it does not say. ``thought`` says whether
    the model thought first, as far as is known. ``seconds`` is how long it took, None where nobody asked just now.
    """

    text: str
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    first: tuple[tuple[str, float], ...] | None = None
    thought: bool = field(default=False, compare=False)
    seconds: float | None = field(default=None, compare=False)


class RequestError(MindKGError):
    """A request that got no answer; ``status`` is the HTTP status, None where there was none.

    ``wait`` is how many seconds the server asks to wait before another attempt.
    """

    def __init__(self, message: str, *, status: int | None = None, retryable: bool = False, **where: Any) -> None:
        super().__init__(message, **where)
        self.status = status
        self.retryable = retryable
        self.seconds: float | None = None
        self.wait = 0.0


PASSING: Final = frozenset({408, 409, 425, 429, *range(500, 600)}) - {501, 505}
"""The statuses of errors that another try may not meet; so may an error without a status, if no picture is broken."""

TOO_LONG: Final = "the answer is too long"
TOO_LONG_HINT: Final = "Allow longer ones with --max-answer"
"""How the message of an answer above the limit begins, and what to do about it."""

PICTURE_FAILED: Final = "the picture does not open"
"""How the message of a PictureError begins: a ledger keeps the words of an error, and a reject needs its reason."""


class PictureError(RequestError):
    """A request that was not sent since one of its pictures does not open."""

    def __init__(self, detail: str, **where: Any) -> None:
        # an error that comes from another process is made from its whole message
        super().__init__(detail if detail.startswith(PICTURE_FAILED) else f"{PICTURE_FAILED}: {detail}", **where)


def request_key(
    model: str, revision: str, prompt: Prompt, pictures: tuple[Picture, ...], sampling: Sampling, sample: int
) -> str:
    """Return what names a question: the hash of all that may change its answer, 32 hexadecimal digits.

    >>> request_key("m", "", Prompt("filter", "1", "", "Yes?"), (), Sampling(), 0)
    'f4fdf9ceb196498693ef8f3c2ca9117c'
    """
    parts: list[list[Any]] = [
        [model, revision, prompt.name, prompt.version, prompt.system, prompt.text],
        [picture.sha256 for picture in pictures],
        [sampling.temperature, sampling.max_tokens, sampling.seed, sampling.logprobs, sample],
    ]
    if sampling.thinking is not None or sampling.token_ids:
        parts.append([sampling.thinking, list(sampling.token_ids)])
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:KEY_DIGITS]
