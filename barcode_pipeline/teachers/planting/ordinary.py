"""What departs from the shipment and is nothing wrong: planted as ordinary, so that not every departure is an anomaly.

Items left behind, whole batches sent elsewhere or handled at once, late transports, re-reads, missed reads.
"""

from __future__ import annotations

import numpy as np

from barcode_pipeline.events.steps import IN, OUT
from barcode_pipeline.teachers.planting.board import SECONDS_PER_HOUR, Anchors, Board
from barcode_pipeline.teachers.planting.settings import OrdinaryNoise

BATCH_SECONDS = 2 * SECONDS_PER_HOUR
"""Scans of one step of a lot with no longer a pause between them are one batch's."""


def add_noise(board: Board, noise: OrdinaryNoise) -> None:
    """Change free journeys as ordinary life does; none of it bears a label. Their order of events stays."""
    _reroute_batches(board, noise.rerouted)
    _handle_at_once(board, noise.at_once)
    _leave_behind(board, noise.left_behind)
    _come_late(board, noise.late_items, noise.late_shipments)


def miss_reads(board: Board, highest_rate: float) -> None:
    """Drop reads at a rate of each lot's own, from 0 to the highest, mostly small. What bears a label is kept."""
    rate = highest_rate * board.random.random(len(board.highest_serial)) ** 2
    board.kept &= (board.random.random(len(board)) >= rate[board.lot]) | (board.label >= 0)


def _batches(board: Board, rows: np.ndarray, share: float) -> Anchors:
    """A share of the batches that some events form, as anchors with a batch for an incident."""
    order = rows[np.lexsort((board.time[rows], board.place[rows], board.level[rows], board.lot[rows]))]
    step = np.column_stack([board.lot[order], board.level[order], board.place[order]])
    apart = np.ones(len(order), dtype=bool)
    apart[1:] = (np.diff(step, axis=0) != 0).any(axis=1) | (np.diff(board.time[order]) > BATCH_SECONDS)
    batch = np.cumsum(apart) - 1
    count = int(apart.sum())
    chosen = (board.random.random(count) < share)[batch]
    # A journey that comes twice is moved once.
    order, batch = order[chosen], batch[chosen]
    first = np.sort(np.unique(board.journey[order], return_index=True)[1])
    order, batch = order[first], np.unique(batch[first], return_inverse=True)[1].reshape(-1)
    return Anchors(order, batch, int(batch.max() + 1) if len(batch) else 0)


def _reroute_batches(board: Board, share: float) -> None:
    """A whole batch goes to another hub or wholesaler than its lot's others."""
    rows = np.flatnonzero(board.free & board.arrives & np.isin(board.level, (2, 3)))
    batches = _batches(board, rows, share)
    origin = board.place[board.before[batches.row]]
    target = board.other_place(batches, board.level[batches.row], origin)
    batches = batches.where(target >= 0)
    origin, target = board.place[board.before[batches.row]], target[target >= 0]
    hours = board.travel_hours(batches, origin, target)
    leader = batches.leaders()
    # All of the batch by as much: it stays together.
    delta = hours - board.hours_before[batches.row]
    board.shift_tail(batches.row, np.maximum(delta[leader], delta) * SECONDS_PER_HOUR if len(leader) else delta)
    board.move_to(batches.row, target)


def _handle_at_once(board: Board, share: float) -> None:
    """A whole batch leaves soon after it came."""
    rows = np.flatnonzero(board.free & board.departs & (board.level >= 1) & (board.hours_before > 3))
    batches = _batches(board, rows, share)
    minutes = board.log_uniform(batches, 20, 150)
    board.shift_tail(batches.row, minutes * 60 - board.hours_before[batches.row] * SECONDS_PER_HOUR)


def _leave_behind(board: Board, share: float) -> None:
    """One item leaves, and arrives, hours to days after its shipment, and is with it again at the next site."""
    rows = board.random.permutation(np.flatnonzero(board.free & (board.direction == OUT) & ~board.is_first))
    rows = rows[np.unique(board.journey[rows], return_index=True)[1]]
    rows = rows[board.random.random(len(rows)) < share * len(np.unique(board.journey[board.free])) / max(len(rows), 1)]
    hours = np.exp(board.random.normal(np.log(9), 1.3, len(rows)))
    moves_on = board.is_last[rows] | ~board.arrives[board.after[rows]]
    arrival = np.where(moves_on, rows, board.after[rows])
    fits = hours < 0.8 * board.hours_after[arrival]
    rows, arrival, seconds = rows[fits], arrival[fits], (hours[fits] * SECONDS_PER_HOUR).astype(np.int64)
    board.time[rows] += seconds
    with_arrival = arrival != rows
    board.time[arrival[with_arrival]] += seconds[with_arrival]


def _come_late(board: Board, of_items: float, of_shipments: float) -> None:
    """Transports late by some of their route's standard deviations: the tail that transport times have."""
    before = board.before
    std = board.network.std[board.place[before], board.place]
    rows = np.flatnonzero(board.free & board.arrives & (board.direction[before] == OUT) & (std > 0))
    late = board.random.random(len(rows)) < of_items
    shipments = _batches(board, rows, of_shipments)
    singles = rows[late & ~np.isin(board.journey[rows], board.journey[shipments.row])]
    singles = singles[np.unique(board.journey[singles], return_index=True)[1]]
    everyone = Anchors(
        np.concatenate([shipments.row, singles]),
        np.concatenate([shipments.incident, shipments.count + np.arange(len(singles))]),
        shipments.count + len(singles),
    )
    deviations = (1.3 + board.random.exponential(1.1, everyone.count))[everyone.incident]
    origin, target = board.place[board.before[everyone.row]], board.place[everyone.row]
    hours = board.network.mean[origin, target] + deviations * board.network.std[origin, target]
    delta = (hours - board.hours_before[everyone.row]) * SECONDS_PER_HOUR
    delta = np.maximum(delta, 0)
    fits = delta < 0.9 * board.hours_after[everyone.row] * SECONDS_PER_HOUR
    board.time[everyone.row[fits]] += delta[fits].astype(np.int64)
    board.shift_tail(everyone.row[~fits], delta[~fits])


def read_again(board: Board, share: float) -> None:
    """The same event once more within a minute, on journeys that are still free."""
    rows = np.flatnonzero(board.free & board.known & np.isin(board.direction, (IN, OUT)))
    rows = rows[board.random.random(len(rows)) < share]
    seconds = board.random.integers(1, 61, len(rows))
    fits = seconds < board.hours_after[rows] * SECONDS_PER_HOUR
    board.insert(rows[fits], bears=False, time=board.time[rows[fits]] + seconds[fits])
