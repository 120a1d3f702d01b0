"""Events as steps: level, direction, whether the place is the event's before, and how long after it. Nothing finer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from barcode_pipeline.events.steps import DIRECTION_NAMES, LEVEL_UNKNOWN
from barcode_pipeline.sequences.features import FEATURE_NAMES

LEVELS = LEVEL_UNKNOWN + 1
DIRECTIONS = len(DIRECTION_NAMES)
STEPS = LEVELS * DIRECTIONS * 2

HOURS = (1 / 60, 1 / 6, 0.5, 2.0, 6.0, 12.0, 24.0, 48.0, 96.0, 192.0, 384.0)
"""Where one range of times since the event before ends and the next begins."""
TIMES = len(HOURS) + 1

SYMBOLS = STEPS * TIMES
"""A symbol is a step and a range of times."""

_LEVEL = FEATURE_NAMES.index("level_factory")
_DIRECTION = FEATURE_NAMES.index("direction_in")
_SAME_PLACE = FEATURE_NAMES.index("same_place")
_LOG_HOURS = FEATURE_NAMES.index("log_hours_since_previous")
_ENDS = (np.log1p(np.array(HOURS)) / 2).astype(np.float16)
"""`HOURS` as the feature has them."""


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


def symbols_of(values: np.ndarray) -> np.ndarray:
    """(N,) int64, 0 to `SYMBOLS` - 1. values: (N, F)."""
    times = np.searchsorted(_ENDS, np.asarray(values[:, _LOG_HOURS]), side="right")
    return read_steps(values).number() * TIMES + times
