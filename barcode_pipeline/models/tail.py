"""What real events say of scores when nobody has labelled them: how far up ordinary ones reach, and which are none.

Planted anomalies are not the real ones, and real ones hide among the ordinary events of a lesson. So two things are
read off the real events themselves, after B. Efron, "Large-scale simultaneous hypothesis testing: the choice of a null
hypothesis", Journal of the American Statistical Association 99, 2004. The scores of ordinary events thin out upwards at
least as fast as an exponential does, whose scale is measured where ordinary events are still many. And of the real
events between two scores, those that this leaves over are anomalies (his local false discovery rate).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

FEW, MANY = 10.0, 100.0
"""Events per 10,000 ordinary ones that lie above the two scores between which the tail is measured."""
FEWEST_EVENTS = 10_000
"""With fewer events a tail is not measured."""
_LOOKED_AT = 0.02
"""The share of real events, from the top, that is asked for anomalies: below it there are as good as none."""
_BINS, _IN_BIN = 60, 20
"""How many groups of neighbouring scores these are cut into at most, and how many events each has at least."""


@dataclass(frozen=True)
class Tail:
    """Ordinary events above a score: `FEW` per 10,000 above `start`, e times fewer with every `scale` more."""

    start: float
    scale: float

    def above(self, score: np.ndarray) -> np.ndarray:
        """Events per 10,000 above each score, infinite below `start`: nothing is said there."""
        return np.where(score > self.start, FEW * np.exp(-np.maximum(score - self.start, 0) / self.scale), np.inf)


def tail_of(score: np.ndarray, weight: np.ndarray) -> Tail | None:
    """The tail of ordinary events, None where they are too few or all alike. score, weight: (n,), weight for how many
    events each stands."""
    if len(score) < FEWEST_EVENTS:
        return None
    order = np.argsort(-score, kind="stable")
    upto = 10_000 * np.cumsum(weight[order]) / weight.sum()
    few, many = (float(score[order[np.searchsorted(upto, level)]]) for level in (FEW, MANY))
    return Tail(few, (few - many) / np.log(MANY / FEW)) if few > many else None


def anomalous(real: np.ndarray, ordinary: np.ndarray, weight: np.ndarray, tail: Tail) -> np.ndarray:
    """The share of anomalies among real events of a score like each one's, (M,), rising with the score.

    real: (M,) scores of real events, anomalies among them. ordinary, weight: (n,) scores of ordinary events, and for
    how many each stands. tail: theirs.
    """
    top = np.sort(real)[::-1][: int(len(real) * _LOOKED_AT)]
    if not len(top):
        return np.zeros(len(real))
    edges = np.unique(top[:: max(len(top) // _BINS, _IN_BIN)])
    found = _between(_above(real, np.ones(len(real)), edges))
    expected = _between(np.minimum(_above(ordinary, weight, edges), tail.above(edges)))
    share = 1 - np.clip(expected / np.maximum(found, 1e-9), 0, 1)
    rising = isotonic_regression(share, weights=np.maximum(found, 1e-9)).x
    place = np.searchsorted(edges, real, side="right") - 1
    return np.where(place >= 0, rising[np.maximum(place, 0)], 0.0)


def _above(score: np.ndarray, weight: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Events per 10,000 from each score on."""
    order = np.argsort(score)
    sums = np.concatenate([[0], np.cumsum(weight[order][::-1])])
    return 10_000 * sums[len(order) - np.searchsorted(score[order], edges)] / weight.sum()


def _between(above: np.ndarray) -> np.ndarray:
    """Events from each score to the next."""
    return above - np.append(above[1:], 0.0)
