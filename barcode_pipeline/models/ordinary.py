"""What is ordinary for a step, feature by feature: learnt from training events without a label."""

from __future__ import annotations

import numpy as np

from barcode_pipeline.events.steps import DIRECTION_NAMES, LEVEL_UNKNOWN
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.journey_features import JourneyFeatures

QUANTILES = (0.05, 0.5, 0.95)
FEWEST = 30
"""Events of a step below which what is ordinary overall stands for it."""
_DRAWN = 2000
_DIRECTIONS = len(DIRECTION_NAMES)
STEP_NUMBERS = (LEVEL_UNKNOWN + 1) * _DIRECTIONS
_LEVEL, _DIRECTION = FEATURE_NAMES.index("level_factory"), FEATURE_NAMES.index("direction_in")


def step_numbers(values: np.ndarray) -> np.ndarray:
    """Level × directions + direction of events by their features, (n, F) -> (n,) int64."""
    level = np.argmax(values[:, _LEVEL : _LEVEL + LEVEL_UNKNOWN + 1] != 0, axis=1)
    return level * _DIRECTIONS + np.argmax(values[:, _DIRECTION : _DIRECTION + _DIRECTIONS] != 0, axis=1)


def nothing_ordinary() -> np.ndarray:
    """What stands where nothing is known: zeros."""
    return np.zeros((STEP_NUMBERS + 1, len(QUANTILES), len(FEATURE_NAMES)), dtype=np.float16)


def ordinary_values(journeys: JourneyFeatures, targets: np.ndarray, weight: np.ndarray, seed: int = 0) -> np.ndarray:
    """Quantiles of each feature over ordinary events of each step, and last over those of all steps.

    (steps + 1, 3, F) float16; `QUANTILES`. Of each step some events are drawn by their weight. Values are such as
    occurred: nothing is interpolated, so that what is ordinary for yes or no is yes or no.
    """
    rows = np.flatnonzero((weight > 0) & ~targets.any(axis=1))
    out = nothing_ordinary()
    if not len(rows):
        return out
    random = np.random.default_rng(seed)
    steps = step_numbers(np.asarray(journeys.values[:, : _DIRECTION + _DIRECTIONS])[rows])
    out[:] = _quantiles(journeys.values, rows, weight, random)
    for step, count in enumerate(np.bincount(steps, minlength=STEP_NUMBERS)):
        if count >= FEWEST:
            out[step] = _quantiles(journeys.values, rows[steps == step], weight, random)
    return out


def _quantiles(values: np.ndarray, rows: np.ndarray, weight: np.ndarray, random: np.random.Generator) -> np.ndarray:
    share = weight[rows].astype(np.float64)
    drawn = np.sort(random.choice(rows, _DRAWN, p=share / share.sum()))
    return np.quantile(np.asarray(values[drawn]), QUANTILES, axis=0, method="inverted_cdf")
