"""Figures of one detector on one label, on the data as it is and on bootstrap samples of its lots, all at once.

A bootstrap over lots draws lots with replacement. Every figure here is a function of sums over events, so the
events are summed per lot once, and a sample is a row of weights over lots: one matrix product gives all samples.
Nothing here knows strata, references or tables; `metrics` does.
"""

from __future__ import annotations

import numpy as np

FIGURES = ("precision", "recall", "f1", "specificity", "pr_auc", "false_alerts_per_10k", "calibration_error")
NEEDS_POSITIVES = ("precision", "recall", "f1", "pr_auc")
"""Figures that mean nothing where there are hardly any positives."""

MINIMUM_POSITIVES = 30
"""Fewer positives than this, and a figure that needs them is left empty."""

MINIMUM_VARIANT_POSITIVES = 10
"""The same of one variant of a label: rare by itself, and only ever read together with others or over seeds."""

CALIBRATION_FLOOR = 0.05
"""Calibration is judged from this probability on: over all events any constant near the base rate looks right."""

CALIBRATION_BINS = 10
MINIMUM_CALIBRATION_EVENTS = 30
SCORE_BINS = 1000
_MAXIMUM_CELLS = 4_000_000


def lot_weights(lots: int, replicates: int, seed: int) -> np.ndarray:
    """(1 + replicates, lots) float: how often each sample holds each lot; row 0 is the data as it is."""
    drawn = np.random.default_rng(seed).multinomial(lots, np.full(lots, 1.0 / lots), size=replicates)
    return np.concatenate([np.ones((1, lots)), drawn])


def interval(values: np.ndarray) -> tuple[float, float] | None:
    """95 % percentile interval of a row of `label_figures`, whose first value is the point.

    None where fewer than half of the samples have the figure: what is left of them would be a selection.
    """
    samples = values[1:]
    usable = samples[~np.isnan(samples)]
    if np.isnan(values[0]) or len(usable) * 2 < max(len(samples), 1) or len(usable) == 0:
        return None
    low, high = np.percentile(usable, [2.5, 97.5])
    return float(low), float(high)


