"""Planting wrong places: backward, past a level, unknown, and away from where the lot goes."""

from __future__ import annotations

import numpy as np

from barcode_pipeline.events.steps import IN, LEVEL_UNKNOWN, OTHER, OUT, SALE
from barcode_pipeline.teachers.planting.board import SECONDS_PER_HOUR, Anchors, Board

FEWEST_IN_SHIPMENT = 5
"""A shipment of fewer does not show who left it."""


def has_come_far(board: Board) -> np.ndarray:
    """(N,) bool, events from the hub on with room for another scan after them."""
    return board.known & (board.level >= 2) & (board.hours_after > 6) & ~board.is_first


def plant_backward(board: Board, anchors: Anchors) -> None:
    """Scanned once more at a place of a lower level, mostly one where it has been."""
    row = anchors.row
    template = board.start[row] + (board.random.random(len(row)) * (row - board.start[row])).astype(np.int64)
    level = board.level[template].astype(np.int64)
    place = board.place[template].astype(np.int64)
    other = board.other_place(anchors, np.minimum(level, 5), board.place[row])
    place = np.where(board.chance(anchors, 0.25) & (other >= 0), other, place)
    right = board.known[template] & (level < board.level[row]) & (place != board.place[row])
    anchors, template, place = anchors.where(right), template[right], place[right]
    row = anchors.row
    distance = np.nan_to_num(board.network.distance[board.place[row], place], nan=100.0)
    needed = distance / 60 + 0.5
    room = np.minimum(board.hours_after[row] * 0.85, 240)
    feasible = room > needed
    anchors, template, place = anchors.where(feasible), template[feasible], place[feasible]
    row, needed, room = anchors.row, needed[feasible], room[feasible]
    hours = needed + (room - needed) * board.uniform(anchors) ** 2
    board.insert(
        row,
        time=board.time[row] + (hours * SECONDS_PER_HOUR).astype(np.int64),
        place=place,
        level=board.level[template],
        direction=np.where(board.chance(anchors, 0.75), IN, OUT),
    )
    board.follow_after(row)


def passes_a_level(board: Board) -> np.ndarray:
    """(N,) bool, arrivals at a hub or shop right after the warehouse or the wholesaler."""
    before = board.before
    return (
        board.arrives & np.isin(board.level, (2, 4)) & (board.level[before] == board.level - 1)
        & (_before_level(board) >= 0)
    )  # fmt: skip


def plant_skipped(board: Board, anchors: Anchors) -> None:
    """Comes within hours from before the warehouse, or the wholesaler, without having been there."""
    row = anchors.row
    last = _before_level(board)[row]
    hours = board.travel_hours(anchors, board.place[last], board.place[row]) * board.uniform(anchors, 0.9, 1.8)
    seconds = np.minimum(hours * SECONDS_PER_HOUR, board.time[row] - board.time[last])
    between = last[:, None] + 1 + np.arange(_DEEPEST)
    board.kept[between[between < row[:, None]]] = False
    board.time[row] = board.time[last] + seconds.astype(np.int64)
    board.bear(row)


_DEEPEST = 4
"""Events at one level, at most, that are taken out."""


def _before_level(board: Board) -> np.ndarray:
    """(N,) the last event before the level below this event's, of a still lower one; -1 where there is none."""
    level = board.level.astype(np.int64)
    place = np.arange(len(board))
    found = np.full(len(board), -1, dtype=np.int64)
    for back in range(2, _DEEPEST + 2):
        candidate = place - back
        inside = candidate >= board.start
        candidate = np.maximum(candidate, 0)
        lower = inside & (found == -1) & (level[candidate] < level - 1) & board.known[candidate]
        found[lower] = candidate[lower]
    return found


def plant_unknown_place(board: Board, anchors: Anchors) -> None:
    """Scanned at a place that is in no table."""
    board.place[anchors.row] = board.random.choice(board.unknown_places, len(anchors))
    board.bear(anchors.row)
    board.follow_after(anchors.row)


def plant_unknown_step(board: Board, anchors: Anchors) -> None:
    """A step that nobody knows, with a type that says in or out, or nothing."""
    board.level[anchors.row] = LEVEL_UNKNOWN
    silent = anchors.row[board.chance(anchors, 0.2) | (board.direction[anchors.row] == SALE)]
    board.direction[silent] = OTHER
    board.bear(anchors.row)


def could_leave_shipment(board: Board) -> np.ndarray:
    """(N,) bool, arrivals at a hub or wholesaler of shipments large enough to tell who left them."""
    return board.arrives & np.isin(board.level, (2, 3)) & (board.shipment_size >= FEWEST_IN_SHIPMENT)


def could_leave_for_a_shop(board: Board) -> np.ndarray:
    return board.arrives & (board.level == 4) & (board.shipment_size >= FEWEST_IN_SHIPMENT)


def plant_diverted(board: Board, anchors: Anchors) -> None:
    """Goes to a place where its lot never goes, alone or a few together, while the shipment goes its way."""
    origin = board.place[board.before[anchors.row]]
    target = board.other_place(anchors, board.level[anchors.row], origin, new_to_lot=True)
    anchors, target = anchors.where(target >= 0), target[target >= 0]
    origin = board.place[board.before[anchors.row]]
    hours = board.travel_hours(anchors, origin, target) * board.uniform(anchors, 0.9, 1.3)
    board.move_to(anchors.row, target)
    board.shift_tail(anchors.row, (hours - board.hours_before[anchors.row]) * SECONDS_PER_HOUR)
    board.bear(anchors.row)
    tail, _ = board.tail_of(anchors.row, skip=1)
    board.follow_from(tail)


def at_wholesaler(board: Board) -> np.ndarray:
    return board.known & (board.level == 3) & ~board.is_last


def plant_sold_early(board: Board, anchors: Anchors) -> None:
    """Sold to a customer where goods are only stored."""
    rows = anchors.row
    hours = np.minimum(board.log_uniform(anchors, 1, 200), 0.9 * board.hours_after[rows])
    board.insert(
        rows,
        time=board.time[rows] + (hours * SECONDS_PER_HOUR).astype(np.int64),
        level=np.full(len(rows), 5),
        direction=np.full(len(rows), SALE),
    )
    # What is sold does not go on.
    tail, _ = board.tail_of(rows, skip=1)
    board.kept[tail] = False
