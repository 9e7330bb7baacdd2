"""What parsing gives: one frozen value for an intention and one for a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

OK: Final = "ok"
REJECT: Final = "reject"

Stated = Literal["asked", "retyped", "open"]


@dataclass(frozen=True, slots=True)
class ParsedIntention:
    """What an answer says: an intention typed by a relation, or a reject with its reason.

    ``status`` is ``ok`` or ``reject``; of a reject only ``reason`` (PARSING.md, section 6) is set, and ``relation``
    where the asked label is known. ``tail`` are the words of the intention, ``canonical`` the text its key is made of,
    ``start`` and ``end`` the code points of the tail in the raw text: ``text[start:end] == tail``, or both None where
    the tail was normalised away and does not stand there word for word.
    """

    status: Literal["ok", "reject"]
    reason: str | None = None
    relation: str | None = None
    stated: Stated | None = None
    tail: str | None = None
    canonical: str | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class ParsedVerdict:
    """What the filter says: ``verdict`` is yes, no or unparsable, ``reason`` the rule that decided it.

    Reasons of a yes or no: ``start``, ``end``, ``statement``, ``stance``, ``json``; of ``unparsable``: ``empty``,
    ``prompt_echo``, ``refusal``, ``wrong_language``, ``hedge``, ``no_stance``.
    """

    verdict: Literal["yes", "no", "unparsable"]
    reason: str