class Ranking:
    """One detector's probabilities for one label over one stratum, sorted once for all that is asked of them.

    probability: (n,) float without NaN. lot: (n,) int in 0..lots-1.
    """

    def __init__(self, probability: np.ndarray, lot: np.ndarray, lots: int) -> None:
        self.order = np.argsort(probability)
        self.probability = probability[self.order]
        self.lot = lot[self.order]
        self.lots = lots

    def average_precision(self, positive: np.ndarray, counted: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(R,) average precision under each row of `weights` (R, lots); NaN without positives.

        positive, counted: (n,) bool in the order of the events; what is not counted is left out.

        Precision matters only at the scores of positives, so those bound the bins: up to 1,000 distinct ones every
        value is exact. With more, value 0 stays exact, the others come from 1,000 bins of about as many positives
        each and are moved by the difference that the bins make to value 0.
        """
        positive = (positive & counted)[self.order]
        negative = counted[self.order] & ~positive
        scores, positives_at = np.unique(self.probability[positive], return_counts=True)
        if len(scores) == 0:
            return np.full(len(weights), np.nan)
        start = np.searchsorted(self.probability, scores, side="left")
        exact = _exact(positives_at, negative, start)

        bins = min(SCORE_BINS, max(20, _MAXIMUM_CELLS // self.lots))
        if len(scores) > bins:
            cumulative = np.cumsum(positives_at)
            wanted = np.linspace(0, cumulative[-1], bins, endpoint=False)
            start = start[np.unique(np.searchsorted(cumulative, wanted, side="right"))]
        from_top = np.repeat(np.arange(len(start) - 1, -1, -1), np.diff(start, append=len(self.probability)))
        cell = self.lot[start[0] :] * len(start) + from_top
        size = self.lots * len(start)
        hits_at = weights @ np.bincount(cell[positive[start[0] :]], minlength=size).reshape(self.lots, -1)
        false_at = weights @ np.bincount(cell[negative[start[0] :]], minlength=size).reshape(self.lots, -1)
        hits = np.cumsum(hits_at, axis=1)
        found = np.cumsum(false_at, axis=1)
        found += hits
        np.maximum(found, 1e-12, out=found)
        with np.errstate(invalid="ignore"):
            binned = np.einsum("rb,rb,rb->r", hits_at, hits, 1.0 / found) / hits[:, -1]
        values = np.clip(binned + (exact - binned[0]), 0.0, 1.0)
        values[0] = exact
        return values

    def calibration_error(self, positive: np.ndarray, counted: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """(R,) expected calibration error in ten bins of equal count over events of probability >= 0.05.

        Equal probabilities share a bin, so that the value does not hang on the order of the events. The bins are
        those of the data as it is. Noise only adds to a sum of absolute gaps, and a sample has the noise twice, so
        the samples are moved until their mean is value 0. NaN with fewer than 30 such events.
        """
        first = np.searchsorted(self.probability, CALIBRATION_FLOOR, side="left")
        chosen = np.flatnonzero(counted[self.order[first:]]) + first
        if len(chosen) < MINIMUM_CALIBRATION_EVENTS:
            return np.full(len(weights), np.nan)
        probability = self.probability[chosen]
        bin_of = equal_count_bins(probability, CALIBRATION_BINS)
        bins = int(bin_of[-1]) + 1
        cell = self.lot[chosen] * bins + bin_of
        gap = probability - positive[self.order[chosen]]
        size = self.lots * bins
        gaps = weights @ np.bincount(cell, weights=gap, minlength=size).reshape(self.lots, bins)
        events = weights @ np.bincount(cell, minlength=size).reshape(self.lots, bins)
        total = events.sum(axis=1)
        values = np.where(total > 0, np.abs(gaps).sum(axis=1) / np.maximum(total, 1), np.nan)
        if len(values) > 1 and not np.isnan(values[1:]).all():
            values[1:] = np.clip(values[1:] + (values[0] - np.nanmean(values[1:])), 0.0, 1.0)
        return values


def equal_count_bins(ascending: np.ndarray, bins: int) -> np.ndarray:
    """(n,) int: bin of each sorted value, 0 upwards, as equal in count as equal values in one bin allow."""
    bounds = np.cumsum([len(part) for part in np.array_split(ascending, bins)])[:-1]
    bounds = bounds[bounds < len(ascending)]
    starts = np.searchsorted(ascending, ascending[bounds], side="left")
    starts = np.unique(np.concatenate([[0], starts]))
    return np.searchsorted(starts, np.arange(len(ascending)), side="right") - 1


def _exact(positives_at: np.ndarray, negative: np.ndarray, start: np.ndarray) -> float:
    """Average precision from distinct scores of positives, ascending, and where their ties start."""
    hits = np.cumsum(positives_at[::-1])[::-1]
    negatives_before = np.concatenate([[0], np.cumsum(negative)])
    false = negatives_before[-1] - negatives_before[start]
    return float((positives_at * (hits / (hits + false))).sum() / hits[0])


def alert_figures(
    alert: np.ndarray, positive: np.ndarray, counted: np.ndarray, lot: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Figures of the decision, each (R,); NaN where it divides by nothing. alert, positive, counted: (n,) bool."""
    lots = weights.shape[1]
    cell = lot * 4 + positive * 2 + alert
    counts = weights @ np.bincount(cell[counted], minlength=lots * 4).reshape(lots, 4)
    quiet, false, missed, hit = counts.T
    return {
        "precision": _ratio(hit, hit + false),
        "recall": _ratio(hit, hit + missed),
        "f1": _ratio(2 * hit, 2 * hit + false + missed),
        "specificity": _ratio(quiet, quiet + false),
        "false_alerts_per_10k": 10_000 * _ratio(false, counts.sum(axis=1)),
    }


def label_figures(
    ranking: Ranking,
    alert: np.ndarray,
    positive: np.ndarray,
    counted: np.ndarray,
    lot: np.ndarray,
    weights: np.ndarray,
    fewest: int = MINIMUM_POSITIVES,
) -> np.ndarray:
    """(7, R) values of `FIGURES` under each row of weights; those that need positives are NaN below `fewest`."""
    figures = alert_figures(alert, positive, counted, lot, weights)
    enough = np.count_nonzero(positive & counted) >= fewest
    if enough:
        figures["pr_auc"] = ranking.average_precision(positive, counted, weights)
    else:
        figures.update(dict.fromkeys(NEEDS_POSITIVES, np.full(len(weights), np.nan)))
    figures["calibration_error"] = ranking.calibration_error(positive, counted, weights)
    return np.stack([figures[name] for name in FIGURES])


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)
