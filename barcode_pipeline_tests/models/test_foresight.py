"""What comes after what, counted: how surprising an event is after the one before it."""

from __future__ import annotations

import numpy as np
import pytest

from barcode_pipeline.models.foresight import LEANING, learn_foresight
from barcode_pipeline.models.steps import DIRECTIONS, HOURS, SYMBOLS, TIMES, symbols_of
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline.sequences.journey_features import JourneyFeatures

LEVEL, DIRECTION, LOG_HOURS = map(FEATURE_NAMES.index, ("level_factory", "direction_in", "log_hours_since_previous"))


def journeys_of(*journeys: list[tuple[int, float]]) -> JourneyFeatures:
    """Each event by its direction and the hours since the one before."""
    values = np.zeros((sum(map(len, journeys)), len(FEATURE_NAMES)), dtype=np.float16)
    events = [event for journey in journeys for event in journey]
    for row, (direction, hours) in zip(values, events, strict=True):
        row[LEVEL], row[DIRECTION + direction], row[LOG_HOURS] = 1, 1, np.log1p(hours) / 2
    return JourneyFeatures(values, np.cumsum([0, *map(len, journeys)]))


def test_by_hand():
    journeys = journeys_of(*[[(0, 0.0), (1, 30.0)]] * 300, [(0, 0.0), (1, 0.1)])
    found = learn_foresight(journeys, np.ones(len(journeys)))
    surprise = found.of_journeys(journeys)
    # 602 events, 301 of them a first; the second comes after a day 300 times and after minutes once.
    alike = LEANING / SYMBOLS
    anywhere = [(count + alike) / (602 + LEANING) for count in (301, 300, 1)]
    expected = [
        (count + LEANING * share) / (301 + LEANING) for count, share in zip((301, 300, 1), anywhere, strict=True)
    ]
    np.testing.assert_allclose(surprise[[0, 1, -1]], -np.log(expected), rtol=1e-5)
    assert surprise[-1] > surprise[1] + 4
    unseen = found.of_journeys(journeys_of([(2, 0.0)], [(0, 0.0), (3, 500.0)]))
    assert (unseen[[0, 2]] > surprise[-1]).all()


def test_a_symbol_is_a_step_and_a_range_of_times():
    hours = np.array([0.0, 0.99 * HOURS[0], *(1.01 * end for end in HOURS)])
    symbols = symbols_of(journeys_of([(1, one) for one in hours]).values)
    np.testing.assert_array_equal(symbols - symbols[0], [0, 0, *range(1, TIMES)])
    assert len(np.unique(symbols_of(journeys_of([(one, 1.0) for one in range(DIRECTIONS)]).values))) == DIRECTIONS


@pytest.mark.parametrize("weighed", [False, True])
def test_all_that_may_come_is_certain_to_come(weighed):
    random = np.random.default_rng(3)
    some = [[(int(random.integers(5)), float(random.exponential(50))) for _ in range(6)] for _ in range(60)]
    journeys = journeys_of(*some)
    weight = random.integers(0, 4, len(journeys)) if weighed else np.ones(len(journeys))
    found = learn_foresight(journeys, weight)
    places = found.place.astype(int)
    total = np.exp(-found.surprise[:, places]).sum(axis=1)
    np.testing.assert_allclose(total, 1, rtol=1e-4)


def test_what_weighs_nothing_is_not_expected_but_stands_before_what_is():
    journeys = journeys_of(*[[(0, 0.0), (1, 30.0), (2, 5.0)]] * 50)
    weight = np.tile([1.0, 0.0, 1.0], 50)
    found = learn_foresight(journeys, weight)
    first, second, third = found.of_journeys(journeys)[:3]
    assert second > first + 2
    assert second > third + 2
    assert third == found.of_symbols(symbols_of(journeys.values[2:3]), np.array([SYMBOLS - 1]))[0]
