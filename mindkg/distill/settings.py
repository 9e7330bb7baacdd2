"""What is asked of which model, and how: all that decides which requests a distillation sends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from mindkg.distill.calibration import Calibration
from mindkg.errors import UsageError, nearest
from mindkg.vocabulary import relation_name, relations

Pass = Literal["features", "intentions", "filter"]
FilterMode = Literal["score", "paper"]

PASSES: Final[tuple[Pass, ...]] = ("features", "intentions", "filter")
"""The passes in their order: each one's requests hold answers of the one before."""

Thinking = Literal["default", "off", "on"]

THINKING: Final[tuple[Thinking, ...]] = ("default", "off", "on")

OMITTABLE: Final = ("temperature", "max_tokens", "seed", "logprobs")
"""The parameters that need not be sent."""

MODES: Final[tuple[FilterMode, ...]] = ("score", "paper")


@dataclass(frozen=True, slots=True)
class Settings:
    """One distillation: the same settings over the same tables are the same requests, with the same keys.

    ``relations`` are names of ``mindkg.vocabulary.relations``; ``filter_mode`` is ``score`` (one token with
    log-probabilities) or ``paper`` (free text); ``samples`` answers are asked for each intention. In ``score`` mode a
    score of at least ``threshold`` is a yes, and a coverage below ``min_coverage`` is unparsable; a ``calibration`` is
    applied to the scores first. Parameters in ``omit`` are not sent. ``thinking`` is ``off`` (switched off), ``on``
    (the filter gives the model room to think and scores the first token after it) or what the server does by default.
    ``top_logprobs`` is how many alternatives are asked for, or else the log-probabilities of ``token_ids``.
    """

    model: str
    revision: str = ""
    passes: tuple[Pass, ...] = PASSES
    relations: tuple[str, ...] = ()
    filter_mode: FilterMode = "score"
    temperature: float = 0.2
    max_tokens: int = 512
    seed: int = 0
    samples: int = 1
    threshold: float = 0.5
    min_coverage: float = 0.5
    calibration: Calibration | None = None
    omit: tuple[str, ...] = ()
    thinking: Thinking = "default"
    top_logprobs: int = 20
    token_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _check_words("pass", self.passes, PASSES)
        _check_words("relation", self.relations, tuple(relations()))
        _check_words("filter mode", (self.filter_mode,), MODES)
        _check_words("thinking", (self.thinking,), THINKING)
        _check_words("parameter", self.omit, OMITTABLE)
        for name, least in (("temperature", 0), ("max_tokens", 1), ("samples", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} cannot be {getattr(self, name)}", hint=f"It is at least {least}")
        for name in ("threshold", "min_coverage"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} cannot be {getattr(self, name)}", hint="It is from 0 to 1")

    def to_json(self) -> dict[str, Any]:
        """Return the settings as the manifest keeps them.

        >>> Settings.from_json(Settings("m", relations=("usedFor",)).to_json()).relations
        ('usedFor',)
        """
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Settings:
        """Return the settings that ``to_json`` gave."""
        lists = {name: tuple(value) for name, value in plain.items() if isinstance(value, list)}
        fitted = plain.get("calibration")
        return cls(**{**plain, **lists, "calibration": Calibration.from_json(fitted) if fitted else None})


def asked_relations(names: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the relations to ask for: ``names`` in our spelling, or all twenty, as MIND asks for them.

    ``open`` is one of them: its prompt has no prefix and leaves the relation to the model.

    >>> asked_relations(("propertOf",))
    ('propertyOf',)
    """
    if not names:
        return tuple(relations())
    unknown = [name for name in names if relation_name(name) is None]
    if unknown:
        hint = nearest(unknown[0], relations()) or f"Relations: {', '.join(relations())}"
        raise UsageError(f"there is no relation {unknown[0]!r}", hint=hint)
    return tuple(dict.fromkeys(str(relation_name(name)) for name in names))


def _check_words(what: str, words: tuple[str, ...], known: tuple[str, ...]) -> None:
    unknown = [word for word in words if word not in known]
    if unknown:
        raise UsageError(
            f"unknown {what} {unknown[0]!r}", hint=nearest(unknown[0], known) or f"Known: {', '.join(known)}"
        )
