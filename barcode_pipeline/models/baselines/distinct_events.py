"""Training events as distinct rows of features, weighted by how often each occurs with and without a label."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from barcode_pipeline.models.detector import JourneyFeatures
from barcode_pipeline.models.unique_rows import unique_rows


class LabelSample(NamedTuple):
    """What one label is learnt from. row: (S,) into the distinct rows. positive: (S,) bool. weight: (S,) events."""

    row: np.ndarray
    positive: np.ndarray
    weight: np.ndarray


class DistinctEvents(NamedTuple):
    """values: (U, F) float32. weight: (U,) events. positives: (U, 5), how many of them bear each label.
    clean: (U,) how many bear none."""

    values: np.ndarray
    weight: np.ndarray
    positives: np.ndarray
    clean: np.ndarray

    def of_label(self, label: int) -> LabelSample:
        """Each distinct row up to twice: once for its events with the label, once for those without."""
        with_label = self.positives[:, label]
        without = self.weight - with_label
        has, lacks = np.flatnonzero(with_label), np.flatnonzero(without)
        positive = np.repeat([True, False], [len(has), len(lacks)])
        return LabelSample(np.append(has, lacks), positive, np.append(with_label[has], without[lacks]))


def distinct_events(journeys: JourneyFeatures, targets: np.ndarray, use: np.ndarray) -> DistinctEvents:
    """The distinct rows of the events in use. targets: (N, 5) bool. use: (N,) bool."""
    values, used_targets = np.asarray(journeys.values[use]), targets[use]
    first, inverse = unique_rows(values)
    distinct = len(first)
    positives = np.column_stack([np.bincount(inverse[target], minlength=distinct) for target in used_targets.T])
    clean = np.bincount(inverse[~used_targets.any(axis=1)], minlength=distinct)
    return DistinctEvents(values[first].astype(np.float32), np.bincount(inverse, minlength=distinct), positives, clean)
