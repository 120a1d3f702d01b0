"""Samples of lots: against figures computed from copied events, and on cases with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from barcode_pipeline.evaluation import resampling
from barcode_pipeline.evaluation.resampling import (
    Ranking,
    alert_figures,
    equal_count_bins,
    interval,
    label_figures,
    lot_weights,
)


def test_first_row_is_the_data_and_others_draw_as_many_lots() -> None:
    weights = lot_weights(7, 50, 3)
    assert weights.shape == (51, 7)
    assert (weights[0] == 1).all()
    assert (weights.sum(axis=1) == 7).all()
    assert (weights[1:] == 0).any()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), lots=st.integers(1, 6), decimals=st.integers(1, 8))
def test_average_precision_of_a_sample_is_that_of_copied_events(seed: int, lots: int, decimals: int) -> None:
    random = np.random.default_rng(seed)
    lot = random.integers(0, lots, 300)
    positive = random.random(300) < 0.2
    counted = random.random(300) < 0.9
    probability = np.round(random.random(300) * 0.5 + 0.5 * positive * random.random(300), decimals)
    weights = lot_weights(lots, 4, seed)
    values = Ranking(probability, lot, lots).average_precision(positive, counted, weights)
    for weight, value in zip(weights, values, strict=True):
        copies = np.repeat(np.arange(300), (weight[lot] * counted).astype(int))
        if positive[copies].any():
            assert value == pytest.approx(average_precision_score(positive[copies], probability[copies]))
        else:
            assert np.isnan(value)


def test_bins_keep_the_point_exact_and_samples_close(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    lot = random.integers(0, 8, 20_000)
    positive = random.random(20_000) < 0.2
    probability = random.random(20_000) * (1 + positive)
    counted = np.ones(20_000, dtype=bool)
    weights = lot_weights(8, 30, 0)
    ranking = Ranking(probability, lot, 8)
    binned = ranking.average_precision(positive, counted, weights)
    monkeypatch.setattr(resampling, "SCORE_BINS", 10**9)
    monkeypatch.setattr(resampling, "_MAXIMUM_CELLS", 10**9)
    exact = ranking.average_precision(positive, counted, weights)
    assert binned[0] == exact[0] == pytest.approx(average_precision_score(positive, probability))
    assert not np.array_equal(binned, exact), "the case must need bins"
    np.testing.assert_allclose(binned, exact, atol=2e-4)


def test_alert_figures_of_samples_are_those_of_copied_events() -> None:
    random = np.random.default_rng(1)
    lot = random.integers(0, 5, 500)
    positive, alert, counted = (random.random(500) < share for share in (0.3, 0.4, 0.8))
    weights = lot_weights(5, 20, 1)
    figures = alert_figures(alert, positive, counted, lot, weights)
    for place, weight in enumerate(weights):
        copies = np.repeat(np.arange(500), (weight[lot] * counted).astype(int))
        hit = (positive & alert)[copies].sum()
        assert figures["recall"][place] == pytest.approx(hit / positive[copies].sum())
        assert figures["precision"][place] == pytest.approx(hit / alert[copies].sum())
        assert figures["f1"][place] == pytest.approx(2 * hit / (positive[copies].sum() + alert[copies].sum()))
        false = (alert & ~positive)[copies].sum()
        assert figures["false_alerts_per_10k"][place] == pytest.approx(10_000 * false / len(copies))
        assert figures["specificity"][place] == pytest.approx(1 - false / (~positive[copies]).sum())


def test_interval_of_two_lots_is_known() -> None:
    """Half of the draws mix the lots, a quarter each are one lot twice: the interval reaches both extremes."""
    lot = np.repeat([0, 1], 100)
    positive = np.ones(200, dtype=bool)
    alert = np.where(lot == 0, True, np.arange(200) % 2 == 0)
    weights = lot_weights(2, 400, 0)
    recall = alert_figures(alert, positive, positive, lot, weights)["recall"]
    assert recall[0] == 0.75
    assert interval(recall) == (0.5, 1.0)


def test_interval_of_equal_lots_has_the_binomial_spread_of_lots() -> None:
    """Of 40 lots 20 are found whole: the share found in a sample is Binomial(40, 1/2) / 40."""
    lot = np.repeat(np.arange(40), 5)
    positive = np.ones(200, dtype=bool)
    recall = alert_figures(lot < 20, positive, positive, lot, lot_weights(40, 2000, 2))["recall"]
    bounds = interval(recall)
    assert bounds is not None
    # The 2.5 and 97.5 % points of the binomial are 14 and 26 of 40.
    assert bounds == pytest.approx((14 / 40, 26 / 40), abs=1 / 40)


def test_interval_needs_half_of_the_samples() -> None:
    assert interval(np.array([0.5, 0.4, 0.6, np.nan, np.nan])) is not None
    assert interval(np.array([0.5, 0.4, np.nan, np.nan, np.nan])) is None
    assert interval(np.array([np.nan, 0.4, 0.5, 0.6])) is None
    assert interval(np.array([0.5])) is None


def _calibration_error(probability: np.ndarray, positive: np.ndarray) -> float:
    chosen = probability >= 0.05
    order = np.argsort(probability[chosen])
    parts = zip(
        np.array_split(probability[chosen][order], 10), np.array_split(positive[chosen][order], 10), strict=True
    )
    return sum(len(mean) * abs(mean.mean() - share.mean()) for mean, share in parts) / chosen.sum()


def test_calibration_error_is_that_of_ten_equal_bins() -> None:
    random = np.random.default_rng(3)
    probability = random.random(3001)
    lot = random.integers(0, 9, 3001)
    counted = np.ones(3001, dtype=bool)
    honest, sly = random.random(3001) < probability, random.random(3001) < probability**2
    ranking, weights = Ranking(probability, lot, 9), lot_weights(9, 100, 0)
    found = {}
    for name, positive in (("honest", honest), ("sly", sly)):
        values = ranking.calibration_error(positive, counted, weights)
        assert values[0] == pytest.approx(_calibration_error(probability, positive))
        bounds = interval(values)
        assert bounds is not None and bounds[0] <= values[0] <= bounds[1]
        found[name] = bounds
    assert found["honest"][1] < found["sly"][0]


def test_noise_does_not_lift_the_samples_of_the_calibration_error() -> None:
    """Few events in many small lots: a sum of absolute gaps is larger in every sample than in the data."""
    random = np.random.default_rng(0)
    probability = random.uniform(0.1, 0.9, 400)
    positive, lot = random.random(400) < probability, np.arange(400) // 4
    values = Ranking(probability, lot, 100).calibration_error(positive, positive | True, lot_weights(100, 300, 0))
    assert values[1:].mean() == pytest.approx(values[0], abs=0.003)


def test_calibration_error_ignores_the_order_of_ties_and_low_probabilities() -> None:
    probability = np.repeat([0.01, 0.3, 0.8], [1000, 100, 100])
    positive = np.concatenate([np.ones(1000), np.arange(100) < 30, np.arange(100) < 60]).astype(bool)
    lot, counted = np.zeros(1200, dtype=int), np.ones(1200, dtype=bool)
    values = Ranking(probability, lot, 1).calibration_error(positive, counted, lot_weights(1, 1, 0))
    assert values[0] == pytest.approx((0 + 0.2) / 2)
    few = Ranking(probability, lot, 1).calibration_error(positive, np.arange(1200) < 1029, lot_weights(1, 1, 0))
    assert np.isnan(few).all()


@given(st.lists(st.integers(0, 20), min_size=1, max_size=200), st.integers(1, 12))
def test_equal_count_bins_never_part_equal_values(values: list[int], bins: int) -> None:
    ascending = np.sort(np.array(values))
    bin_of = equal_count_bins(ascending, bins)
    assert bin_of[0] == 0 and set(np.diff(bin_of)) <= {0, 1} and bin_of[-1] < bins
    assert (np.diff(bin_of)[np.diff(ascending) == 0] == 0).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_perfect_detector_is_perfect_in_every_sample(seed: int) -> None:
    random = np.random.default_rng(seed)
    positive = random.random(400) < 0.3
    lot, counted = random.integers(0, 4, 400), np.ones(400, dtype=bool)
    weights = lot_weights(4, 20, seed)
    values = label_figures(Ranking(positive * 1.0, lot, 4), positive, positive, counted, lot, weights)
    expected = dict.fromkeys(resampling.FIGURES, 1.0) | {"false_alerts_per_10k": 0.0, "calibration_error": 0.0}
    for name, row in zip(resampling.FIGURES, values, strict=True):
        np.testing.assert_allclose(row[~np.isnan(row)], expected[name], atol=1e-12)
