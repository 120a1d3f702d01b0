"""What teachers say, and of which events: never of one that evaluation needs."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from barcode_pipeline.configuration import TrainingSection
from barcode_pipeline.errors import UserError
from barcode_pipeline.sequences.split import PART_NAMES, TRAIN, VALIDATION
from barcode_pipeline.sequences.training_set import TrainingSet
from barcode_pipeline.teachers.teacher import TEACHERS, teacher_named


@pytest.fixture
def training_set():
    random = np.random.default_rng(0)
    count = 100
    return TrainingSet(
        features=np.zeros((count, 3), np.float16),
        rule_labels=random.random((count, 5)) < 0.3,
        offsets=np.arange(0, count + 1, 5),
        time=np.arange(count),
        lot=np.zeros(count, np.int32),
        part=random.integers(0, len(PART_NAMES), count).astype(np.uint8),
        source=np.arange(count),
        about={},
    )


@pytest.mark.parametrize("teacher", TEACHERS.values(), ids=TEACHERS)
def test_a_teacher_leaves_evaluation_alone(teacher, training_set):
    lesson = teacher.lesson(training_set)
    assert not (lesson.train & (training_set.part != TRAIN)).any()
    assert not (lesson.validation & (training_set.part != VALIDATION)).any()
    assert lesson.targets.shape == training_set.rule_labels.shape
    assert lesson.targets.dtype == lesson.train.dtype == lesson.validation.dtype == bool
    assert lesson.train.any()
    assert lesson.validation.any()


def test_rule_labels_are_taught_as_they_are(training_set):
    lesson = teacher_named("rule_labels").lesson(training_set)
    np.testing.assert_array_equal(lesson.targets, training_set.rule_labels)
    np.testing.assert_array_equal(lesson.train, training_set.part == TRAIN)
    np.testing.assert_array_equal(lesson.validation, training_set.part == VALIDATION)


def test_every_teacher_can_be_configured_and_no_other():
    assert set(get_args(TrainingSection.model_fields["teacher"].annotation)) == set(TEACHERS)
    assert all(name == teacher.name for name, teacher in TEACHERS.items())


def test_an_unknown_teacher_is_refused_by_key():
    with pytest.raises(UserError, match=r"no teacher 'nobody'; training\.teacher is one of rule_labels"):
        teacher_named("nobody")
