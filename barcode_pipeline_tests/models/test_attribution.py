"""What moved a score: by hand on detectors whose parts are known, and the LSTM's short way against the long one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from barcode_pipeline.models.attribution import GROUPS, HISTORY, NO_GROUP, attribute, continued_by, whole_windows
from barcode_pipeline.models.detector import Detector
from barcode_pipeline.models.lstm import load_lstm, save_lstm
from barcode_pipeline.models.ordinary import STEP_NUMBERS, nothing_ordinary, ordinary_values, step_numbers
from barcode_pipeline.sequences.feature_groups import FEATURE_GROUPS, STEP_FEATURES, group_masks
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.journey_features import JourneyFeatures
from barcode_pipeline_tests.models.journeys_by_hand import COLUMN, random_journeys
from barcode_pipeline_tests.models.untrained import random_model

JOURNEYS, TARGETS = random_journeys(0, 120)
ALL = np.ones(len(JOURNEYS), dtype=np.float32)
ORDINARY = ordinary_values(JOURNEYS, TARGETS, ALL)
TIME, DISTANCE, CODE = (GROUPS.index(name) for name in ("time", "distance", "code"))


class Scores(Detector):
    """A detector by a formula of features: (N, F) float64 and position -> (N,), the same for all labels."""

    name = "by hand"

    def __init__(self, formula: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        self.formula, self.events = formula, 0

    def score(self, journeys: JourneyFeatures) -> np.ndarray:
        self.events += len(journeys)
        score = self.formula(journeys.values.astype(float), journeys.position())
        return np.repeat(score[:, None], 5, axis=1).astype(np.float32)


def linear(**weights: float) -> Scores:
    return Scores(lambda values, _: sum(weight * values[:, COLUMN[name]] for name, weight in weights.items()))


def moved(detector: Detector, alerts: np.ndarray, ordinary: np.ndarray = ORDINARY, longest: int = 10):
    return attribute(whole_windows(detector), JOURNEYS, alerts, ordinary, longest)


def alert_on(rows: np.ndarray, label: int = 4) -> np.ndarray:
    alerts = np.zeros((len(JOURNEYS), 5), dtype=bool)
    alerts[rows, label] = True
    return alerts


def test_every_feature_belongs_to_one_group_or_to_the_step() -> None:
    named = [*STEP_FEATURES, *(name for names in FEATURE_GROUPS.values() for name in names)]
    assert sorted(named) == sorted(FEATURE_NAMES)
    assert group_masks().sum() == len(FEATURE_NAMES) - len(STEP_FEATURES)


def test_parts_of_a_sum_are_its_terms_in_the_order_of_size() -> None:
    detector = linear(log_hours_since_previous=1.0, log_distance=3.0, code_six_parts=-20.0)
    rows = np.flatnonzero(JOURNEYS.values[:, COLUMN["code_six_parts"]] == 0)
    found = moved(detector, alert_on(rows))
    assert found.row.tolist() == rows.tolist() and (found.label == 4).all()
    own = JOURNEYS.values[rows].astype(float)
    typical = ORDINARY[step_numbers(JOURNEYS.values[rows]), 1].astype(float)
    lost = own - typical
    terms = np.column_stack(
        [
            lost[:, COLUMN["log_hours_since_previous"]],
            3 * lost[:, COLUMN["log_distance"]],
            -20 * lost[:, COLUMN["code_six_parts"]],
        ]
    )
    assert (found.group[:, 0] == CODE).all() and found.part[:, 0] == pytest.approx(20, abs=1e-3)
    second = np.where(terms[:, :2].max(axis=1) > 0, np.array([TIME, DISTANCE])[terms[:, :2].argmax(axis=1)], NO_GROUP)
    assert {TIME, DISTANCE, NO_GROUP} >= set(second) and len(set(second)) > 1
    assert found.group[:, 1].tolist() == second.tolist()
    assert found.part[:, 1] == pytest.approx(np.maximum(terms[:, :2].max(axis=1), 0), abs=1e-3)
    assert np.array_equal(found.values, JOURNEYS.values[rows].astype(np.float32))
    assert np.array_equal(found.ordinary[:, 1], typical.astype(np.float32))


def test_the_second_part_is_what_is_lost_beyond_the_first() -> None:
    """Two groups that say the same: to replace one alone loses nothing where the other still speaks."""
    far, slow = COLUMN["log_distance"], COLUMN["log_hours_since_previous"]
    both = Scores(lambda values, _: 4 * np.maximum(values[:, far], values[:, slow] - 0.25))
    rows = np.flatnonzero((JOURNEYS.values[:, [far, slow]] == 2).all(axis=1))
    assert len(rows)
    found = moved(both, alert_on(rows))
    typical = ORDINARY[step_numbers(JOURNEYS.values[rows]), 1].astype(float)
    left = np.maximum(typical[:, far], typical[:, slow] - 0.25)
    assert (found.group == [DISTANCE, TIME]).all()
    assert found.part[:, 0] == pytest.approx(1, abs=1e-3)
    assert found.part.sum(axis=1) == pytest.approx(4 * (2 - left), abs=2e-3)


def test_what_came_before_is_a_group() -> None:
    """The score tells of the event before alone."""
    before = Scores(lambda values, position: np.where(position > 0, np.roll(values[:, COLUMN["log_distance"]], 1), 0))
    score = before.score(JOURNEYS)[:, 0]
    rows = np.flatnonzero(score > 1)
    found = moved(before, alert_on(rows))
    assert (found.group == [HISTORY, NO_GROUP]).all()
    assert found.part[:, 0] == pytest.approx(score[rows])


def test_the_earlier_event_that_moved_the_score_most_is_found() -> None:
    """The score tells of the two events before, the one further back more."""
    column = COLUMN["log_distance"]

    def formula(values: np.ndarray, position: np.ndarray) -> np.ndarray:
        return sum(back * np.where(position >= back, np.roll(values[:, column], back), 0) for back in (1, 2))

    lost = np.maximum(JOURNEYS.values[:, column].astype(float) - ORDINARY[step_numbers(JOURNEYS.values), 1, column], 0)
    rows = np.flatnonzero(JOURNEYS.position() >= 2)
    found = moved(Scores(formula), alert_on(rows))
    by_history = (found.group == HISTORY).any(axis=1)
    one, two = lost[rows - 1], 2 * lost[rows - 2]
    expected = np.where(np.maximum(one, two) == 0, -1, np.where(one >= two, rows - 1, rows - 2))
    assert by_history.sum() > 20 and len(set(rows - expected)) > 2
    assert found.earlier.tolist() == np.where(by_history, expected, -1).tolist()
    source = np.random.default_rng(0).permutation(len(JOURNEYS))
    assert found.by_source(source).earlier.tolist() == [-1 if row < 0 else source[row] for row in found.earlier]


def test_a_window_holds_the_last_events_alone() -> None:
    count = Scores(lambda _, position: position.astype(float))
    found = moved(count, alert_on(np.arange(len(JOURNEYS))), longest=3)
    position = np.minimum(JOURNEYS.position(), 2)
    assert found.part[:, 0].tolist() == position.tolist()
    assert found.group[:, 0].tolist() == np.where(position > 0, HISTORY, NO_GROUP).tolist()


def test_what_is_as_it_ordinarily_is_did_not_move_the_score() -> None:
    values = JOURNEYS.values.copy()
    values[:] = ORDINARY[step_numbers(values), 1]
    ordinary = JourneyFeatures(values, np.arange(len(values) + 1))
    alerts = np.ones((len(values), 5), dtype=bool)
    found = attribute(whole_windows(linear(log_distance=3.0)), ordinary, alerts, ORDINARY, 10)
    assert (found.group == NO_GROUP).all() and (found.part == 0).all()


def test_each_label_has_its_own_parts() -> None:
    class Two(Scores):
        def score(self, journeys: JourneyFeatures) -> np.ndarray:
            values = journeys.values.astype(np.float32)
            score = np.zeros((len(values), 5), dtype=np.float32)
            score[:, 1], score[:, 3] = values[:, COLUMN["log_distance"]], values[:, COLUMN["log_hours_since_previous"]]
            return score

    typical = ORDINARY[step_numbers(JOURNEYS.values), 1]
    more = JOURNEYS.values > typical
    rows = np.flatnonzero(more[:, COLUMN["log_distance"]] & more[:, COLUMN["log_hours_since_previous"]])
    found = moved(Two(lambda values, _: values), alert_on(rows, 1) | alert_on(rows, 3))
    assert found.row.tolist() == np.repeat(rows, 2).tolist()
    assert found.label.tolist() == [1, 3] * len(rows)
    assert found.group[:, 0].tolist() == [DISTANCE, TIME] * len(rows)


def test_alerts_that_are_alike_are_looked_at_once_and_told_alike() -> None:
    copies = JourneyFeatures(np.tile(JOURNEYS.values[:9], (500, 1)), np.arange(501) * 9)
    alerts = np.tile(np.arange(9)[:, None] == 8, (500, 5))
    one, many = linear(log_distance=3.0), linear(log_distance=3.0)
    first = JourneyFeatures(copies.values[:9], copies.offsets[:2])
    attribute(whole_windows(one), first, alerts[:9], ORDINARY, 10)
    found = attribute(whole_windows(many), copies, alerts, ORDINARY, 10)
    assert many.events == one.events
    assert len(found.row) == 2500 and len(np.unique(found.part[:, 0])) == 1


@pytest.mark.parametrize("longest", [1, 4, 10])
def test_the_lstm_goes_on_from_what_it_has_read(longest: int) -> None:
    model = random_model(1, longest)
    model = replace(model, ordinary=ORDINARY)

    class Whole(Scores):
        def score(self, journeys: JourneyFeatures) -> np.ndarray:
            return model.scores(journeys)

    alerts = np.random.default_rng(0).random((len(JOURNEYS), 5)) < 0.2
    short = attribute(continued_by(model), JOURNEYS, alerts, ORDINARY, longest)
    long = attribute(whole_windows(Whole(lambda values, _: values)), JOURNEYS, alerts, ORDINARY, longest)
    assert short.part == pytest.approx(long.part, abs=1e-4)
    clear = np.abs(long.part[:, 0] - long.part[:, 1]) > 1e-3
    assert (short.group == long.group)[clear].mean() > 0.99
    assert (short.part[:, 0] > 0).mean() > 0.5


def test_no_alert_nothing_moved() -> None:
    found = moved(linear(log_distance=1.0), np.zeros((len(JOURNEYS), 5), dtype=bool))
    assert len(found.row) == 0 and found.group.shape == (0, 2) and found.ordinary.shape == (0, 3, len(FEATURE_NAMES))


def test_rows_as_they_came() -> None:
    found = moved(linear(log_distance=1.0), alert_on(np.array([2, 5])))
    source = np.random.default_rng(0).permutation(len(JOURNEYS))
    assert found.by_source(source).row.tolist() == source[[2, 5]].tolist()


def test_ordinary_is_the_middle_of_ordinary_events_of_the_step() -> None:
    values = JOURNEYS.values.copy()
    step, column = step_numbers(values), COLUMN["log_distance"]
    values[:, column] = step / 8
    strange = TARGETS.any(axis=1)
    values[strange, column] = 9
    found = ordinary_values(JourneyFeatures(values, JOURNEYS.offsets), TARGETS, ALL)
    counts = np.bincount(step[~strange], minlength=STEP_NUMBERS)
    often = np.flatnonzero(counts >= 30)
    assert len(often) > 3
    assert (found[often, :, column] == (often / 8)[:, None]).all()
    rare = np.flatnonzero(counts < 30)
    assert np.array_equal(found[rare], np.repeat(found[-1:], len(rare), axis=0))
    assert (found[:, 0] <= found[:, 1]).all() and (found[:, 1] <= found[:, 2]).all()


def test_ordinary_follows_the_weights() -> None:
    values = JOURNEYS.values.copy()
    high = np.random.default_rng(1).random(len(values)) < 0.5
    values[:, COLUMN["log_distance"]] = high
    journeys = JourneyFeatures(values, JOURNEYS.offsets)
    nothing = np.zeros_like(TARGETS)
    for heavy in (True, False):
        found = ordinary_values(journeys, nothing, np.where(high == heavy, 9.0, 1.0))
        assert found[-1, 1, COLUMN["log_distance"]] == heavy
    alone = ordinary_values(journeys, nothing, np.where(high, 1.0, 0.0))
    assert (alone[-1, :, COLUMN["log_distance"]] == 1).all()


def test_what_is_ordinary_lies_in_the_model_file(tmp_path: Path) -> None:
    model = replace(random_model(), ordinary=ORDINARY)
    save_lstm(model, tmp_path / "model.pt")
    assert np.array_equal(load_lstm(tmp_path / "model.pt").ordinary, ORDINARY)
    assert not np.array_equal(ORDINARY, nothing_ordinary())
