"""Curves against scikit-learn and against the figures they belong to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve as curve_of_scikit_learn

from barcode_pipeline.evaluation.curves import (
    confusion,
    precision_recall_curve,
    recall_against_false_alerts,
    reliability_bins,
    score_histogram,
)
from barcode_pipeline.evaluation.resampling import Ranking, lot_weights
from barcode_pipeline.evaluation.single_features import single_feature_power


def _case(events: int, seed: int, decimals: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    positive = random.random(events) < 0.2
    return np.round(np.clip(random.random(events) * 0.7 + 0.3 * positive, 0, 1), decimals), positive


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), decimals=st.integers(1, 6))
def test_curve_is_that_of_scikit_learn_where_recall_rises(seed: int, decimals: int) -> None:
    probability, positive = _case(120, seed, decimals)
    positive[0] = True
    curve = precision_recall_curve(probability, positive)
    precision, recall, threshold = curve_of_scikit_learn(positive, probability)
    rises = np.isin(threshold, probability[positive])
    np.testing.assert_allclose(curve.threshold, threshold[rises][::-1])
    np.testing.assert_allclose(curve.recall, recall[:-1][rises][::-1])
    np.testing.assert_allclose(curve.precision, precision[:-1][rises][::-1])


def test_thinned_curve_is_part_of_the_whole() -> None:
    probability, positive = _case(20_000, 0, 9)
    whole = precision_recall_curve(probability, positive, points=10**6)
    thin = precision_recall_curve(probability, positive)
    assert 100 < len(thin.recall) <= 200 < len(whole.recall)
    assert np.isin(thin.threshold, whole.threshold).all()
    assert thin.recall[-1] == 1.0 and (np.diff(thin.recall) > 0).all()
    area = np.interp(np.linspace(0.01, 1, 50), whole.recall, whole.precision)
    np.testing.assert_allclose(np.interp(np.linspace(0.01, 1, 50), thin.recall, thin.precision), area, atol=0.02)


def test_false_alerts_at_a_threshold() -> None:
    probability = np.array([0.9, 0.8, 0.7, 0.6, 0.1])
    positive = np.array([True, False, True, False, False])
    curve = recall_against_false_alerts(probability, positive)
    np.testing.assert_allclose(curve.false_alerts_per_10k, [0, 2000])
    np.testing.assert_allclose(curve.recall, [0.5, 1.0])


def test_reliability_adds_up_to_the_calibration_error() -> None:
    probability, positive = _case(3000, 4, 7)
    bins = reliability_bins(probability, positive)
    assert len(bins.events) == 10 and np.ptp(bins.events) <= 1
    error = (bins.events * np.abs(bins.probability - bins.positive_share)).sum() / bins.events.sum()
    lot, counted = np.zeros(3000, dtype=int), np.ones(3000, dtype=bool)
    values = Ranking(probability, lot, 1).calibration_error(positive, counted, lot_weights(1, 0, 0))
    assert values[0] == pytest.approx(error)


def test_nothing_to_draw_is_empty() -> None:
    none, few = np.empty(0), np.array([0.01, 0.02])
    for curve in (
        precision_recall_curve(none, none.astype(bool)),
        precision_recall_curve(few, few > 1),
        recall_against_false_alerts(few, few > 1),
        reliability_bins(few, few > 1),
    ):
        assert all(len(part) == 0 for part in curve)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.booleans()), min_size=1))
def test_counts_lose_nobody(events: list[tuple[float, bool, bool]]) -> None:
    probability = np.array([event[0] for event in events])
    positive, alert = (np.array([event[place] for event in events]) for place in (1, 2))
    bins = score_histogram(probability, positive)
    assert bins.positives.sum() == positive.sum() and bins.negatives.sum() == (~positive).sum()
    counts = confusion(alert, positive)
    assert counts.sum() == len(events)
    assert counts[1, 1] == (alert & positive).sum() and counts[0, 1] == (alert & ~positive).sum()


def _features(events: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    targets = random.random((events, 5)) < 0.02
    targets[:, 4] = np.arange(events) < 10
    features = random.normal(size=(events, 4))
    features[:, 1] += 6 * targets[:, 0]
    features[:, 2] -= 3 * targets[:, 1]
    features[::7, 3] = np.nan
    return features, targets


@pytest.mark.parametrize("events", [5000, 120_000])
def test_deciding_features_and_their_direction(events: int) -> None:
    """More than 50,000 events are sampled, which must not lift average precision."""
    from sklearn.metrics import average_precision_score

    features, targets = _features(events)
    table = single_feature_power(features, ["noise", "high", "low", "holed"], targets)
    first = table[table["rank"] == 1].set_index("label")
    assert (first.loc["epcFake", "feature"], first.loc["epcFake", "direction"]) == ("high", "high")
    assert (first.loc["epcDup", "feature"], first.loc["epcDup", "direction"]) == ("low", "low")
    exact = [
        average_precision_score(targets[:, 0], features[:, 1]),
        average_precision_score(targets[:, 1], -features[:, 2]),
    ]
    found = first.loc[["epcFake", "epcDup"], "average_precision"]
    np.testing.assert_allclose(found, exact, rtol=1e-9 if events < 50_000 else 0.03)
    assert first.loc["jump", "note"] == "10 positives, fewer than 30"
    assert table[table["label"] == "locErr"]["average_precision"].max() < 0.05
    assert table.equals(single_feature_power(features, ["noise", "high", "low", "holed"], targets))


def test_a_missing_value_is_never_suspicious() -> None:
    """Positives whose feature is missing rank last in both directions, whatever the others' values."""
    targets = np.zeros((1000, 5), dtype=bool)
    targets[:40] = True
    feature = np.arange(1000.0)[:, None]
    feature[:40] = np.nan
    table = single_feature_power(feature, ["holed"], targets)
    np.testing.assert_allclose(table["average_precision"], 40 / 1000)


def test_events_without_weight_do_not_decide() -> None:
    features, targets = _features(4000)
    weight = (np.arange(4000) < 3000).astype(float)
    table = single_feature_power(features, list("abcd"), targets, weight)
    pd_equal = single_feature_power(features[:3000], list("abcd"), targets[:3000])
    np.testing.assert_allclose(table["average_precision"], pd_equal["average_precision"])
    assert table["positives"].tolist() == pd_equal["positives"].tolist()
