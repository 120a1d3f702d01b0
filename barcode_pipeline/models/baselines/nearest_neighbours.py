"""How far a journey so far is from those seen in training, by how often each step and transition occurred."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from sklearn.neighbors import NearestNeighbors

from barcode_pipeline.compiled import compiled
from barcode_pipeline.models.baselines.baseline import Baseline, for_every_label
from barcode_pipeline.models.steps import DIRECTIONS, LEVELS, read_steps
from barcode_pipeline.models.unique_rows import unique_rows
from barcode_pipeline.sequences.journey_features import JourneyFeatures

_STEPS = LEVELS * DIRECTIONS
_TRANSITIONS = LEVELS * LEVELS * 2
_WIDTH = -(-(_STEPS + _TRANSITIONS) // 8) * 8
"""Filled up to a multiple of eight bytes: distinct rows are found word by word."""


@dataclass(kw_only=True, eq=False)
class NearestNeighbours(Baseline):
    """Score: the mean distance to the nearest reference rows, the same for every label.

    A row counts the steps (level, direction) and transitions (level to level, at the same place or another) of
    the journey up to the event; the distance of two rows is the number of steps and transitions that one has more
    than the other. References are the commonest distinct rows of training events that bear no label.
    """

    name: ClassVar[str] = "nearest_neighbours"
    grid: ClassVar[tuple[Mapping[str, Any], ...]] = ({}, {"neighbours": 1}, {"neighbours": 20}, {"references": 500})
    reference_: np.ndarray = field(init=False, repr=False)

    neighbours: int = 5
    references: int = 2000
    """At most so many reference rows."""

    def _learn(self, journeys: JourneyFeatures, targets: np.ndarray, weight: np.ndarray) -> None:
        clean = np.flatnonzero((weight > 0) & ~targets.any(axis=1))
        rows = _rows(journeys)[clean]
        first, inverse = unique_rows(rows)
        commonest = np.argsort(-np.bincount(inverse, weight[clean], minlength=len(first)), kind="stable")
        self.reference_ = rows[first[commonest[: self.references]]]

    def _score(self, journeys: JourneyFeatures) -> np.ndarray:
        if not len(self.reference_):
            return for_every_label(np.zeros(len(journeys)))
        rows = _rows(journeys)
        first, inverse = unique_rows(rows)
        # Manhattan distances of whole numbers are exact: they do not depend on the rows scored beside.
        search = NearestNeighbors(
            n_neighbors=min(self.neighbours, len(self.reference_)), algorithm="brute", metric="manhattan"
        ).fit(self.reference_.astype(np.float32))
        distance, _ = search.kneighbors(rows[first].astype(np.float32))
        return for_every_label(distance.mean(axis=1)[inverse])


def _rows(journeys: JourneyFeatures) -> np.ndarray:
    """Running counts at each event, itself included, (N, W) uint8: 255 stands for more, too."""
    steps = read_steps(journeys.values)
    return _running_counts(steps.level, steps.direction, steps.same_place, journeys.offsets)


@compiled
def _running_counts(
    level: np.ndarray, direction: np.ndarray, same_place: np.ndarray, offsets: np.ndarray
) -> np.ndarray:
    counts = np.zeros((len(level), _WIDTH), dtype=np.uint8)
    for journey in range(len(offsets) - 1):
        for row in range(offsets[journey], offsets[journey + 1]):
            step = level[row] * DIRECTIONS + direction[row]
            if row > offsets[journey]:
                counts[row] = counts[row - 1]
                transition = _STEPS + (level[row - 1] * LEVELS + level[row]) * 2 + same_place[row]
                counts[row, transition] = min(counts[row, transition] + 1, 255)
            counts[row, step] = min(counts[row, step] + 1, 255)
    return counts
