"""Calibration recovers what it should, keeps the order of scores, and sets the thresholds that trying all would."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from barcode_pipeline.models import calibration
from barcode_pipeline.models.calibration import (
    BUDGETS,
    FEWEST_POSITIVES,
    MOST_ALERTS,
    Calibration,
    best_f1,
    best_threshold,
    calibrate,
    thresholds_carried_on,
    thresholds_of_budget,
)

NEXT_BELOW_ONE = float(np.nextafter(np.float32(1), np.float32(0)))
PROBABILITIES = st.one_of(
    st.floats(0, 1, width=32),
    st.sampled_from((0.0, 0.25, 0.5, NEXT_BELOW_ONE, 1.0)),
    st.integers(0, 5).map(lambda n: n / 5),
)


def alerts_at(probability, threshold):
    return Calibration(np.ones(1), np.zeros(1), np.array([threshold])).alerts(probability[:, None])[:, 0]


def f1_of(alert, target):
    return 2 * (alert & target).sum() / (alert.sum() + target.sum())


@st.composite
def judged(draw):
    """(probabilities, targets) with at least one positive."""
    pairs = draw(st.lists(st.tuples(PROBABILITIES, st.booleans()), min_size=1, max_size=40))
    probability = np.array([one for one, _ in pairs], dtype=np.float32)
    target = np.array([said for _, said in pairs])
    target[draw(st.integers(0, len(target) - 1))] = True
    return probability, target


def test_neighbouring_scores_as_one_make_the_same_sigmoid(monkeypatch):
    random = np.random.default_rng(0)
    target = random.random((20_000, 5)) < 0.05
    scores = (random.normal(size=target.shape) * 3 + 4 * target - 6).astype(np.float32)
    weight = random.choice([0.0, 0.5, 3.0], len(scores))
    found = calibrate(scores, target, weight)
    monkeypatch.setattr(calibration, "_grouped", lambda *columns: columns)
    exact = calibrate(scores, target, weight)
    np.testing.assert_allclose(found.slope, exact.slope, rtol=1e-4)
    np.testing.assert_allclose(found.offset, exact.offset, rtol=1e-4)


@settings(max_examples=250, deadline=None)
@given(judged())
def test_threshold_is_the_best_of_all(case):
    probability, target = case
    alert = alerts_at(probability, best_threshold(probability, target))
    tried = [probability >= value for value in np.unique(probability)]
    allowed = [one for one in tried if one.sum() <= MOST_ALERTS * target.sum()]
    if not allowed:
        assert not alert.any()
        return
    best = max(f1_of(one, target) for one in allowed)
    assert f1_of(alert, target) == pytest.approx(best)
    fewest = min(one.sum() for one in allowed if f1_of(one, target) == pytest.approx(best))
    assert alert.sum() == fewest, "of several the highest threshold"


@settings(max_examples=200, deadline=None)
@given(judged())
def test_alerts_are_never_more_than_so_many_per_positive(case):
    probability, target = case
    alert = alerts_at(probability, best_threshold(probability, target))
    assert alert.sum() <= MOST_ALERTS * target.sum()


def test_a_detector_that_knows_nothing_does_not_alert_on_everything():
    probability, target = np.full(1000, 0.01, np.float32), np.arange(1000) < 10
    assert not alerts_at(probability, best_threshold(probability, target)).any()
    probability[:] = 1
    assert not alerts_at(probability, best_threshold(probability, target)).any()


def test_threshold_lies_halfway_to_the_next_probability():
    probability, target = np.array([0.9, 0.8, 0.4, 0.1], np.float32), np.array([True, True, False, False])
    assert best_threshold(probability, target) == pytest.approx(0.6)


def test_probabilities_that_neighbour_each_other_are_told_apart():
    probability, target = np.array([1.0, NEXT_BELOW_ONE], np.float32), np.array([True, False])
    assert alerts_at(probability, best_threshold(probability, target)).tolist() == [True, False]
    lower = np.nextafter(np.float32(NEXT_BELOW_ONE), np.float32(0))
    probability = np.array([NEXT_BELOW_ONE, lower], np.float32)
    assert alerts_at(probability, best_threshold(probability, target)).tolist() == [True, False]


@settings(max_examples=200, deadline=None)
@given(judged(), st.data())
def test_best_f1_counts_rows_as_often_as_they_stand(case, data):
    score, target = case
    count = np.array(data.draw(st.lists(st.integers(1, 4), min_size=len(score), max_size=len(score))))
    every_score, every_target = np.repeat(score, count), np.repeat(target, count)
    tried = max(f1_of(every_score >= value, every_target) for value in np.unique(score))
    assert best_f1(score, target, count) == pytest.approx(tried)


def test_best_f1_of_no_positives_is_zero():
    assert best_f1(np.array([0.3, 0.1]), np.zeros(2, bool), np.ones(2)) == 0.0


def drawn_scores(slope, offset, count=20_000, seed=0):
    random = np.random.default_rng(seed)
    score = random.normal(size=(count, 5)).astype(np.float32) * 3
    return score, random.random((count, 5)) < expit(score * slope + offset)


def test_a_known_sigmoid_is_recovered():
    slope, offset = np.array([0.3, 1.0, 2.0, 0.7, 1.5]), np.array([-3.0, -2.0, 0.0, 1.0, -4.0])
    found = calibrate(*drawn_scores(slope, offset))
    np.testing.assert_allclose(found.slope, slope, rtol=0.1)
    np.testing.assert_allclose(found.offset, offset, atol=0.15)


def test_probabilities_are_shares():
    """Of events with a probability near p, a share near p is positive."""
    score, target = drawn_scores(np.full(5, 1.2), np.full(5, -2.0), seed=1)
    probability = calibrate(score, target).probabilities(score)
    for low in (0.1, 0.3, 0.5, 0.7):
        near = (probability >= low) & (probability < low + 0.2)
        assert target[near].mean() == pytest.approx(probability[near].mean(), abs=0.03)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from((1e-6, 1.0, 1e6)), st.floats(-1e3, 1e3))
def test_probabilities_keep_the_order_of_scores(seed, spread, center):
    random = np.random.default_rng(seed)
    score = (random.normal(size=(60, 5)) * spread + center).astype(np.float32)
    target = random.random((60, 5)) < 0.3
    found = calibrate(score, target)
    assert (found.slope > 0).all()
    probability = found.probabilities(score)
    assert np.isfinite(probability).all()
    assert ((probability >= 0) & (probability <= 1)).all()
    for label in range(5):
        assert (np.diff(probability[np.argsort(score[:, label]), label]) >= 0).all()


def test_scores_against_the_truth_are_not_turned_round():
    score, target = drawn_scores(np.full(5, -1.0), np.zeros(5), 2000)
    assert (calibrate(score, target).slope > 0).all()


def test_scores_that_separate_do_not_make_an_infinite_slope():
    score = np.repeat(np.linspace(-1, 1, 200)[:, None], 5, axis=1)
    found = calibrate(score, score > 0)
    assert np.isfinite(found.slope).all()
    alerts = found.alerts(found.probabilities(score))
    np.testing.assert_array_equal(alerts, score > 0)


@pytest.mark.parametrize("value", [0.1, 0.0, 1e6])
def test_scores_that_are_all_the_same_stay_the_same(value):
    score, target = np.full((1000, 5), value, np.float32), np.arange(1000)[:, None] < np.full(5, 300)
    found = calibrate(score, target)
    assert (found.slope < 100).all(), "rounding was taken for an order"
    np.testing.assert_allclose(found.probabilities(score), 0.3, atol=0.02)


@pytest.mark.parametrize("positives", [0, 1, FEWEST_POSITIVES - 1])
def test_few_positives_leave_the_threshold_at_one_half(positives):
    """The worst scores are positive: nothing was learnt, so nothing may alarm."""
    score, target = drawn_scores(np.ones(5), np.zeros(5), 500)
    target[:, 2] = False
    target[np.argsort(score[:, 2])[:positives], 2] = True
    found = calibrate(score, target)
    assert found.threshold[2] == 0.5
    assert not found.alerts(found.probabilities(score))[:, 2].any()


def test_no_validation_leaves_the_plain_settings():
    found = calibrate(np.zeros((0, 5), np.float32), np.zeros((0, 5), bool))
    np.testing.assert_array_equal(found.threshold, 0.5)


@settings(max_examples=150, deadline=None)
@given(judged(), st.data())
def test_a_weight_counts_as_so_many_events(case, data):
    probability, target = case
    times = np.array(data.draw(st.lists(st.integers(1, 4), min_size=len(target), max_size=len(target))))
    weighted = best_threshold(probability, target, times.astype(np.float32))
    repeated = best_threshold(np.repeat(probability, times), np.repeat(target, times))
    assert weighted == repeated


def test_calibration_by_weights_is_that_of_repeated_events():
    random = np.random.default_rng(4)
    target = random.random((400, 5)) < 0.2
    score = (random.normal(size=(400, 5)) + 2 * target).astype(np.float32)
    times = random.integers(1, 5, 400)
    weighted = calibrate(score, target, times)
    repeated = calibrate(np.repeat(score, times, axis=0), np.repeat(target, times, axis=0))
    for one, other in zip(vars(weighted).values(), vars(repeated).values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_rare_positives_by_weight_make_low_probabilities():
    """Planted anomalies make up a tenth; weighted back to one in a thousand, so are their probabilities."""
    random = np.random.default_rng(5)
    target = np.repeat(random.random((4000, 1)) < 0.1, 5, axis=1)
    score = random.normal(size=(4000, 5)).astype(np.float32)
    weight = np.where(target[:, 0], 0.009, 1)
    rate = (weight * target[:, 0]).sum() / weight.sum()
    mean = weight @ calibrate(score, target, weight).probabilities(score) / weight.sum()
    np.testing.assert_allclose(mean, rate, rtol=0.6)


def two_kinds(count=20_000, seed=3):
    """Ordinary events, and of each label 40 that stand out, of some labels more than of others."""
    random = np.random.default_rng(seed)
    probability = random.beta(1, 30, size=(count, 5)).astype(np.float32)
    target = np.zeros((count, 5), bool)
    for label in range(5):
        rows = slice(40 * label, 40 * label + 40)
        target[rows, label] = True
        probability[rows, label] = random.beta(3 + 3 * label, 6, size=40)
    return probability, target


def false_alerts(probability, target, threshold):
    return 10_000 * (probability[~target.any(axis=1)] >= threshold).mean(axis=0).sum()


def recall(probability, target, threshold):
    return np.mean([(probability[target[:, label], label] >= threshold[label]).mean() for label in range(5)])


def test_thresholds_keep_to_their_budget_and_more_of_it_finds_more():
    probability, target = two_kinds()
    weight, otherwise = np.ones(len(target)), np.full(5, 0.5)
    found = []
    for budget in (0.5, 2.0, 10.0, 30.0):
        threshold = thresholds_of_budget(probability, target, weight, budget, otherwise)
        assert false_alerts(probability, target, threshold) <= budget
        found.append(recall(probability, target, threshold))
    assert found == sorted(found) and found[0] < found[-1]


def test_a_budget_goes_where_it_finds_most():
    """Shared out evenly, the same number of false alerts finds less."""
    probability, target = two_kinds()
    threshold = thresholds_of_budget(probability, target, np.ones(len(target)), 10.0, np.full(5, 0.5))
    ordinary = np.sort(probability[~target.any(axis=1)], axis=0)[::-1]
    evenly = ordinary[int(2.0 * len(ordinary) / 10_000)]
    assert recall(probability, target, threshold) >= recall(probability, target, evenly + 1e-6)


def test_what_costs_nothing_is_found():
    probability = np.full((1000, 5), 0.01, np.float32)
    target = np.zeros((1000, 5), bool)
    target[:10, 2], probability[:10, 2] = True, np.linspace(0.3, 0.9, 10)
    threshold = thresholds_of_budget(probability, target, np.ones(1000), 1.0, np.full(5, 0.7))
    assert 0.01 < threshold[2] < 0.3
    assert threshold[0] == 0.7, "a label without positives keeps what it had"


def test_weights_in_a_budget_count_as_repetition():
    probability, target = two_kinds(2000)
    times = np.random.default_rng(4).integers(1, 4, len(target))
    weighted = thresholds_of_budget(probability, target, times.astype(float), 8.0, np.full(5, 0.5))
    repeated = thresholds_of_budget(
        np.repeat(probability, times, axis=0), np.repeat(target, times, axis=0), np.ones(times.sum()), 8.0,
        np.full(5, 0.5),
    )  # fmt: skip
    np.testing.assert_allclose(weighted, repeated)


def test_the_score_of_a_probability_has_it():
    some = Calibration(np.array([0.5, 1.0, 2.0, 1.0, 1.0]), np.array([-1.0, 0.0, 3.0, 0.0, 0.0]), np.full(5, 0.5))
    asked = np.array([0.01, 0.5, 0.99, 1.0, 2.0])
    found = some.probabilities(some.scores_at(asked)[None])[0]
    np.testing.assert_allclose(found, [0.01, 0.5, 0.99, 1 - 1e-7, 1 - 1e-7], rtol=1e-6)
    assert np.isfinite(some.scores_at(np.array([0.0, -1.0, 0.0, 1.0, 2.0]))).all()


def test_a_budget_is_changed_without_training_again():
    found = calibrate(*drawn_scores(np.ones(5), np.full(5, -3.0), seed=5))
    assert found.at_budget(0) is found
    np.testing.assert_array_equal(found.at_budget(3.9).threshold, found.by_budget[BUDGETS.index(3.0)])
    np.testing.assert_array_equal(found.at_budget(0.1).threshold, found.by_budget[0])
    assert (np.diff(found.by_budget, axis=0) <= 0).all(), "a larger budget never raises a threshold"


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), slope=st.floats(0.3, 3.0), offset=st.floats(-4, 4), its_slope=st.floats(0.3, 3.0))
def test_thresholds_carried_on_let_the_same_events_pass(seed, slope, offset, its_slope):
    draw = np.random.default_rng(seed)
    before = draw.normal(-8, 1.5, (20_000, 5))
    by_budget = np.sort(draw.uniform(0.001, 0.9, (len(BUDGETS), 5)), axis=0)[::-1]
    first = Calibration(np.full(5, 0.8), np.full(5, 1.0), np.full(5, 0.4), by_budget)
    fitted = Calibration(np.full(5, its_slope), np.full(5, -0.5), np.full(5, 0.9))
    now = slope * before + offset
    carried = thresholds_carried_on(first, fitted, before, now, np.ones(len(before)))
    scores = draw.normal(-2, 4, (500, 5))
    for budget in (0.0, *BUDGETS):
        old, new = first.at_budget(budget), carried.at_budget(budget)
        # Leaving aside what lies on a threshold but for rounding: close to 1, float32 tells little apart.
        apart = np.abs(scores * old.slope + old.offset - logit(old.threshold)) > 1e-3
        apart &= logit(new.threshold) < 7
        same = old.alerts(old.probabilities(scores)) == new.alerts(new.probabilities(slope * scores + offset))
        assert same[apart].all()


def test_thresholds_that_nothing_can_be_said_of_are_those_of_now():
    before = Calibration(np.ones(5), np.zeros(5), np.full(5, 0.4))
    now = Calibration(np.ones(5), np.zeros(5), np.full(5, 0.9))
    few = np.random.default_rng(0).normal(size=(500, 5))
    carried = thresholds_carried_on(before, now, few, few, np.ones(500))
    np.testing.assert_array_equal(carried.threshold, now.threshold)


def test_a_threshold_above_every_probability_is_carried_on_as_one():
    never = np.full(5, np.nextafter(np.float32(1), np.float32(2)))
    before = Calibration(np.ones(5), np.zeros(5), never)
    scores = np.random.default_rng(0).normal(size=(20_000, 5))
    carried = thresholds_carried_on(before, before, scores, scores + 1, np.ones(20_000))
    assert not carried.alerts(np.ones((1, 5), np.float32)).any()
