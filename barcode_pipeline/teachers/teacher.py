"""The contract of every teacher, and the list of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from barcode_pipeline.errors import UserError
from barcode_pipeline.sequences.split import TRAIN, VALIDATION
from barcode_pipeline.sequences.training_set import TrainingSet


@dataclass(frozen=True)
class Lesson:
    """targets: (N, 5) bool. train, validation: (N,) bool, the events to learn from and to choose by; a teacher may
    leave out events that it does not trust, and never adds events of evaluation."""

    targets: np.ndarray
    train: np.ndarray
    validation: np.ndarray


class Teacher(Protocol):
    """Says of each event of a training set what it is."""

    @property
    def name(self) -> str: ...

    def lesson(self, training_set: TrainingSet) -> Lesson: ...


@dataclass(frozen=True)
class RuleLabels:
    """The labels of the five rules: what it teaches is the rules' opinion, right or wrong."""

    name: str = "rule_labels"

    def lesson(self, training_set: TrainingSet) -> Lesson:
        part = np.asarray(training_set.part)
        return Lesson(np.asarray(training_set.rule_labels), part == TRAIN, part == VALIDATION)


TEACHERS: dict[str, Teacher] = {teacher.name: teacher for teacher in (RuleLabels(),)}


def teacher_named(name: str) -> Teacher:
    """The teacher of a name, as the configuration gives it."""
    if name not in TEACHERS:
        raise UserError(f"There is no teacher {name!r}; training.teacher is one of {', '.join(TEACHERS)}.")
    return TEACHERS[name]
