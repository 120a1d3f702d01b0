from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.evaluation.drift import (
    BINS,
    FEWEST,
    FEWEST_NIGHTS,
    SCORE_EDGES,
    bin_places,
    count_shipments,
    feature_shift,
    how_unusual,
    learn_reference,
    score_counts,
    shipment_rows,
    stability_index,
    stretch_index,
    went_silent,
)

RANDOM = np.random.default_rng(1)
STEPS = 3


def world(count: int, seed: int, slower: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(values, step, lot): hours by step, a yes or no, something that never changes, something of the lot."""
    random = np.random.default_rng(seed)
    step, lot = random.integers(0, STEPS, count), random.integers(0, max(2, count // 6), count)
    hours = random.normal(5 + 20 * step, 2.5) * slower
    of_lot = np.random.default_rng(seed + 1).normal(size=lot.max() + 1)[lot]
    return np.column_stack([hours, random.random(count) < 0.1, np.ones(count), of_lot]), step, lot


LEARNT = learn_reference(*world(20_000, 5)[:2], STEPS)


def test_a_shipment_is_rows_of_a_lot_and_step_close_in_time() -> None:
    lot = np.array([1, 1, 1, 2, 1, 1])
    step = np.array([0, 0, 0, 0, 1, 0])
    time = np.array([0, 60, 500, 60, 60, 100])
    assert sorted(shipment_rows(lot, step, time, 100).tolist()) == [0, 2, 3, 4]
    assert sorted(shipment_rows(lot, step, time, 400).tolist()) == [0, 3, 4]
    assert shipment_rows(*(np.zeros(0, np.int64),) * 3, 100).tolist() == []


def test_a_value_on_a_quantile_has_a_bin_of_its_own() -> None:
    edges = np.array([[1.0, 2.0, 2.0, 3.0]])
    places = bin_places(np.array([[0.5], [1.0], [1.5], [2.0], [2.5], [3.0], [9.0]]), edges)
    assert places[:, 0].tolist() == [0, 1, 2, 4, 6, 7, 8] and BINS == 9


def test_more_of_the_same_is_no_drift() -> None:
    shift = feature_shift(LEARNT, *world(3_000, 9))
    assert (shift.index < 0.02).all() and (shift.chance > 0.001).all() and (shift.moved > 0.001).all()


def test_more_of_one_step_is_no_drift_of_features() -> None:
    values, step, lot = world(6_000, 11)
    some = (step == 2) | (RANDOM.random(len(step)) < 0.1)
    shift = feature_shift(LEARNT, values[some], step[some], lot[some])
    assert (shift.index < 0.02).all() and (shift.chance > 0.001).all()


def test_slower_is_drift_of_the_hours_alone() -> None:
    shift = feature_shift(LEARNT, *world(600, 12, slower=1.3))
    assert shift.index[0] > 0.2 and shift.chance[0] < 1e-6 and shift.moved[0] < 1e-6
    assert (shift.index[1:] < 0.1).all() and (shift.chance[1:] > 0.001).all()


@pytest.mark.parametrize("value", [0.0, 5.0, 2.0])
def test_a_feature_that_goes_constant_is_seen(value: float) -> None:
    values, step, lot = world(600, 13)
    for feature in range(3):
        spoilt = values.copy()
        spoilt[:, feature] = value
        shift = feature_shift(LEARNT, spoilt, step, lot)
        assert shift.index[feature] > 0.2 and shift.chance[feature] < 1e-6, feature


def test_a_step_of_which_little_was_learnt_is_not_known() -> None:
    values, step, _ = world(1_000, 14)
    some = np.append(np.flatnonzero(step != 1), np.flatnonzero(step == 1)[: FEWEST - 1])
    reference = learn_reference(values[some], step[some], STEPS + 1)
    assert reference.knows(np.arange(STEPS + 1)).tolist() == [True, False, True, False]


def test_what_is_alike_within_lots_is_not_taken_for_drift() -> None:
    """Few lots of many shipments: a value per lot is drawn as often as there are lots, and no more often."""
    false = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        lot = np.repeat(np.arange(12), 25)
        values = random.normal(size=(12, 1))[lot]
        reference = learn_reference(random.normal(size=(5_000, 1)), np.zeros(5_000, np.int64), 1)
        shift = feature_shift(reference, values, np.zeros(300, np.int64), lot)
        false.append((shift.chance[0] < 0.001) + (shift.moved[0] < 0.001))
    assert sum(false) <= 2


def test_chance_is_what_it_says() -> None:
    """Of 300 nights without drift about one in twenty is as far off as that."""
    chances = [feature_shift(LEARNT, *world(120, 100 + seed)).moved[0] for seed in range(300)]
    assert 0.02 < np.mean(np.array(chances) < 0.05) < 0.09


def test_stability_index_by_hand() -> None:
    before, now = np.array([[500, 500, 0]]), np.array([[250, 750, 0]])
    assert stability_index(before, now) == pytest.approx([0.25 * np.log(3)], rel=0.01)
    assert stability_index(before, before * 3) == pytest.approx([0], abs=1e-3)


@given(st.lists(st.lists(st.integers(0, 50), min_size=4, max_size=4), min_size=2, max_size=2))
@settings(max_examples=60, deadline=None)
def test_stability_index_is_never_negative(counts: list[list[int]]) -> None:
    before, now = (np.array([row]) for row in counts)
    index = stability_index(before, now)[0]
    assert np.isfinite(index) and index >= -1e-12


def test_scores_are_counted_by_label_and_bin() -> None:
    probability = np.array([[0.0, 0.5, 0.9, 0.03, 0.001], [0.0, 0.1, 0.9, 0.03, 0.2]], dtype=np.float32)
    counts = score_counts(probability)
    assert counts.shape == (5, len(SCORE_EDGES) + 1) and counts.sum() == 10
    assert counts[0, 0] == 2 and counts[2, -1] == 2 and counts[3, 2] == 2


def test_unusual_is_outside_the_range_in_its_widths() -> None:
    before = np.array([0.0, 0.1, *[0.02] * FEWEST_NIGHTS])
    assert how_unusual(0.05, before, 0.001) == 0
    assert how_unusual(0.3, before, 0.001) == pytest.approx(2)
    assert how_unusual(-0.1, before, 0.001) == pytest.approx(1)
    assert how_unusual(0.03, np.full(FEWEST_NIGHTS, 0.02), 0.002) == pytest.approx(5)
    assert np.isnan(how_unusual(9, before[: FEWEST_NIGHTS - 1], 0.1)) and np.isnan(how_unusual(np.nan, before, 0.1))
    assert how_unusual(0.05, np.append(before, np.nan), 0.001) == 0


def test_journeys_without_an_end() -> None:
    # EPC 0 is sold, 1 goes on within ten days, 2 too late, 3 never; a row without a code is nobody's.
    epc = np.array([0, 1, 1, 2, 2, 3, -1])
    day = np.array([0, 0, 9, 0, 11, 0, 0])
    ended = np.array([True, False, False, False, False, False, False])
    share = went_silent(epc, day, ended, np.array([10, 19, 21, 30]), 10)
    assert share[:3] == pytest.approx([2 / 4, 1, 1]) and np.isnan(share[3])


def test_the_last_event_of_a_day_says_whether_the_journey_ended() -> None:
    epc, day = np.array([0, 0]), np.array([0, 0])
    assert went_silent(epc, day, np.array([False, True]), np.array([10]), 10).tolist() == [0]
    assert went_silent(epc, day, np.array([True, False]), np.array([10]), 10).tolist() == [1]


def test_the_index_of_a_stretch_is_that_of_all_its_shipments() -> None:
    nights = [world(300, 40 + seed, slower=1.1) for seed in range(3)]
    kinds = [np.arange(300) % 2 for _ in nights]
    counts = [
        count_shipments(LEARNT, values, step, kind, 3) for (values, step, _), kind in zip(nights, kinds, strict=True)
    ]
    index = stretch_index(counts, 450)
    assert index.shape == (3, 4) and np.isnan(index[2]).all(), "of the third kind there is none"
    assert np.isnan(stretch_index(counts, 451)).all()
    for kind in range(2):
        values, step, lot = (
            np.concatenate([night[part][chosen == kind] for night, chosen in zip(nights, kinds, strict=True)])
            for part in range(3)
        )
        np.testing.assert_allclose(index[kind], feature_shift(LEARNT, values, step, lot).index, rtol=1e-6)
