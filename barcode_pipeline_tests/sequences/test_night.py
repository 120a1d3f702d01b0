"""Which lots a night looks at: bounded, live ones first, the same for the same night."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.events.lot_index import LotDates
from barcode_pipeline.sequences.night import NightSample, choose_lots
from barcode_pipeline.sequences.split import is_validation

SAMPLE = NightSample(live_events=1000, replay_events=500, replay_days=365, held_out_lots=5, validation_lots=6)


def index_of(history: int, lots_per_day: int = 2, rows: int = 20, lasting: int = 30) -> LotDates:
    """Every day some lots begin, and each is seen on every second day for a while."""
    day, lot = [], []
    for first in range(history):
        for number in range(lots_per_day):
            seen = np.arange(first, min(first + lasting, history), 2)
            day.append(seen)
            lot.append(np.full(len(seen), first * lots_per_day + number))
    days, lots = np.concatenate(day), np.concatenate(lot)
    hashes = np.random.default_rng(0).integers(0, 2**63, history * lots_per_day).astype(np.uint64)
    buckets = np.random.default_rng(1).integers(0, 2**31, history * lots_per_day).astype(np.uint32)
    none = np.zeros(0, np.int64)
    return LotDates(none, none, none, days, hashes[lots], days, np.full(len(days), rows), buckets[lots])


def events_of(index: LotDates, lots: np.ndarray) -> int:
    return int(index.rows[np.isin(index.lot, lots)].sum())


@pytest.mark.parametrize("history", [40, 200, 800])
def test_what_is_looked_at_does_not_grow_with_history(history):
    index = index_of(history)
    chosen = choose_lots(index, history - 1, history - 8, SAMPLE)
    largest = 15 * 20
    assert 0 < events_of(index, chosen.live) < SAMPLE.live_events + 2 * largest
    assert 0 < events_of(index, chosen.replayed) < SAMPLE.replay_events + 2 * largest
    if history >= 200:
        assert events_of(index, chosen.live) > SAMPLE.live_events - largest
        assert len(index.days_of(chosen.every)) <= 15 * len(chosen.every), "nor do the dates that have to be read"


def test_live_lots_were_seen_lately_and_replayed_ones_were_not():
    index = index_of(200)
    chosen = choose_lots(index, 199, 192, SAMPLE)
    lately = index.lots_of(range(192, 200))
    assert np.isin(chosen.live, lately).all() and not np.isin(chosen.replayed, lately).any()
    assert not np.isin(chosen.live, chosen.replayed).any()
    np.testing.assert_array_equal(chosen.every, np.unique(np.concatenate([chosen.live, chosen.replayed])))


def test_nothing_is_replayed_of_lots_that_are_held_out_and_they_are_among_the_live():
    index = index_of(300)
    held_out = np.unique(index.lot[index.bucket % 5 == 0])
    chosen = choose_lots(index, 299, 292, SAMPLE)
    assert np.isin(chosen.live, held_out).any() and not np.isin(chosen.live, held_out).all()
    assert not np.isin(chosen.replayed, held_out).any()
    validation = np.isin(chosen.replayed, np.unique(index.lot[is_validation(index.bucket, 5, 6)]))
    assert validation.any() and not validation.all()


def test_the_same_night_draws_the_same_and_another_others():
    index = index_of(300)
    first, again = (choose_lots(index, 299, 292, SAMPLE) for _ in range(2))
    np.testing.assert_array_equal(first.every, again.every)
    replayed = [choose_lots(index, night, night - 7, SAMPLE).replayed for night in range(250, 299)]
    assert len(np.unique(np.concatenate(replayed))) > 10 * len(replayed[0]), "over the nights all come up"


def test_too_old_lots_and_later_rows_are_not_looked_at():
    index = index_of(300)
    short = NightSample(1000, 500, 60, 5, 6)
    chosen = choose_lots(index, 250, 243, short)
    assert chosen.first_day == 191
    assert np.isin(chosen.every, index.lots_of(range(191, 251))).all()


def test_little_data_is_taken_whole():
    index = index_of(10)
    everything = choose_lots(index, 9, 5, NightSample(10**6, 10**6, 365, 5, 6))
    live = index.lots_of(range(5, 10))
    np.testing.assert_array_equal(everything.live, live)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 3000), st.integers(0, 3000), st.integers(2, 8))
def test_budgets_hold_for_any_history(history, live_events, replay_events, held_out_lots):
    index = index_of(history)
    sample = NightSample(live_events, replay_events, 365, held_out_lots, 6)
    chosen = choose_lots(index, history - 1, history - 8, sample)
    assert events_of(index, chosen.live) < live_events + 2 * 15 * 20
    assert events_of(index, chosen.replayed) < replay_events + 2 * 15 * 20
    assert len(chosen.live) > 0
