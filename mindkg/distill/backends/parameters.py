"""Parameters that a server forbids: found out from its refusal, left out or lowered from then on, and reported."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from mindkg.distill.requests import RequestError

LONGEST: Final = ("max_tokens", "max_completion_tokens")
"""What a body calls the longest answer, and what OpenAI's models from o1 on call it."""

FORBIDDABLE: Final = (
    "seed",
    "temperature",
    "top_logprobs",
    "logprobs",
    *LONGEST,
    "logprob_token_ids",
    "return_tokens_as_token_ids",
    "separate_reasoning",
    "chat_template_kwargs",
    "reasoning_effort",
)
"""What may be left out of a body, ``top_logprobs`` before ``logprobs``, whose name is part of it."""

_REFUSED: Final = (400, 422)
_LEAST: Final = {"top_logprobs": 2, "max_tokens": 1, "max_completion_tokens": 1}
"""Parameters that can be lowered, and the least number that is of use."""

_SIZE: Final = re.compile(r"context[ _-]?(?:length|window|size)", re.I)
"""Words of a refusal that concerns the size of one request."""

_STATUS: Final = re.compile(r"\A[^:]*\(\d{3}\): ")
_STREAM: Final = re.compile(r"\bstream(?:ing|ed)?\b", re.I)


@dataclass(frozen=True)
class Parameters:
    """What one server was found to forbid: ``omitted`` names and values above the ``lowered`` ones.

    ``renamed`` says whether it wants another name for the longest answer, ``streamed`` whether it only sends streams.
    """

    omitted: frozenset[str] = frozenset()
    lowered: Mapping[str, int] = field(default_factory=dict)
    renamed: bool = False
    streamed: bool = False

    def applied(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``body`` as the server accepts it.

        >>> known = Parameters(frozenset({"seed"}), {"top_logprobs": 5})
        >>> known.applied({"seed": 0, "logprobs": True, "top_logprobs": 20})
        {'logprobs': True, 'top_logprobs': 5}
        """
        named = {LONGEST[1] if self.renamed and name == LONGEST[0] else name: value for name, value in body.items()}
        sent = {name: value for name, value in named.items() if name not in self.omitted}
        if "logprobs" not in sent:
            sent.pop("top_logprobs", None)
        lowered = {name: min(sent[name], most) for name, most in self.lowered.items() if name in sent}
        stream = {"stream": True, "stream_options": {"include_usage": True}} if self.streamed else {}
        return sent | lowered | stream

    def without_what(self, error: RequestError, sent: Mapping[str, Any]) -> Parameters | None:
        """Return these parameters without what ``error`` refuses of the body ``sent``, None where it names nothing.

        It is only a guess until the server accepts the same request without it: a refusal may repeat the request.
        """
        words = _STATUS.sub("", error.args[0])
        if error.status not in _REFUSED or _SIZE.search(words):
            return None
        if not self.renamed and LONGEST[0] in sent and LONGEST[1] in words:
            return replace(self, renamed=True)
        for name in FORBIDDABLE:
            if name not in sent or not re.search(rf"(?<![a-z_]){name}(?![a-z_])", words):
                continue
            if most := _most(name, sent[name], words):
                return replace(self, lowered={**self.lowered, name: most})
            return replace(self, omitted=self.omitted | {name})
        if not self.streamed and _STREAM.search(words):
            return replace(self, streamed=True)
        return None

    def __or__(self, other: Parameters) -> Parameters:
        lowered = {**self.lowered} | {n: min(most, self.lowered.get(n, most)) for n, most in other.lowered.items()}
        renamed, streamed = self.renamed or other.renamed, self.streamed or other.streamed
        return Parameters(self.omitted | other.omitted, lowered, renamed, streamed)

    def news(self, before: Parameters) -> list[str]:
        """Return a line for each difference to ``before``."""
        lines = [f"the server refuses {name}: it is left out" for name in sorted(self.omitted - before.omitted)]
        lowered = {name: most for name, most in self.lowered.items() if before.lowered.get(name) != most}
        lines += [f"the server allows {name} up to {most}: it is lowered" for name, most in sorted(lowered.items())]
        return lines


def _most(name: str, value: Any, words: str) -> int | None:
    """Return the number that a refusal allows instead of ``value``, None where it names none that is of use."""
    if name not in _LEAST or not isinstance(value, int):
        return None
    numbers = [int(digits) for digits in re.findall(r"(?<![\w.])\d{1,9}(?![\w.]*\d)", words)]
    return max((number for number in numbers if _LEAST[name] <= number < value), default=None)
