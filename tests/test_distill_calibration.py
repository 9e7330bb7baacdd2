"""Calibration: monotone maps, a report that cannot flatter, and labels of people with their mistakes."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distill_tables import table
from hypothesis import given
from hypothesis import strategies as st

from mindkg.distill.calibration import METHODS, Calibration, calibrate, quality
from mindkg.distill.labels import read_labels
from mindkg.distill.settings import Settings
from mindkg.errors import InputError, MindKGError
from mindkg.identity import cobuy_key

GENERATIONS = [
    {
        "generation_id": f"g{n}",
        "cobuy_id": cobuy_key("A", f"B{n}"),
        "relation": "isA",
        "text": "t",
        "run_id": "r",
        "source_record": "s",
    }
    for n in range(4)
]
VERDICTS = [{"generation_id": f"g{n}", "run_id": "f", "score": n / 4} for n in range(3)]


def overconfident(n: int, seed: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return scores whose logit is thrice as far from 0 as the labels' is."""
    random = np.random.default_rng(seed)
    logit = random.normal(0, 1.2, n)
    labels = random.random(n) < 1 / (1 + np.exp(-logit))
    return 1 / (1 + np.exp(-3 * logit)), labels


@pytest.mark.parametrize("method", METHODS)
def test_overconfident_scores_are_put_right(method: Any) -> None:
    scores, labels = overconfident(2_000)
    fitted, report = calibrate(scores, labels, method)
    assert report.after.error < 0.04 < report.before.error
    assert report.after.brier < report.before.brier
    fresh, truth = overconfident(2_000, seed=1)
    assert quality(fitted.apply(fresh), truth).brier == pytest.approx(report.after.brier, abs=0.01)
    assert (report.n, report.yes, report.folds) == (2_000, int(labels.sum()), 5)
    assert sum(one.n for one in report.before.bins) == sum(one.n for one in report.after.bins) == 2_000
    assert json.loads(json.dumps(report.to_json()))["after"]["brier"] == report.after.brier


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("contrary", [False, True])
def test_a_calibration_is_monotone_whatever_the_labels(method: Any, contrary: bool) -> None:
    scores, labels = overconfident(300)
    fitted, _ = calibrate(scores, ~labels if contrary else labels, method)
    made = fitted.apply(np.linspace(0, 1, 101))
    assert (np.diff(made) >= 0).all() and made.min() >= 0 and made.max() <= 1


def test_isotonic_is_what_scikit_learn_predicts() -> None:
    from sklearn.isotonic import IsotonicRegression

    scores, labels = overconfident(500)
    known = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, labels)
    grid = np.linspace(0, 1, 57)
    assert calibrate(scores, labels)[0].apply(grid) == pytest.approx(known.predict(grid))


def test_noise_is_not_flattered() -> None:
    random = np.random.default_rng(3)
    scores, labels = random.random(120), random.random(120) < 0.5
    fitted, report = calibrate(scores, labels)
    assert quality(fitted.apply(scores), labels).error < 1e-9
    assert report.after.error > 0.02 and report.after.brier > 0.24


def test_labels_of_one_score_stay_in_one_fold() -> None:
    scores = np.repeat([0.2, 0.8], 20)
    labels = scores > 0.5
    _, report = calibrate(scores, labels)
    assert report.folds == 2 and report.after.brier > 0.2


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_a_missing_score_stays_missing(values: list[float]) -> None:
    for fitted in (Calibration("platt", ((1.0, 0.0),)), Calibration("isotonic", ((0.0, 0.1), (1.0, 0.9)))):
        made = fitted.apply(np.array([*values, np.nan]))
        assert np.isnan(made[-1]) and not np.isnan(made[:-1]).any()


def test_platt_of_one_and_nought_is_the_score() -> None:
    scores = np.linspace(0.01, 0.99, 50)
    assert Calibration("platt", ((1.0, 0.0),)).apply(scores) == pytest.approx(scores)


@pytest.mark.parametrize("method", METHODS)
def test_settings_keep_a_calibration(method: Any) -> None:
    fitted, _ = calibrate(*overconfident(100), method)
    settings = Settings("m", calibration=fitted)
    assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    assert Calibration.from_json(asdict(fitted)) == fitted


def test_what_cannot_be_calibrated_is_said() -> None:
    with pytest.raises(InputError, match="3 labels are a yes and 40 a no"):
        calibrate(np.linspace(0, 1, 43), [True] * 3 + [False] * 40)
    with pytest.raises(InputError, match="the same"):
        calibrate(np.full(40, 0.5), [True, False] * 20)
    with pytest.raises(InputError, match="beta"):
        calibrate(np.linspace(0, 1, 40), [True, False] * 20, "beta")  # type: ignore[arg-type]


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("mindkg.distill.calibration.import_module", absent)
    with pytest.raises(MindKGError, match=r"mindkg\[evaluate\]"):
        calibrate(*overconfident(100))


def labelled(folder: Path, text: str) -> Any:
    file = folder / "labels.csv"
    file.write_text(text, encoding="utf-8")
    return read_labels(file, table("verdicts", VERDICTS), table("generations", GENERATIONS))


def test_labels_by_generation(tmp_path: Path) -> None:
    made = labelled(tmp_path, "generation_id,label\ng0,yes\ng2,0\ng1,TRUE\n")
    assert made.scores.tolist() == [0.0, 0.5, 0.25] and made.labels.tolist() == [True, False, True]
    assert not made.rejects


def test_labels_by_pair_and_relation(tmp_path: Path) -> None:
    made = labelled(tmp_path, "product_a,product_b,relation,label\nB1,A,IsA,no\nA,B2,isA,yes\n")
    assert made.scores.tolist() == [0.25, 0.5] and made.labels.tolist() == [False, True]
    made = labelled(tmp_path, f"label,cobuy_id,relation\nno,{cobuy_key('A', 'B2')},isA\n")
    assert made.scores.tolist() == [0.5]


def test_labels_that_cannot_be_used_are_rejects(tmp_path: Path) -> None:
    made = labelled(tmp_path, "generation_id,label\ng0,perhaps\ng3,yes\nnobody,no\n,yes\ng1,1\n")
    assert made.labels.tolist() == [True]
    assert [(row["record"], row["reason"], row["detail"]) for row in made.rejects] == [
        ("labels.csv:2", "missing_field", "label"),
        ("labels.csv:3", "missing_field", "a generation with a score"),
        ("labels.csv:4", "missing_field", "a generation with a score"),
        ("labels.csv:5", "missing_field", "a generation with a score"),
    ]
    assert made.rejects[0]["text"] == "g0,perhaps"


@pytest.mark.parametrize("text", ["", "generation_id,verdict\ng0,yes\n", "label,relation\nyes,isA\n"])
def test_files_that_are_no_labels(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"no labels.*generation_id"):
        labelled(tmp_path, text)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    for make in (lambda: None, lambda: file.write_bytes(b"label,generation_id\n\xff\xfe,1\n")):
        make()
        with pytest.raises(InputError, match="cannot be read"):
            read_labels(file, table("verdicts", VERDICTS), table("generations", GENERATIONS))
