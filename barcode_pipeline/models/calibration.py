"""From scores to calibrated probabilities and alerts, by figures that come from validation alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.models.budgets import BUDGETS
from barcode_pipeline.models.tail import FEWEST_EVENTS, anomalous, tail_of

FEWEST_POSITIVES = 5
"""With fewer positives in validation a label's threshold is 0.5."""
MOST_ALERTS = 5
"""Alerts per positive of validation that a threshold may give at most."""
_BOUND = 1e-7
_PER_SPREAD = 1000
"""Groups of scores in one standard deviation that a sigmoid is fitted to: few, however many events there are."""


@dataclass(frozen=True)
class Calibration:
    """probability = expit(slope · score + offset), an alert from `threshold` on; each (5,) float64.

    Platt's sigmoid: J. Platt, "Probabilistic outputs for support vector machines", 1999. Scores are log-odds
    or any other number that grows with suspicion. by_budget: (len(BUDGETS), 5), the thresholds of each budget, so that
    it can be changed without training again.
    """

    slope: np.ndarray
    offset: np.ndarray
    threshold: np.ndarray
    by_budget: np.ndarray = field(default_factory=lambda: np.full((len(BUDGETS), len(LABELS)), 0.5))

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """(N, 5) scores -> (N, 5) float32 probabilities; the order of scores is kept."""
        return expit(scores * self.slope + self.offset).astype(np.float32)

    def scores_at(self, probabilities: np.ndarray) -> np.ndarray:
        """(..., 5) the scores that have these probabilities; bounded where they are 0, 1 or beyond."""
        bounded = np.clip(np.asarray(probabilities, dtype=np.float64), _BOUND, 1 - _BOUND)
        return np.asarray((logit(bounded) - self.offset) / self.slope)

    def alerts(self, probabilities: np.ndarray) -> np.ndarray:
        """(N, 5) bool."""
        return probabilities >= self.threshold.astype(np.float32)

    def at_budget(self, budget: float) -> Calibration:
        """The same with the thresholds of the highest of `BUDGETS` that is not above this one, or of the lowest; as it
        is, with the thresholds of highest F1, where the budget is 0."""
        if budget == 0:
            return self
        place = int(np.searchsorted(BUDGETS, budget, side="right")) - 1
        return replace(self, threshold=self.by_budget[max(place, 0)])


def calibrate(
    scores: np.ndarray,
    targets: np.ndarray,
    weight: np.ndarray | None = None,
    real: np.ndarray | None = None,
    log_odds: bool = False,
) -> Calibration:
    """Fit slope, offset and threshold of each label on validation. scores: (N, 5); targets: (N, 5) bool; weight: (N,)
    for how many events each stands, 1 where not given.

    real: (M, 5), scores of all real events of validation lots, where the targets are planted. Planted anomalies say too
    little of the real ones, the tail of the ordinary too much (`models.tail`): log-odds lie between the two (`_heard`).
    So do the logarithms of how many false alerts are expected: halfway between those of the lesson's ordinary events,
    and what the tail allows. log_odds: whether scores are log-odds already, which planted anomalies make no better.
    """
    weight = np.ones(len(scores)) if weight is None else weight.astype(np.float64)
    slope, offset, threshold = np.ones(len(LABELS)), np.zeros(len(LABELS)), np.full(len(LABELS), 0.5)
    if len(scores) and not (log_odds and real is not None):
        for label in range(len(LABELS)):
            slope[label], offset[label] = _fit_sigmoid(scores[:, label].astype(np.float64), targets[:, label], weight)
    if real is not None and len(real) >= FEWEST_EVENTS:
        ordinary = ~targets.any(axis=1) & (weight > 0)
        slope, offset = _heard(slope, offset, real.astype(np.float64), scores[ordinary], weight[ordinary])
    fitted = Calibration(slope, offset, threshold)
    probability = fitted.probabilities(scores)
    for label in range(len(LABELS)):
        if (targets[:, label] & (weight > 0)).sum() >= FEWEST_POSITIVES:
            threshold[label] = best_threshold(probability[:, label], targets[:, label], weight)
    trades = _trades(probability, targets, weight, bounded=real is not None)
    return replace(fitted, by_budget=np.stack([_spent(trades, budget, threshold) for budget in BUDGETS]))


