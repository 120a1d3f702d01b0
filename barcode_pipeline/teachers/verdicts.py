"""The teacher that repeats what investigators found out. Reading their verdicts is `events.verdicts`'.

Verdicts override what other teachers say of the same label of the same event, and each judged event is learnt from
once more in its real journey, with a weight that lets a few hundred matter beside hundreds of thousands, however often
the lesson holds each of these. Verdicts on events of evaluation teach nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from barcode_pipeline.sequences.split import TRAIN, VALIDATION
from barcode_pipeline.teachers.teacher import NO_ROW, NOT_PLANTED, Lesson, Material, added

WEIGHT = 10.0
"""Learning weight of a judged event; all that the lesson has of an ordinary one weigh 1 together."""
VALIDATION_WEIGHT = 0.5
"""The same in validation."""


@dataclass(frozen=True)
class Judged:
    """What investigators said, by row of the training set.

    judged, holds: (N, 5) bool, the labels that have a verdict, and those of them that were confirmed.
    """

    judged: np.ndarray
    holds: np.ndarray

    def confirmed(self) -> np.ndarray:
        """(N,) bool, events with a confirmed label: their EPCs are no example of what is ordinary."""
        return (self.judged & self.holds).any(axis=1)


@dataclass(frozen=True)
class Verdicts:
    """The verdicts of investigators.

    opinion: (N, 5) bool by row of the training set, what to take for the labels of a judged event that nobody has
    judged and no teacher before has spoken of; None: the rules' labels.
    """

    verdicts: Judged
    weight: float = WEIGHT
    validation_weight: float = VALIDATION_WEIGHT
    opinion: np.ndarray | None = None
    name: str = "verdicts"

    def lesson(self, material: Material, before: Lesson | None = None) -> Lesson:
        part = np.asarray(material.training_set.part)
        allowed = (part == TRAIN) | (part == VALIDATION)
        usable = replace(self.verdicts, judged=self.verdicts.judged & allowed[:, None])
        before = None if before is None else amended(before, usable)
        targets = np.array(material.training_set.rule_labels if self.opinion is None else self.opinion, dtype=bool)
        if before is not None:
            _take_over(targets, before)
        targets = np.where(usable.judged, usable.holds, targets)
        times = 1.0 if before is None else times_held(before)
        events = np.asarray(usable.judged.any(axis=1))
        journeys = material.journeys
        chosen, rows = journeys.select(journeys.with_any(events))
        return added(
            before,
            Lesson(
                chosen,
                targets[rows],
                np.where(events & (part == TRAIN), times * self.weight, 0)[rows].astype(np.float32),
                np.where(events & (part == VALIDATION), times * self.validation_weight, 0)[rows].astype(np.float32),
                rows,
                np.full(len(rows), NOT_PLANTED, dtype=np.int16),
            ),
        )


def times_held(lesson: Lesson) -> float:
    """What all that a lesson has of an ordinary event weigh in learning, in the mean; 1 where it has none."""
    real = (lesson.row != NO_ROW) & (lesson.family == NOT_PLANTED) & (lesson.train > 0)
    events = np.count_nonzero(np.bincount(lesson.row[real]))
    return float(lesson.train[real].sum()) / events if events else 1.0


def amended(lesson: Lesson, verdicts: Judged) -> Lesson:
    """The lesson with each judged label of a real event as the verdict has it. Where an anomaly was planted into an
    event, a verdict on the event as it was says nothing."""
    real = np.flatnonzero((lesson.row != NO_ROW) & (lesson.family == NOT_PLANTED))
    row = lesson.row[real]
    targets = np.array(lesson.targets)
    targets[real] = np.where(verdicts.judged[row], verdicts.holds[row], targets[real])
    return replace(lesson, targets=targets)


def _take_over(targets: np.ndarray, before: Lesson) -> None:
    """Write into `targets` (by row of the training set) what the lesson says of real events that it teaches."""
    spoken = np.flatnonzero(
        (before.row != NO_ROW) & (before.family == NOT_PLANTED) & ((before.train > 0) | (before.validation > 0))
    )
    targets[before.row[spoken]] = before.targets[spoken]
