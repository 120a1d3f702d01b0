"""What teachers say, and of which events: never of one that evaluation needs."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from barcode_pipeline.configuration import TeacherName
from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.learning import material_of
from barcode_pipeline.sequences.journey_features import JourneyFeatures, joined
from barcode_pipeline.sequences.split import KNOWN_LOTS, TRAIN, VALIDATION
from barcode_pipeline.sequences.training_set import read_training_set
from barcode_pipeline.teachers.planted import PlantedAnomalies, at_base_rate, suspicious
from barcode_pipeline.teachers.planting.families import FAMILIES, FAMILY_NAMES, labels_of
from barcode_pipeline.teachers.planting.settings import OrdinaryNoise, PlantingSettings
from barcode_pipeline.teachers.registry import TEACHERS, teachers_named
from barcode_pipeline.teachers.rule_labels import RuleLabels
from barcode_pipeline.teachers.teacher import NO_ROW, NOT_PLANTED, teach
from barcode_pipeline.teachers.verdicts import Judged


@pytest.fixture
def material(small_project):
    """A small world's, planted upon once."""
    found = material_of(small_project.workspace, read_training_set(small_project.workspace.training))
    return replace(found, planting=PlantingSettings(copies=1))


def nobody_has_judged(material):
    nothing = np.zeros((len(material.training_set), len(LABELS)), dtype=bool)
    return Judged(nothing, nothing)


@pytest.mark.parametrize("names", [("rule_labels",), ("planted",), ("planted", "verdicts"), ("rule_labels", "planted")])
def test_teachers_leave_evaluation_alone(names, material):
    lesson = teach(teachers_named(names, lambda: nobody_has_judged(material)), material)
    part = np.asarray(material.training_set.part)
    assert lesson.targets.shape == (len(lesson), len(LABELS))
    assert lesson.targets.dtype == bool
    for weight, allowed in ((lesson.train, TRAIN), (lesson.validation, VALIDATION)):
        assert weight.dtype == np.float32
        rows = lesson.row[(weight > 0) & (lesson.row != NO_ROW)]
        assert len(rows)
        assert set(part[rows]) == {allowed}
    assert not ((lesson.train > 0) & (lesson.validation > 0)).any()
    assert lesson.journeys.offsets[-1] == len(lesson)
    assert (np.diff(lesson.journeys.offsets) > 0).all()


def test_rule_labels_are_taught_as_they_are(material):
    lesson = RuleLabels().lesson(material)
    training_set = material.training_set
    np.testing.assert_array_equal(lesson.targets, training_set.rule_labels)
    np.testing.assert_array_equal(lesson.train, training_set.part == TRAIN)
    np.testing.assert_array_equal(lesson.validation, training_set.part == VALIDATION)
    np.testing.assert_array_equal(lesson.row, np.arange(len(training_set)))
    assert (lesson.family == NOT_PLANTED).all()


def test_the_planter_never_looks_at_evaluation(material):
    """Whatever the events and labels of evaluation say, the lesson is the same."""
    part = np.asarray(material.training_set.part)
    others = np.flatnonzero(part >= KNOWN_LOTS)
    events = material.events
    time, place = events.time.copy(), events.place.copy()
    time[others] += 12_345
    place[others] = place[others[::-1]]
    labels = np.array(material.training_set.rule_labels)
    labels[others] = ~labels[others]
    elsewhere = replace(
        material,
        training_set=replace(material.training_set, rule_labels=labels),
        read_events=lambda: replace(events, time=time, place=place),
    )
    one, two = PlantedAnomalies().lesson(material), PlantedAnomalies().lesson(elsewhere)
    assert one.fingerprint() == two.fingerprint()
    np.testing.assert_array_equal(one.row, two.row)


def test_planted_features_are_those_of_the_events_where_nothing_was_done(material):
    """Nothing planted, nothing dropped: what is left of the planter is the training set's journeys up to the cut."""
    quiet = OrdinaryNoise(**dict.fromkeys(OrdinaryNoise.__dataclass_fields__, 0.0))
    settings = PlantingSettings(copies=1, leave_out=FAMILY_NAMES, noise=quiet)
    lesson = PlantedAnomalies().lesson(replace(material, planting=settings))
    part = np.asarray(material.training_set.part)
    np.testing.assert_array_equal(np.sort(lesson.row), np.flatnonzero(np.isin(part, (TRAIN, VALIDATION))))
    same = (lesson.journeys.values == np.asarray(material.training_set.features)[lesson.row]).mean()
    # Only what a lot's or an EPC's later events, which are evaluation's, would have told is missing.
    assert same > 0.999
    assert not lesson.targets.any()


