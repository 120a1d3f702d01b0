"""How a second opinion is heard without giving an alert: it orders what the first holds for all but ordinary."""

from __future__ import annotations

import numpy as np

CEILING = 0.05
"""The second opinion lifts no probability beyond it, nor beyond half a threshold."""


def lifted(probabilities: np.ndarray, second: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """(N, 5) float32: a probability below the ceiling becomes the second opinion's share of the ceiling where that is
    more; all others stay, and so does every alert.

    probabilities, second: (N, 5) in 0 to 1. threshold: (5,), from where on there is an alert.
    """
    ceiling = np.minimum(CEILING, threshold / 2)
    more = np.where(probabilities < ceiling, np.maximum(probabilities, ceiling * second), probabilities)
    return np.asarray(more, dtype=np.float32)
