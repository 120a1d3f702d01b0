"""A lesson cut down to so many journeys."""

from __future__ import annotations

import numpy as np

from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.teachers.teacher import Lesson
from barcode_pipeline.teachers.thinning import thinned


def lesson_of(journeys: int, heavy: int = 0) -> Lesson:
    """Journeys of three events; the last journey is validation's; some bear verdicts on their last event."""
    count = 3 * (journeys + 1)
    train, validation = np.ones(count, np.float32), np.zeros(count, np.float32)
    train[-3:], validation[-3:] = 0, 1
    train[2 : 3 * heavy : 3] = 20
    return Lesson(
        JourneyFeatures(np.zeros((count, len(FEATURE_NAMES)), np.float16), np.arange(0, count + 1, 3)),
        np.zeros((count, 5), bool),
        train,
        validation,
        np.arange(count),
        np.full(count, -1, np.int16),
    )


def taught(lesson: Lesson) -> np.ndarray:
    return np.flatnonzero((lesson.train > 0).reshape(-1, 3).all(axis=1))


def test_as_many_whole_journeys_as_asked_for():
    lesson = lesson_of(50)
    cut = thinned(lesson, 20, (1, 2))
    assert len(taught(cut)) == 20 and (cut.train > 0).sum() == 60
    np.testing.assert_array_equal(cut.validation, lesson.validation)
    np.testing.assert_array_equal(taught(cut), taught(thinned(lesson, 20, (1, 2))))
    assert set(taught(cut)) != set(taught(thinned(lesson, 20, (1, 3))))


def test_a_small_lesson_stays_as_it_is():
    lesson = lesson_of(10)
    assert thinned(lesson, 10, (1,)) is lesson


def test_verdicts_all_stay():
    cut = thinned(lesson_of(50, heavy=15), 20, (1,))
    assert set(range(15)) <= set(taught(cut)) and len(taught(cut)) == 20
    assert (cut.train == 20).sum() == 15
    assert len(taught(thinned(lesson_of(50, heavy=15), 5, (1,)))) == 15
