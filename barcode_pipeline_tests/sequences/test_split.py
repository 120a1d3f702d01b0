"""Journeys out of dates, and the split: by time and by lot, without a lot on both sides."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.sequences.split import (
    HELD_OUT_LOTS,
    HELD_OUT_LOTS_EARLIER,
    KNOWN_LOTS,
    TRAIN,
    VALIDATION,
    cut_time,
    lot_buckets,
    order_by_journey,
    split_events,
)

CODES = [
    *(f"001.8804823.1203199.15000{lot}.20250620.00000000{serial}" for lot in range(3) for serial in range(3)),
    "001.8804823.1203199",
    "no code at all",
    None,
]


def column(words):
    """A dictionary column of one piece."""
    return pa.chunked_array([pa.array(words, pa.string()).dictionary_encode()])


def lot_of(code):
    parts = code.split(".")
    return ".".join(parts[1:4]) if len(parts) == 6 else code


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(CODES), max_size=40))
def test_journeys_keep_the_order_of_their_rows(words):
    found = order_by_journey(column(words))
    assert sorted(found.source.tolist()) == list(range(len(words)))
    journeys = [found.source[a:b].tolist() for a, b in zip(found.offsets[:-1], found.offsets[1:], strict=True)]
    for rows in journeys:
        assert len({words[row] for row in rows}) == 1
        assert rows == sorted(rows)
    named = [words[rows[0]] for rows in journeys if words[rows[0]] is not None]
    assert named == sorted(set(named))
    lots = found.lots.to_pylist()
    assert [lots[lot] for lot in found.lot[: len(named)]] == [lot_of(code) for code in named]


def test_rows_without_an_epc_are_journeys_and_lots_of_their_own():
    found = order_by_journey(column([None, CODES[0], None, CODES[0]]))
    assert found.source.tolist() == [1, 3, 0, 2]
    assert found.offsets.tolist() == [0, 2, 3, 4]
    assert len(set(found.lot.tolist())) == 3


def test_dictionaries_of_several_dates_are_one():
    dates = [pa.array(words, pa.string()).dictionary_encode() for words in (["b", "a"], ["a", None, "c"], ["c", "b"])]
    found = order_by_journey(pa.chunked_array(dates))
    assert found.source.tolist() == [1, 2, 0, 6, 4, 5, 3]
    assert np.diff(found.offsets).tolist() == [2, 2, 2, 1]


def test_no_rows_are_no_journeys():
    found = order_by_journey(column([]))
    assert found.offsets.tolist() == [0]
    assert len(found.source) == len(found.lot) == len(found.lots) == 0


def test_buckets_are_the_same_in_every_version():
    lots = pa.array(["8804823.1203199.150002", "8805843.1203200.000001", "도매"])
    # By `sha256sum`, its first eight digits; other values would move lots from training into evaluation.
    assert lot_buckets(lots).tolist() == [2285761086, 2841867836, 1327586919]


def test_one_lot_in_five_is_held_out_of_many():
    buckets = lot_buckets(pa.array([f"8804823.1203199.{lot:06d}" for lot in range(5000)]))
    assert np.mean(buckets % 5 == 0) == pytest.approx(0.2, abs=0.02)
    assert np.mean((buckets // 5 % 6 == 0)[buckets % 5 != 0]) == pytest.approx(1 / 6, abs=0.02)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=60), st.floats(0.05, 0.95))
def test_the_cut_leaves_the_share_of_training_before_it(time, share):
    time = np.array(time)
    cut = cut_time(time, share)
    assert cut in time
    assert (time < cut).sum() <= share * len(time) < (time <= cut).sum() + 1e-9


def test_no_events_have_a_cut():
    assert cut_time(np.zeros(0, np.int64), 0.8) == 0


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 7), st.integers(2, 7))
def test_split_by_time_and_lot(seed, held_out_lots, validation_lots):
    random = np.random.default_rng(seed)
    buckets = random.integers(0, 2**32, 30, dtype=np.uint32)
    lot = random.integers(0, len(buckets), 400)
    time = random.integers(0, 1000, 400)
    cut = cut_time(time, 0.8)
    part = split_events(time, lot, buckets, cut, held_out_lots, validation_lots)
    lots = {name: set(lot[part == name].tolist()) for name in range(5)}
    # A lot trains, or validates, or is held out: never two of these.
    held_out = lots[HELD_OUT_LOTS] | lots[HELD_OUT_LOTS_EARLIER]
    assert not held_out & (lots[TRAIN] | lots[VALIDATION] | lots[KNOWN_LOTS])
    assert not lots[TRAIN] & lots[VALIDATION]
    # What trains and validates lies before the cut, what is evaluated after it.
    early = np.isin(part, (TRAIN, VALIDATION, HELD_OUT_LOTS_EARLIER))
    np.testing.assert_array_equal(early, time < cut)
    np.testing.assert_array_equal(
        np.isin(part, (HELD_OUT_LOTS, HELD_OUT_LOTS_EARLIER)), (buckets % held_out_lots == 0)[lot]
    )


def test_more_events_move_no_lot():
    """What a lot is for hangs on its name alone, not on the others that are there."""
    few = order_by_journey(column(CODES[:3]))
    many = order_by_journey(column(CODES))
    of_few = dict(zip(few.lots.to_pylist(), lot_buckets(few.lots).tolist(), strict=True))
    of_many = dict(zip(many.lots.to_pylist(), lot_buckets(many.lots).tolist(), strict=True))
    assert of_few.items() <= of_many.items()
