"""From scores to calibrated probabilities and alerts, by figures that come from validation alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from barcode_pipeline.events.formats import LABELS

FEWEST_POSITIVES = 5
"""With fewer positives in validation a label's threshold is 0.5."""
MOST_ALERTS = 5
"""Alerts per positive of validation that a threshold may give at most."""


@dataclass(frozen=True)
class Calibration:
    """probability = expit(slope · score + offset), an alert from `threshold` on; each (5,) float64.

    Platt's sigmoid: J. Platt, "Probabilistic outputs for support vector machines", 1999. Scores are log-odds
    or any other number that grows with suspicion.
    """

    slope: np.ndarray
    offset: np.ndarray
    threshold: np.ndarray

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """(N, 5) scores -> (N, 5) float32 probabilities; the order of scores is kept."""
        return expit(scores * self.slope + self.offset).astype(np.float32)

    def alerts(self, probabilities: np.ndarray) -> np.ndarray:
        """(N, 5) bool."""
        return probabilities >= self.threshold.astype(np.float32)


def calibrate(scores: np.ndarray, targets: np.ndarray, weight: np.ndarray | None = None) -> Calibration:
    """Fit slope, offset and threshold of each label on validation. scores: (N, 5); targets: (N, 5) bool; weight: (N,)
    for how many events each stands, 1 where not given."""
    weight = np.ones(len(scores)) if weight is None else weight.astype(np.float64)
    slope, offset, threshold = np.ones(len(LABELS)), np.zeros(len(LABELS)), np.full(len(LABELS), 0.5)
    for label in range(len(LABELS)):
        score, target = scores[:, label].astype(np.float64), targets[:, label]
        if len(target):
            slope[label], offset[label] = _fit_sigmoid(score, target, weight)
    fitted = Calibration(slope, offset, threshold)
    probability = fitted.probabilities(scores)
    for label in range(len(LABELS)):
        if (targets[:, label] & (weight > 0)).sum() >= FEWEST_POSITIVES:
            threshold[label] = best_threshold(probability[:, label], targets[:, label], weight)
    return fitted


def _fit_sigmoid(score: np.ndarray, target: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Slope (never negative) and offset of the sigmoid of greatest likelihood, on standardised scores.

    Targets are drawn in by Platt's prior, so that separable scores do not make an infinite slope.
    """
    share = weight / weight.sum()
    center = float(share @ score)
    spread = float(np.sqrt(share @ (score - center) ** 2))
    if spread <= 1e-9 * max(1.0, abs(center)):  # all the same but for rounding, which is no order
        spread = 1.0
    standard = (score - center) / spread
    positives, negatives = float(weight[target].sum()), float(weight[~target].sum())
    soft = np.where(target, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        grown = np.exp(parameters[0])
        logit = grown * standard + parameters[1]
        residual = share * (expit(logit) - soft)
        value = share @ (np.logaddexp(0, logit) - soft * logit)
        return value, np.array([(residual @ standard) * grown, residual.sum()])

    start = np.array([0.0, np.log((positives + 1) / (negatives + 1))])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-6, 6), (-50, 50)])
    slope = float(np.exp(found.x[0])) / spread
    return slope, float(found.x[1]) - slope * center


def best_threshold(probability: np.ndarray, target: np.ndarray, weight: np.ndarray | None = None) -> float:
    """The threshold of highest F1, halfway to the next lower probability. Of several the highest. weight: (n,) for
    how many events each stands, 1 where not given.

    Thresholds that would alert on more than `MOST_ALERTS` events per positive are out of the question: for a
    detector that knows nothing of a label the highest F1 is to alert on everything. Where no other is left, the
    threshold is above every probability.
    """
    order = np.argsort(-probability, kind="stable")
    weight = np.ones(len(order)) if weight is None else weight.astype(np.float64)
    sorted_probability, hits = probability[order], np.cumsum((target * weight)[order])
    taken = np.cumsum(weight[order])
    allowed = np.append(np.diff(sorted_probability) != 0, True) & (taken <= MOST_ALERTS * hits[-1])
    if not allowed.any():
        return float(np.nextafter(np.float32(sorted_probability[0]), np.float32(2)))
    best = int(np.argmax(np.where(allowed, 2 * hits / (taken + hits[-1]), -1.0)))
    lowest = float(sorted_probability[best])
    if best + 1 == len(order):
        return lowest / 2
    below = float(sorted_probability[best + 1])
    halfway = float(np.float32((lowest + below) / 2))
    # Between two neighbouring float32 numbers there is none: rounding could take in the lower one.
    return halfway if halfway > below else lowest


def best_f1(score: np.ndarray, target: np.ndarray, count: np.ndarray) -> float:
    """The highest F1 that any threshold reaches. score, target: (n,); count: (n,), how often each row stands."""
    order = np.argsort(-score, kind="stable")
    hits, taken = np.cumsum((target * count)[order]), np.cumsum(count[order])
    last_of_value = np.append(np.diff(score[order]) != 0, True)
    return float(np.max((2 * hits / (taken + hits[-1]))[last_of_value])) if hits[-1] > 0 else 0.0
