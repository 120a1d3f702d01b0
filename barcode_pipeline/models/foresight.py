"""How surprising an event is after the one before it: its step, and in which range of times it comes.

Counted on ordinary events, so that it can be looked up: which two stand one after the other, how often. What was seldom
seen leans on how often the second comes after anything, as in D. MacKay & L. Peto, "A hierarchical Dirichlet language
model", 1995.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from barcode_pipeline.models.steps import SYMBOLS, symbols_of
from barcode_pipeline.sequences.journey_features import JourneyFeatures

LEANING = 100.0
"""Events that how often a symbol comes after anything counts for."""


@dataclass(frozen=True)
class Foresight:
    """place: (SYMBOLS,) int16, where each symbol stands in the table; those that were not seen share the last place.
    surprise: (S + 2, S + 1) float32 nats, of what came (columns) after what (rows; the last is a journey's start)."""

    place: np.ndarray
    surprise: np.ndarray

    @property
    def is_complete(self) -> bool:
        """Whether every symbol has a place in the table."""
        rows, columns = self.surprise.shape
        return (
            self.place.shape == (SYMBOLS,)
            and rows == columns + 1
            and 0 <= self.place.min() <= self.place.max() < columns
        )

    def of_journeys(self, journeys: JourneyFeatures) -> np.ndarray:
        """(N,) float32 nats of all events."""
        symbol = symbols_of(journeys.values)
        before = np.where(journeys.position() > 0, np.roll(symbol, 1), SYMBOLS)
        return self.of_symbols(symbol, before)

    def of_symbols(self, came: np.ndarray, before: np.ndarray) -> np.ndarray:
        """(N,) float32 nats. came, before: (N,) symbols, `SYMBOLS` for a journey's start."""
        rows = np.append(self.place, np.int16(len(self.surprise) - 1))
        return self.surprise[rows[before], self.place[came]]


def learn_foresight(journeys: JourneyFeatures, weight: np.ndarray) -> Foresight:
    """Count. weight: (N,), of how many ordinary events each is one, 0 for those that are not to be expected."""
    symbol = symbols_of(journeys.values)
    counted = np.bincount(symbol, weight, SYMBOLS)
    seen = np.flatnonzero(counted)
    place = np.full(SYMBOLS, len(seen), dtype=np.int16)
    place[seen] = np.arange(len(seen))
    came = place[symbol].astype(np.int64)
    before = np.where(journeys.position() > 0, np.roll(came, 1), len(seen) + 1)
    columns, rows = len(seen) + 1, len(seen) + 2
    pairs = np.bincount(before * columns + came, weight, rows * columns).reshape(rows, columns)
    # All symbols are alike before anything is counted; those that were not seen share one column, and one's part each.
    anywhere = (np.append(counted[seen], 0.0) + LEANING / SYMBOLS) / (counted.sum() + LEANING)
    chance = (pairs + LEANING * anywhere) / (pairs.sum(axis=1, keepdims=True) + LEANING)
    return Foresight(place, -np.log(chance).astype(np.float32))
