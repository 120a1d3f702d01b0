"""The teacher that repeats verdicts: what overrides what, with which weight, and what stays out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.rules.settings import RuleSettings
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline.sequences.split import PART_NAMES, TRAIN, VALIDATION
from barcode_pipeline.sequences.training_set import TrainingSet
from barcode_pipeline.teachers.rule_labels import RuleLabels
from barcode_pipeline.teachers.teacher import NO_ROW, NOT_PLANTED, Lesson, Material, added, teach
from barcode_pipeline.teachers.verdicts import WEIGHT, Judged, Verdicts, amended
from barcode_pipeline_tests.rules.reference_rules import Site
from barcode_pipeline_tests.worlds import reference

EVENTS, LENGTH = 100, 5


def material(seed: int = 0) -> Material:
    random = np.random.default_rng(seed)
    training_set = TrainingSet(
        features=np.arange(EVENTS, dtype=np.float16)[:, None].repeat(3, axis=1),
        rule_labels=random.random((EVENTS, 5)) < 0.3,
        offsets=np.arange(0, EVENTS + 1, LENGTH),
        time=np.arange(EVENTS),
        lot=np.zeros(EVENTS, np.int32),
        part=random.integers(0, len(PART_NAMES), EVENTS).astype(np.uint8),
        source=np.arange(EVENTS),
        about={},
    )

    def no_events():
        raise AssertionError("verdicts need no events")

    return Material(training_set, no_events, reference([Site(1, "Plant", 37.4, 126.6)], []), RuleSettings())


def said(seed: int = 1, share: float = 0.2) -> Judged:
    random = np.random.default_rng(seed)
    judged = random.random((EVENTS, 5)) < share
    return Judged(judged, judged & (random.random((EVENTS, 5)) < 0.5))


def test_alone_it_teaches_judged_events_in_their_whole_journeys():
    given_material, verdicts = material(), said()
    lesson = Verdicts(verdicts, weight=30, validation_weight=2).lesson(given_material)
    part = given_material.training_set.part
    usable = verdicts.judged.any(axis=1) & np.isin(part, (TRAIN, VALIDATION))
    np.testing.assert_array_equal(np.unique(lesson.row[lesson.train > 0]), np.flatnonzero(usable & (part == TRAIN)))
    np.testing.assert_array_equal(lesson.train[lesson.train > 0], 30)
    np.testing.assert_array_equal(lesson.row[lesson.validation > 0], np.flatnonzero(usable & (part == VALIDATION)))
    np.testing.assert_array_equal(lesson.validation[lesson.validation > 0], 2)
    # Whole journeys, unchanged.
    assert (np.diff(lesson.journeys.offsets) == LENGTH).all()
    np.testing.assert_array_equal(lesson.journeys.values, given_material.training_set.features[lesson.row])
    judged = verdicts.judged[lesson.row] & np.isin(part, (TRAIN, VALIDATION))[lesson.row, None]
    np.testing.assert_array_equal(lesson.targets[judged], verdicts.holds[lesson.row][judged])
    np.testing.assert_array_equal(
        lesson.targets[~judged], np.asarray(given_material.training_set.rule_labels)[lesson.row][~judged]
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.booleans())
def test_evaluation_is_never_taught(world, answers, with_rules):
    given_material = material(world)
    teachers = (RuleLabels(), Verdicts(said(answers))) if with_rules else (Verdicts(said(answers)),)
    lesson = teach(teachers, given_material)
    part = given_material.training_set.part[lesson.row]
    assert not (lesson.train[part != TRAIN] > 0).any()
    assert not (lesson.validation[part != VALIDATION] > 0).any()
    held_out = ~np.isin(part, (TRAIN, VALIDATION))
    rules = np.asarray(given_material.training_set.rule_labels)[lesson.row]
    np.testing.assert_array_equal(lesson.targets[held_out], rules[held_out])


def test_after_the_rules_the_verdict_has_the_last_word():
    given_material, verdicts = material(), said()
    before = RuleLabels().lesson(given_material)
    lesson = Verdicts(verdicts).lesson(given_material, before)
    assert len(lesson) > len(before)
    part = np.asarray(given_material.training_set.part)
    judged = verdicts.judged & np.isin(part, (TRAIN, VALIDATION))[:, None]
    assert (lesson.targets[:EVENTS] == np.where(judged, verdicts.holds, before.targets)).all()
    assert (lesson.targets[:EVENTS] != before.targets).any()
    # What the rules taught keeps its weight; the judged journeys come once more.
    np.testing.assert_array_equal(lesson.train[:EVENTS], before.train)


def planted_on(given_material: Material) -> Lesson:
    """A lesson of the first two journeys, with an anomaly planted into event 2 and one made up beside it."""
    row = np.array([0, 1, 2, NO_ROW, 3, 4, 5, 6, 7, 8, 9])
    family = np.full(len(row), NOT_PLANTED, dtype=np.int16)
    family[2] = 0
    targets = np.zeros((len(row), 5), dtype=bool)
    targets[2, 4] = True
    values = np.zeros((len(row), 3), dtype=np.float16)
    weight = np.ones(len(row), dtype=np.float32)
    offsets = np.array([0, 6, 11])
    return Lesson(JourneyFeatures(values, offsets), targets, weight, 0 * weight, row, family, ("too_fast",))


def test_a_verdict_says_nothing_of_an_event_that_an_anomaly_was_planted_into():
    judged = np.zeros((EVENTS, 5), dtype=bool)
    judged[:4, 4] = True
    holds = judged.copy()
    holds[:3] = False
    lesson = amended(planted_on(material()), Judged(judged, holds))
    assert lesson.targets[:, 4].tolist() == [False, False, True, False, True, *[False] * 6]
    assert not lesson.targets[:, :4].any()


def test_labels_that_nobody_judged_are_taken_from_the_teacher_before():
    """The planter held an event for ordinary that the rules have something against."""
    given_material = material()
    given_material.training_set.rule_labels[:] = True
    given_material.training_set.part[:] = TRAIN
    judged = np.zeros((EVENTS, 5), dtype=bool)
    judged[[7, 50], 0] = True
    lesson = Verdicts(Judged(judged, judged)).lesson(given_material, planted_on(given_material))
    taught = {int(lesson.row[place]): lesson.targets[place].tolist() for place in range(11, len(lesson))}
    assert taught[7] == [True, False, False, False, False]
    assert taught[50] == [True] * 5
    opinion = np.zeros((EVENTS, 5), dtype=bool)
    lesson = Verdicts(Judged(judged, judged), opinion=opinion).lesson(given_material, planted_on(given_material))
    assert lesson.targets[lesson.row == 50].tolist() == [[True, False, False, False, False]]


@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_verdict_weighs_against_all_that_the_lesson_has_of_an_ordinary_event(times):
    given_material, verdicts = material(), said()
    before = once = RuleLabels().lesson(given_material)
    for _ in range(times - 1):
        before = added(before, once)
    lesson = Verdicts(verdicts).lesson(given_material, before)
    weighs = np.unique(lesson.train[len(before) :])
    np.testing.assert_allclose(weighs, [0, WEIGHT * times])


def test_without_verdicts_nothing_changes():
    given_material = material()
    nobody = Judged(np.zeros((EVENTS, 5), bool), np.zeros((EVENTS, 5), bool))
    before = RuleLabels().lesson(given_material)
    lesson = Verdicts(nobody).lesson(given_material, before)
    np.testing.assert_array_equal(lesson.targets, before.targets)
    assert len(lesson) == len(before)
    assert len(Verdicts(nobody).lesson(given_material)) == 0


def test_confirmed_events_are_no_example_of_the_ordinary():
    judged = np.array([[True, False, False, False, False]] * 3)
    assert Judged(judged, judged & [[True], [False], [True]]).confirmed().tolist() == [True, False, True]


@pytest.mark.parametrize("weight", [1.0, 20.0])
def test_the_weight_is_a_setting(weight):
    assert set(Verdicts(said(), weight=weight).lesson(material()).train.tolist()) == {0.0, weight}
