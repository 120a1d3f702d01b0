"""Planting travel that cannot be, or is far from what its route or its shipment takes."""

from __future__ import annotations

import numpy as np

from barcode_pipeline.events.steps import OUT
from barcode_pipeline.teachers.planting.board import SECONDS_PER_HOUR, Anchors, Board
from barcode_pipeline.teachers.planting.places import FEWEST_IN_SHIPMENT

_SHORTEST_KM = 15


def comes_from_afar(board: Board) -> np.ndarray:
    before = board.before
    return board.arrives & (board.network.distance[board.place[before], board.place] > _SHORTEST_KM)


def plant_too_fast(board: Board, anchors: Anchors) -> None:
    """Arrives sooner than any truck could."""
    rows = anchors.row
    before = board.before[rows]
    hours = board.fastest_hours(board.place[before], board.place[rows]) * board.uniform(anchors, 0.03, 0.9)
    board.time[rows] = board.time[before] + np.maximum(1, hours * SECONDS_PER_HOUR).astype(np.int64)
    board.bear(rows)


def comes_on_a_route(board: Board) -> np.ndarray:
    before = board.before
    std = board.network.std[board.place[before], board.place]
    return board.arrives & (board.direction[before] == OUT) & (std > 0)


def plant_too_slow(board: Board, anchors: Anchors) -> None:
    """Arrives many of its route's standard deviations after the mean."""
    rows = anchors.row
    origin, target = board.place[board.before[rows]], board.place[rows]
    deviations = board.log_uniform(anchors, 3.0, 14)
    hours = board.network.mean[origin, target] + deviations * board.network.std[origin, target]
    seconds = (hours - board.hours_before[rows]) * SECONDS_PER_HOUR
    fits = seconds < 0.9 * board.hours_after[rows] * SECONDS_PER_HOUR
    board.time[rows[fits]] += seconds[fits].astype(np.int64)
    board.shift_tail(rows[~fits], seconds[~fits])
    board.bear(rows)


def travels_at_leisure(board: Board) -> np.ndarray:
    """(N,) bool, arrivals of shipments that took far longer than they would have had to."""
    before = board.before
    needed = board.fastest_hours(board.place[before], board.place)
    return (
        comes_from_afar(board) & (board.hours_before > 1.8 * needed + 0.5) & (board.shipment_size >= FEWEST_IN_SHIPMENT)
    )


def plant_ahead(board: Board, anchors: Anchors) -> None:
    """Arrives hours before the shipment it left with, in a time that a truck can make."""
    rows = anchors.row
    before = board.before[rows]
    needed = board.fastest_hours(board.place[before], board.place[rows])
    room = board.hours_before[rows] - 0.4 - 1.05 * needed
    hours = 1.05 * needed + room * board.uniform(anchors, 0, 0.6)
    board.time[rows] = board.time[before] + (hours * SECONDS_PER_HOUR).astype(np.int64)
    board.bear(rows)
