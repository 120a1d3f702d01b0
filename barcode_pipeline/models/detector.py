"""The contract of every detector, and the journeys it is given. Scoring stands apart from deciding.

A detector learns from journeys and gives every event five scores, higher where it finds it more suspicious.
What a score means as a probability, and from where on it is an alert, is `calibration`'s business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np


@dataclass(frozen=True)
class JourneyFeatures:
    """Events journey by journey.

    values: (N, F) float16, `sequences.features`. offsets: (J + 1,) int64; journey j is the events
    `offsets[j]:offsets[j + 1]`, in the order of travel.
    """

    values: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    def position(self) -> np.ndarray:
        """Events before each one in its journey, (N,) int64."""
        return np.arange(len(self)) - np.repeat(self.offsets[:-1], np.diff(self.offsets))

    def select(self, journeys: np.ndarray) -> tuple[JourneyFeatures, np.ndarray]:
        """Some whole journeys, and the rows they have here. journeys: (J,) bool."""
        lengths = np.diff(self.offsets)
        rows = np.flatnonzero(np.repeat(journeys, lengths))
        offsets = np.concatenate([[0], np.cumsum(lengths[journeys])])
        return JourneyFeatures(np.asarray(self.values[rows]), offsets), rows


class Detector(Protocol):
    """What training, evaluation and serving know of a detector."""

    name: str

    def fit(self, journeys: JourneyFeatures, targets: np.ndarray, use: np.ndarray) -> Self:
        """Learn from the events where `use` holds; the others are there as what came before them.

        targets: (N, 5) bool. use: (N,) bool.
        """
        ...

    def score(self, journeys: JourneyFeatures) -> np.ndarray:
        """Five scores of every event, (N, 5) float32, higher is more suspicious. An event's score depends on
        nothing that comes after it."""
        ...
