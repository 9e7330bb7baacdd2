"""The runs of a distillation: one a pass, named by the model, the prompt and what decides its answers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

import pyarrow.compute as pc

from mindkg.distill.requests import Sampling
from mindkg.distill.rows import Rows
from mindkg.distill.settings import Pass, Settings
from mindkg.distill.templates import filter_name, template
from mindkg.identity import run_key

LOGPROBS: Final = 20
"""Alternatives of the filter's one token: the most that OpenAI's protocol gives."""


@dataclass(frozen=True, slots=True)
class Run:
    """One pass of one distillation; ``parameters`` is JSON with sorted keys."""

    stage: Pass
    run_id: str
    prompt_version: str
    parameters: str


def run_of(stage: Pass, settings: Settings, features_run: str = "") -> Run:
    """Return the run of a pass. ``features_run`` is that of the features which intentions are asked with.

    Relations and samples are no part of it: a run that asks for more of them goes on under its key.

    >>> run_of("features", Settings("llava")).parameters
    '{"max_tokens": 512, "prompt": "features", "seed": 0, "temperature": 0.2}'
    """
    asked = sampling(stage, settings)
    prompt = prompt_name(stage, settings)
    given: dict[str, Any] = {"prompt": prompt, "temperature": asked.temperature, "max_tokens": asked.max_tokens}
    given["seed"] = asked.seed
    if settings.thinking != "default":
        given["thinking"] = settings.thinking
    if stage == "intentions":
        given["features"] = features_run
    if stage == "filter" and settings.filter_mode == "score":
        given |= {"threshold": settings.threshold, "min_coverage": settings.min_coverage}
        if settings.top_logprobs != LOGPROBS:
            given["top_logprobs"] = settings.top_logprobs
        if settings.token_ids:
            given["logprob_token_ids"] = settings.token_ids
        if settings.calibration:
            given["calibration"] = asdict(settings.calibration)
    version, parameters = template(prompt).version, json.dumps(given, sort_keys=True)
    return Run(stage, run_key(stage, settings.model, settings.revision, version, parameters), version, parameters)


def intentions_run(settings: Settings, features: Rows) -> Run:
    """Return the run of the intentions that are asked with the table ``features``.

    Intentions that were asked before the model had described the products are another run than those asked after.
    """
    described = run_of("features", settings).run_id
    some = any(described in pc.unique(batch["run_id"]).to_pylist() for batch in features.batches("run_id"))
    return run_of("intentions", settings, described if some else "")


def prompt_name(stage: Pass, settings: Settings) -> str:
    """Return the name of the prompt of a pass.

    >>> prompt_name("filter", Settings("m", filter_mode="paper"))
    'filter-paper'
    """
    return filter_name(settings.filter_mode) if stage == "filter" else stage


def sampling(stage: Pass, settings: Settings, sample: int = 0) -> Sampling:
    """Return how the model answers in a pass; each sample has a seed of its own.

    >>> sampling("filter", Settings("m", seed=7))
    Sampling(temperature=0.0, max_tokens=1, seed=7, logprobs=20, thinking=None, token_ids=())
    """
    known: dict[str, Any] = {"temperature": settings.temperature, "max_tokens": settings.max_tokens}
    known |= {"seed": settings.seed + sample, "thinking": False if settings.thinking == "off" else None}
    if stage == "filter" and settings.filter_mode == "score":
        known |= {"temperature": 0.0, "seed": settings.seed, "logprobs": settings.top_logprobs}
        known["token_ids"] = settings.token_ids
        if settings.thinking != "on":
            known["max_tokens"] = 1
    return Sampling(**known | {name: None for name in settings.omit if name != "logprobs"})
