"""Drift: how far the events of a night are from those that a model has learnt from, and from the nights before.

Columns in, figures out. What is looked at when, and what becomes of it, is `drifting`'s to say.

Rows of one shipment are close to copies of each other, and shipments of one lot are alike: a shipment counts once
wherever features are compared, and tests of chance take lots for what is drawn, or one lorry more would pass for a
change of the world.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import chi2, t

QUANTILES = np.array([0.2, 0.4, 0.6, 0.8])
BINS = 2 * len(QUANTILES) + 1
"""Between the quantiles, and on each: a value that many events share is a bin of its own."""
FEWEST = 50
"""Shipments of a step from which on it is known what is ordinary for it."""
FEWEST_NIGHTS = 10
"""Nights before that are needed to call a figure unusual."""


@dataclass(frozen=True)
class Reference:
    """What a model has learnt from, in few numbers. edges: (S, F, 4) float32, quantiles of each feature by step.
    expected: (S, F, 9) float32, the share of shipments in each bin. shipments: (S,), their number."""

    edges: np.ndarray
    expected: np.ndarray
    shipments: np.ndarray

    def knows(self, step: np.ndarray) -> np.ndarray:
        """Whether so much was learnt of each step that others can be compared with it, (N,) bool."""
        return (self.shipments >= FEWEST)[step]


def shipment_rows(lot: np.ndarray, step: np.ndarray, time: np.ndarray, near_seconds: int) -> np.ndarray:
    """The first row of each shipment, in no order: rows of one lot and step with no gap in time longer than
    `near_seconds`. lot, step, time: (N,)."""
    order = np.lexsort((time, step, lot))
    first = np.ones(len(order), dtype=bool)
    same = (np.diff(step[order]) == 0) & (lot[order][1:] == lot[order][:-1])
    first[1:] = ~same | (np.diff(time[order]) > near_seconds)
    return order[first]


def learn_reference(values: np.ndarray, step: np.ndarray, steps: int) -> Reference:
    """values: (N, F), a row per shipment. step: (N,) below `steps`."""
    shape = (steps, values.shape[1])
    edges, expected = np.zeros((*shape, len(QUANTILES)), np.float32), np.zeros((*shape, BINS), np.float32)
    shipments = np.bincount(step, minlength=steps)
    for place in np.flatnonzero(shipments >= FEWEST):
        chosen = values[step == place]
        edges[place] = np.quantile(chosen, QUANTILES, axis=0, method="inverted_cdf").T
        expected[place] = (bin_places(chosen, edges[place])[:, :, None] == np.arange(BINS)).mean(axis=0)
    return Reference(edges, expected, shipments)


def bin_places(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The bin of each value, (N, F) int64. values: (N, F); edges: (F, 4) ascending."""
    above, not_below = values[:, :, None] > edges, values[:, :, None] >= edges
    return above.sum(axis=2) + not_below.sum(axis=2)


@dataclass(frozen=True)
class Counts:
    """The shipments of a night by kind. observed, expected: (K, F, 9), how many lie in each bin, and how many would by
    what was learnt. shipments: (K,)."""

    observed: np.ndarray
    expected: np.ndarray
    shipments: np.ndarray


def count_shipments(reference: Reference, values: np.ndarray, step: np.ndarray, kind: np.ndarray, kinds: int) -> Counts:
    """values: (N, F), a row per shipment. step: (N,), steps that the reference knows. kind: (N,) below `kinds`."""
    features = values.shape[1]
    bins = (kind[:, None] * features + np.arange(features)) * BINS + _bins_of(reference, values, step)
    observed = np.bincount(bins.ravel(), minlength=kinds * features * BINS).reshape(kinds, features, BINS)
    steps = len(reference.shipments)
    of_step = np.bincount(kind * steps + step, minlength=kinds * steps).reshape(kinds, steps)
    expected = (of_step @ reference.expected.reshape(steps, -1)).reshape(kinds, features, BINS)
    return Counts(observed, expected, of_step.sum(axis=1))


def stretch_index(nights: Sequence[Counts], fewest: int) -> np.ndarray:
    """Population stability index over some nights, (K, F); NaN where a kind has fewer shipments than `fewest`."""
    observed, expected, shipments = (
        sum(getattr(night, name) for night in nights) for name in ("observed", "expected", "shipments")
    )
    flat = (-1, BINS)
    index = _compared(observed.reshape(flat), expected.reshape(flat))[0].reshape(observed.shape[:-1])
    index[shipments < fewest] = np.nan
    return index


@dataclass(frozen=True)
class Shift:
    """How far each feature has moved, (F,) each. index: population stability index. chance: how likely so much is
    without any drift, whatever has become of the distribution; moved: how likely so much is of its middle alone, which
    tells less of a difference, and sooner."""

    index: np.ndarray
    chance: np.ndarray
    moved: np.ndarray


