"""Planting wrong codes: malformed ones, impossible ones, and well-formed ones that nobody issued."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.events.times import SECONDS_PER_DAY
from barcode_pipeline.teachers.planting.board import SECONDS_PER_HOUR, Anchors, Board

HEADER, COMPANY, PRODUCT, LOT, DATE, SERIAL = range(6)
_EPOCH = datetime.date(1970, 1, 1)


def whole_journeys(board: Board) -> np.ndarray:
    """(N,) bool, the first event of each journey."""
    return board.is_first


def plant_shape(board: Board, anchors: Anchors) -> None:
    """Not six parts: one lost, one too many, other separators, or no code at all but some text."""
    parts = parts_of(board, anchors)
    kind = board.random.integers(0, 5, len(anchors))
    lost = board.random.integers(0, 6, len(anchors))
    glued = np.array([joined([part for place, part in enumerate(parts) if place != gone]) for gone in range(6)])
    whole = joined(parts)
    number = board.random.integers(0, 10**8, len(anchors)).astype(str)
    codes = np.select(
        [kind == 0, kind == 1, kind == 2, kind == 3],
        [
            glued[lost, np.arange(len(anchors))] if len(anchors) else whole,
            _added(whole, ".", number),
            np.char.replace(whole, ".", board.random.choice([":", "", "_", " "])),
            _added("URN:EPC:", number),
        ],
        _added("TAG", number, ".", "TEST"),
    )
    _recode(board, anchors, codes)


def plant_header(board: Board, anchors: Anchors) -> None:
    """A header that is not 001."""
    parts = parts_of(board, anchors)
    parts[HEADER] = board.random.choice(["000", "003", "007", "01", "1", "0001", "101", "00A", "999"], len(anchors))
    _recode(board, anchors, joined(parts))


def plant_company(board: Board, anchors: Anchors) -> None:
    """A company that is not registered: nearly a registered one, or any number."""
    parts = parts_of(board, anchors)
    near = parts[COMPANY].astype("U7")
    any_number = board.random.integers(1_000_000, 9_999_999, len(anchors)).astype(str)
    swapped = np.char.add(np.array([word[1:] for word in near.tolist()] or [], dtype="U7"), "0")
    parts[COMPANY] = np.where(board.random.random(len(anchors)) < 0.5, swapped, any_number)
    _recode(board, anchors, joined(parts))


def _plant_length(board: Board, anchors: Anchors, part: int, right: int) -> None:
    """Digits too few or too many, or a letter among them."""
    parts = parts_of(board, anchors)
    kind = board.random.integers(0, 4, len(anchors))
    word = parts[part]
    fewer = word.astype(f"U{right - 1}")
    stripped = np.char.lstrip(word, "0")
    more = _added(word, board.random.integers(0, 100, len(anchors)).astype(str))
    letter = _added(fewer, "X")
    stripped = np.where((stripped == word) | (stripped == ""), more, stripped)
    parts[part] = np.select([kind == 0, kind == 1, kind == 2], [fewer, more, stripped], letter)
    _recode(board, anchors, joined(parts))


def plant_product(board: Board, anchors: Anchors) -> None:
    _plant_length(board, anchors, PRODUCT, 7)


def plant_lot(board: Board, anchors: Anchors) -> None:
    _plant_length(board, anchors, LOT, 6)


def plant_serial(board: Board, anchors: Anchors) -> None:
    _plant_length(board, anchors, SERIAL, 9)


def plant_unreadable_date(board: Board, anchors: Anchors) -> None:
    """No calendar day, or not eight digits."""
    parts = parts_of(board, anchors)
    year = np.char.add("20", board.random.integers(10, 40, len(anchors)).astype(str))
    tail = board.random.choice(["1301", "0230", "0000", "0431", "0532", "7", "121", "010101", "MAY1"], len(anchors))
    parts[DATE] = np.char.add(year, tail)
    _recode(board, anchors, joined(parts))


def plant_future_date(board: Board, anchors: Anchors) -> None:
    """Made a day to years after the last time that it was seen."""
    last = board.time[board.stop[anchors.row] - 1] // SECONDS_PER_DAY
    parts = parts_of(board, anchors)
    parts[DATE] = _days_as_text(last + np.ceil(board.log_uniform(anchors, 0.5, 3000)).astype(np.int64))
    _recode(board, anchors, joined(parts))


def plant_too_old(board: Board, anchors: Anchors) -> None:
    """Made more than five years before it was first seen."""
    first = board.time[anchors.row] // SECONDS_PER_DAY
    parts = parts_of(board, anchors)
    parts[DATE] = _days_as_text(first - 1828 - board.log_uniform(anchors, 0.5, 6000).astype(np.int64))
    _recode(board, anchors, joined(parts))


def any_event(board: Board) -> np.ndarray:
    return board.known


def plant_missing(board: Board, anchors: Anchors) -> None:
    """One scan without its code."""
    board.bear(anchors.row)
    board.follow_after(anchors.row)
    board.epc[anchors.row] = -1


def enters_midway(board: Board) -> np.ndarray:
    """(N,) bool, arrivals behind the factory and its warehouse: where foreign goods come in."""
    return board.arrives & (board.level >= 2)


def plant_beyond_serials(board: Board, anchors: Anchors) -> None:
    """Goods under the codes of a real lot, beyond its last serial, that come in midway."""
    parts = parts_of(board, anchors)
    beyond = board.log_uniform(anchors, 1, 30_000).astype(np.int64) + rank_in_incident(anchors)
    serial = board.highest_serial[board.lot[anchors.row]] + beyond
    parts[SERIAL] = np.char.zfill((serial % 10**9).astype(str), 9)
    _enter(board, anchors, joined(parts))


def plant_lots_nobody_made(board: Board, anchors: Anchors) -> None:
    """Goods of a known product under a lot that nobody made, that come in midway."""
    parts = parts_of(board, anchors)
    lot = np.char.zfill((10_000 * board.uniform(anchors, 0, 100)).astype(np.int64).astype(str), 6)
    parts[LOT] = np.where(lot == parts[LOT], np.char.replace(lot, "1", "2"), lot)
    serial = board.log_uniform(anchors, 1, 200_000).astype(np.int64) + rank_in_incident(anchors)
    parts[SERIAL] = np.char.zfill(serial.astype(str), 9)
    _enter(board, anchors, joined(parts))


def _enter(board: Board, anchors: Anchors, codes: np.ndarray) -> None:
    """The rest of each anchor's journey, at another time and often at other places, under another code."""
    tail, owner = board.tail_of(anchors.row)
    epc = board.new_epcs(pa.array(codes.tolist(), pa.string()))
    seconds = (board.uniform(anchors, -60, 200) * SECONDS_PER_HOUR).astype(np.int64)
    elsewhere = board.other_place(anchors, board.level[anchors.row], board.place[board.before[anchors.row]])
    elsewhere = np.where((elsewhere >= 0) & board.chance(anchors, 0.6), elsewhere, board.place[anchors.row])
    # Some are seen once, others on all the rest of the way.
    length = 1 + board.random.integers(0, 6, anchors.count)[anchors.incident]
    seen = tail - anchors.row[owner] < length[owner]
    tail, owner = tail[seen], owner[seen]
    here = board.place[tail] == board.place[anchors.row][owner]
    board.insert(
        tail,
        epc=epc[owner],
        time=board.time[tail] + seconds[owner],
        place=np.where(here, elsewhere[owner], board.place[tail]),
    )


