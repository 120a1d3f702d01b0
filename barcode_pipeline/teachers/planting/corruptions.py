"""Corruptions: one thing of a journey is changed at random, with no incident in mind.

What was changed says which label it is: the code, a scan made twice, a place, a stay. Ranges are wide and chosen for no
incident; what lies within the ordinary is drawn as well. Incidents that were thought of stand in the other modules.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.teachers.planting.board import SECONDS_PER_HOUR, Anchors, Board
from barcode_pipeline.teachers.planting.codes import COMPANY, DATE, LOT, PRODUCT, SERIAL, joined, parts_of
from barcode_pipeline.teachers.planting.codes import rank_in_incident as rank_in

MOST_COPIED = 4
"""Scans in a row that are made twice, at most."""
HOURS_APART = (1, 1000)
"""Between a scan and its copy, before or after."""
TIMES_AS_LONG = (3, 3000)
"""By what a stay is multiplied or divided: less than the first is a stay like others."""
LONGEST_HOURS = 1000
SHORTEST_HOURS = 1 / 60


def known_event(board: Board) -> np.ndarray:
    """(N,) bool, of a known level at a known place."""
    return board.known


def corrupt_code(board: Board, anchors: Anchors) -> None:
    """From this event on one part of the code is that of another code, or digits at random."""
    parts = parts_of(board, anchors)
    first = np.unique(anchors.incident, return_index=True)[1]
    other = board.random.permutation(first)[anchors.incident] if len(first) else first
    which = board.random.choice([COMPANY, PRODUCT, LOT, DATE, SERIAL], anchors.count)[anchors.incident]
    number = board.random.integers(0, 10**9, anchors.count)[anchors.incident]
    drawn = {part: parts[part][other] for part in (COMPANY, PRODUCT, LOT, DATE)}
    at_random = board.chance(anchors, 0.5)
    for part, digits in ((PRODUCT, 7), (LOT, 6)):
        drawn[part] = np.where(at_random, _digits(number, digits), drawn[part])
    # No two items have one serial.
    drawn[SERIAL] = _digits(number + rank_in(anchors), 9)
    for part, words in drawn.items():
        parts[part] = np.where(which == part, words, parts[part])
    codes = pa.array(joined(parts).tolist(), pa.string())
    new = ~np.asarray(pc.is_in(codes, board.codes.cast(pa.string())))
    anchors, codes = anchors.where(new), codes.filter(pa.array(new))
    tail, owner = board.tail_of(anchors.row)
    board.epc[tail] = board.new_epcs(codes)[owner]
    board.bear(tail)


def corrupt_count(board: Board, anchors: Anchors) -> None:
    """Some scans in a row at one place are made once more, at another place of the kind, earlier or later."""
    rows = anchors.row
    length = 1 + board.random.integers(0, MOST_COPIED, anchors.count)[anchors.incident]
    place = board.other_place(anchors, board.level[rows].astype(np.int64), board.place[rows])
    hours = board.log_uniform(anchors, *HOURS_APART) * np.where(board.chance(anchors, 0.5), -1, 1)
    tail, owner = board.tail_of(rows)
    copied = (tail - rows[owner] < length[owner]) & (board.place[tail] == board.place[rows][owner])
    copied &= board.known[tail] & (place >= 0)[owner]
    tail, owner = tail[copied], owner[copied]
    seconds = (hours * SECONDS_PER_HOUR).astype(np.int64)[owner]
    board.insert(tail, time=board.time[tail] + seconds, place=place[owner])
    # Of two items under one code nobody can say which scan is the genuine one's.
    genuine, _ = board.tail_of(board.start[rows])
    board.follow_from(genuine)


def comes_to_a_place(board: Board) -> np.ndarray:
    """(N,) bool, the first event of a stay."""
    return board.known & (board.is_first | (board.place != board.place[board.before]))


def corrupt_place(board: Board, anchors: Anchors) -> None:
    """A stay is at another place of its kind, any but those where the lot was seen."""
    origin = board.place[board.before[anchors.row]]
    target = board.other_place(anchors, board.level[anchors.row].astype(np.int64), origin, new_to_lot=True)
    anchors, origin, target = anchors.where(target >= 0), origin[target >= 0], target[target >= 0]
    rows = anchors.row
    hours = board.travel_hours(anchors, origin, target) - board.hours_before[rows]
    board.move_to(rows, target)
    board.shift_tail(rows, np.where(board.is_first[rows], 0, np.maximum(hours, 0)) * SECONDS_PER_HOUR)
    board.bear(rows)
    later, _ = board.tail_of(rows, skip=1)
    board.follow_from(later)


def ends_a_stay(board: Board) -> np.ndarray:
    """(N,) bool, events some time after another one at their place."""
    return board.known & ~board.is_first & (board.place == board.place[board.before]) & (board.hours_before > 0.25)


def corrupt_stay(board: Board, anchors: Anchors) -> None:
    """A stay is many times shorter or longer; what follows comes as much earlier or later, or keeps its time."""
    rows = anchors.row
    stay, times = board.hours_before[rows], board.log_uniform(anchors, *TIMES_AS_LONG)
    hours = np.where(board.chance(anchors, 0.5), stay / times, np.minimum(stay * times, stay + LONGEST_HOURS))
    seconds = ((np.maximum(hours, SHORTEST_HOURS) - stay) * SECONDS_PER_HOUR).astype(np.int64)
    together = board.chance(anchors, 0.5) | (seconds >= 0.9 * board.hours_after[rows] * SECONDS_PER_HOUR)
    board.shift_tail(rows[together], seconds[together])
    board.time[rows[~together]] += seconds[~together]
    board.bear(rows)
    board.follow_after(rows)


def _digits(number: np.ndarray, digits: int) -> np.ndarray:
    return np.char.zfill((number % 10**digits).astype(str), digits)
