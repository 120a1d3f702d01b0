"""Deciding and the figures that only the study has, by example and by property."""

from __future__ import annotations

import numpy as np
import pytest

from barcode_pipeline.evaluation.metrics import HELD_OUT_LOTS_ALL_DATES, EvaluationEvents
from barcode_pipeline.evaluation.study.arms import Decide
from barcode_pipeline.evaluation.study.fitting import Fitted
from barcode_pipeline.evaluation.study.judging import (
    Said,
    calibration_of,
    compact,
    recall_at_false_alerts,
)
from barcode_pipeline.models.calibration import calibrate


def fitted(events: int = 4000, seed: int = 0) -> Fitted:
    random = np.random.default_rng(seed)
    targets = random.random((events, 5)) < 0.05
    scores = (random.normal(size=targets.shape) - 4 + 5 * targets).astype(np.float32)
    return Fitted(lambda journeys: scores, scores, targets, np.ones(events, np.float32), np.zeros((0, 5)), 1.0, {})


def test_a_budget_is_kept() -> None:
    one = fitted()
    for budget in (1.0, 10.0, 30.0):
        found = calibration_of(one, Decide(budget=budget))
        ordinary = ~one.targets.any(axis=1)
        false = found.alerts(found.probabilities(one.scores))[ordinary]
        assert 10_000 * false.sum() / ordinary.sum() <= budget
    best_f1 = calibration_of(one, Decide(budget=0.0))
    np.testing.assert_array_equal(best_f1.threshold, calibrate(one.scores, one.targets, one.weights).threshold)


def test_uncalibrated_thresholds_give_the_same_alerts() -> None:
    one = fitted()
    with_sigmoid, plain = calibration_of(one, Decide()), calibration_of(one, Decide(calibrated=False))
    np.testing.assert_allclose(plain.probabilities(one.scores), 1 / (1 + np.exp(-one.scores)), rtol=1e-5)
    np.testing.assert_array_equal(
        with_sigmoid.alerts(with_sigmoid.probabilities(one.scores)), plain.alerts(plain.probabilities(one.scores))
    )


def events_with(truth: np.ndarray, aftermath: np.ndarray) -> EvaluationEvents:
    count = len(truth)
    everything = {HELD_OUT_LOTS_ALL_DATES: np.ones(count, bool)}
    return EvaluationEvents(np.arange(count) % 3, everything, np.zeros_like(truth), truth, truth, aftermath)


def test_recall_at_a_number_of_false_alerts() -> None:
    truth = np.zeros((10_010, 5), bool)
    truth[:40, 0] = True
    aftermath = np.zeros(10_010, bool)
    aftermath[40:50] = True
    probability = np.full((10_010, 5), 0.01)
    probability[:20, 0], probability[20:30, 0], probability[30:40, 0] = 0.99, 0.8, 0.5
    probability[40:50, 1] = 1.0  # alerts on aftermath count for nothing
    probability[50, 2], probability[51:53, 0], probability[53:59, 4] = 0.95, 0.9, 0.7
    said = Said(probability, np.full(5, 0.5), probability >= 0.5)
    found = recall_at_false_alerts(events_with(truth, aftermath), said)
    # With one allowed, what lies above the second highest of the others (0.9) is found; with three, above 0.7.
    assert found == {
        "recall_at_1_false_alerts": 0.5,
        "recall_at_3_false_alerts": 0.75,
        "recall_at_10_false_alerts": 1.0,
    }
    # Moving all thresholds together is what is asked: the thresholds themselves decide nothing.
    moved = Said(probability, np.full(5, 0.9), probability >= 0.9)
    assert recall_at_false_alerts(events_with(truth, aftermath), moved) == found


def test_recall_at_false_alerts_needs_enough_events() -> None:
    truth = np.zeros((100, 5), bool)
    truth[:29, 0] = True
    said = Said(np.full((100, 5), 0.1), np.full(5, 0.5), np.zeros((100, 5), bool))
    assert set(recall_at_false_alerts(events_with(truth, np.zeros(100, bool)), said).values()) == {None}


@pytest.mark.parametrize(("label", "kept"), [("macro", {"pr_auc_low", "recall_low"}), ("jump", {"pr_auc_low"})])
def test_rows_are_kept_small_and_nothing_of_the_form_is_lost(label: str, kept: set[str]) -> None:
    row = {
        "label": label, "stratum": HELD_OUT_LOTS_ALL_DATES, "recall": 0.123456, "recall_low": 0.1, "f1": None,
        "f1_low": None, "pr_auc": 0.5, "pr_auc_low": 0.4, "specificity": 1.0, "specificity_low": 1.0, "note": None,
    }  # fmt: skip
    found = compact(row)
    assert found["recall"] == 0.1235 and found["f1"] is None
    assert {name for name in found if name.endswith("_low")} == kept
    assert "note" not in found


def test_samples_are_kept_of_the_headline_alone() -> None:
    row = {
        "label": "macro", "variants": "all", "reference": "truth", "stratum": HELD_OUT_LOTS_ALL_DATES,
        "pr_auc_samples": [0.123456, 0.5],
    }  # fmt: skip
    assert compact(row)["pr_auc_samples"] == [0.1235, 0.5]
    for other in ({"variants": "rule_visible"}, {"reference": "rules"}, {"stratum": "held_out_lots"}):
        assert "pr_auc_samples" not in compact({**row, **other})
