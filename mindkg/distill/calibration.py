"""A monotone map from the filter's scores to probabilities, fitted on labels that people gave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from mindkg.errors import InputError, MindKGError, UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

Method = Literal["isotonic", "platt"]

METHODS: Final[tuple[Method, ...]] = ("isotonic", "platt")
BINS: Final = 10
FOLDS: Final = 5
LEAST: Final = 10
"""Labels of each kind that a calibration needs."""

_EDGE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Calibration:
    """A monotone map of scores: for ``isotonic`` the knots (score, probability) with straight lines between them.

    For ``platt`` one pair (slope, intercept) of a logistic curve over the logit of the score.
    """

    method: Method
    numbers: tuple[tuple[float, float], ...]

    def apply(self, scores: Floats) -> Floats:
        """Return the probability of each score; NaN stays NaN.

        >>> import numpy as np
        >>> Calibration("isotonic", ((0.0, 0.2), (1.0, 0.6))).apply(np.array([0.5, np.nan]))
        array([0.4, nan])
        """
        import numpy as np

        if self.method == "isotonic":
            known, probable = np.array(self.numbers, np.float64).T
            return np.asarray(np.interp(scores, known, probable), np.float64)
        slope, intercept = self.numbers[0]
        return np.asarray(1 / (1 + np.exp(-(slope * _logit(scores) + intercept))), np.float64)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Calibration:
        """Return the calibration that ``dataclasses.asdict`` made plain.

        >>> Calibration.from_json({"method": "platt", "numbers": [[1, 0]]})
        Calibration(method='platt', numbers=((1.0, 0.0),))
        """
        return cls(plain["method"], tuple((float(x), float(y)) for x, y in plain["numbers"]))


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of a reliability table: scores from ``low`` up to ``high``, how many, their mean, the share of yes."""

    low: float
    high: float
    n: int
    mean: float
    yes: float


@dataclass(frozen=True, slots=True)
class Quality:
    """How well scores say how often a yes comes: 0 is perfect.

    ``brier`` is the mean squared distance of score and label (Brier, 1950); ``error`` the expected calibration error
    over ``BINS`` bins of one width (Guo et al., 2017, equation 3); ``bins`` those that hold a score.
    """

    brier: float
    error: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What a calibration brings, on ``n`` labels of which ``yes`` are a yes.

    ``before`` are the raw scores. ``after`` is cross-validated over ``folds`` parts, labels of equal scores in one
    part: each label is compared with a map that was fitted without it.
    """

    method: Method
    n: int
    yes: int
    folds: int
    before: Quality
    after: Quality

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON."""
        return asdict(self)


def calibrate(scores: Floats, labels: Sequence[bool], method: Method = "isotonic") -> tuple[Calibration, Report]:
    """Return the map from ``scores``, shape (n,), to the probability that a person labels it a yes, and its report.

    ``isotonic`` follows the labels in steps and wants some hundreds of them; ``platt`` has two numbers. Needs the extra
    ``evaluate``. Raises InputError for fewer than ``LEAST`` labels of a kind or an unknown method.
    """
    import numpy as np

    if method not in METHODS:
        raise UsageError(f"unknown calibration {method!r}", hint=f"Known: {', '.join(METHODS)}")
    truth = np.asarray(labels, bool)
    kinds = Counter(truth.tolist())
    if min(kinds[True], kinds[False]) < LEAST:
        counted = f"{kinds[True]} labels are a yes and {kinds[False]} a no"
        raise InputError(counted, hint=f"A calibration needs at least {LEAST} of each, and better some hundreds")
    out_of_fold, folds = _cross_validated(scores, truth, method)
    before, after = quality(scores, truth), quality(out_of_fold, truth)
    return _fit(scores, truth, method), Report(method, len(truth), kinds[True], folds, before, after)


def quality(scores: Floats, labels: Sequence[bool] | npt.NDArray[np.bool_]) -> Quality:
    """Return Brier score, expected calibration error and the reliability table of ``scores`` against ``labels``.

    >>> import numpy as np
    >>> quality(np.array([0.0, 0.5, 0.5, 0.5]), [False, True, True, False]).brier
    0.1875
    """
    import numpy as np

    truth = np.asarray(labels, np.float64)
    place = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    bins = []
    for number in np.unique(place).tolist():
        inside = place == number
        low, high = number / BINS, (number + 1) / BINS
        bins.append(Bin(low, high, int(inside.sum()), float(scores[inside].mean()), float(truth[inside].mean())))
    error = sum(one.n * abs(one.mean - one.yes) for one in bins) / len(truth)
    return Quality(float(((scores - truth) ** 2).mean()), error, tuple(bins))


def _cross_validated(scores: Floats, truth: npt.NDArray[np.bool_], method: Method) -> tuple[Floats, int]:
    import numpy as np

    groups = np.unique(scores, return_inverse=True)[1]
    folds = min(FOLDS, int(groups.max()) + 1)
    if folds < 2:
        raise InputError("all labelled scores are the same", hint="There is nothing to calibrate")
    split = _sklearn("model_selection").GroupKFold(folds, shuffle=True, random_state=0)
    made = np.empty(len(scores))
    for fitted, held_out in split.split(scores, truth, groups):
        made[held_out] = _fit(scores[fitted], truth[fitted], method).apply(scores[held_out])
    return made, folds


def _fit(scores: Floats, truth: npt.NDArray[np.bool_], method: Method) -> Calibration:
    return _isotonic(scores, truth) if method == "isotonic" else _platt(scores, truth)


def _isotonic(scores: Floats, truth: npt.NDArray[np.bool_]) -> Calibration:
    fitted = _sklearn("isotonic").IsotonicRegression(y_min=0.0, y_max=1.0).fit(scores, truth.astype(float))
    knots = zip(fitted.X_thresholds_.tolist(), fitted.y_thresholds_.tolist(), strict=True)
    return Calibration("isotonic", tuple(knots))


def _platt(scores: Floats, truth: npt.NDArray[np.bool_]) -> Calibration:
    """Return Platt's map, with his smoothed targets (Platt, 1999, section 2.2); scores that mislead become the mean."""
    import numpy as np

    yes, no = int(truth.sum()), int((~truth).sum())
    target = np.where(truth, (yes + 1) / (yes + 2), 1 / (no + 2))
    twice = np.concatenate([_logit(scores), _logit(scores)]).reshape(-1, 1)
    kind = np.repeat([1, 0], len(scores))
    model = _sklearn("linear_model").LogisticRegression(C=1e6, max_iter=1000)
    model.fit(twice, kind, sample_weight=np.concatenate([target, 1 - target]))
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope < 0:
        slope, intercept = 0.0, float(_logit(target.mean()))
    return Calibration("platt", ((slope, intercept),))


def _logit(scores: Any) -> Floats:
    import numpy as np

    inside = np.clip(scores, _EDGE, 1 - _EDGE)
    return cast("Floats", np.log(inside / (1 - inside)))


def _sklearn(module: str) -> Any:
    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        hint = 'Install it: pip install "mindkg[evaluate]"'
        raise MindKGError("a calibration needs scikit-learn", hint=hint) from error
