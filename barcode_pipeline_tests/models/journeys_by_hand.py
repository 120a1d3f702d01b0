"""Journeys made up feature by feature, for tests of detectors; no rule and no simulator has a hand in them."""

from __future__ import annotations

import numpy as np

from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.journey_features import JourneyFeatures

COLUMN = {name: column for column, name in enumerate(FEATURE_NAMES)}
ORDINARY = ((0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1), (4, 0), (5, 2))
"""(level, direction) of a journey without incident, from the factory to the sale."""


def journeys_of_steps(steps: list[list[tuple[int, int]]]) -> JourneyFeatures:
    """Journeys by the (level, direction) of their events; a level after itself is at the same place."""
    flat = [step for journey in steps for step in journey]
    offsets = np.concatenate([[0], np.cumsum([len(journey) for journey in steps])]).astype(np.int64)
    values = np.zeros((len(flat), len(FEATURE_NAMES)), dtype=np.float16)
    level = np.array([step[0] for step in flat], dtype=np.int64)
    values[np.arange(len(flat)), COLUMN["level_factory"] + level] = 1
    values[np.arange(len(flat)), COLUMN["direction_in"] + np.array([step[1] for step in flat], dtype=np.int64)] = 1
    journeys = JourneyFeatures(values, offsets)
    position = journeys.position()
    values[:, COLUMN["same_place"]] = (position > 0) & (level == np.roll(level, 1))
    values[:, COLUMN["log_position"]] = np.log1p(position)
    return journeys


def random_journeys(seed: int, count: int) -> tuple[JourneyFeatures, np.ndarray]:
    """Journeys in batches of near copies, and (N, 5) bool targets, each told by a feature of its own."""
    random = np.random.default_rng(seed)
    steps: list[list[tuple[int, int]]] = []
    while len(steps) < count:
        route = list(ORDINARY[: random.integers(1, len(ORDINARY) + 1)])
        if random.random() < 0.1:
            random.shuffle(route)
        steps.extend([route] * int(random.integers(1, 4)))
    journeys = journeys_of_steps(steps[:count])
    values, rows = journeys.values, len(journeys)
    values[:, COLUMN["code_six_parts"]] = random.random(rows) > 0.03
    values[:, COLUMN["sites_in_second"]] = random.random(rows) < 0.03
    values[:, COLUMN["log_hours_since_previous"]] = random.integers(0, 9, rows) / 4
    values[:, COLUMN["log_distance"]] = random.integers(0, 9, rows) / 4
    values[:, COLUMN["level_change"]] = random.choice([0.0, 0.5, -0.5], rows, p=[0.5, 0.45, 0.05])
    targets = np.column_stack(
        [
            values[:, COLUMN["code_six_parts"]] == 0,
            values[:, COLUMN["sites_in_second"]] == 1,
            values[:, COLUMN["log_distance"]] == 2,
            values[:, COLUMN["level_change"]] < 0,
            (values[:, COLUMN["log_distance"]] > 1) & (values[:, COLUMN["log_hours_since_previous"]] < 0.5),
        ]
    )
    return journeys, targets
