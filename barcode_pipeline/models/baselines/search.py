"""A fair search of a detector's settings: a small declared grid, judged on validation alone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from sklearn.metrics import average_precision_score

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.models.detector import Detector
from barcode_pipeline.sequences.journey_features import JourneyFeatures

FEWEST_POSITIVES = 5
"""Validation events with a label below which it has no say."""
SEARCH_EVENTS = 100_000
"""Events of the journeys that settings are tried on, at most."""


class Taught(Protocol):
    """What a lesson holds, as teachers give it."""

    @property
    def journeys(self) -> JourneyFeatures: ...
    @property
    def targets(self) -> np.ndarray: ...
    @property
    def train(self) -> np.ndarray: ...
    @property
    def validation(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Tried:
    """Settings and what they came to. pr_auc: macro average precision on validation, None where no label has enough
    positives. seconds: of learning and scoring."""

    settings: dict[str, Any]
    pr_auc: float | None
    seconds: float


D = TypeVar("D", bound=Detector)


@dataclass(frozen=True)
class Searched(Generic[D]):
    """detector: of the best settings, learnt from the whole lesson. tried: every settings, in the order of the grid."""

    detector: D
    settings: dict[str, Any]
    tried: tuple[Tried, ...]

    def record(self) -> dict[str, Any]:
        """Plain values, to be kept beside the results."""
        return {"settings": self.settings, "tried": [asdict(one) for one in self.tried]}


def search(
    make: Callable[..., D],
    grid: Sequence[Mapping[str, Any]],
    lesson: Taught,
    most: int = SEARCH_EVENTS,
    seed: int = 0,
) -> Searched[D]:
    """The settings of the grid with the highest macro average precision on validation; of equal ones the first.

    make: takes settings by name. most: events that settings are tried on; journeys are drawn where there are more,
    those with a label up to half of them, and those left stand for the others of their kind.
    """
    if not grid:
        raise ValueError("A search needs settings to try.")
    if not (lesson.train > 0).any():
        raise UserError("There is no event to learn from: the training part of the data is empty.")
    tried = []
    if len(grid) > 1:
        part = _part(lesson, most, np.random.default_rng(seed))
        tried = [_try(make, settings, part) for settings in grid]
    known = [-math.inf if one.pr_auc is None else one.pr_auc for one in tried] or [0.0]
    settings = dict(grid[int(np.argmax(known))])
    return Searched(make(**settings).fit(lesson.journeys, lesson.targets, lesson.train), settings, tuple(tried))


@dataclass(frozen=True)
class _Part:
    journeys: JourneyFeatures
    targets: np.ndarray
    train: np.ndarray
    validation: np.ndarray


def _part(lesson: Taught, most: int, random: np.random.Generator) -> _Part:
    """A part of the lesson's journeys, weighted to stand for all."""
    journeys, lengths = lesson.journeys, np.diff(lesson.journeys.offsets)
    weighed = (lesson.train > 0) | (lesson.validation > 0)
    matters = journeys.with_any(weighed)
    labelled = journeys.with_any(weighed & lesson.targets.any(axis=1))
    kinds = (matters & labelled, matters & ~labelled)
    events = [int(lengths[kind].sum()) for kind in kinds]
    few = min(events[0], max(most // 2, most - events[1]))
    factor = np.zeros(len(lengths))
    for kind, count, wanted in zip(kinds, events, (few, most - few), strict=True):
        share = min(1.0, wanted / max(count, 1))
        factor[kind & (random.random(len(lengths)) < share)] = 1 / share if share else 0
    chosen, rows = journeys.select(factor > 0)
    of_event = np.repeat(factor[factor > 0], np.diff(chosen.offsets)).astype(np.float32)
    return _Part(chosen, lesson.targets[rows], lesson.train[rows] * of_event, lesson.validation[rows] * of_event)


def _try(make: Callable[..., D], settings: Mapping[str, Any], part: _Part) -> Tried:
    started = time.perf_counter()
    score = make(**settings).fit(part.journeys, part.targets, part.train).score(part.journeys)
    return Tried(dict(settings), _macro(score, part), round(time.perf_counter() - started, 3))


def _macro(score: np.ndarray, part: _Part) -> float | None:
    judged = part.validation > 0
    found = [
        average_precision_score(
            part.targets[judged, label], score[judged, label], sample_weight=part.validation[judged]
        )
        for label in range(len(LABELS))
        if part.targets[judged, label].sum() >= FEWEST_POSITIVES
    ]
    return float(np.mean(found)) if found else None
