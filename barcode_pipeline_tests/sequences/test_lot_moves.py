"""A lot kept ready and changed in place has the moves, and gives the features, that all its journeys at once give."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.events.followed import follow_codes
from barcode_pipeline.events.journeys import NO_EVENT_ID, Events
from barcode_pipeline.events.places import Places
from barcode_pipeline.sequences.lot_moves import LotMoves, ReadyLots, columns_of, lot_changes, split_changes
from barcode_pipeline.sequences.lot_numbers import N_PLACES
from barcode_pipeline.sequences.moves import Moves, moves_of, sum_moves
from barcode_pipeline.sequences.shipments import BATCH_SECONDS, shipment_features

PLACES = Places(np.array([0, 1, 2, -1], np.int32), np.array([1, 2, 3, 99]), pa.array(["a", "b", "c", None]))


def lot_codes(lot: int, serials: range) -> list[str]:
    return [f"001.8804823.1203199.{lot:06}.20250701.{serial:09}" for serial in serials]


CODES = pa.array(lot_codes(1, range(1, 9)) + lot_codes(2, range(5, 8)) + ["BROKEN"], pa.string())


def events_of(rows: np.ndarray) -> Events:
    """rows: (n, 6) of epc, time, level, direction, place, event id."""
    epc, time, level, direction, place, event_id = rows.T
    return Events(
        epc.astype(np.int32), time.astype(np.int64), level.astype(np.int8), direction.astype(np.int8),
        place.astype(np.int32), np.zeros(len(rows), np.int32),
        np.where(event_id > 0, event_id, NO_EVENT_ID).astype(np.int64), CODES, PLACES,
    )  # fmt: skip


def changes_by(moves: Moves, times: int = 1) -> dict[str, np.ndarray]:
    """Moves to be made so many times more, by lot."""
    columns = columns_of(moves)
    columns[:, 6] *= times
    return split_changes(columns, moves.lot, moves.lots.to_pylist())


@st.composite
def journeys(draw: st.DrawFn) -> np.ndarray:
    """Events of few EPCs at few places, in seconds that are often the same or a few minutes apart."""
    count = draw(st.integers(1, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    # With few kinds of steps there are batches to be joined, and pairs of batches that many EPCs go through.
    places, levels, directions = draw(st.sampled_from([(4, 7, 5), (2, 2, 1), (1, 1, 1), (2, 1, 1)]))
    span, unit = draw(st.sampled_from([(5, 1), (900, 1), (900, 60), (20_000, 1), (12, BATCH_SECONDS - 40)]))
    return np.stack(
        [
            random.integers(-1, len(CODES), count),
            1_750_000_000 + random.integers(0, span, count) * unit,
            random.integers(0, levels, count),
            random.integers(0, directions, count),
            random.integers(0, places, count),
            random.permutation(count) if draw(st.booleans()) else np.zeros(count, int),
        ],
        axis=1,
    )


def empty() -> dict[str, LotMoves]:
    names = {".".join(code.split(".")[1:4]) if "." in code else code for code in CODES.to_pylist()}
    return {name: LotMoves(np.zeros((0, 8), np.int64)) for name in names}


@given(journeys(), st.integers(1, 6), st.randoms(use_true_random=False))
@settings(max_examples=400, deadline=None)
def test_changed_in_place_it_is_as_made_at_once(rows: np.ndarray, pieces: int, random: object) -> None:
    lots, known = empty(), rows[:0]
    for piece in np.array_split(rows, pieces):
        touched = np.unique(piece[:, 0])
        after = np.concatenate([known, piece])
        before_of, after_of = (some[np.isin(some[:, 0], touched)] for some in (known, after))
        asked = moves_of(events_of(after_of))
        for lot, change in lot_changes(follow_codes(events_of(after_of)), len(before_of)).items():
            lots[lot].change(change)
        known = after
        whole = moves_of(events_of(known))
        expected = shipment_features(asked, whole)
        found = ReadyLots(lots).features(asked)
        assert np.array_equal(found.values, expected.values)
        assert np.array_equal(found.highest, expected.highest)
        assert sum(map(len, lots.values())) == len(whole)


@given(journeys())
@settings(max_examples=50, deadline=None)
def test_a_change_and_its_opposite_leave_it_as_it_was(rows: np.ndarray) -> None:
    half = len(rows) // 2
    first, second = moves_of(events_of(rows[:half])), moves_of(events_of(rows))
    lots = empty()
    for lot, change in changes_by(first).items():
        lots[lot].change(change)
    there = lot_changes(follow_codes(events_of(rows)), half)
    back = {lot: change * [1, 1, 1, 1, 1, 1, -1, 1] for lot, change in there.items()}
    for changes in (there, back):
        for lot, change in changes.items():
            lots[lot].change(change)
    assert sum(map(len, lots.values())) == len(first)
    asked = ReadyLots(lots).features(first)
    expected = shipment_features(first, sum_moves([(second, 1), (second, -1), (first, 1)]))
    assert np.array_equal(asked.values, expected.values)


@pytest.mark.parametrize("also_there", [False, True], ids=["alone", "another at its second"])
def test_what_held_a_batch_together_is_gone(also_there: bool) -> None:
    """EPCs 0, 1 and 2 pass a place, each just near enough to the one before: one batch, and two without EPC 1, unless
    EPC 3 passed with it."""
    start, near = 1_750_000_000, BATCH_SECONDS - 1
    rows = [[epc, start + epc * near, 1, 0, 0, 0] for epc in range(3)]
    rows += [[epc, start + 50_000 + 1000 * epc, 2, 0, 1, 0] for epc in (0, 2)]
    rows += [[3, start + near, 1, 0, 0, 0]] if also_there else []
    before = np.array(rows)
    gone, left = moves_of(events_of(before[before[:, 0] == 1])), moves_of(events_of(before[before[:, 0] != 1]))
    lots = empty()
    for lot, change in changes_by(moves_of(events_of(before))).items():
        lots[lot].change(change)
    together = ReadyLots(lots).features(left).values
    for lot, change in changes_by(gone, -1).items():
        lots[lot].change(change)
    found = ReadyLots(lots).features(left).values
    assert np.array_equal(found, shipment_features(left, left).values)
    assert not np.array_equal(found, together), "what is gone is not seen"


def test_columns_come_back() -> None:
    moves = moves_of(events_of(np.array([[0, 100, 0, 0, 0, 0], [0, 200, 1, 0, 1, 0], [1, 100, 0, 0, 0, 0]])))
    assert np.array_equal(LotMoves(columns_of(moves)).columns(), columns_of(moves))


def test_what_is_not_there_is_told() -> None:
    moves: Moves = moves_of(events_of(np.array([[0, 100, 0, 0, 0, 0]])))
    lot = LotMoves(np.zeros((0, 8), np.int64))
    with pytest.raises(ValueError, match="asked about"):
        lot.features(columns_of(moves), np.zeros((1, 23), np.float32), np.zeros(1, np.int64))
    gone = columns_of(moves)
    gone[:, 6] = -1
    with pytest.raises(ValueError, match="taken away"):
        lot.change(gone)


@pytest.mark.parametrize("onward", [False, True], ids=["no one has left", "all have moved on"])
def test_a_pass_between_two_batches_makes_them_one(onward: bool) -> None:
    """EPCs 0 and 1 pass a place too far apart to be one batch; 2 comes between, and nothing is numbered anew."""
    start, near = 1_750_000_000, BATCH_SECONDS - 1
    rows = [[epc, start + [0, 2, 1][epc] * near, 1, 0, 0, 0] for epc in range(3)]
    rows += [[epc, start + 50_000 + 1000 * epc, 2, 0, 1, 0] for epc in range(3)] if onward else []
    events = np.array(rows)
    before, whole = moves_of(events_of(events[events[:, 0] != 2])), moves_of(events_of(events))
    lots = empty()
    for lot, change in changes_by(before).items():
        lots[lot].change(change)
    apart = ReadyLots(lots).features(before).values
    for lot in lots.values():
        lot._number_all = pytest.fail  # type: ignore[method-assign, assignment]
    for lot, change in changes_by(moves_of(events_of(events[events[:, 0] == 2]))).items():
        lots[lot].change(change)
    found = ReadyLots(lots).features(whole).values
    assert np.array_equal(found, shipment_features(whole, whole).values)
    if onward:
        assert not np.array_equal(ReadyLots(lots).features(before).values, apart), "what came between is not seen"


def test_where_most_of_a_batch_went_counts_both_that_were_joined() -> None:
    """Of eight EPCs three go to one place, and two, one and one to another, a little apart: four, which is more."""
    start, near = 1_750_000_000, BATCH_SECONDS - 1
    rows = [[epc, start, 1, 0, 0, 0] for epc in range(8)]
    rows += [[epc, start + 20_000, 2, 0, 1, 0] for epc in range(3)]
    rows += [[epc, start + 40_000 + [0, 0, 2 * near, near][epc - 3], 2, 0, 2, 0] for epc in range(3, 7)]
    rows += [[7, start + 90_000, 2, 0, 2, 0]]
    events = np.array(rows)
    between = events[:, 0] == 6
    whole = moves_of(events_of(events))
    lots = empty()
    for part in (events[~between], events[between]):
        for lot, change in changes_by(moves_of(events_of(part))).items():
            lots[lot].change(change)
    assert np.array_equal(ReadyLots(lots).features(whole).values, shipment_features(whole, whole).values)


def test_moves_that_come_and_go_for_ever_need_no_more_room() -> None:
    rows = np.array([[0, 1_750_000_000, 1, 0, 0, 0], [1, 1_750_100_000, 1, 0, 1, 0]])
    stays, comes = moves_of(events_of(rows[:1])), moves_of(events_of(rows[1:]))
    lot = LotMoves(columns_of(stays))
    room = len(lot._places)
    for _ in range(2 * room):
        lot.change(columns_of(comes))
        assert lot._sizes[N_PLACES] <= len(lot._places) == room, "a number beyond the room is written where it lies"
        lot.change(columns_of(comes) * [1, 1, 1, 1, 1, 1, -1, 1])
    assert np.array_equal(lot.columns(), columns_of(stays))
