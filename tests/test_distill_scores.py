"""Scores: every spelling of yes and no, exact in log space, in bulk."""

# ruff: noqa: E501

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindkg.distill.backends.openai_chat import first_token
from mindkg.distill.scores import answer_word, plausibilities, plausibility, verdicts

TOKENS = st.sampled_from(["Yes", "yes", "ĠYes", "▁no", "No", " NO.", "The", "Y", "", "не", '"yes"', "Nope"]) | st.text()
FIRST = st.lists(st.tuples(TOKENS, st.floats(-60, 0)), max_size=20)


@pytest.mark.parametrize(
    "token",
    [
        "yes",
        "Yes",
        "YES",
        " yes",
        "ĠYes",
        "▁Yes",
        "Yes.",
        '"Yes"',
        "**Yes",
        "\nyes",
        "ĊYes",
        "yes</w>",
        "’yes’",
        "Yes,",
    ],
)
def test_spellings_of_yes(token: str) -> None:
    assert answer_word(token) == "yes"
    assert answer_word(token.replace("yes", "no").replace("Yes", "No").replace("YES", "NO")) == "no"


@pytest.mark.parametrize(
    "token",
    ["", "Y", "N", "yesterday", "Not", "None", "Nope", "oui", "non", "нет", "No1", "yes no", "ĠThe", "noé", "yeſ"],
)
def test_what_is_no_spelling(token: str) -> None:
    assert answer_word(token) is None


@given(FIRST)
def test_scores_are_what_adding_up_probabilities_gives(first: list[tuple[str, float]]) -> None:
    score, coverage = plausibility(first)
    sums = {word: math.fsum(math.exp(lp) for t, lp in set(first) if answer_word(t) == word) for word in ("yes", "no")}
    both = sums["yes"] + sums["no"]
    assert coverage == pytest.approx(min(1.0, both), rel=1e-9, abs=1e-300)
    if any(answer_word(token) for token, _ in first):
        assert score == pytest.approx(sums["yes"] / both, rel=1e-9)
    else:
        assert score is None and coverage == 0


@given(st.lists(st.none() | FIRST, max_size=6))
def test_rows_in_bulk_are_rows_one_by_one(rows: list[list[tuple[str, float]] | None]) -> None:
    scores, coverages = plausibilities([None if row is None else json.dumps(row) for row in rows])
    assert len(scores) == len(coverages) == len(rows)
    for row, score, coverage in zip(rows, scores, coverages, strict=True):
        if row is None or len(set(row)) < 2:  # the chosen token alone is no score
            assert np.isnan(score) and np.isnan(coverage)
        else:
            one = plausibility(row)
            assert coverage == one[1] and (np.isnan(score) if one[0] is None else score == one[0])


def test_tiny_probabilities_are_exact() -> None:
    score, coverage = plausibility([("Yes", -800.0), ("No", -802.0)])
    assert score == pytest.approx(1 / (1 + math.exp(-2.0))) and coverage == 0.0


def test_a_token_that_stands_there_twice_counts_once() -> None:
    assert plausibility([("Yes", -0.1), ("Yes", -0.1), ("No", -3.0)]) == plausibility([("Yes", -0.1), ("No", -3.0)])


def test_impossible_and_unknown_probabilities() -> None:
    assert plausibility([("Yes", -math.inf), ("No", -0.1)])[0] == 0.0
    assert plausibility([("Yes", math.nan), ("No", -0.1)])[0] == 0.0
    assert plausibility([("Yes", 1e-9)]) == (1.0, 1.0)


def test_verdicts_at_their_limits() -> None:
    scores = np.array([0.5, 0.4999, 0.9, np.nan, np.nan])
    coverages = np.array([0.5, 1.0, 0.4999, 0.9, np.nan])
    words, reasons = verdicts(scores, coverages, threshold=0.5, min_coverage=0.5)
    assert words.to_pylist() == ["yes", "no", "unparsable", "unparsable", None]
    assert reasons.to_pylist() == ["score", "score", "low coverage", "low coverage", None]


def test_tokens_of_equal_text_are_added_up() -> None:
    others = [{"token": "Yes", "logprob": math.log(0.9)}, {"token": "No", "logprob": math.log(0.05)}]
    others.append({"token": "Yes", "logprob": math.log(0.002)})
    choice = {"logprobs": {"content": [{**others[0], "top_logprobs": others}]}}
    first = first_token(choice)
    assert first and len(first) == 3
    score, coverage = plausibility(first)
    assert score == pytest.approx(0.902 / 0.952) and coverage == pytest.approx(0.952)


def test_a_chosen_token_alone_is_no_score() -> None:
    alone = {"token": "Yes", "logprob": -0.1, "top_logprobs": []}
    same = {**alone, "top_logprobs": [{"token": "Yes", "logprob": -0.1}]}
    assert first_token({"logprobs": {"content": [alone]}}) is None
    assert first_token({"logprobs": {"content": [same]}}) is None


@pytest.mark.parametrize(
    "tokens",
    [
        ["<think>", "No", ".", "</think>", "\n\n", "Yes"],
        ["So", " No", "</think>", "**", "Yes", "."],
        ["<|channel|>", "analysis", "<|message|>", "No", "<|end|>", "<|start|>", "assistant", "<|channel|>", "final", "<|message|>", "Yes"],
        ["analysis", "We", " say", " No", ".", "assistant", "final", "Yes"],
        ["Hm", ".", " ", "\\boxed", "{", "Yes", "}"],
    ],
)  # fmt: skip
def test_the_verdict_is_read_after_the_thought(tokens: list[str]) -> None:
    content = [
        {"token": t, "logprob": -n, "top_logprobs": [{"token": f"other {n}", "logprob": -9}]}
        for n, t in enumerate(tokens)
    ]
    at = tokens.index("Yes")
    assert first_token({"logprobs": {"content": content}}) == ((f"other {at}", -9), ("Yes", -at))
    assert first_token({"logprobs": {"content": content[: at - 1]}}) is None or tokens[0] == "Hm"


def test_the_verdict_is_found_where_the_server_has_taken_the_thought_out() -> None:
    content = [
        {"token": t, "logprob": -1, "top_logprobs": [{"token": "x", "logprob": -n}]}
        for n, t in enumerate(["No", " so", " Yes"])
    ]
    message = {"content": "Yes", "reasoning_content": "No so"}
    choice = {"message": message, "logprobs": {"content": content}}
    assert first_token(choice, "Yes") == (("x", -2), (" Yes", -1))
    assert first_token({**choice, "message": {**message, "content": ""}}) is None
