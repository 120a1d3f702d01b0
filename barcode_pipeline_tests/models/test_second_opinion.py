"""A second opinion changes the order of what is below the thresholds, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from barcode_pipeline.models.calibration import Calibration
from barcode_pipeline.models.second_opinion import CORRUPTED, FORESEEN, POINTS, falling_shares, heard, stand_beside
from barcode_pipeline_tests.models.untrained import random_second

FIVE = 5
DEAF = np.setdiff1d(np.arange(FIVE), CORRUPTED)
NUMBERS = st.floats(-12, 12, width=32)


def scores(rows: int = 20) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float32, (rows, FIVE), elements=NUMBERS)


@st.composite
def calibrations(draw: st.DrawFn) -> Calibration:
    numbers = arrays(np.float64, FIVE, elements=st.floats(0.3, 3))
    # A threshold beyond 1 gives no alert at all.
    threshold = draw(arrays(np.float64, FIVE, elements=st.one_of(st.floats(1e-4, 1), st.just(1 + 2e-7))))
    return Calibration(draw(numbers), draw(numbers) - 1.5, threshold)


def real_events(rows: int = 20_000):
    """What is said of real events, all of it independent: (scores, log_odds, surprise)."""
    random = np.random.default_rng(5)
    return random.normal(-8, 2, (rows, FIVE)), random.normal(size=(rows, FIVE)), random.exponential(size=rows)


def beside(scores_of_real, log_odds, surprise):
    some = random_second(5)
    return stand_beside(some.network, some.foresight, scores_of_real, log_odds, surprise)


# --- how it is heard ---------------------------------------------------------------------------------------------


def test_by_hand():
    plain = Calibration(np.ones(FIVE), np.zeros(FIVE), np.full(FIVE, 0.5))
    first = np.array([[-6.0, -6.0, 1.0, -6.0, -6.0]])
    moved = np.array([[-3.0, -9.0, -4.0, 2.0, 5.0]])
    # Up; down; an alert stays; drawn in, from one below the threshold of log-odds 0 on; a label that it is deaf to.
    expected = [-3.0, -9.0, 1.0, -np.exp(-3.0), -6.0]
    np.testing.assert_allclose(heard(plain, first, moved), [1 / (1 + np.exp(-np.array(expected)))], rtol=1e-5)


@settings(deadline=None)
@given(calibrations(), scores(), scores())
def test_alerts_and_what_is_above_the_thresholds_stay(calibration, first, moved):
    own, found = calibration.probabilities(first), heard(calibration, first, moved)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(calibration.alerts(found), calibration.alerts(own))
    np.testing.assert_array_equal(found[calibration.alerts(own)], own[calibration.alerts(own)])
    np.testing.assert_array_equal(found[:, DEAF], own[:, DEAF])


@settings(deadline=None)
@given(calibrations(), scores(), scores(), scores())
def test_what_is_moved_further_stands_no_lower(calibration, first, moved, other):
    more, less = np.maximum(moved, other), np.minimum(moved, other)
    assert (heard(calibration, first, more) >= heard(calibration, first, less)).all()


# --- where it moves scores ---------------------------------------------------------------------------------------


def test_a_rarity_is_the_share_of_real_events_that_have_as_much():
    _, log_odds, surprise = said = real_events()
    second = beside(*said)
    for share in (0.8, 0.5, 0.1, 0.01, 0.001):
        some = np.quantile(log_odds[:, 2], 1 - share)
        rarity = second.rarity(np.full((1, FIVE), some), np.array([-1.0]))[0, 2]
        assert np.exp(-rarity) == pytest.approx(share, rel=0.2)
    assert not second.rarity(np.full((1, FIVE), -1e9), np.array([-1e9])).any()
    # Of a label that both speak of, chance has as much of them together as often as they say.
    rarity = second.rarity(log_odds, surprise)
    for label in FORESEEN:
        for nats in (1.0, 3.0, 6.0):
            assert (rarity[:, label] >= nats).mean() == pytest.approx(np.exp(-nats), rel=0.35)


def test_as_many_real_events_have_each_score_as_by_the_model_alone():
    said = real_events()
    moved = beside(*said).moved(*said)
    for label in CORRUPTED:
        for share in (0.5, 0.1, 0.01, 0.001):
            before, after = (np.quantile(column[:, label], 1 - share) for column in (said[0], moved))
            assert after == pytest.approx(before, abs=0.15)
    np.testing.assert_array_equal(moved[:, DEAF], said[0][:, DEAF])
    # The rare come before the others.
    order = np.argsort(np.argsort(moved[:, 2])) - np.argsort(np.argsort(said[0][:, 2]))
    rare = said[1][:, 2] > np.quantile(said[1][:, 2], 0.95)
    assert order[rare].mean() > 2_000 > 0 > order[~rare].mean()


@settings(deadline=None)
@given(st.integers(0, 4), scores(30), arrays(np.float64, (30, FIVE), elements=st.floats(-9, 9)), st.floats(0, 5))
def test_who_is_rarer_or_scores_more_is_moved_no_less(label, own, log_odds, more):
    second, nothing = random_second(7), np.zeros(30)
    before = second.moved(own, log_odds, nothing)
    higher = log_odds.copy()
    higher[:, label] += more
    for found in (second.moved(own, higher, nothing), second.moved(own + more, log_odds, nothing)):
        assert (found[:, label] >= before[:, label] - 1e-9).all()
    others = np.delete(np.arange(FIVE), label)
    np.testing.assert_array_equal(second.moved(own, higher, nothing)[:, others], before[:, others])
    surprised = second.moved(own, log_odds, np.full(30, more))
    assert (surprised[:, FORESEEN] >= before[:, FORESEEN] - 1e-9).all()
    rest = np.setdiff1d(np.arange(FIVE), FORESEEN)
    np.testing.assert_array_equal(surprised[:, rest], before[:, rest])


def test_beyond_what_any_real_event_has_differences_stay():
    said = real_events(500)
    second = beside(*said)
    far = second.moved(np.array([[50.0] * FIVE, [53.0] * FIVE]), np.full((2, FIVE), 9.0), np.full(2, 9.0))
    np.testing.assert_allclose(np.diff(far, axis=0), 3.0)


def test_two_that_find_an_event_rare_are_heard_more_than_one():
    second = random_second(7)
    often, rare = second.rarities[:, POINTS // 8], second.rarities[:, POINTS // 2]
    one = second.rarity(rare[None, :-1], often[-1:])[0]
    both = second.rarity(rare[None, :-1], rare[-1:])[0]
    assert (both[list(FORESEEN)] > one[list(FORESEEN)]).all()


def test_without_real_events_nothing_is_rare_and_scores_stay():
    second = beside(np.zeros((0, FIVE)), np.zeros((0, FIVE)), np.zeros(0))
    own = np.array([[9.0, -9.0, 0.5, 3.0, -1.0]])
    assert not second.rarity(np.full((1, FIVE), 9.0), np.full(1, 9.0)).any()
    np.testing.assert_allclose(second.moved(own, np.full((1, FIVE), 9.0), np.full(1, 9.0)), own)


def test_the_shares_of_a_table_fall_from_all_to_the_rarest():
    column = np.arange(1000.0)[:, None]
    found = falling_shares(column)[0]
    assert (found[0], found[-1]) == (0.0, 999.0)
    middle = found[POINTS // 2]
    assert (column >= middle).mean() == pytest.approx(np.sqrt(1 / 1001), rel=0.1)
    second = replace(random_second(5), depth=2.0)
    assert second.rarity(np.full((1, FIVE), 1e9), np.zeros(1))[0, 2] == pytest.approx(2.0)
