"""The second opinion: how rare what two that know no family of anomalies say of an event is, and how it is heard.

A network (`corruption`) says how like a change at random an event is, label by label, and a table (`foresight`) how
surprising its step and time are. Neither is a probability of anything: what counts is how few real events have as much.
Where both speak of a label, the two shares are put together as those of independent tests are (R. A. Fisher,
"Statistical methods for research workers", 1925): minus their logarithms are added, and a sum x is exceeded by chance
with a probability of (1 + x) exp(-x).

It gives no alert: it orders what the model that it stands beside holds for all but ordinary (`lifted`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.models.foresight import Foresight
from barcode_pipeline.models.network import SequenceNetwork

CEILING = 0.1
"""It lifts no probability beyond this, nor beyond half a threshold."""
AS_RARE_AS = 1e-3
"""What chance exceeds as often as this is lifted to half of the ceiling."""
POINTS = 65
"""Of a table of rarities."""

CORRUPTED = tuple(LABELS.index(name) for name in ("epcFake", "epcDup", "locErr", "evtOrderErr"))
"""The labels that changes at random are of."""
FORESEEN = tuple(LABELS.index(name) for name in ("epcFake", "epcDup", "evtOrderErr"))
"""Those of them that a step or a time which nobody expected may tell of. It says nothing of the place."""


@dataclass(frozen=True)
class SecondOpinion:
    """rarities: (6, POINTS) float64, of each label's log-odds, and of surprise, what so few real events have at the
    least (`rarities_of`). depth: minus the logarithm of the smallest share, that of the last point."""

    network: SequenceNetwork
    foresight: Foresight
    rarities: np.ndarray
    depth: float

    def suspicion(self, log_odds: np.ndarray, surprise: np.ndarray) -> np.ndarray:
        """(N, 5) float64 from 0 to 1, 0 for a label that it does not speak of. log_odds: (N, 5), of the network;
        surprise: (N,)."""
        said = [*log_odds.T, surprise]
        rarity = [np.interp(column, *table) for column, table in zip(said, self.tables, strict=True)]
        chance = np.ones(log_odds.shape)
        for label in CORRUPTED:
            chance[:, label] = np.exp(-rarity[label])
        for label in FORESEEN:
            both = rarity[label] + rarity[-1]
            chance[:, label] = (1 + both) * np.exp(-both)
        return AS_RARE_AS * (1 - chance) / (AS_RARE_AS + chance)

    @cached_property
    def tables(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each row (distinct values, minus the logarithm of the share that has as much), rising both."""
        depths = np.linspace(0.0, self.depth, POINTS)
        found = [np.unique(row, return_index=True) for row in self.rarities]
        return [(values, depths[first]) for values, first in found]


def rarities_of(log_odds: np.ndarray, surprise: np.ndarray) -> tuple[np.ndarray, float]:
    """(`rarities`, `depth`) of a `SecondOpinion` by what is said of real events, anomalies among them: (N, 5), (N,).
    Without any nothing is rare."""
    if not len(surprise):
        return np.zeros((len(LABELS) + 1, POINTS)), 0.0
    said = np.column_stack([log_odds, surprise]).astype(np.float64)
    depth = float(np.log(len(said) + 1))
    place = np.round(np.exp(-np.linspace(0.0, depth, POINTS)) * (len(said) + 1)).astype(np.int64) - 1
    falling = -np.sort(-said, axis=0)
    return falling[np.clip(place, 0, len(said) - 1)].T.copy(), depth


def lifted(probabilities: np.ndarray, suspicion: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """(N, 5) float32: a probability below the ceiling becomes the second opinion's share of the ceiling where that is
    more; all others stay, and so does every alert.

    probabilities, suspicion: (N, 5) in 0 to 1. threshold: (5,), from where on there is an alert.
    """
    ceiling = np.minimum(CEILING, threshold / 2)
    more = np.where(probabilities < ceiling, np.maximum(probabilities, ceiling * suspicion), probabilities)
    return np.asarray(more, dtype=np.float32)
