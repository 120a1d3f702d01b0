"""The moves of one lot kept ready for the kernel: numbered once, then changed in place as scans come in.

For a live service: numbering the moves of all lots of a request takes longer than all else that is done with them.
The features are those of `shipments.shipment_features`, to the bit; what is asked about is part of what is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from barcode_pipeline.events.followed import Followed
from barcode_pipeline.events.journeys import follow
from barcode_pipeline.events.text import dictionary_codes
from barcode_pipeline.sequences import shipments
from barcode_pipeline.sequences.lot_kernels import answer, change_rows, columns_in_order
from barcode_pipeline.sequences.lot_numbers import COLUMNS, COUNT, HIGHEST, KEY, PAIRS, index_onward, index_places
from barcode_pipeline.sequences.moves import DIRECTIONS, NOWHERE, Moves
from barcode_pipeline.sequences.shipments import SHIPMENT_FEATURES, ShipmentFeatures


class NotMade(ValueError):
    """A move is taken away, or asked about, that the lot has not made."""


def columns_of(moves: Moves) -> np.ndarray:
    """(n, 8) int64."""
    return np.stack([getattr(moves, name) for name in COLUMNS], axis=1).astype(np.int64)


class LotMoves:
    """The moves of one lot.

    Parameters
    ----------
    columns: (n, 8) int64, `COLUMNS`, sorted and distinct.
    """

    def __init__(self, columns: np.ndarray) -> None:
        # Rows lie as they came: a new one moves none of the others, only their order.
        self._rows, self._keys, self._order, self._places = _room(max(64, 2 * len(columns)))
        self._count = 0
        self._sizes = np.zeros(8, dtype=np.int64)
        self._onward: tuple[np.ndarray, np.ndarray, np.ndarray]
        self._number_all(columns)

    def __len__(self) -> int:
        return self._count

    def columns(self) -> np.ndarray:
        """(n, 8) int64, a copy, in the order of the moves."""
        return columns_in_order(self._rows, self._keys, self._order[: self._count])

    def change(self, changes: np.ndarray) -> None:
        """Add changes up: counts may be negative, and a move whose count comes to 0 goes.

        changes: (n, 8) int64, distinct moves in their order. `NotMade` where a move is taken away that is not there.
        """
        if self._count + len(changes) > len(self._order):
            larger = _room(2 * (self._count + len(changes)))
            for new, old in zip(larger, (self._rows, self._keys, self._order, self._places), strict=True):
                new[: len(old)] = old
            self._rows, self._keys, self._order, self._places = larger
        if self._sizes[PAIRS] + len(changes) > len(self._onward[1]):
            self._onward = index_onward(self._rows, self._count, self._sizes)
        self._count, whole, sound = change_rows(
            self._rows, self._keys, self._order, self._count, self._sizes, self._places, *self._onward, changes
        )
        if not sound:
            raise NotMade("a move is taken away that the lot has not made")
        if not whole:
            self._number_all(self.columns())

    def _number_all(self, columns: np.ndarray) -> None:
        self._count, self._sizes[:] = len(columns), 0
        self._order[: len(columns)] = np.arange(len(columns))
        if len(columns):
            time, place, step, from_time, from_place, from_step, count, serial = np.ascontiguousarray(columns.T)
            lot = np.zeros(len(columns), dtype=np.int32)
            self._rows[: len(columns)], _, self._sizes[:] = shipments._number(
                lot, time, place, step, from_time, from_place, from_step, count, serial
            )
            self._keys[: len(columns), :KEY] = columns[:, :KEY]
        index_places(self._rows, self._keys, self._count, self._places)
        self._onward = index_onward(self._rows, self._count, self._sizes)

    def features(self, asked: np.ndarray, values: np.ndarray, highest: np.ndarray) -> None:
        """Fill the features of some of the lot's moves. asked: (m, 8) int64, in their order; values: (m, 23)."""
        order = self._order[: self._count]
        if not answer(self._rows, self._keys, order, self._sizes, *self._onward, asked, values, highest):
            raise NotMade("a move is asked about that the lot has not made")


def _room(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Room for moves: the columns that the kernel reads; the keys, with the next rows of the same places; the rows in
    the order of the moves; and the places by number, of which a move may bring two."""
    return (
        np.zeros((rows, shipments.COLUMNS), dtype=np.int64),
        np.zeros((rows, KEY + 2), dtype=np.int64),
        np.zeros(rows, dtype=np.int64),
        np.full((2 * rows, 4), -1, dtype=np.int64),
    )


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
    place, lots = events.places.keys[events.place], followed.lots
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
    order = np.lexsort([*(columns[:, place] for place in reversed(range(KEY))), lot])
    columns, lot = columns[order], lot[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (lot[1:] != lot[:-1]) | (columns[1:, :KEY] != columns[:-1, :KEY]).any(axis=1)
    start = np.flatnonzero(first)
    if not len(start):
        return {}
    added = columns[start]
    added[:, COUNT] = np.add.reduceat(columns[:, COUNT], start)
    added[:, HIGHEST] = np.maximum.reduceat(columns[:, HIGHEST], start)
    bounds = np.searchsorted(lot[start], np.arange(len(lots) + 1))
    return {
        name: added[bounds[number] : bounds[number + 1]]
        for number, name in enumerate(lots)
        if bounds[number + 1] > bounds[number]
    }
