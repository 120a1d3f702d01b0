"""What is ordinary for a route: by example, against a slow second reading, and that it does not hang on the cut."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.events.route_statistics import RouteStatistics, Tally, add_up, route_statistics, tally
from barcode_pipeline.events.transports import Transports

HOUR = 3600
Row = tuple[int, int, int, int, int]
"""Origin, destination, lot, arrival, seconds."""


def transports(rows: Sequence[Row]) -> Transports:
    columns = np.array(rows, dtype=np.int64).reshape(-1, 5).T
    return Transports(*(column.astype(np.uint64 if place == 2 else np.int64) for place, column in enumerate(columns)))


def one(statistics: RouteStatistics) -> dict[str, float]:
    """Of the only route."""
    return {name: column.item() for name, column in zip(RouteStatistics._fields, statistics, strict=True)}


def apart(hours: Sequence[float], each: int = 1) -> list[Row]:
    """Shipments of `each` EPCs on one route, a day between any two."""
    return [(0, 1, 5, day * 86_400, round(time * HOUR)) for day, time in enumerate(hours) for _ in range(each)]


def test_shipments_are_counted_not_their_epcs() -> None:
    hours = [2.0, 4.0, 6.0, 8.0]
    for each in (1, 100):
        found = one(route_statistics(tally(transports(apart(hours, each)))))
        assert found["shipments"] == pytest.approx(4) and found["epcs"] == 4 * each
        assert found["mean"] == pytest.approx(5.0) and found["std"] == pytest.approx(np.std(hours, ddof=1))
        assert (found["minimum"], found["maximum"], found["outliers"]) == (2.0, 8.0, 0)


def test_what_comes_in_within_half_an_hour_came_together() -> None:
    rows = [(0, 1, 5, 0, HOUR), (0, 1, 5, 1800, HOUR), (0, 1, 5, 3600, HOUR), (0, 1, 6, 0, HOUR), (0, 1, 5, 5401, HOUR)]
    # Three in a row without a longer gap, one of another lot, one after a longer gap: 5² / (9 + 1 + 1).
    assert one(route_statistics(tally(transports(rows))))["shipments"] == pytest.approx(25 / 11)


def test_outliers_lie_beyond_the_fences() -> None:
    hours = [4.0, 4.5, 5.0, 5.0, 5.0, 5.0, 5.5, 6.0]
    # With one more on each side the quartiles are 4.5 and 5.5: the fences stand at 3 and 7.
    assert one(route_statistics(tally(transports(apart([*hours, 3.0, 7.0])))))["outliers"] == 0
    found = one(route_statistics(tally(transports(apart([*hours, 2.99, 30.0])))))
    assert (found["outliers"], found["minimum"], found["maximum"]) == (2, 4.0, 6.0)
    assert found["std"] == pytest.approx(np.std(hours, ddof=1))


def test_one_shipment_says_nothing_of_the_deviation() -> None:
    found = one(route_statistics(tally(transports(apart([5.0], each=40)))))
    assert found["shipments"] == 1 and math.isnan(found["std"]) and found["mean"] == 5


def test_nothing_at_all() -> None:
    for nothing in (tally(transports([])), add_up([])):
        assert [len(column) for column in route_statistics(nothing)] == [0] * len(RouteStatistics._fields)


rows = st.tuples(
    st.integers(0, 2), st.integers(3, 4), st.integers(0, 2), st.integers(0, 5).map(lambda day: day * 86_400),
    st.sampled_from([60, 3600, 3601, 7200, 18_000, 36_000, 500_000]),
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(rows, max_size=60))
def test_a_slow_second_reading_agrees(of_all: list[Row]) -> None:
    found = route_statistics(tally(transports(of_all)))
    by_route: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for row in of_all:
        by_route[row[:2]].append(row)
    assert list(zip(found.origin.tolist(), found.destination.tolist(), strict=True)) == sorted(by_route)
    for place, route in enumerate(sorted(by_route)):
        seconds = sorted(row[4] for row in by_route[route])
        low, high = (seconds[math.ceil(share * len(seconds)) - 1] for share in (0.25, 0.75))
        fence = 1.5 * (high - low)
        kept = [row for row in by_route[route] if low - fence <= row[4] <= high + fence]
        # Arrivals lie whole days apart, so that EPCs of one lot and day came together.
        crowd = sum(row[2:4] == other[2:4] for row in kept for other in by_route[route])
        hours = [row[4] / 3600 for row in kept]
        mean, shipments = sum(hours) / len(hours), len(kept) ** 2 / crowd
        assert found.epcs[place] == len(kept) and found.outliers[place] == len(seconds) - len(kept)
        assert found.mean[place] == pytest.approx(mean) and found.shipments[place] == pytest.approx(shipments)
        assert (found.minimum[place], found.maximum[place]) == (min(hours), max(hours))
        if shipments > 1.001:
            variance = sum((value - mean) ** 2 for value in hours) / len(hours) * shipments / (shipments - 1)
            assert found.std[place] == pytest.approx(math.sqrt(variance), abs=1e-9)


@settings(deadline=None)
@given(st.lists(rows, max_size=60), st.randoms(use_true_random=False))
def test_neither_the_cut_into_dates_nor_their_order_matters(of_all: list[Row], random: object) -> None:
    whole = tally(transports(of_all))
    dates = [tally(transports([row for row in of_all if row[3] == day * 86_400])) for day in range(6)]
    random.shuffle(dates)  # type: ignore[attr-defined]
    for parts in (dates, [add_up(dates[:3]), *dates[3:]]):
        assert all(np.array_equal(a, b) for a, b in zip(add_up(parts), whole, strict=True))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_a_few_wild_ones_do_not_widen_the_deviation(seed: int) -> None:
    """One transport in fifty is off by days: mean and deviation stay, where plain ones would not."""
    random = np.random.default_rng(seed)
    hours = random.uniform(1.0, 9.8, 400)
    wild = hours.copy()
    wild[:8] = random.uniform(40, 160, 8)
    clean, disturbed = (one(route_statistics(tally(transports(apart(list(times)))))) for times in (hours, wild))
    assert disturbed["std"] == pytest.approx(clean["std"], rel=0.03)
    assert disturbed["mean"] == pytest.approx(clean["mean"], abs=0.25)
    assert np.std(wild) > 2 * np.std(hours)


def test_memory_holds_travel_times_not_events() -> None:
    dates = [tally(transports(apart([2.0, 5.0, 6.0], each=50))) for _ in range(40)]
    added = add_up(dates)
    assert isinstance(added, Tally) and len(added.epcs) == 3 and added.epcs.sum() == 40 * 150
