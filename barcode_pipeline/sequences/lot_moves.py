"""The moves of one lot kept ready for the kernel: numbered once, then changed in place as scans come in.

For a live service: numbering the moves of all lots of a request takes longer than all else that is done with them.
The features are those of `shipments.shipment_features`, to the bit; what is asked about is part of what is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from barcode_pipeline.compiled import compiled
from barcode_pipeline.events.codes import lots_of
from barcode_pipeline.events.followed import Followed
from barcode_pipeline.events.journeys import follow
from barcode_pipeline.events.pairs import index_pairs
from barcode_pipeline.events.text import dictionary_codes
from barcode_pipeline.sequences import shipments
from barcode_pipeline.sequences.moves import DIRECTIONS, NOWHERE, Moves
from barcode_pipeline.sequences.shipments import BATCH_SECONDS, SHIPMENT_FEATURES, ShipmentFeatures

COLUMNS = ("time", "place", "step", "from_time", "from_place", "from_step", "count", "serial")
"""Columns of moves of one lot as integers, (n, 8) int64."""
_KEY = 6
_C_TIME, _C_PLACE, _C_STEP, _C_FROM_TIME, _C_FROM_PLACE, _C_FROM_STEP, _C_COUNT, _C_SERIAL = range(8)

_NUMBERED = 18
_RAW_PLACE, _RAW_FROM = _NUMBERED, _NUMBERED + 1
"""Beside the kernel's columns: the places as `Places.keys` has them."""
_N_PLACES, _N_PLACE_LEVELS, _N_SITES, _N_EDGES, _N_WAYS, _N_BATCHES, _N_LINKS = range(7)

_T, _S, _FT, _FS = shipments._TIME, shipments._STEP, shipments._FROM_TIME, shipments._FROM_STEP
_EPCS, _SERIAL, _PLACE, _FROM_PLACE = shipments._EPCS, shipments._SERIAL, shipments._PLACE, shipments._FROM_PLACE
_SITE, _FROM_SITE, _EDGE, _WAY = shipments._SITE_OF, shipments._FROM_SITE, shipments._EDGE, shipments._WAY
_BATCH, _FROM_BATCH, _ONWARD = shipments._BATCH, shipments._FROM_BATCH, shipments._ONWARD_TO
_LINK, _PLACE_LEVEL = shipments._LINK, shipments._PLACE_LEVEL


class NotMade(ValueError):
    """A move is taken away, or asked about, that the lot has not made."""


def columns_of(moves: Moves) -> np.ndarray:
    """(n, 8) int64."""
    return np.stack([getattr(moves, name) for name in COLUMNS], axis=1).astype(np.int64)


class LotMoves:
    """The moves of one lot, in their order.

    Parameters
    ----------
    columns: (n, 8) int64, `COLUMNS`, sorted and distinct.
    """

    def __init__(self, columns: np.ndarray) -> None:
        self._rows = np.zeros((max(64, 2 * len(columns)), _NUMBERED + 2), dtype=np.int64)
        self._count = len(columns)
        self._sizes = np.zeros(7, dtype=np.int64)
        self._number_all(columns)

    def __len__(self) -> int:
        return self._count

    def columns(self) -> np.ndarray:
        """(n, 8) int64, a copy."""
        return np.ascontiguousarray(
            self._rows[: self._count][:, [_T, _RAW_PLACE, _S, _FT, _RAW_FROM, _FS, _EPCS, _SERIAL]]
        )

    def change(self, changes: np.ndarray) -> None:
        """Add changes up: counts may be negative, and a move whose count comes to 0 goes.

        changes: (n, 8) int64, distinct moves in their order. `NotMade` where a move is taken away that is not there.
        """
        if self._count + len(changes) > len(self._rows):
            larger = np.zeros((2 * (self._count + len(changes)), _NUMBERED + 2), dtype=np.int64)
            larger[: self._count] = self._rows[: self._count]
            self._rows = larger
        self._count, whole, sound = _change(self._rows, self._count, self._sizes, changes)
        if not sound:
            raise NotMade("a move is taken away that the lot has not made")
        if not whole:
            self._number_all(self.columns())

    def _number_all(self, columns: np.ndarray) -> None:
        time, place, step, from_time, from_place, from_step, count, serial = np.ascontiguousarray(columns.T)
        if not len(columns):
            self._sizes[:] = 0
            return
        lot = np.zeros(len(columns), dtype=np.int32)
        numbered, _, sizes = shipments._number(lot, time, place, step, from_time, from_place, from_step, count, serial)
        rows = self._rows[: len(columns)]
        rows[:, :_NUMBERED] = numbered
        rows[:, _RAW_PLACE], rows[:, _RAW_FROM] = place, from_place
        places, place_levels, sites, edges, ways, batches, _, links = sizes
        self._sizes[:] = places, place_levels, sites, edges, ways, batches, links

    def features(self, asked: np.ndarray, values: np.ndarray, highest: np.ndarray) -> None:
        """Fill the features of some of the lot's moves. asked: (m, 8) int64, in their order; values: (m, 23)."""
        if not _answer(self._rows, self._count, self._sizes, asked, values, highest):
            raise NotMade("a move is asked about that the lot has not made")


