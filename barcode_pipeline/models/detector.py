"""The contract of every detector. Scoring stands apart from deciding.

A detector learns from journeys and gives every event five scores, higher where it finds it more suspicious.
What a score means as a probability, and from where on it is an alert, is `calibration`'s business.
"""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np

from barcode_pipeline.sequences.journey_features import JourneyFeatures


class Detector(Protocol):
    """What training, evaluation and serving know of a detector."""

    name: str

    def fit(self, journeys: JourneyFeatures, targets: np.ndarray, use: np.ndarray) -> Self:
        """Learn from the events in `use`; the others are there as what came before them.

        targets: (N, 5) bool. use: (N,) bool, or weights of at least 0: an event of weight 2 counts as two.
        """
        ...

    def score(self, journeys: JourneyFeatures) -> np.ndarray:
        """Five scores of every event, (N, 5) float32, higher is more suspicious. An event's score depends on
        nothing that comes after it."""
        ...
