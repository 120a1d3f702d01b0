"""The second opinion: how rare what two that know no family of anomalies say of an event is, and how it is heard.

A network (`corruption`) says how like a change at random an event is, label by label, and a table (`foresight`) how
surprising its step and time are. Neither is a probability of anything: what counts is how few real events have as much.
Where both speak of a label, the two shares are put together as those of independent tests are (R. A. Fisher,
"Statistical methods for research workers", 1925): minus their logarithms are added, and a sum x is exceeded by chance
with a probability of (1 + x) exp(-x).

It gives no alert and takes none: it changes which events below the thresholds stand before which. How many real events
have a score stays as the model that it stands beside has it (`SecondOpinion.moved`, `heard`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.models.calibration import Calibration
from barcode_pipeline.models.foresight import Foresight
from barcode_pipeline.models.network import SequenceNetwork

WEIGHT = 1.5
"""What a nat of rarity counts for beside the model's log-odds."""
POINTS = 65
"""Of a table of what few real events have."""
DRAWN_IN = 1.0
"""From so far below a threshold on scores are drawn in, so that none gets there."""

CORRUPTED = tuple(LABELS.index(name) for name in ("epcFake", "epcDup", "locErr", "evtOrderErr"))
"""The labels that changes at random are of."""
FORESEEN = tuple(LABELS.index(name) for name in ("epcFake", "epcDup", "evtOrderErr"))
"""Those of them that a step or a time which nobody expected may tell of. It says nothing of the place."""

_Table = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class SecondOpinion:
    """Tables of what so few real events have at the least (`falling_shares`), all as far as `depth`.

    rarities: (6, POINTS) float64, of each label's log-odds, and of surprise. together, alone: (5, POINTS) float64, of
    the scores that it makes with the model that it stands beside, and of that model's own.
    """

    network: SequenceNetwork
    foresight: Foresight
    rarities: np.ndarray
    together: np.ndarray
    alone: np.ndarray
    depth: float

    def rarity(self, log_odds: np.ndarray, surprise: np.ndarray) -> np.ndarray:
        """(N, 5) float64 nats: minus the logarithm of the share of real events that chance gives as much; 0 for a label
        that it does not speak of. log_odds: (N, 5), of the network; surprise: (N,)."""
        return _rarity(self._rarities, log_odds, surprise)

    def moved(self, scores: np.ndarray, log_odds: np.ndarray, surprise: np.ndarray) -> np.ndarray:
        """(N, 5) float64, the model's scores in the order that rarity gives them together with it: of real events as
        many have each as by the model alone. Beyond what any of them has, and for the labels that it does not speak of,
        differences stay as they are. scores: (N, 5), the model's."""
        both = scores + WEIGHT * self.rarity(log_odds, surprise)
        for label, (has, should) in zip(CORRUPTED, self._order, strict=True):
            column = both[:, label]
            beyond = np.maximum(column - has[-1], 0) + np.minimum(column - has[0], 0)
            both[:, label] = np.interp(column, has, should) + beyond
        return both

    @cached_property
    def _rarities(self) -> list[_Table]:
        return _tables(self.rarities, self.depth)

    @cached_property
    def _order(self) -> list[_Table]:
        """Of each of `CORRUPTED` (what so few have together, what so few have alone), rising both."""
        found = [np.unique(self.together[label], return_index=True) for label in CORRUPTED]
        return [(values, self.alone[label][first]) for label, (values, first) in zip(CORRUPTED, found, strict=True)]


def stand_beside(
    network: SequenceNetwork, foresight: Foresight, scores: np.ndarray, log_odds: np.ndarray, surprise: np.ndarray
) -> SecondOpinion:
    """A second opinion by what is said of real events, anomalies among them: scores (N, 5) by the model that it stands
    beside, log_odds (N, 5) by the network, surprise (N,). Without any nothing is rare."""
    depth = float(np.log(len(surprise) + 1))
    rarities = falling_shares(np.column_stack([log_odds, surprise]))
    together = scores + WEIGHT * _rarity(_tables(rarities, depth), log_odds, surprise)
    return SecondOpinion(network, foresight, rarities, falling_shares(together), falling_shares(scores), depth)


def falling_shares(said: np.ndarray) -> np.ndarray:
    """(K, POINTS) float64: what so few of N rows have at the least, of each of K columns; the shares fall in equal
    steps of their logarithm from 1 to one in N + 1. said: (N, K). 0 where there are none."""
    if not len(said):
        return np.zeros((said.shape[1], POINTS))
    depths = np.linspace(0.0, np.log(len(said) + 1), POINTS)
    place = np.round(np.exp(-depths) * (len(said) + 1)).astype(np.int64) - 1
    falling = -np.sort(-said.astype(np.float64), axis=0)
    return falling[np.clip(place, 0, len(said) - 1)].T.copy()


def heard(calibration: Calibration, scores: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """(N, 5) float32 probabilities: an event below a label's threshold has that of its moved score, drawn in below the
    threshold; all others have their own, and so every alert stays.

    scores: (N, 5), the model's. moved: (N, 5), as the second opinion moves them.
    """
    own, threshold = calibration.probabilities(scores), calibration.threshold.astype(np.float32)
    limit = calibration.scores_at(threshold)
    near = limit - DRAWN_IN
    drawn = np.where(moved > near, limit - DRAWN_IN * np.exp(np.minimum((near - moved) / DRAWN_IN, 0)), moved)
    below = np.minimum(calibration.probabilities(drawn), np.nextafter(threshold, np.float32(0)))
    out = own.copy()
    for label in CORRUPTED:
        out[:, label] = np.where(own[:, label] < threshold[label], below[:, label], own[:, label])
    return out


def _tables(rows: np.ndarray, depth: float) -> list[_Table]:
    """Of each row (distinct values, minus the logarithm of the share that has as much), rising both."""
    depths = np.linspace(0.0, depth, POINTS)
    found = [np.unique(row, return_index=True) for row in rows]
    return [(values, depths[first]) for values, first in found]


def _rarity(tables: list[_Table], log_odds: np.ndarray, surprise: np.ndarray) -> np.ndarray:
    said = [*log_odds.T, surprise]
    by_one = [np.interp(column, *table) for column, table in zip(said, tables, strict=True)]
    out = np.zeros(log_odds.shape)
    for label in CORRUPTED:
        out[:, label] = by_one[label]
    for label in FORESEEN:
        both = by_one[label] + by_one[-1]
        out[:, label] = both - np.log1p(both)
    return out
