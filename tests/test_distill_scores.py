"""Scores: every spelling of yes and no, exact in log space, in bulk."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        if row is None:
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
