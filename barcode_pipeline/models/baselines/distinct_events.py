"""Training events as distinct rows of features, with the weight of the events that bear each label and that do not."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from barcode_pipeline.models.unique_rows import unique_rows
from barcode_pipeline.sequences.journey_features import JourneyFeatures


class LabelSample(NamedTuple):
    """What one label is learnt from. row: (S,) into the distinct rows. positive: (S,) bool. weight: (S,) float64."""

    row: np.ndarray
    positive: np.ndarray
    weight: np.ndarray


class DistinctEvents(NamedTuple):
    """values: (U, W) float16, `windows`. positives, negatives: (U, 5) float64, the weight of a row's events that bear
    each label, and of those that do not."""

    values: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray

    def of_label(self, label: int, most: int, random: np.random.Generator) -> LabelSample:
        """Each distinct row up to twice: once for its events with the label, once for those without.

        Of more than `most` in all some are drawn, positives up to half of them; those that are left stand for the
        others of their kind, so that each kind keeps its weight.
        """
        has, lacks = np.flatnonzero(self.positives[:, label]), np.flatnonzero(self.negatives[:, label])
        has_weight, lacks_weight = self.positives[has, label], self.negatives[lacks, label]
        few = min(len(has), max(most // 2, most - len(lacks)))
        has, has_weight = _draw(has, has_weight, few, random)
        lacks, lacks_weight = _draw(lacks, lacks_weight, most - few, random)
        positive = np.repeat([True, False], [len(has), len(lacks)])
        return LabelSample(np.append(has, lacks), positive, np.append(has_weight, lacks_weight))

    def some(self, most: int, random: np.random.Generator) -> DistinctEvents:
        """At most so many of the rows."""
        if len(self.values) <= most:
            return self
        rows = np.sort(random.choice(len(self.values), most, replace=False))
        return DistinctEvents(self.values[rows], self.positives[rows], self.negatives[rows])


def _draw(
    rows: np.ndarray, weight: np.ndarray, most: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    if len(rows) <= most:
        return rows, weight
    drawn = np.sort(random.choice(len(rows), most, replace=False))
    return rows[drawn], weight[drawn] * (weight.sum() / weight[drawn].sum())


def windows(journeys: JourneyFeatures, rows: np.ndarray, reach: int) -> np.ndarray:
    """Features of some events and of those just before them in the journey, (n, reach × F) float16.

    The event's own come first; where the journey has no event so far back there are zeros.
    """
    own = np.asarray(journeys.values[rows])
    if reach == 1:
        return own
    position = rows - journeys.offsets[np.searchsorted(journeys.offsets, rows, side="right") - 1]
    parts = [own]
    for back in range(1, reach):
        earlier = np.zeros_like(own)
        there = position >= back
        earlier[there] = journeys.values[rows[there] - back]
        parts.append(earlier)
    return np.concatenate(parts, axis=1)


def distinct_events(
    journeys: JourneyFeatures, targets: np.ndarray, weight: np.ndarray, reach: int = 1
) -> DistinctEvents:
    """The distinct rows of the events with a weight. targets: (N, 5) bool. weight: (N,)."""
    rows = np.flatnonzero(weight)
    values, learnt, wanted = windows(journeys, rows, reach), weight[rows].astype(np.float64), targets[rows]
    first, inverse = unique_rows(values)

    def summed(chosen: np.ndarray) -> np.ndarray:
        return np.column_stack([np.bincount(inverse[some], learnt[some], minlength=len(first)) for some in chosen.T])

    return DistinctEvents(values[first], summed(wanted), summed(~wanted))
