"""Events as steps: level, direction, and whether the place is the previous event's. Nothing finer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from barcode_pipeline.events.steps import DIRECTION_NAMES, LEVEL_UNKNOWN
from barcode_pipeline.sequences.features import FEATURE_NAMES

LEVELS = LEVEL_UNKNOWN + 1
DIRECTIONS = len(DIRECTION_NAMES)
STEPS = LEVELS * DIRECTIONS * 2

_LEVEL = FEATURE_NAMES.index("level_factory")
_DIRECTION = FEATURE_NAMES.index("direction_in")
_SAME_PLACE = FEATURE_NAMES.index("same_place")


class Steps(NamedTuple):
    """level: 0 to 6. direction: 0 to 4. same_place: 0 or 1. Each (N,) int64."""

    level: np.ndarray
    direction: np.ndarray
    same_place: np.ndarray

    def number(self) -> np.ndarray:
        """All three as one number, 0 to `STEPS` - 1."""
        return (self.level * DIRECTIONS + self.direction) * 2 + self.same_place


def read_steps(values: np.ndarray) -> Steps:
    """Steps of events by their features. values: (N, F)."""
    level = np.argmax(np.asarray(values[:, _LEVEL : _LEVEL + LEVELS]) != 0, axis=1)
    direction = np.argmax(np.asarray(values[:, _DIRECTION : _DIRECTION + DIRECTIONS]) != 0, axis=1)
    return Steps(level, direction, (np.asarray(values[:, _SAME_PLACE]) != 0).astype(np.int64))
