"""Moves: what the EPCs of a lot did, step by step, with equal steps counted together.

A move is an event seen from the one before it in its EPC's chain. Items that travel together make the same move
in the same second, so a lot's moves are few: they are the small state that shipment features are computed from
(`shipments`). Nothing here knows a feature.

A live store keeps the moves of each lot. When events of an EPC arrive, also late ones that change its chain, it
takes away the moves of the EPC's journey as it was known and adds those of the journey as it is known now:
`sum_moves([(lot's moves, 1), (moves_of(before), -1), (moves_of(after), 1)])`. That gives the moves, and so the
features, that `moves_of` all journeys of the lot at once gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from barcode_pipeline.compiled import compiled
from barcode_pipeline.events.followed import Followed, follow_codes
from barcode_pipeline.events.journeys import Events
from barcode_pipeline.events.pairs import number_pairs
from barcode_pipeline.events.text import dictionary_codes

DIRECTIONS = 5
"""A step is `level * DIRECTIONS + direction`."""
NOWHERE = -1
"""The previous step of an EPC's first event, of one sent too late, and of nothing else."""

_COLUMNS = ("lot", "time", "place", "step", "from_time", "from_place", "from_step")


@dataclass(frozen=True)
class Moves:
    """Distinct moves, (M,) each, sorted by lot (in the order of `lots`), then second, then all other columns.

    lot: int32 into `lots`. time: int64 s. place: int64 of `Places.keys`. step: int64, `level * DIRECTIONS + direction`.
    from_time, from_place, from_step: the same of the previous event; 0, 0 and `NOWHERE` without one.
    count: int64, how many events made the move. serial: int64, the highest serial among them, -1 where none is one.
    lots: names of the lots (`codes.lot_names`), distinct.
    """

    lot: np.ndarray
    time: np.ndarray
    place: np.ndarray
    step: np.ndarray
    from_time: np.ndarray
    from_place: np.ndarray
    from_step: np.ndarray
    count: np.ndarray
    serial: np.ndarray
    lots: pa.Array

    def __len__(self) -> int:
        return len(self.lot)


def moves_of(events: Events) -> Moves:
    """The moves of some journeys; events without an EPC belong to no lot and make none."""
    return find_moves(follow_codes(events))[0]


def find_moves(followed: Followed) -> tuple[Moves, np.ndarray]:
    """(the moves of all events, the move of each event in the order of travel).

    The second: (N,) int32, -1 for events without an EPC.
    """
    events, travel, serial = followed.events, followed.travel, followed.codes.serial
    lot_of_code = dictionary_codes(followed.lots)
    known = int(travel.journeys.offsets[-1])
    epc, time, place, previous = (column[:known] for column in (travel.epc, travel.time, travel.place, travel.previous))
    step = travel.level[:known].astype(np.int64) * DIRECTIONS + travel.direction[:known]
    lot = lot_of_code[epc]
    # A pass is all of a lot that was scanned at one place, step and second. A move leads from one to another.
    place_key, number_of_place = events.places.keys, events.places.number_of_key
    passes = number_pairs((lot.astype(np.int64) * len(place_key) + number_of_place[place]) * 64 + step, time)
    move = number_pairs(passes, _of_previous(passes, previous))
    first, count, highest = _summarise(move, serial[epc])
    before = previous[first]
    has_previous = before >= 0
    columns = (
        lot[first],
        time[first],
        place_key[place[first]],
        step[first],
        np.where(has_previous, time[before], 0),
        np.where(has_previous, place_key[place[before]], 0),
        np.where(has_previous, step[before], NOWHERE),
    ) if known else tuple(np.zeros(0, np.int32 if name == "lot" else np.int64) for name in _COLUMNS)  # fmt: skip
    order = np.lexsort(columns[::-1])
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    move_of_event = np.full(len(events), -1, dtype=np.int32)
    move_of_event[:known] = rank[move]
    moves = _moves({name: column[order] for name, column in zip(_COLUMNS, columns, strict=True)},
                   count[order], highest[order], followed.lots.dictionary)  # fmt: skip
    return moves, move_of_event


def sum_moves(parts: Sequence[tuple[Moves, int]]) -> Moves:
    """Moves with their counts added up, each part as often as its number says (-1 takes it away); none stays at 0.

    A highest serial is not taken back from moves that others still make. It stays right for the lot, place, step and
    second, since an event keeps those whichever event comes to stand before it, and no feature asks for more.
    """
    lots = pa.concat_arrays([part.lots for part, _ in parts]).dictionary_encode()
    lot_of_name = lots.indices.to_numpy(zero_copy_only=False).astype(np.int32)
    starts = np.cumsum([0, *(len(part.lots) for part, _ in parts)])
    joined = {
        name: np.concatenate([getattr(part, name) for part, _ in parts]) for name in (*_COLUMNS, "count", "serial")
    }
    joined["lot"] = np.concatenate(
        [lot_of_name[part.lot + start] for (part, _), start in zip(parts, starts[:-1], strict=True)]
    )
    joined["count"] = np.concatenate([part.count * times for part, times in parts])
    order = np.lexsort([joined[name] for name in reversed(_COLUMNS)])
    ordered = {name: column[order] for name, column in joined.items()}
    differs = np.zeros(len(order), dtype=bool)
    differs[:1] = True
    for name in _COLUMNS:
        differs[1:] |= ordered[name][1:] != ordered[name][:-1]
    start = np.flatnonzero(differs)
    if len(start):
        count = np.add.reduceat(ordered["count"], start)
        serial = np.maximum.reduceat(ordered["serial"], start)
    else:
        count = serial = np.zeros(0, dtype=np.int64)
    kept = count != 0
    return _moves({name: ordered[name][start][kept] for name in _COLUMNS}, count[kept], serial[kept], lots.dictionary)


def _moves(columns: dict[str, np.ndarray], count: np.ndarray, serial: np.ndarray, lots: pa.Array) -> Moves:
    return Moves(**columns, count=count, serial=serial, lots=lots)


def rows_of_lots(moves: Moves, lots: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """(rows of `moves` that belong to some lots, the place of each one's lot in `lots`), by that place, then second."""
    place = pc.fill_null(pc.index_in(moves.lots, value_set=lots), -1).to_numpy(zero_copy_only=False)[moves.lot]
    rows = np.flatnonzero(place >= 0)
    rows = rows[np.argsort(place[rows], kind="stable")]
    return rows, place[rows].astype(np.int32)


@compiled
def _of_previous(passes: np.ndarray, previous: np.ndarray) -> np.ndarray:
    out = np.empty(len(passes), dtype=np.int32)
    for row in range(len(passes)):
        out[row] = passes[previous[row]] if previous[row] >= 0 else -1
    return out


@compiled
def _summarise(move: np.ndarray, serial: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each move: its first row, its count, its highest serial."""
    moves = move.max() + 1 if len(move) else 0
    first = np.full(moves, -1, dtype=np.int64)
    count = np.zeros(moves, dtype=np.int64)
    highest = np.full(moves, -1, dtype=np.int64)
    for row in range(len(move)):
        if first[move[row]] < 0:
            first[move[row]] = row
        count[move[row]] += 1
        highest[move[row]] = max(highest[move[row]], serial[row])
    return first, count, highest
