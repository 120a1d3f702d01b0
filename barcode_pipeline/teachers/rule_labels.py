"""The teacher that repeats the rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from barcode_pipeline.sequences.split import TRAIN, VALIDATION
from barcode_pipeline.teachers.teacher import Lesson, Material, added, own_lesson


@dataclass(frozen=True)
class RuleLabels:
    """The labels of the five rules: what it teaches is the rules' opinion, right or wrong."""

    name: str = "rule_labels"

    def lesson(self, material: Material, before: Lesson | None = None) -> Lesson:
        part = np.asarray(material.training_set.part)
        return added(before, own_lesson(material, material.training_set.rule_labels, part == TRAIN, part == VALIDATION))
