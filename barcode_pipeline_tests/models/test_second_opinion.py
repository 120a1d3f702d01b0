"""A second opinion orders what is far below the thresholds, and changes nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from barcode_pipeline.models.second_opinion import CEILING, CORRUPTED, FORESEEN, POINTS, lifted, rarities_of
from barcode_pipeline_tests.models.untrained import random_second

FIVE = 5
SHARES = st.floats(0, 1, width=32)


def probabilities(rows: int = 20) -> st.SearchStrategy[np.ndarray]:
    # Half of them small, so that the ceiling is met from both sides.
    return st.one_of(
        arrays(np.float32, (rows, FIVE), elements=SHARES),
        arrays(np.float32, (rows, FIVE), elements=st.floats(0, 0.25, width=32)),
    )


def test_by_hand():
    threshold = np.array([0.5, 0.5, 0.5, 0.04, 0.5])
    first = np.array([[0.001, 0.001, 0.2, 0.001, 0.08]])
    second = np.array([[0.5, 0.0, 1.0, 1.0, 0.1]])
    # Half of the ceiling; not heard; above the ceiling; half of a low threshold; it says less than the first.
    np.testing.assert_allclose(lifted(first, second, threshold), [[CEILING / 2, 0.001, 0.2, 0.02, 0.08]], rtol=1e-6)


@given(probabilities(), probabilities(), arrays(np.float64, FIVE, elements=st.floats(1e-4, 1)))
def test_no_alert_and_nothing_above_the_ceiling_changes_and_nothing_falls(first, second, threshold):
    found = lifted(first, second, threshold)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found >= threshold.astype(np.float32), first >= threshold.astype(np.float32))
    ceiling = np.minimum(CEILING, threshold / 2)
    np.testing.assert_array_equal(found[first >= ceiling], first[first >= ceiling])
    assert (found >= first).all()
    assert (found[first < ceiling] <= np.broadcast_to(ceiling, first.shape)[first < ceiling] * (1 + 1e-6)).all()


@given(probabilities(), probabilities(), probabilities())
def test_who_is_suspected_more_stands_no_lower(first, second, other):
    threshold = np.full(FIVE, 0.5)
    more, less = np.maximum(second, other), np.minimum(second, other)
    assert (lifted(first, more, threshold) >= lifted(first, less, threshold)).all()


def test_a_rarity_is_the_share_of_real_events_that_have_as_much():
    random = np.random.default_rng(5)
    log_odds, surprise = random.normal(size=(20_000, 5)), random.integers(0, 6, 20_000) / 2
    second = replace(random_second(5), **dict(zip(("rarities", "depth"), rarities_of(log_odds, surprise), strict=True)))
    for column, (values, depths) in zip([*log_odds.T, surprise], second.tables, strict=True):
        for some in np.quantile(column, [0.2, 0.5, 0.9, 0.99, 0.999]):
            share = (column >= some).mean()
            assert np.exp(-np.interp(some, values, depths)) == pytest.approx(share, rel=0.2)
    assert second.suspicion(np.full((1, 5), 1e9), np.array([1e9])).max() > 0.9
    assert second.suspicion(np.full((1, 5), -1e9), np.array([-1e9])).max() == 0


def test_without_real_events_nothing_is_suspected():
    rarities, depth = rarities_of(np.zeros((0, 5)), np.zeros(0))
    second = replace(random_second(5), rarities=rarities, depth=depth)
    assert not second.suspicion(np.full((3, 5), 9.0), np.full(3, 9.0)).any()


@given(st.integers(0, 4), arrays(np.float64, (30, 5), elements=st.floats(-9, 9)), st.floats(0, 5), st.floats(0, 5))
def test_who_says_more_is_suspected_more_where_it_is_heard(label, log_odds, more, surprised):
    second = random_second(7)
    before = second.suspicion(log_odds, np.zeros(30))
    assert ((before >= 0) & (before <= 1)).all()
    higher = log_odds.copy()
    higher[:, label] += more
    found = second.suspicion(higher, np.zeros(30))
    assert (found[:, label] >= before[:, label]).all() if label in CORRUPTED else (found[:, label] == 0).all()
    np.testing.assert_array_equal(np.delete(found, label, axis=1), np.delete(before, label, axis=1))
    found = second.suspicion(log_odds, np.full(30, surprised))
    assert (found[:, FORESEEN] >= before[:, FORESEEN] * (1 - 1e-12)).all()
    deaf = np.setdiff1d(np.arange(FIVE), FORESEEN)
    np.testing.assert_array_equal(found[:, deaf], before[:, deaf])


def test_two_that_find_an_event_rare_are_heard_more_than_one():
    second = random_second(7)
    often, rare = second.rarities[:, POINTS // 8], second.rarities[:, POINTS // 2]
    one = second.suspicion(rare[None, :-1], often[-1:])[0]
    both = second.suspicion(rare[None, :-1], rare[-1:])[0]
    assert (both[list(FORESEEN)] > one[list(FORESEEN)]).all()