def feature_shift(reference: Reference, values: np.ndarray, step: np.ndarray, lot: np.ndarray) -> Shift:
    """Compare the shipments of some nights with those learnt from. values: (N, F), a row per shipment; step, lot: (N,),
    steps that the reference knows.

    What is expected is mixed as the steps of these nights are: more sales than usual are no drift of any feature.
    """
    inside = _bins_of(reference, values, step)
    observed = (inside[:, :, None] == np.arange(BINS)).astype(np.float64)
    expected = reference.expected[step].astype(np.float64)
    order = np.argsort(lot, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(np.unique(lot, return_inverse=True)[1][order]) != 0))
    lots = len(starts)
    index, likelihood, bins = _compared(observed.sum(axis=0), expected.sum(axis=0))
    # Shipments of a lot are alike: how much more the counts vary for it (Rao and Scott, 1981, first order).
    share = observed.mean(axis=0)
    apart = np.add.reduceat((observed - share)[order], starts, axis=0)
    varies = (share > 0) & (share < 1)
    effects = (apart**2).sum(axis=0) / np.where(varies, len(values) * share * (1 - share), np.inf)
    likelihood = likelihood / np.maximum(effects.sum(axis=1) / np.maximum(varies.sum(axis=1), 1), 1.0)
    ranks = (observed - expected) @ np.arange(BINS, dtype=np.float64)
    by_lot = np.add.reduceat(ranks[order], starts, axis=0)
    spread = np.sqrt(((by_lot - by_lot.mean(axis=0)) ** 2).sum(axis=0) * lots / max(lots - 1, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        moved = np.where(by_lot.sum(axis=0) == 0, 0.0, np.abs(by_lot.sum(axis=0)) / spread)
    return Shift(index, chi2.sf(likelihood, np.maximum(bins - 1, 1)), 2 * t.sf(moved, max(lots - 1, 1)))


def _bins_of(reference: Reference, values: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The bin of each value among those of its step, (N, F)."""
    inside = np.empty(values.shape, dtype=np.int64)
    for place in np.unique(step):
        inside[step == place] = bin_places(values[step == place], reference.edges[place])
    return inside


def _compared(observed: np.ndarray, expected: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(population stability index, likelihood ratio, bins in use) of counts of the same sum, (F, B) -> (F,) each."""
    used = (observed + expected) > 0
    shares, wanted = _shares(observed, used), _shares(expected, used)
    ratio = np.log(shares / wanted)
    count = observed.sum(axis=1)
    return ((shares - wanted) * ratio).sum(axis=1), 2 * count * (shares * ratio).sum(axis=1), used.sum(axis=1)


def _shares(counts: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Half an event more in each bin that is in use: an empty one would be infinitely far. 1 in the others."""
    total = counts.sum(axis=-1, keepdims=True) + 0.5 * np.maximum(used.sum(axis=-1, keepdims=True), 1)
    return np.where(used, (counts + 0.5) / total, 1.0)


def stability_index(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Population stability index of counts in the same bins, (L, B) -> (L,)."""
    used = (before + now) > 0
    shares, wanted = _shares(now, used), _shares(before, used)
    return ((shares - wanted) * np.log(shares / wanted)).sum(axis=-1)


SCORE_EDGES = np.array([0.001, 0.01, 0.05, 0.2, 0.5, 0.8])
"""Probabilities between which events are counted."""


def score_counts(probability: np.ndarray) -> np.ndarray:
    """Events by label and bin of probability, (N, 5) -> (5, 7)."""
    place = np.searchsorted(SCORE_EDGES, probability, side="right") + (len(SCORE_EDGES) + 1) * np.arange(
        probability.shape[1]
    )
    bins = probability.shape[1] * (len(SCORE_EDGES) + 1)
    return np.bincount(place.ravel(), minlength=bins).reshape(probability.shape[1], -1)


def how_unusual(value: float, before: np.ndarray, least: float) -> float:
    """How far a figure lies outside the range of the nights before, in widths of that range; 0 inside, NaN with too
    few of them. before: (K,). least: the width that stands for a narrower one.

    A range, and no deviation off a mean: most nights have none of what comes in lots, and some have much.
    """
    before = before[~np.isnan(before)]
    if len(before) < FEWEST_NIGHTS or np.isnan(value):
        return float("nan")
    lowest, highest = float(before.min()), float(before.max())
    return max(value - highest, lowest - value, 0.0) / max(highest - lowest, least)


def went_silent(epc: np.ndarray, day: np.ndarray, ended: np.ndarray, days: np.ndarray, silent_days: int) -> np.ndarray:
    """Of the EPCs seen `silent_days` before each day, the share not seen since whose journey had not ended, NaN without
    any. (D,) float64.

    epc, day, ended: (N,) events in the order of travel within an EPC and day: a code, -1 for none, the day, and
    whether the step ends a journey. days: (D,).
    """
    seen = pd.DataFrame({"epc": epc, "day": day, "ended": ended})[epc >= 0]
    seen = seen.drop_duplicates(["epc", "day"], keep="last").sort_values(["epc", "day"])
    same = seen["epc"].to_numpy()[1:] == seen["epc"].to_numpy()[:-1]
    gap = np.full(len(seen), np.iinfo(np.int64).max)
    gap[:-1][same] = np.diff(seen["day"].to_numpy())[same]
    silent = (gap > silent_days) & ~seen["ended"].to_numpy(bool)
    by_day = pd.DataFrame({"day": seen["day"] + silent_days, "silent": silent}).groupby("day")["silent"].mean()
    return by_day.reindex(days).to_numpy(np.float64)