def test_copies_are_different_draws(material):
    lesson = PlantedAnomalies().lesson(replace(material, planting=PlantingSettings(copies=2)))
    once = PlantedAnomalies().lesson(material)
    assert 1.8 < len(lesson) / len(once) < 2.2
    assert (lesson.family >= 0).sum() > 1.8 * (once.family >= 0).sum()
    first = lesson.journeys.values[: len(once)]
    assert (
        len(first) != len(lesson.journeys.values[len(once) :]) or (first != lesson.journeys.values[len(once) :]).any()
    )


def test_who_is_under_suspicion_is_not_learnt_from(material):
    suspects = np.zeros(len(material.training_set), dtype=bool)
    part = np.asarray(material.training_set.part)
    clean = np.flatnonzero((part == TRAIN) & ~suspicious(material))
    suspects[clean[::50]] = True
    lesson = PlantedAnomalies().lesson(material.with_suspects(suspects))
    epc = material.events.epc
    rows = np.flatnonzero(np.isin(epc, epc[suspects]))
    mine = np.isin(lesson.row, rows)
    assert mine.any()
    assert (lesson.train[mine] == 0).all()
    assert (lesson.family[mine] == NOT_PLANTED).all()
    by_rules = np.flatnonzero(np.asarray(material.training_set.rule_labels).any(axis=1))
    assert (lesson.train[np.isin(lesson.row, by_rules)] == 0).all()


def test_validation_is_weighted_to_the_base_rate(material):
    lesson = PlantedAnomalies().lesson(material)
    weight = lesson.validation.astype(np.float64)
    ordinary = weight[lesson.family < 0].sum()
    for label in range(len(LABELS)):
        assert weight[lesson.targets[:, label]].sum() == pytest.approx(material.planting.base_rate * ordinary, rel=1e-3)


def test_each_family_of_a_label_has_an_equal_share_of_its_base_rate():
    # Ten ordinary events; one planted event of one family of epcFake, three of another, two of jump.
    first, second = (FAMILY_NAMES.index(name) for name in ("code_shape", "beyond_serials"))
    jump = FAMILY_NAMES.index("too_fast")
    family = np.array([-1] * 10 + [first] + [second] * 3 + [jump] * 2, dtype=np.int16)
    label = labels_of(FAMILIES)
    weight = at_base_rate(np.ones(16, np.float32), family, 0.06, label)
    np.testing.assert_allclose(weight[:10], 1)
    np.testing.assert_allclose(weight[10:], [0.3, 0.1, 0.1, 0.1, 0.3, 0.3])
    assert label[first] == label[second] != label[jump]


def test_lessons_stand_one_after_the_other(material):
    planted, rules = PlantedAnomalies().lesson(material), RuleLabels().lesson(material)
    both = RuleLabels().lesson(material, planted)
    assert len(both) == len(planted) + len(rules)
    np.testing.assert_array_equal(both.targets, np.concatenate([planted.targets, rules.targets]))
    np.testing.assert_array_equal(both.family[: len(planted)], planted.family)
    np.testing.assert_array_equal(np.diff(both.journeys.offsets)[-len(rules.journeys.offsets) + 1 :],
                                  np.diff(rules.journeys.offsets))  # fmt: skip
    one = JourneyFeatures(np.arange(6, dtype=np.float16).reshape(3, 2), np.array([0, 1, 3]))
    two = joined([one, one])
    np.testing.assert_array_equal(two.offsets, [0, 1, 3, 4, 6])
    np.testing.assert_array_equal(two.values[3:], one.values)


def test_every_teacher_can_be_configured_and_no_other(material):
    assert get_args(TeacherName) == TEACHERS
    for name in TEACHERS:
        assert teachers_named([name], lambda: nobody_has_judged(material))[0].name == name


def test_an_unknown_teacher_is_refused_by_key():
    with pytest.raises(UserError, match=r"no teacher 'nobody'; training\.teachers are among rule_labels, planted"):
        teachers_named(["nobody"], lambda: pytest.fail("nobody asks for verdicts"))
