"""Planting one EPC at two places: a copied code beside the genuine one."""

from __future__ import annotations

import numpy as np

from barcode_pipeline.events.steps import IN, OUT, SALE
from barcode_pipeline.teachers.planting.board import SECONDS_PER_HOUR, Anchors, Board

_SLOW_KM_PER_HOUR = 65


def known_event(board: Board) -> np.ndarray:
    return board.known & (board.level < 5)


def plant_same_second(board: Board, anchors: Anchors) -> None:
    """Scanned at another place, mostly one of the same kind, in the same second."""
    level = board.level[anchors.row].astype(np.int64)
    other = np.where(board.chance(anchors, 0.75), level, board.random.integers(1, 5, len(anchors)))
    place = board.other_place(anchors, other, board.place[anchors.row])
    far = ~(board.network.distance[board.place[anchors.row], np.maximum(place, 0)] <= 5)
    found = (place >= 0) & far
    rows = anchors.row[found]
    board.insert(rows, place=place[found], level=other[found], direction=board.direction[rows])
    board.bear(rows)
    board.follow_after(rows)


def waits_long(board: Board) -> np.ndarray:
    """(N,) bool, departures after a day and a half or more at one place."""
    return board.departs & (board.level >= 1) & (board.hours_before > 36)


def plant_while_waiting(board: Board, anchors: Anchors) -> None:
    """While the item waits, its copy is scanned at another place, once to four times, as slowly as real goods move."""
    hours = board.hours_before[anchors.row]
    scans = np.array([1, 2, 2, 2, 3, 4])[board.random.integers(0, 6, anchors.count)][anchors.incident]
    level = board.level[anchors.row].astype(np.int64)
    # One place on where that is a shop, else another of the same kind.
    at = np.where(board.chance(anchors, 0.2), np.minimum(level + 1, 4), level)
    gap = hours / (scans + 1)
    here = board.place[anchors.row]
    first = board.other_place(anchors, at, here, reach_km=gap * 0.6 * _SLOW_KM_PER_HOUR)
    second = board.other_place(anchors, np.minimum(at + 1, 4), here, reach_km=gap * 0.3 * _SLOW_KM_PER_HOUR)
    found = (first >= 0) & ((scans < 3) | (second >= 0))
    anchors = anchors.where(found)
    gap, scans, at, first, second = gap[found], scans[found], at[found], first[found], second[found]
    before = board.before[anchors.row]
    for number in range(4):
        some = scans > number
        rows = before[some]
        jitter = board.uniform(anchors, -0.35, 0.35)[some]
        moved = number >= 2
        board.insert(
            rows,
            time=board.time[rows] + (gap[some] * (number + 1 + jitter) * SECONDS_PER_HOUR).astype(np.int64),
            place=(second if moved else first)[some],
            level=np.minimum(at + moved, 4)[some],
            direction=np.full(len(rows), (IN, OUT)[number % 2]),
        )
    board.follow_from(anchors.row)


def goes_on(board: Board) -> np.ndarray:
    """(N,) bool, events with more to come, from the warehouse on."""
    return board.known & (board.level >= 1) & ~board.is_last & (board.hours_after > 2)


def plant_second_way(board: Board, anchors: Anchors) -> None:
    """From here on the copy goes a way of its own, hours to days beside the genuine item's."""
    tail, owner = board.tail_of(anchors.row, skip=1)
    seconds = (board.log_uniform(anchors, 3, 150) * SECONDS_PER_HOUR).astype(np.int64)
    here = board.place[anchors.row]
    new = np.stack(
        [board.other_place(anchors, np.full(len(anchors), level), here) for level in range(5)]
    )  # (level, anchor)
    level = np.minimum(board.level[tail].astype(np.int64), 4)
    place = new[level, owner]
    usable = (place >= 0) & (place != board.place[tail]) & board.known[tail]
    board.insert(tail[usable], time=board.time[tail[usable]] + seconds[owner[usable]], place=place[usable])
    # Where both are on the way, nobody can say of the genuine item's scans that they are ordinary.
    board.follow_from(tail)


def is_sold(board: Board) -> np.ndarray:
    return board.known & (board.direction == SALE)


def plant_sold_again(board: Board, anchors: Anchors) -> None:
    """Sold, and later sold once more, in another shop."""
    place = board.other_place(anchors, np.full(len(anchors), 4), board.place[anchors.row])
    anchors, place = anchors.where(place >= 0), place[place >= 0]
    seconds = (board.log_uniform(anchors, 12, 900) * SECONDS_PER_HOUR).astype(np.int64)
    came = board.chance(anchors, 0.4)
    rows = anchors.row
    board.insert(
        rows[came],
        time=board.time[rows[came]] + seconds[came] // 2,
        place=place[came],
        level=np.full(came.sum(), 4),
        direction=np.full(came.sum(), IN),
    )
    board.insert(rows, time=board.time[rows] + seconds, place=place)
