"""Features journey by journey: the form in which teachers give events and detectors take them."""

from __future__ import annotations

from dataclasses import dataclass

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

    def with_any(self, events: np.ndarray) -> np.ndarray:
        """(J,) bool, the journeys with at least one of some events. events: (N,) bool."""
        counts = np.concatenate([[0], np.cumsum(events)])
        return counts[self.offsets[1:]] > counts[self.offsets[:-1]]


def joined(parts: list[JourneyFeatures]) -> JourneyFeatures:
    """The journeys of several, one after the other; at least one part."""
    starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
    offsets = [part.offsets[:-1] + start for part, start in zip(parts, starts[:-1], strict=True)]
    return JourneyFeatures(
        np.concatenate([np.asarray(part.values) for part in parts]), np.concatenate([*offsets, starts[-1:]])
    )
