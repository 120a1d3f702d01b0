"""Planting wrong order at one place: repeated, swapped, without a type, sent too late, left too soon."""

from __future__ import annotations

import numpy as np

from barcode_pipeline.events.journeys import NO_EVENT_ID
from barcode_pipeline.events.steps import IN, MISSING, OUT
from barcode_pipeline.teachers.planting.board import SECONDS_PER_HOUR, Anchors, Board


def could_be_repeated(board: Board) -> np.ndarray:
    return board.known & np.isin(board.direction, (IN, OUT)) & (board.hours_after > 0.5)


def plant_repeated(board: Board, anchors: Anchors) -> None:
    """The same step at the same place once to three times more, minutes to days later."""
    rows = anchors.row
    times = np.array([1, 1, 1, 2, 2, 3])[board.random.integers(0, 6, anchors.count)][anchors.incident]
    first = board.log_uniform(anchors, 0.04, 60)
    room = np.minimum(board.hours_after[rows] * 0.9, 400)
    pace = np.minimum(first, room / times)
    for number in range(1, 4):
        some = times >= number
        later = pace[some] * (number - 1 + board.uniform(anchors, 0.7, 1.0)[some])
        seconds = np.maximum(later * SECONDS_PER_HOUR, 61 * number).astype(np.int64)
        board.insert(rows[some], time=board.time[rows[some]] + seconds)


def departs_with_room(board: Board) -> np.ndarray:
    return board.departs & (board.hours_after > 0.2)


def plant_swapped(board: Board, anchors: Anchors) -> None:
    """The arrival is recorded after the departure from the same place."""
    rows = anchors.row
    hours = np.minimum(board.log_uniform(anchors, 0.03, 4), 0.8 * board.hours_after[rows])
    arrival = board.before[rows]
    board.time[arrival] = board.time[rows] + np.maximum(1, hours * SECONDS_PER_HOUR).astype(np.int64)
    board.bear(arrival)
    board.follow_from(rows)
    board.follow_after(rows)


def plant_type_missing(board: Board, anchors: Anchors) -> None:
    """An event without its type."""
    board.direction[anchors.row] = MISSING
    board.bear(anchors.row)


def could_be_sent_late(board: Board) -> np.ndarray:
    """(N,) bool, arrivals sent after the departure of a lower level that they follow."""
    before, sent = board.before, board.columns["event_id"]
    return (
        board.arrives & (board.direction[before] == OUT) & (board.level > board.level[before])
        & (sent != NO_EVENT_ID) & (sent[before] != NO_EVENT_ID) & (sent > sent[before])
    )  # fmt: skip


def plant_sent_late(board: Board, anchors: Anchors) -> None:
    """An arrival dated before the departure that it follows, though sent after it."""
    rows = anchors.row
    board.time[rows] = board.time[board.before[rows]] - (
        board.log_uniform(anchors, 0.15, 30) * SECONDS_PER_HOUR
    ).astype(np.int64)
    board.bear(rows)


def stays_for_long(board: Board) -> np.ndarray:
    """(N,) bool, departures of shipments that stayed half a day or more."""
    return board.departs & (board.level >= 1) & (board.hours_before > 12) & (board.shipment_size >= 4)


def plant_left_soon(board: Board, anchors: Anchors) -> None:
    """Leaves minutes after it came, alone or a few together, where the others of its shipment stay for days."""
    rows = anchors.row
    minutes = board.log_uniform(anchors, 1.5, 50)
    seconds = minutes * 60 - board.hours_before[rows] * SECONDS_PER_HOUR
    # Some go all the way ahead of the others, the rest joins them at the next place.
    ahead = board.chance(anchors, 0.5)
    travels = board.after[rows]
    with_travel = ahead & ~board.is_last[rows]
    board.time[rows] += seconds.astype(np.int64)
    board.time[travels[with_travel]] += seconds[with_travel].astype(np.int64)
    board.bear(rows)
    board.follow_after(rows)
