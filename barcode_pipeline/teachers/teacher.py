"""The contract of every teacher: what it is given, and what it gives. No teacher stands here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from barcode_pipeline.events.journeys import Events
from barcode_pipeline.events.places import Reference
from barcode_pipeline.rules.settings import RuleSettings
from barcode_pipeline.sequences.journey_features import JourneyFeatures, joined
from barcode_pipeline.sequences.split import VALIDATION
from barcode_pipeline.sequences.training_set import TrainingSet
from barcode_pipeline.teachers.planting.settings import PlantingSettings

NOT_PLANTED = -1
NO_ROW = -1


@dataclass(frozen=True)
class Lesson:
    """Journeys to learn from, the training set's own or others made of them, and what each event is.

    journeys: N events. targets: (N, 5) bool. train, validation: (N,) float32, the weight of an event in learning,
    and in choosing (early stopping, calibration, thresholds); 0 where it plays no part but as what came before
    others. An event that evaluation needs never has a weight.
    row: (N,) int64, the event's row in the training set, `NO_ROW` for one that was made up.
    family: (N,) int16 into `families`, the planted anomaly that an event bears, `NOT_PLANTED` for none: for
    diagnosis, and for teachers that amend what others said.
    """

    journeys: JourneyFeatures
    targets: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    row: np.ndarray
    family: np.ndarray
    families: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.targets)

    def fingerprint(self) -> str:
        """A short hash of all that is learnt from: what a checkpoint of another lesson is told by."""
        digest = hashlib.blake2b(digest_size=8)
        for array in (self.journeys.offsets, self.journeys.values, self.targets, self.train, self.validation):
            digest.update(np.ascontiguousarray(array).view(np.uint8).data)
        return digest.hexdigest()

    def with_weights(self, train: np.ndarray, validation: np.ndarray) -> Lesson:
        """The same events, weighted otherwise."""
        return replace(self, train=train.astype(np.float32), validation=validation.astype(np.float32))


@dataclass(frozen=True)
class Material:
    """What teachers look at.

    training_set: all sequences, in journey order. read_events: the same events, in the same order, as the rules and
    features read them; called once, and only by teachers that make journeys of their own.
    suspects: (N,) bool by row of the training set, events that something other than the rules holds for anomalous (a
    first model, a verdict): their EPCs are no example of what is ordinary. None: nobody has looked.
    planting: how anomalies are planted. seed: of whatever a teacher draws at random.
    """

    training_set: TrainingSet
    read_events: Callable[[], Events]
    reference: Reference
    rules: RuleSettings
    planting: PlantingSettings = field(default_factory=PlantingSettings)
    seed: int = 0
    suspects: np.ndarray | None = field(default=None)

    @cached_property
    def events(self) -> Events:
        """Row n is row n of the training set."""
        return self.read_events()

    @property
    def journeys(self) -> JourneyFeatures:
        return JourneyFeatures(self.training_set.features, np.asarray(self.training_set.offsets))

    def real_validation(self) -> tuple[JourneyFeatures, np.ndarray]:
        """Journeys of validation lots as they are, nothing planted, and (n,) bool which of their events are of use:
        what came after the cut is not."""
        part = np.asarray(self.training_set.part)
        journeys, rows = self.journeys.select(self.journeys.with_any(part == VALIDATION))
        return journeys, part[rows] == VALIDATION

    def with_suspects(self, suspects: np.ndarray) -> Material:
        """The same, with (N,) suspects; events that were read are not read again."""
        return replace(self, suspects=suspects, read_events=lambda: self.events)


class Teacher(Protocol):
    """Says of events what they are."""

    @property
    def name(self) -> str: ...

    def lesson(self, material: Material, before: Lesson | None) -> Lesson:
        """What the teachers before it said, and what this one adds or amends. before: None for the first."""
        ...


def teach(teachers: Sequence[Teacher], material: Material) -> Lesson:
    """The lesson of some teachers, each hearing what those before it said; at least one."""
    lesson: Lesson | None = None
    for teacher in teachers:
        lesson = teacher.lesson(material, lesson)
    if lesson is None:
        raise ValueError("A lesson needs a teacher.")
    return lesson


def own_lesson(material: Material, targets: np.ndarray, train: np.ndarray, validation: np.ndarray) -> Lesson:
    """A lesson about the events of the training set as they are. targets: (N, 5); weights: (N,)."""
    count = len(material.training_set)
    return Lesson(
        material.journeys,
        np.asarray(targets, dtype=bool),
        np.asarray(train, dtype=np.float32),
        np.asarray(validation, dtype=np.float32),
        np.arange(count),
        np.full(count, NOT_PLANTED, dtype=np.int16),
    )


def added(before: Lesson | None, more: Lesson) -> Lesson:
    """Both lessons, one after the other; `before` may be missing."""
    if before is None:
        return more
    families = before.families + tuple(name for name in more.families if name not in before.families)
    place = np.array([*(families.index(name) for name in more.families), NOT_PLANTED], dtype=np.int16)
    return Lesson(
        joined([before.journeys, more.journeys]),
        np.concatenate([before.targets, more.targets]),
        np.concatenate([before.train, more.train]),
        np.concatenate([before.validation, more.validation]),
        np.concatenate([before.row, more.row]),
        np.concatenate([before.family, place[more.family]]),
        families,
    )
