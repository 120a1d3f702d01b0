"""The tail of the ordinary: its scale is found, and what it leaves over are the anomalies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from barcode_pipeline.models.budgets import BUDGETS
from barcode_pipeline.models.calibration import calibrate
from barcode_pipeline.models.tail import FEW, FEWEST_EVENTS, MANY, anomalous, tail_of


def ordinary_scores(count: int, scale: float = 0.8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(scale, count) - 9


@settings(max_examples=15, deadline=None)
@given(st.floats(0.1, 5), st.integers(0, 1000))
def test_the_scale_of_an_exponential_is_found(scale: float, seed: int) -> None:
    score = ordinary_scores(200_000, scale, seed)
    tail = tail_of(score, np.ones(len(score)))
    assert tail is not None
    assert tail.scale == pytest.approx(scale, rel=0.25)
    assert tail.start == pytest.approx(-9 + scale * np.log(10_000 / FEW), abs=0.5 * scale)
    beyond = tail.start + np.array([1.0, 2.0]) * tail.scale
    np.testing.assert_allclose(tail.above(beyond), FEW * np.exp([-1.0, -2.0]), rtol=1e-6)
    assert np.isinf(tail.above(np.array([tail.start - 1e-6]))).all()


def test_weights_are_events() -> None:
    score, times = ordinary_scores(20_000), np.random.default_rng(1).integers(1, 4, 20_000)
    weighted, repeated = tail_of(score, times.astype(float)), tail_of(np.repeat(score, times), np.ones(times.sum()))
    assert weighted == repeated


def test_too_few_or_all_alike_have_no_tail() -> None:
    score = ordinary_scores(FEWEST_EVENTS)
    assert tail_of(score, np.ones(FEWEST_EVENTS)) is not None
    assert tail_of(score[1:], np.ones(FEWEST_EVENTS - 1)) is None
    assert tail_of(np.zeros(FEWEST_EVENTS), np.ones(FEWEST_EVENTS)) is None


def test_what_the_tail_leaves_over_are_anomalies() -> None:
    """Real anomalies hide among what is taken for ordinary too: the tail still tells them from it."""
    random = np.random.default_rng(3)
    hidden, found = random.normal(-1, 1, 20), random.normal(-1, 1, 240)
    ordinary = np.concatenate([ordinary_scores(100_000, seed=4), hidden])
    real = np.concatenate([ordinary_scores(100_000, seed=5), found])
    weight = np.ones(len(ordinary))
    tail = tail_of(ordinary, weight)
    assert tail is not None
    share = anomalous(real, ordinary, weight, tail)
    assert (np.diff(share[np.argsort(real)]) >= 0).all()
    assert ((share >= 0) & (share <= 1)).all()
    assert share[100_000:].mean() > 0.75
    assert share[:100_000].sum() < 300, "of two thousand that are looked at"
    without = anomalous(real, ordinary, weight, type(tail)(np.inf, 1.0))
    assert without[100_000:].mean() < share[100_000:].mean(), "the bound of the tail is what tells them"


def test_nothing_above_the_ordinary_is_no_anomaly() -> None:
    ordinary, real = ordinary_scores(100_000, seed=6), ordinary_scores(100_000, seed=7)
    tail = tail_of(ordinary, np.ones(len(ordinary)))
    assert tail is not None
    assert anomalous(real, ordinary, np.ones(len(ordinary)), tail).sum() < len(real) * MANY / 10_000 / 2


def lesson_and_real(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Most planted anomalies score high, real ones halfway up; some of those hide among the lesson's ordinary events.
    Returns scores, targets, real scores, and which real events are anomalies."""
    random = np.random.default_rng(seed)
    count, planted, real_ones = 60_000, 600, 200
    scores = np.tile(ordinary_scores(count, seed=seed)[:, None], 5)
    scores[:planted] = random.normal(5, 1, (planted, 5))
    scores[: planted // 20] = random.uniform(-4, 3, (planted // 20, 5))
    scores[planted : planted + real_ones // 10] = random.normal(-1, 1, (real_ones // 10, 5))
    targets = np.arange(count) < planted
    real = np.tile(ordinary_scores(count, seed=seed + 1)[:, None], 5)
    real[:real_ones] = random.normal(-1, 1, (real_ones, 5))
    return scores, np.repeat(targets[:, None], 5, axis=1), real, np.arange(count) < real_ones


def test_real_events_bring_thresholds_and_probabilities_to_real_anomalies() -> None:
    scores, targets, real, is_one = lesson_and_real()
    found: dict[str, tuple[float, float, float]] = {}
    for name, given_real in (("planted", None), ("real", real)):
        calibration = calibrate(scores, targets, None, given_real).at_budget(10.0)
        probability = calibration.probabilities(real)
        alerts = calibration.alerts(probability)[:, 0]
        found[name] = (
            alerts[is_one].mean(),
            10_000 * alerts[~is_one].sum() / len(real),
            probability[is_one, 0].mean(),
        )
    (recall, _, probability), (recall_of_real, false, probability_of_real) = found["planted"], found["real"]
    assert recall_of_real > recall + 0.15
    assert false < 10.0
    assert probability_of_real > probability + 0.2


def test_what_real_events_do_not_gainsay_stays() -> None:
    """Real anomalies that score as the planted ones do, or are surer to be another label's, change no log-odds."""
    random = np.random.default_rng(1)
    count, planted = 60_000, 300
    scores = np.stack([ordinary_scores(count, seed=label) for label in range(5)], axis=1)
    scores[:planted] = random.normal(6, 1, (planted, 5))
    targets = np.repeat((np.arange(count) < planted)[:, None], 5, axis=1)
    real = np.stack([ordinary_scores(count, seed=10 + label) for label in range(5)], axis=1)
    for label in range(5):
        ones = slice(label * planted, (label + 1) * planted)
        real[ones, label] = random.normal(6, 1, planted)
        # They look a little like the next label too, and are far surer of their own.
        real[ones, (label + 1) % 5] = random.normal(1, 0.5, planted)
    found = calibrate(scores, targets, None, real, log_odds=True)
    np.testing.assert_allclose(found.slope, 1.0, atol=0.05)
    np.testing.assert_allclose(found.offset, 0.0, atol=0.2)


def test_real_ones_that_the_network_does_not_count_are_heard() -> None:
    scores, targets, real, _ = lesson_and_real()
    halfway = np.full((1, 5), -1.0)
    assert (calibrate(scores, targets, None, real, log_odds=True).probabilities(halfway) > expit(-1.0) + 0.1).all()


def test_too_few_real_events_change_no_probability() -> None:
    scores, targets, real, _ = lesson_and_real()
    few, none = calibrate(scores, targets, None, real[: FEWEST_EVENTS - 1]), calibrate(scores, targets)
    np.testing.assert_array_equal(few.slope, none.slope)
    np.testing.assert_array_equal(few.offset, none.offset)
    assert few.by_budget.shape == (len(BUDGETS), 5)