@dataclass(frozen=True)
class ReadyLots:
    """Lots by name, in the place of `Moves` where features are asked for."""

    lots: Mapping[str, LotMoves]

    def features(self, asked: Moves) -> ShipmentFeatures:
        """As `shipments.shipment_features`; every lot of `asked` has to be there, with the moves asked about."""
        values = np.zeros((len(asked), len(SHIPMENT_FEATURES)), dtype=np.float32)
        highest = np.full(len(asked), -1, dtype=np.int64)
        columns = columns_of(asked)
        bounds = np.searchsorted(asked.lot, np.arange(len(asked.lots) + 1))
        for number, lot in enumerate(asked.lots.to_pylist()):
            rows = slice(bounds[number], bounds[number + 1])
            self.lots[lot].features(columns[rows], values[rows], highest[rows])
        return ShipmentFeatures(shipments.rounded(values), highest)


def lot_changes(followed: Followed, known: int) -> dict[str, np.ndarray]:
    """What the events from row `known` on change in the moves of each lot: (n, 8) int64, distinct and in order.

    The rows before are whole journeys too, as they were known. An event whose previous event is another one now leaves
    the move that it made. Moves whose counts come to nothing stay, for the sake of their serials.
    """
    events, previous = followed.events, followed.travel.previous_rows()
    before = follow(events.take(np.arange(known))).previous_rows()
    left = np.flatnonzero(before != previous[:known])
    rows = np.concatenate([left, left, np.arange(known, len(events))])
    previous = np.concatenate([before[left], previous[rows[len(left) :]]])
    count = np.where(np.arange(len(rows)) < len(left), -1, 1)
    has_epc = events.epc[rows] >= 0
    rows, previous, count = rows[has_epc], previous[has_epc], count[has_epc]
    step = events.level.astype(np.int64) * DIRECTIONS + events.direction
    place, lots = events.places.keys[events.place], lots_of(events.codes)
    has_previous, epc = previous >= 0, events.epc[rows]
    columns = (
        events.time[rows],
        place[rows],
        step[rows],
        np.where(has_previous, events.time[previous], 0),
        np.where(has_previous, place[previous], 0),
        np.where(has_previous, step[previous], NOWHERE),
        count,
        followed.codes.serial[epc],
    )
    return split_changes(np.stack(columns, axis=1), dictionary_codes(lots)[epc], lots.dictionary.to_pylist())