def _heard(
    slope: np.ndarray, offset: np.ndarray, real: np.ndarray, ordinary: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and offsets, (5,) each, that hear what real events say.

    Where these hold no more anomalies of a label than its sigmoid counts, it stays as it is; where they hold twice as
    many or more, log-odds are the mean of its own and of the tail's; in between, by how many more. An event that
    another label is surer of counts as that label's.
    """
    own = expit(real * slope + offset)
    slope, offset = slope.copy(), offset.copy()
    for label in range(len(LABELS)):
        score = ordinary[:, label].astype(np.float64)
        tail = tail_of(score, weight)
        if tail is None:
            continue
        surest = np.delete(own, label, axis=1).max(axis=1)
        its_own = (surest < 0.5) | (own[:, label] > surest)
        found = anomalous(real[its_own, label], score, weight, tail).sum()
        heard = float(np.clip(found / max(own[:, label].sum(), 1.0) - 1, 0, 1)) / 2
        share = anomalous(real[:, label], score, weight, tail)
        both, is_one = np.tile(real[:, label], 2), np.repeat([True, False], len(real))
        of_tail = _fit_sigmoid(both, is_one, np.concatenate([share, 1 - share]))
        slope[label] += heard * (of_tail[0] - slope[label])
        offset[label] += heard * (of_tail[1] - offset[label])
    return slope, offset


def thresholds_carried_on(
    before: Calibration, now: Calibration, scores_before: np.ndarray, scores_now: np.ndarray, weight: np.ndarray
) -> Calibration:
    """The calibration of a model that went on learning for a little, with thresholds that ordinary events pass as
    often as they pass those of the model before.

    A night sees few lots, and ordinary events that look odd come by the lot: thresholds chosen by so few would let
    through now too much, now too little. scores_before, scores_now: (N, 5), what both say of the same ordinary events;
    weight: (N,), for how many each stands. A label that no tail can be measured of (`models.tail`) keeps the thresholds
    of `now`.
    """
    threshold, by_budget = now.threshold.copy(), now.by_budget.copy()
    for label in range(len(LABELS)):
        first = tail_of(scores_before[:, label].astype(np.float64), weight)
        second = tail_of(scores_now[:, label].astype(np.float64), weight)
        if first is None or second is None or before.slope[label] <= 0:
            continue
        old = np.append(before.by_budget[:, label], before.threshold[label])
        with np.errstate(divide="ignore", invalid="ignore"):
            score = (logit(old) - before.offset[label]) / before.slope[label]
        moved = second.start + (score - first.start) * second.scale / first.scale
        new = expit(now.slope[label] * moved + now.offset[label])
        # A threshold above every probability stays there.
        new = np.where(old < 1, new, old)
        by_budget[:, label], threshold[label] = new[:-1], new[-1]
    return replace(now, threshold=threshold, by_budget=by_budget)


def _fit_sigmoid(score: np.ndarray, target: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Slope (never negative) and offset of the sigmoid of greatest likelihood, on standardised scores.

    Targets are drawn in by Platt's prior, so that separable scores do not make an infinite slope.
    """
    share = weight / weight.sum()
    center = float(share @ score)
    spread = float(np.sqrt(share @ (score - center) ** 2))
    if spread <= 1e-9 * max(1.0, abs(center)):  # all the same but for rounding, which is no order
        spread = 1.0
    standard, target, weight = _grouped((score - center) / spread, target, weight)
    share = weight / weight.sum()
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


def _grouped(score: np.ndarray, target: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbouring scores of one target as one, at their mean and with all their weight."""
    group, of_row = np.unique(np.round(score * _PER_SPREAD).astype(np.int64) * 2 + target, return_inverse=True)
    heavy = np.bincount(of_row, weight, len(group))
    mean = np.bincount(of_row, weight * score, len(group)) / np.where(heavy > 0, heavy, 1)
    return mean[heavy > 0], (group % 2 == 1)[heavy > 0], heavy[heavy > 0]


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


def thresholds_of_budget(
    probability: np.ndarray, targets: np.ndarray, weight: np.ndarray, budget: float, otherwise: np.ndarray
) -> np.ndarray:
    """The thresholds, (5,), that find most for a number of false alerts per 10,000 events, of all labels together.

    probability: (N, 5). targets: (N, 5) bool. weight: (N,) for how many events each stands. A false alert is one on an
    event without any target. Recall is the mean over labels, and one price of a false alert holds for all of them:
    thresholds go down where that finds most. otherwise: (5,), of labels with too few positives to choose by.
    """
    return _spent(_trades(probability, targets, weight), budget, otherwise)


_Trades = dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]]
"""By label what `_trade` says; labels with too few positives are left out."""


def _trades(probability: np.ndarray, targets: np.ndarray, weight: np.ndarray, bounded: bool = False) -> _Trades:
    """What recall costs, of all labels. Arguments as for `thresholds_of_budget`. bounded: whether the tail of ordinary
    events has a say in what false alerts are expected."""
    ordinary = np.flatnonzero(~targets.any(axis=1) & (weight > 0))
    positives = [np.flatnonzero(targets[:, label] & (weight > 0)) for label in range(len(LABELS))]
    chosen = [label for label in range(len(LABELS)) if len(positives[label]) >= FEWEST_POSITIVES]
    if not len(ordinary):
        return {}
    return {
        label: _trade(
            probability[positives[label], label],
            weight[positives[label]],
            probability[ordinary, label],
            weight[ordinary],
            bounded,
        )
        for label in chosen
    }


def _spent(curves: _Trades, budget: float, otherwise: np.ndarray) -> np.ndarray:
    """(5,) the thresholds that a budget of false alerts buys."""
    if not curves:
        return otherwise
    out = otherwise.copy()
    for price in np.geomspace(1e-5, 100, 300):
        # Of equal gains the lowest threshold: what costs nothing is found too.
        best = {
            label: len(found) - 1 - int(np.argmax((found - price * false)[::-1]))
            for label, (_, found, false) in curves.items()
        }
        if sum(curves[label][2][place] for label, place in best.items()) <= budget:
            break
    for label, place in best.items():
        out[label] = curves[label][0][place]
    return out


def _trade(
    positive: np.ndarray,
    positive_weight: np.ndarray,
    ordinary: np.ndarray,
    ordinary_weight: np.ndarray,
    bounded: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(thresholds, descending; recall; false alerts per 10,000 events) of one label, (K,) each.

    Candidates lie halfway between neighbouring distinct probabilities of positives (and half the lowest); the first is
    above every probability.
    """
    values = np.unique(positive.astype(np.float64))[::-1]
    halfway = np.append((values[:-1] + values[1:]) / 2, values[-1] / 2)
    thresholds = np.concatenate([[np.nextafter(np.float32(1), np.float32(2))], halfway])

    def above(probability: np.ndarray, weight: np.ndarray) -> np.ndarray:
        order = np.argsort(probability)
        sums = np.concatenate([[0], np.cumsum(weight[order][::-1])])
        return sums[len(order) - np.searchsorted(probability[order], thresholds)]

    false = 10_000 * above(ordinary, ordinary_weight) / ordinary_weight.sum()
    if bounded and (tail := tail_of(_log_odds(ordinary), ordinary_weight)) is not None:
        # Halfway, as for probabilities: ordinary events come in batches, whose like scores are no exponential tail.
        false = np.sqrt(false * np.minimum(false, tail.above(_log_odds(thresholds))))
    return thresholds, above(positive, positive_weight) / positive_weight.sum(), false


def _log_odds(probability: np.ndarray) -> np.ndarray:
    return logit(np.clip(np.asarray(probability, dtype=np.float64), 1e-30, 1 - 1e-7))


def best_f1(score: np.ndarray, target: np.ndarray, count: np.ndarray) -> float:
    """The highest F1 that any threshold reaches. score, target: (n,); count: (n,), how often each row stands."""
    order = np.argsort(-score, kind="stable")
    hits, taken = np.cumsum((target * count)[order]), np.cumsum(count[order])
    last_of_value = np.append(np.diff(score[order]) != 0, True)
    return float(np.max((2 * hits / (taken + hits[-1]))[last_of_value])) if hits[-1] > 0 else 0.0
