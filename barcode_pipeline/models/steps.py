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

LEVEL = FEATURE_NAMES.index("level_factory")
"""The first of `LEVELS` columns."""
DIRECTION = FEATURE_NAMES.index("direction_in")
"""The first of `DIRECTIONS` columns."""
SAME_PLACE = FEATURE_NAMES.index("same_place")
LOG_HOURS = FEATURE_NAMES.index("log_hours_since_previous")


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
    level = np.argmax(np.asarray(values[:, LEVEL : LEVEL + LEVELS]) != 0, axis=1)
    direction = np.argmax(np.asarray(values[:, DIRECTION : DIRECTION + DIRECTIONS]) != 0, axis=1)
    return Steps(level, direction, (np.asarray(values[:, SAME_PLACE]) != 0).astype(np.int64))


def time_ends() -> np.ndarray:
    """(TIMES - 1,) float16, `HOURS` as the feature has them."""
    return (np.log1p(np.array(HOURS)) / 2).astype(np.float16)


def read_times(values: np.ndarray) -> np.ndarray:
    """(N,) int64, which range of times the time since the event before lies in. values: (N, F)."""
    return np.searchsorted(time_ends(), np.asarray(values[:, LOG_HOURS]), side="right")
