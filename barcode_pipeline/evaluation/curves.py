"""Curves and counts behind the plots: arrays from probabilities and labels of one detector. Nothing is drawn here.

Everywhere probability is (n,) float without NaN, positive (n,) bool.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from barcode_pipeline.evaluation.resampling import CALIBRATION_BINS, CALIBRATION_FLOOR, equal_count_bins


class PrecisionRecall(NamedTuple):
    """Each (k,): at or above each threshold, from the highest down."""

    recall: np.ndarray
    precision: np.ndarray
    threshold: np.ndarray


class RecallAgainstFalseAlerts(NamedTuple):
    """Each (k,): false alerts per 10,000 events and recall, from the highest threshold down."""

    false_alerts_per_10k: np.ndarray
    recall: np.ndarray


class Reliability(NamedTuple):
    """Each (b,): mean probability, share of positives and events of each bin."""

    probability: np.ndarray
    positive_share: np.ndarray
    events: np.ndarray


class ScoreHistogram(NamedTuple):
    """edges: (b + 1,) of probability. positives, negatives: (b,) counts."""

    edges: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray


def precision_recall_curve(probability: np.ndarray, positive: np.ndarray, points: int = 200) -> PrecisionRecall:
    """Precision over recall at distinct scores of positives, at most `points` even in recall; empty without any."""
    threshold, hits, false = _steps(probability, positive)
    if len(threshold) == 0:
        return PrecisionRecall(*(np.empty(0) for _ in range(3)))
    kept = _thinned(hits, points)
    threshold, hits, false = threshold[kept], hits[kept], false[kept]
    return PrecisionRecall(hits / hits[-1], hits / (hits + false), threshold)


def recall_against_false_alerts(
    probability: np.ndarray, positive: np.ndarray, points: int = 200
) -> RecallAgainstFalseAlerts:
    """Recall over false alerts per 10,000 events as the threshold falls; empty without positives."""
    threshold, hits, false = _steps(probability, positive)
    if len(threshold) == 0:
        return RecallAgainstFalseAlerts(np.empty(0), np.empty(0))
    kept = _thinned(hits, points)
    return RecallAgainstFalseAlerts(10_000 * false[kept] / len(probability), hits[kept] / hits[-1])


def reliability_bins(
    probability: np.ndarray, positive: np.ndarray, bins: int = CALIBRATION_BINS, floor: float = CALIBRATION_FLOOR
) -> Reliability:
    """Bins of equal count over events of at least `floor`, the bins of `calibration_error`; empty without events."""
    chosen = probability >= floor
    probability, positive = probability[chosen], positive[chosen]
    if len(probability) == 0:
        return Reliability(*(np.empty(0) for _ in range(3)))
    order = np.argsort(probability, kind="stable")
    bin_of = equal_count_bins(probability[order], bins)
    events = np.bincount(bin_of)
    mean = np.bincount(bin_of, weights=probability[order]) / events
    return Reliability(mean, np.bincount(bin_of, weights=positive[order]) / events, events)


def score_histogram(probability: np.ndarray, positive: np.ndarray, bins: int = 40) -> ScoreHistogram:
    """Counts of positives and negatives in bins of equal width over 0..1."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    positives, _ = np.histogram(probability[positive], edges)
    negatives, _ = np.histogram(probability[~positive], edges)
    return ScoreHistogram(edges, positives, negatives)


def confusion(alert: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """(2, 2) counts: row 0 negatives, row 1 positives; column 0 without, column 1 with an alert. alert: (n,) bool."""
    cell = positive.astype(np.int64) * 2 + alert
    return np.bincount(cell, minlength=4).reshape(2, 2)


def _steps(probability: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct scores of positives from the highest down, and how many positives and negatives lie at or above each.

    Between two of them recall does not change and precision only falls. Positives are few: nothing else is sorted.
    """
    threshold, positives = np.unique(probability[positive], return_counts=True)
    reached = np.searchsorted(threshold, probability[~positive], side="right")
    negatives = np.bincount(reached, minlength=len(threshold) + 1)[1:]
    return threshold[::-1], np.cumsum(positives[::-1]), np.cumsum(negatives[::-1])


def _thinned(hits: np.ndarray, points: int) -> np.ndarray:
    """Positions of at most `points` steps, even in positives found, that keep the first step and full recall."""
    if len(hits) <= points:
        return np.arange(len(hits))
    return np.unique(np.searchsorted(hits, np.linspace(hits[0], hits[-1], points)))
