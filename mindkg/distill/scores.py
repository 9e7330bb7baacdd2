"""The filter's one token → plausibility and coverage, from the log-probabilities of all spellings of yes and no."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mindkg.schema import NO, UNPARSABLE, YES

Floats = npt.NDArray[np.float64]

# signs of byte-level and SentencePiece vocabularies for a space or a line break; the end mark of old BPE ones
_WORD: Final = re.compile(r"[\W_ĠĊĉ]*?([yY][eE][sS]|[nN][oO])(?:[\W_ĠĊĉ]|</w>)*")
_WORDS: Final = (None, "yes", "no")
_TOKENS: Final = 1 << 16


@lru_cache(maxsize=_TOKENS)
def answer_word(token: str) -> Literal["yes", "no"] | None:
    """Return whether a token is a spelling of yes or of no: any case, with spaces, quotes or punctuation around it.

    >>> [answer_word(token) for token in ("Yes", "▁yes", "ĠNO", '"No', "yes.", "**Yes**", "none", "Y", "oui")]
    ['yes', 'yes', 'no', 'no', 'yes', 'yes', None, None, None]
    """
    found = _WORD.fullmatch(token)
    if found is None:
        return None
    return "yes" if found.group(1).lower() == "yes" else "no"


def plausibility(first: Sequence[Sequence[Any]]) -> tuple[float | None, float]:
    """Return P(yes) / (P(yes) + P(no)), None where neither stands there, and the coverage P(yes) + P(no).

    ``first`` holds the alternatives of the first token, each with its natural log-probability. The probabilities of all
    spellings are added up, in log space, so that tiny ones are exact. Different tokens may have equal text; a token
    that stands there twice, with one log-probability, counts once.

    >>> plausibility([("Yes", np.log(0.6)), (" yes", np.log(0.1)), ("No", np.log(0.2)), ("The", np.log(0.1))])
    (0.777..., 0.9...)
    >>> plausibility([("No", -1000.0), ("Yes", -1001.0)])
    (0.268..., 0.0)
    """
    scores, coverages = _plausibilities([first])
    return None if np.isnan(scores[0]) else float(scores[0]), float(coverages[0])


def plausibilities(first: Sequence[str | None]) -> tuple[Floats, Floats]:
    """Return scores and coverages, shape (rows,) each, of alternatives in JSON as the ledger keeps them.

    Both are NaN where a row has none, and where it has only the token that was chosen, which is no score: what else the
    model could have answered is unknown. The score alone is NaN where neither yes nor no is among them.

    >>> plausibilities(['[["Yes",0.0],["The",-99]]', '[["The",-0.1],["A",-3]]', '[["Yes",0.0]]', None])
    (array([ 1., nan, nan, nan]), array([ 1.,  0., nan, nan]))
    """
    rows = json.loads(f"[{','.join(text or 'null' for text in first)}]")
    return _plausibilities(
        [row if row and len({(token, logprob) for token, logprob in row}) > 1 else None for row in rows]
    )


def _plausibilities(rows: Sequence[Sequence[Sequence[Any]] | None]) -> tuple[Floats, Floats]:
    row = np.repeat(np.arange(len(rows)), [len(alternatives or ()) for alternatives in rows])
    pairs = [pair for alternatives in rows for pair in alternatives or ()]
    tokens = pa.array([str(token) for token, _ in pairs], pa.string()).dictionary_encode()
    token = tokens.indices.to_numpy()
    word = np.array([_WORDS.index(answer_word(known)) for known in tokens.dictionary.to_pylist()], np.int64)
    logs = np.array([logprob for _, logprob in pairs], np.float64)
    kept = (word[token] > 0) & ~np.isnan(logs) if len(pairs) else np.zeros(0, bool)
    told = np.unique(np.stack([row[kept], token[kept], logs[kept]]), axis=1)
    sums = np.full((2, len(rows)), -np.inf)
    np.logaddexp.at(sums, (word[told[1].astype(np.int64)] - 1, told[0].astype(np.int64)), told[2])
    both = np.logaddexp(*sums)
    known = both > -np.inf
    scores = np.full(len(rows), np.nan)
    scores[known] = np.exp(sums[0][known] - both[known])
    coverages = np.minimum(1.0, np.exp(both))
    coverages[[alternatives is None for alternatives in rows]] = np.nan
    return scores, coverages


def verdicts(scores: Floats, coverages: Floats, *, threshold: float, min_coverage: float) -> tuple[pa.Array, pa.Array]:
    """Return the verdict and its reason of each row; both are null where there were no log-probabilities.

    A coverage below ``min_coverage`` is unparsable; otherwise a score of at least ``threshold`` is a yes.

    >>> verdicts(np.array([0.5, 0.2, 0.9]), np.array([0.9, 0.9, 0.1]), threshold=0.5, min_coverage=0.5)[0].to_pylist()
    ['yes', 'no', 'unparsable']
    """
    unknown = np.isnan(coverages)
    low = ~(coverages >= min_coverage) | np.isnan(scores)
    words = np.where(low, UNPARSABLE, np.where(scores >= threshold, YES, NO))
    reasons = np.where(low, "low coverage", "score")
    return pa.array(words, pa.string(), mask=unknown), pa.array(reasons, pa.string(), mask=unknown)