def _recode(board: Board, anchors: Anchors, codes: np.ndarray) -> None:
    """Give whole journeys other codes; all of their events bear the label."""
    tail, owner = board.tail_of(board.start[anchors.row])
    epc = board.new_epcs(pa.array(codes.tolist(), pa.string()))
    board.epc[tail] = epc[owner]
    board.bear(tail)


def parts_of(board: Board, anchors: Anchors) -> list[np.ndarray]:
    """The six parts of each anchor's code, (n,) words each."""
    codes = board.codes.take(pa.array(board.epc[anchors.row]))
    split = pc.split_pattern(codes, ".")
    words = np.array(split.flatten().to_pylist(), dtype=object).astype(str).reshape(len(codes), -1)
    return [words[:, part].astype("U40") for part in range(6)] if len(codes) else [np.zeros(0, "U40")] * 6


def joined(parts: list[np.ndarray]) -> np.ndarray:
    words = parts[0]
    for part in parts[1:]:
        words = _added(words, ".", part)
    return words


def _added(*words: np.ndarray | str) -> np.ndarray:
    whole: np.ndarray = np.asarray(words[0], dtype=str)
    for word in words[1:]:
        whole = np.char.add(whole, np.asarray(word, dtype=str))
    return whole


def _days_as_text(day: np.ndarray) -> np.ndarray:
    return np.char.replace(np.datetime_as_string(day.astype("datetime64[D]"), unit="D"), "-", "")


def rank_in_incident(anchors: Anchors) -> np.ndarray:
    """(n,) 0, 1, 2 … among the members of each incident."""
    order = np.argsort(anchors.incident, kind="stable")
    sizes = np.bincount(anchors.incident, minlength=anchors.count)
    rank = np.empty(len(anchors), dtype=np.int64)
    rank[order] = np.arange(len(anchors)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return rank