def split_changes(columns: np.ndarray, lot: np.ndarray, lots: list[str]) -> dict[str, np.ndarray]:
    """Equal moves added up, lot by lot. lot: (n,) into lots."""
    order = np.lexsort([*(columns[:, place] for place in reversed(range(_KEY))), lot])
    columns, lot = columns[order], lot[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (lot[1:] != lot[:-1]) | (columns[1:, :_KEY] != columns[:-1, :_KEY]).any(axis=1)
    start = np.flatnonzero(first)
    if not len(start):
        return {}
    added = columns[start]
    added[:, _C_COUNT] = np.add.reduceat(columns[:, _C_COUNT], start)
    added[:, _C_SERIAL] = np.maximum.reduceat(columns[:, _C_SERIAL], start)
    bounds = np.searchsorted(lot[start], np.arange(len(lots) + 1))
    return {
        name: added[bounds[number] : bounds[number + 1]]
        for number, name in enumerate(lots)
        if bounds[number + 1] > bounds[number]
    }


@compiled
def _compare(rows: np.ndarray, row: int, wanted: np.ndarray, other: int) -> int:
    """-1, 0 or 1: whether a row stands before, is, or stands after the move `wanted[other]`."""
    for place in range(_KEY):
        if place == _C_TIME:
            mine = rows[row, _T]
        elif place == _C_PLACE:
            mine = rows[row, _RAW_PLACE]
        elif place == _C_STEP:
            mine = rows[row, _S]
        elif place == _C_FROM_TIME:
            mine = rows[row, _FT]
        elif place == _C_FROM_PLACE:
            mine = rows[row, _RAW_FROM]
        else:
            mine = rows[row, _FS]
        if mine < wanted[other, place]:
            return -1
        if mine > wanted[other, place]:
            return 1
    return 0


@compiled
def _position(rows: np.ndarray, count: int, wanted: np.ndarray, other: int) -> int:
    """The first row that does not stand before the move."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if _compare(rows, middle, wanted, other) < 0:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _change(rows: np.ndarray, count: int, sizes: np.ndarray, changes: np.ndarray) -> tuple[int, bool, bool]:
    """(how many rows there are now, whether all numbers still hold, whether all that was taken away was there)."""
    whole = True
    for change in range(len(changes)):
        at = _position(rows, count, changes, change)
        if at < count and _compare(rows, at, changes, change) == 0:
            rows[at, _EPCS] += changes[change, _C_COUNT]
            rows[at, _SERIAL] = max(rows[at, _SERIAL], changes[change, _C_SERIAL])
            if rows[at, _EPCS] < 0:
                return count, False, False
            if rows[at, _EPCS] == 0:
                batch, time = rows[at, _BATCH], rows[at, _T]
                from_batch, from_time = rows[at, _FROM_BATCH], rows[at, _FT]
                rows[at : count - 1] = rows[at + 1 : count].copy()
                count -= 1
                whole = whole and _holds(rows, count, batch, time) and _holds(rows, count, from_batch, from_time)
            continue
        if changes[change, _C_COUNT] < 0:
            return count, False, False
        if changes[change, _C_COUNT] == 0:
            continue
        rows[at + 1 : count + 1] = rows[at:count].copy()
        count += 1
        rows[at, shipments._LOT] = 0
        rows[at, _T], rows[at, _RAW_PLACE], rows[at, _S] = (
            changes[change, _C_TIME], changes[change, _C_PLACE], changes[change, _C_STEP]
        )  # fmt: skip
        rows[at, _FT], rows[at, _RAW_FROM], rows[at, _FS] = (
            changes[change, _C_FROM_TIME], changes[change, _C_FROM_PLACE], changes[change, _C_FROM_STEP]
        )  # fmt: skip
        rows[at, _EPCS], rows[at, _SERIAL] = changes[change, _C_COUNT], changes[change, _C_SERIAL]
        whole = whole and _number_one(rows, count, at, sizes)
    return count, whole, True


@compiled
def _holds(rows: np.ndarray, count: int, batch: int, time: int) -> bool:
    """Whether a batch is what it was without one of its moves at a second: others are there at that second, or none at
    any. Else what is gone may have held it together."""
    none = True
    for row in range(count):
        for side in range(2):
            if (rows[row, _BATCH] if side == 0 else rows[row, _FROM_BATCH]) == batch:
                if (rows[row, _T] if side == 0 else rows[row, _FT]) == time:
                    return True
                none = False
    return none


@compiled
def _near(rows: np.ndarray, count: int, at: int, place: int, step: int, time: int) -> tuple[int, int, int, bool]:
    """What a new pass finds: (number of its place, of its site, of its batch, whether that can be told), -1 for what is
    new. Without a previous event place and step are 0 and `NOWHERE`, which is a place of its own."""
    found_place, found_site, batch = -1, -1, -1
    before, after = BATCH_SECONDS + 1, BATCH_SECONDS + 1
    batch_before, batch_after = -1, -1
    for row in range(count):
        if row == at:
            continue
        for side in range(2):
            other_place = rows[row, _RAW_PLACE] if side == 0 else rows[row, _RAW_FROM]
            other_step = rows[row, _S] if side == 0 else rows[row, _FS]
            if other_place != place or (other_step == NOWHERE) != (step == NOWHERE):
                continue
            found_place = rows[row, _PLACE] if side == 0 else rows[row, _FROM_PLACE]
            if other_step != step:
                continue
            found_site = rows[row, _SITE] if side == 0 else rows[row, _FROM_SITE]
            apart = (rows[row, _T] if side == 0 else rows[row, _FT]) - time
            of_row = rows[row, _BATCH] if side == 0 else rows[row, _FROM_BATCH]
            if apart <= 0 and -apart < before:
                before, batch_before = -apart, of_row
            if apart >= 0 and apart < after:
                after, batch_after = apart, of_row
    if batch_before >= 0 and batch_after >= 0 and batch_before != batch_after:
        return found_place, found_site, -1, False  # it joins two batches into one
    batch = max(batch_before, batch_after)
    return found_place, found_site, batch, True


@compiled
def _number_one(rows: np.ndarray, count: int, at: int, sizes: np.ndarray) -> bool:
    """Number a new row by the rows that there are; False where that changes the numbers of others."""
    step, from_step = rows[at, _S], rows[at, _FS]
    from_place, from_site, from_batch, clear = _near(rows, count, at, rows[at, _RAW_FROM], from_step, rows[at, _FT])
    if not clear or from_batch < 0:
        # What is not known of the previous event may be the very pass of this one.
        return False
    place, site, batch, clear = _near(rows, count, at, rows[at, _RAW_PLACE], step, rows[at, _T])
    if not clear:
        return False
    same_place = rows[at, _RAW_PLACE] == rows[at, _RAW_FROM] and from_step != NOWHERE
    if same_place:
        place = from_place
    if same_place and step == from_step:
        site = from_site
        if abs(rows[at, _T] - rows[at, _FT]) <= BATCH_SECONDS:
            if batch >= 0 and batch != from_batch:
                return False
            batch = from_batch
    if place < 0:
        place = sizes[_N_PLACES]
        sizes[_N_PLACES] += 1
    if site < 0:
        site = sizes[_N_SITES]
        sizes[_N_SITES] += 1
    if batch < 0:
        batch = sizes[_N_BATCHES]
        sizes[_N_BATCHES] += 1
    rows[at, _PLACE], rows[at, _FROM_PLACE], rows[at, _SITE], rows[at, _FROM_SITE] = place, from_place, site, from_site
    rows[at, _BATCH], rows[at, _FROM_BATCH] = batch, from_batch
    edge, way, link, place_level = -1, -1, -1, -1
    for row in range(count):
        if row == at:
            continue
        if rows[row, _FROM_SITE] == from_site and rows[row, _SITE] == site:
            edge = rows[row, _EDGE]
        if rows[row, _FROM_PLACE] == from_place and rows[row, _PLACE] == place:
            way = rows[row, _WAY]
        if rows[row, _FROM_BATCH] == from_batch and rows[row, _BATCH] == batch:
            link = rows[row, _LINK]
        if rows[row, _PLACE] == place and rows[row, _S] // DIRECTIONS == step // DIRECTIONS:
            place_level = rows[row, _PLACE_LEVEL]
    if edge < 0:
        edge = sizes[_N_EDGES]
        sizes[_N_EDGES] += 1
    if way < 0:
        way = sizes[_N_WAYS]
        sizes[_N_WAYS] += 1
    if link < 0:
        link = sizes[_N_LINKS]
        sizes[_N_LINKS] += 1
    if place_level < 0:
        place_level = sizes[_N_PLACE_LEVELS]
        sizes[_N_PLACE_LEVELS] += 1
    rows[at, _EDGE], rows[at, _WAY], rows[at, _LINK], rows[at, _PLACE_LEVEL] = edge, way, link, place_level
    return True


@compiled
def _answer(
    rows: np.ndarray, count: int, sizes: np.ndarray, asked: np.ndarray, values: np.ndarray, highest: np.ndarray
) -> bool:
    """Go through the lot once; False where a move asked about is not among its own."""
    wanted = np.empty((len(asked), rows.shape[1]), dtype=np.int64)
    # Numbers of previous batch and place are made anew: they have to be looked up by pairs that no move has made.
    onward, table, pairs_batch, pairs_place = index_pairs(rows[:count, _FROM_BATCH], rows[:count, _PLACE])
    for row in range(count):
        rows[row, _ONWARD] = onward[row]
    for row in range(len(asked)):
        at = _position(rows, count, asked, row)
        if at == count or _compare(rows, at, asked, row) != 0:
            return False
        wanted[row] = rows[at]
    lots = np.zeros((1, 2), dtype=np.int64)
    lots[0, shipments._LOT_HIGHEST] = -1
    sites = np.zeros((sizes[_N_SITES], 5), dtype=np.int64)
    sites[:, shipments._LAST_BATCH] = -1
    batches = np.zeros((sizes[_N_BATCHES], 9), dtype=np.int64)
    batches[:, shipments._AT_PLACE] = -1
    batches[:, shipments._AT_STEP] = -1
    batches[:, shipments._NEXT] = -1
    shipments._go_through(
        rows[:count], wanted, table, pairs_batch, pairs_place, lots,
        np.zeros((shipments._KINDS, 2), dtype=np.int64), sites, np.zeros((sizes[_N_EDGES], 3), dtype=np.int64), batches,
        np.zeros(sizes[_N_PLACES], dtype=np.int64), np.zeros(sizes[_N_WAYS], dtype=np.int64),
        np.zeros(len(pairs_batch), dtype=np.int64), np.zeros(sizes[_N_LINKS], dtype=np.int64),
        np.zeros(sizes[_N_PLACE_LEVELS], dtype=np.int64), values, highest,
    )  # fmt: skip
    return True
