"""The search of settings: what it may look at, what it takes, and what it writes down."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from barcode_pipeline.errors import UserError
from barcode_pipeline.models.baselines.decision_tree import DecisionTree
from barcode_pipeline.models.baselines.search import FEWEST_POSITIVES, search
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline_tests.models.journeys_by_hand import random_journeys


@dataclass(frozen=True)
class Lesson:
    journeys: JourneyFeatures
    targets: np.ndarray
    train: np.ndarray
    validation: np.ndarray


def lesson_of(count: int = 400) -> Lesson:
    journeys, targets = random_journeys(0, count)
    kind = np.repeat(np.random.default_rng(1).integers(0, 4, count), np.diff(journeys.offsets))
    train, validation = (kind < 2).astype(np.float32), (kind == 2).astype(np.float32)
    return Lesson(journeys, targets, train, validation)


LESSON = lesson_of()
GRID = ({"leaves": 2}, {"leaves": 30}, {"leaves": 3})


@dataclass
class Seen:
    """A detector that scores by a feature, or by nothing, and keeps what it was given."""

    by: int = -1
    name = "seen"

    def fit(self, journeys: JourneyFeatures, targets: np.ndarray, use: np.ndarray) -> Seen:
        GIVEN.append((journeys, targets, use))
        return self

    def score(self, journeys: JourneyFeatures) -> np.ndarray:
        by = np.zeros(len(journeys)) if self.by < 0 else -journeys.values[:, self.by].astype(float)
        return np.repeat(by[:, None], 5, axis=1).astype(np.float32)


GIVEN: list = []


@pytest.fixture(autouse=True)
def _forget() -> None:
    GIVEN.clear()


def test_the_best_on_validation_learns_from_the_whole_lesson() -> None:
    found = search(DecisionTree, GRID, LESSON)
    assert found.settings == {"leaves": 30}
    assert [one.settings for one in found.tried] == list(GRID)
    assert max(one.pr_auc for one in found.tried) == found.tried[1].pr_auc > found.tried[0].pr_auc
    expected = DecisionTree(leaves=30).fit(LESSON.journeys, LESSON.targets, LESSON.train)
    assert np.array_equal(found.detector.score(LESSON.journeys), expected.score(LESSON.journeys))
    assert json.loads(json.dumps(found.record()))["settings"] == {"leaves": 30}


def test_what_is_neither_learnt_from_nor_validated_by_plays_no_part() -> None:
    outside = (LESSON.train == 0) & (LESSON.validation == 0)
    assert outside.any()
    turned = replace(LESSON, targets=np.where(outside[:, None], ~LESSON.targets, LESSON.targets))
    one, two = search(DecisionTree, GRID, LESSON), search(DecisionTree, GRID, turned)
    assert [tried.pr_auc for tried in one.tried] == [tried.pr_auc for tried in two.tried]
    assert np.array_equal(one.detector.score(LESSON.journeys), two.detector.score(LESSON.journeys))


def test_validation_chooses_and_training_does_not() -> None:
    """Of two features each tells the label in one part only."""
    targets = LESSON.targets.copy()
    values = LESSON.journeys.values.copy()
    random = np.random.default_rng(5).random(len(targets)) < 0.5
    values[:, 0] = np.where(LESSON.validation > 0, ~targets[:, 4], random)
    values[:, 1] = np.where(LESSON.train > 0, ~targets[:, 4], random)
    targets[:, :4] = False
    given = Lesson(JourneyFeatures(values, LESSON.journeys.offsets), targets, LESSON.train, LESSON.validation)
    assert search(Seen, ({"by": 1}, {"by": 0}), given).settings == {"by": 0}


def test_of_equals_the_first_is_taken_also_where_nothing_can_be_judged() -> None:
    few = np.cumsum(LESSON.targets & (LESSON.validation > 0)[:, None], axis=0) < FEWEST_POSITIVES
    rare = replace(LESSON, targets=LESSON.targets & few)
    found = search(Seen, ({"by": -1}, {"by": 0}), rare)
    assert found.settings == {"by": -1} and [one.pr_auc for one in found.tried] == [None, None]


def test_settings_are_tried_on_a_part_that_stands_for_all() -> None:
    lesson = lesson_of(3000)
    search(Seen, GRID_OF_SEEN, lesson, most=4000)
    (part, targets, weight), (whole, *_) = GIVEN[0], GIVEN[-1]
    assert whole is lesson.journeys
    assert 3000 < len(part) < 5000 < len(whole)
    positive = (lesson.train > 0) & lesson.targets.any(axis=1)
    assert weight.sum() == pytest.approx(lesson.train.sum(), rel=0.1)
    assert weight[targets.any(axis=1)].sum() == pytest.approx(positive.sum(), rel=0.15)
    again = len(GIVEN)
    search(Seen, GRID_OF_SEEN, lesson, most=4000)
    assert np.array_equal(GIVEN[again][2], weight)


GRID_OF_SEEN = ({"by": 0}, {"by": 1})


def test_where_few_journeys_have_a_label_all_of_them_are_tried() -> None:
    lesson = lesson_of(3000)
    few = np.repeat(np.random.default_rng(2).random(3000) < 0.05, np.diff(lesson.journeys.offsets))
    lesson = replace(lesson, targets=lesson.targets & few[:, None])
    search(Seen, GRID_OF_SEEN, lesson, most=4000)
    _, targets, weight = GIVEN[0]
    assert weight[targets.any(axis=1)].tolist() == lesson.train[lesson.targets.any(axis=1) & taught(lesson)].tolist()


def taught(lesson: Lesson) -> np.ndarray:
    """Events of journeys that play a part."""
    matters = lesson.journeys.with_any((lesson.train > 0) | (lesson.validation > 0))
    return np.repeat(matters, np.diff(lesson.journeys.offsets))


def test_one_settings_needs_no_trial() -> None:
    found = search(Seen, ({},), LESSON)
    assert found.tried == () and len(GIVEN) == 1 and GIVEN[0][0] is LESSON.journeys


def test_nothing_to_learn_from_or_to_try_is_said() -> None:
    with pytest.raises(UserError, match="no event to learn from"):
        search(DecisionTree, GRID, replace(LESSON, train=np.zeros_like(LESSON.train)))
    with pytest.raises(ValueError, match="settings to try"):
        search(DecisionTree, (), LESSON)
