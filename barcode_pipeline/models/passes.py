"""Passes: the windows of all events of a journey, laid out so that each step is computed once.

A causal LSTM read out at every step of a journey gives the windows of all its events in one pass, exactly, while
the journey is no longer than L. Of a longer journey the first L events are one pass, and each later event has a
pass of its own over its last L events. Passes of one length are stacked without padding, and passes that are
equal in all they hold are computed once and counted: a shipment's items are near copies of each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from barcode_pipeline.models.unique_rows import unique_rows
from barcode_pipeline.sequences.journey_features import JourneyFeatures


@dataclass(frozen=True)
class Passes:
    """Passes of one length.

    rows: (P, T) int64, the events of each pass. read_from: (P,) int64, the first step that is read out; the
    steps before it belong to the events' windows and have been read elsewhere.
    """

    rows: np.ndarray
    read_from: np.ndarray

    @property
    def length(self) -> int:
        return self.rows.shape[1]

    def read(self) -> np.ndarray:
        """(P, T) bool, the steps that are read out: every event of the journeys exactly once over all passes."""
        return np.arange(self.length) >= self.read_from[:, None]


def lay_out(offsets: np.ndarray, longest: int) -> Iterator[Passes]:
    """The passes of all journeys, length by length, ascending. offsets: (J + 1,); longest: L."""
    lengths = np.diff(offsets)
    first = np.minimum(lengths, longest)
    beyond = lengths - first
    # Event p >= L of a journey has the window p - L + 1 ... p.
    own = np.repeat(offsets[:-1] - np.concatenate([[0], np.cumsum(beyond)[:-1]]), beyond) + np.arange(beyond.sum()) + 1
    for length in np.unique(first[first > 0]):
        starts = offsets[:-1][first == length]
        read_from = np.zeros(len(starts), dtype=np.int64)
        if length == longest and len(own):
            starts = np.concatenate([starts, own])
            read_from = np.concatenate([read_from, np.full(len(own), longest - 1)])
        yield Passes(starts[:, None] + np.arange(length), read_from)


@dataclass(frozen=True)
class DistinctPasses:
    """Passes of one length, each distinct one once.

    features: (U, T, F) float16. targets, weights: (U, T, 5) and (U, T), float32; weight is the sum over the equal
    passes at the steps that are learnt from, 0 at the others.
    """

    features: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


def distinct_training_passes(
    journeys: JourneyFeatures, targets: np.ndarray, weight: np.ndarray, longest: int
) -> list[DistinctPasses]:
    """Passes for training. targets: (N, 5) bool; weight: (N,), that of each event in learning (or bool for 1 and 0);
    events of weight 0 are not learnt from.

    A journey is followed to its last event in use; what comes after plays no part.
    """
    use = weight > 0
    marked = np.where(use, np.arange(len(use)) + 1, 0)
    last_used = np.maximum.reduceat(marked, journeys.offsets[:-1]) if len(use) else np.zeros(0, np.int64)
    stops = np.maximum(last_used, journeys.offsets[:-1])
    kept = stops > journeys.offsets[:-1]
    starts, lengths = journeys.offsets[:-1][kept], (stops - journeys.offsets[:-1])[kept]
    rows = np.repeat(starts - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths) + np.arange(lengths.sum())
    values, wanted, heavy = np.asarray(journeys.values[rows]), targets[rows], weight[rows].astype(np.float64)
    out = []
    for passes in lay_out(np.concatenate([[0], np.cumsum(lengths)]), longest):
        weights = np.where(passes.read(), heavy[passes.rows], 0)
        counted = weights > 0
        some = counted.any(axis=1)
        index, counted, weights = passes.rows[some], counted[some], weights[some]
        if not len(index):
            continue
        features, target = values[index], wanted[index]
        content = np.concatenate(
            [
                features.view(np.uint8).reshape(len(index), -1),
                target.view(np.uint8).reshape(len(index), -1),
                counted.view(np.uint8),
            ],
            axis=1,
        )
        first, inverse = unique_rows(content)
        total = np.column_stack([np.bincount(inverse, step, len(first)) for step in weights.T]).astype(np.float32)
        out.append(DistinctPasses(features[first], target[first].astype(np.float32), total))
    return out


def distinct_scoring_passes(journeys: JourneyFeatures, longest: int) -> Iterator[tuple[np.ndarray, Passes, np.ndarray]]:
    """(features (U, T, F) float16 of the distinct passes, all passes, the distinct one of each) by length."""
    for passes in lay_out(journeys.offsets, longest):
        features = np.asarray(journeys.values[passes.rows])
        first, inverse = unique_rows(features.view(np.uint8).reshape(len(features), -1))
        yield features[first], passes, inverse
