"""The moves of one lot changed in place, and asked about, by the kernel of `shipments`: compiled loops alone."""

from __future__ import annotations

import numpy as np

from barcode_pipeline.compiled import compiled, inlined
from barcode_pipeline.sequences import shipments
from barcode_pipeline.sequences.lot_numbers import (
    COUNT,
    FROM_STEP,
    FROM_TIME,
    HIGHEST,
    KEY,
    N_BATCHES,
    N_EDGES,
    N_LINKS,
    N_PLACE_LEVELS,
    N_PLACES,
    N_SITES,
    N_WAYS,
    PAIRS,
    STEP,
    TIME,
    index_places,
    number_one,
)

_EPCS, _SERIAL, _BATCH, _FROM_BATCH = (
    shipments._EPCS,
    shipments._SERIAL,
    shipments._BATCH,
    shipments._FROM_BATCH,
)


@inlined
def _compare(keys: np.ndarray, row: int, wanted: np.ndarray, other: int) -> int:
    """-1, 0 or 1: whether a row stands before, is, or stands after the move `wanted[other]`."""
    for column in range(KEY):
        if keys[row, column] != wanted[other, column]:
            return -1 if keys[row, column] < wanted[other, column] else 1
    return 0


@compiled
def _position(keys: np.ndarray, order: np.ndarray, wanted: np.ndarray, other: int) -> int:
    """The first place in the order whose row does not stand before the move."""
    low, high = 0, len(order)
    while low < high:
        middle = (low + high) // 2
        if _compare(keys, order[middle], wanted, other) < 0:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def columns_in_order(rows: np.ndarray, keys: np.ndarray, order: np.ndarray) -> np.ndarray:
    """`COLUMNS` of the moves."""
    columns = np.empty((len(order), 8), dtype=np.int64)
    for place in range(len(order)):
        row = order[place]
        columns[place, :KEY] = keys[row, :KEY]
        columns[place, COUNT], columns[place, HIGHEST] = rows[row, _EPCS], rows[row, _SERIAL]
    return columns


@compiled
def change_rows(
    rows: np.ndarray,
    keys: np.ndarray,
    order: np.ndarray,
    count: int,
    sizes: np.ndarray,
    places: np.ndarray,
    table: np.ndarray,
    pairs_batch: np.ndarray,
    pairs_place: np.ndarray,
    changes: np.ndarray,
) -> tuple[int, bool, bool]:
    """(how many rows there are now, whether all numbers still hold, whether all that was taken away was there)."""
    whole = True
    for change in range(len(changes)):
        at = _position(keys, order[:count], changes, change)
        row = order[at] if at < count else -1
        if row >= 0 and _compare(keys, row, changes, change) == 0:
            rows[row, _EPCS] += changes[change, COUNT]
            rows[row, _SERIAL] = max(rows[row, _SERIAL], changes[change, HIGHEST])
            if rows[row, _EPCS] < 0:
                return count, False, False
            if rows[row, _EPCS] == 0:
                batch, time = rows[row, _BATCH], keys[row, TIME]
                from_batch, from_time = rows[row, _FROM_BATCH], keys[row, FROM_TIME]
                _take_out(rows, keys, order, count, at)
                count -= 1
                whole = whole and _holds(rows, keys, count, batch, time)
                whole = whole and _holds(rows, keys, count, from_batch, from_time)
                if whole:
                    index_places(rows, keys, count, places)
            continue
        if changes[change, COUNT] < 0:
            return count, False, False
        if changes[change, COUNT] == 0:
            continue
        for later in range(count, at, -1):
            order[later] = order[later - 1]
        order[at] = row = count
        count += 1
        _put(rows, keys, row, changes, change)
        whole = whole and number_one(rows, keys, order[:count], row, sizes, places, table, pairs_batch, pairs_place)
    return count, whole, True


@inlined
def _put(rows: np.ndarray, keys: np.ndarray, row: int, changes: np.ndarray, change: int) -> None:
    """A move as it came, not numbered yet."""
    for column in range(KEY):
        keys[row, column] = changes[change, column]
    rows[row, shipments._LOT] = 0
    rows[row, shipments._TIME], rows[row, shipments._STEP] = changes[change, TIME], changes[change, STEP]
    rows[row, shipments._FROM_TIME] = changes[change, FROM_TIME]
    rows[row, shipments._FROM_STEP] = changes[change, FROM_STEP]
    rows[row, _EPCS], rows[row, _SERIAL] = changes[change, COUNT], changes[change, HIGHEST]


@compiled
def _take_out(rows: np.ndarray, keys: np.ndarray, order: np.ndarray, count: int, at: int) -> None:
    """Take out the row at a place in the order; the last one takes its place."""
    row, last = order[at], count - 1
    for later in range(at, last):
        order[later] = order[later + 1]
    if row == last:
        return
    rows[row], keys[row] = rows[last], keys[last]
    for place in range(last):
        if order[place] == last:
            order[place] = row


@compiled
def _holds(rows: np.ndarray, keys: np.ndarray, count: int, batch: int, time: int) -> bool:
    """Whether a batch is what it was without one of its moves at a second: others are there at that second, or none at
    any. Else what is gone may have held it together."""
    none = True
    for row in range(count):
        for side in range(2):
            if (rows[row, _BATCH] if side == 0 else rows[row, _FROM_BATCH]) == batch:
                if (keys[row, TIME] if side == 0 else keys[row, FROM_TIME]) == time:
                    return True
                none = False
    return none


@compiled
def answer(
    rows: np.ndarray,
    keys: np.ndarray,
    order: np.ndarray,
    sizes: np.ndarray,
    table: np.ndarray,
    pairs_batch: np.ndarray,
    pairs_place: np.ndarray,
    asked: np.ndarray,
    values: np.ndarray,
    highest: np.ndarray,
) -> bool:
    """Go through the lot once; False where a move asked about is not among its own."""
    wanted = np.empty((len(asked), rows.shape[1]), dtype=np.int64)
    for row in range(len(asked)):
        at = _position(keys, order, asked, row)
        if at == len(order) or _compare(keys, order[at], asked, row) != 0:
            return False
        wanted[row] = rows[order[at]]
    lots = np.zeros((1, 2), dtype=np.int64)
    lots[0, shipments._LOT_HIGHEST] = -1
    sites = np.zeros((sizes[N_SITES], 5), dtype=np.int64)
    sites[:, shipments._LAST_BATCH] = -1
    batches = np.zeros((sizes[N_BATCHES], 9), dtype=np.int64)
    batches[:, shipments._AT_PLACE] = -1
    batches[:, shipments._AT_STEP] = -1
    batches[:, shipments._NEXT] = -1
    shipments._go_through(
        rows, order, wanted, table, pairs_batch, pairs_place, lots,
        np.zeros((shipments._KINDS, 2), dtype=np.int64), sites, np.zeros((sizes[N_EDGES], 3), dtype=np.int64), batches,
        np.zeros(sizes[N_PLACES], dtype=np.int64), np.zeros(sizes[N_WAYS], dtype=np.int64),
        np.zeros(sizes[PAIRS], dtype=np.int64), np.zeros(sizes[N_LINKS], dtype=np.int64),
        np.zeros(sizes[N_PLACE_LEVELS], dtype=np.int64), values, highest,
    )  # fmt: skip
    return True
