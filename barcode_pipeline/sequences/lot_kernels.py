"""The moves of one lot as the kernel reads them, numbered in place (`lot_moves`): compiled loops alone."""

from __future__ import annotations

import numpy as np

from barcode_pipeline.compiled import compiled, inlined
from barcode_pipeline.events.pairs import number_pair
from barcode_pipeline.sequences import shipments
from barcode_pipeline.sequences.moves import DIRECTIONS, NOWHERE
from barcode_pipeline.sequences.shipments import BATCH_SECONDS

COLUMNS = ("time", "place", "step", "from_time", "from_place", "from_step", "count", "serial")
"""Columns of moves of one lot as integers, (n, 8) int64."""
KEY = 6
"""The first columns, which tell moves apart."""
_C_TIME, AT, _C_STEP, _C_FROM_TIME, FROM, _C_FROM_STEP, COUNT, HIGHEST = range(8)

_N_PLACES, _N_PLACE_LEVELS, _N_SITES, _N_EDGES, _N_WAYS, _N_BATCHES, PAIRS, _N_LINKS = range(8)
_M_PLACE, _M_SITE, _M_BEFORE, _M_BATCH_BEFORE, _M_AFTER, _M_BATCH_AFTER = range(6)
"""What a new pass meets: numbers of its place and site, and the nearest passes of its site with their batches."""
_TWO = -2

_T, _S, _FT, _FS = shipments._TIME, shipments._STEP, shipments._FROM_TIME, shipments._FROM_STEP
_EPCS, _SERIAL, _PLACE, _FROM_PLACE = shipments._EPCS, shipments._SERIAL, shipments._PLACE, shipments._FROM_PLACE
_SITE, _FROM_SITE, _EDGE, _WAY = shipments._SITE_OF, shipments._FROM_SITE, shipments._EDGE, shipments._WAY
_BATCH, _FROM_BATCH, _ONWARD = shipments._BATCH, shipments._FROM_BATCH, shipments._ONWARD_TO
_LINK, _PLACE_LEVEL, _UNITS = shipments._LINK, shipments._PLACE_LEVEL, shipments._UNITS


@compiled
def _compare(rows: np.ndarray, keys: np.ndarray, row: int, wanted: np.ndarray, other: int) -> int:
    """-1, 0 or 1: whether a row stands before, is, or stands after the move `wanted[other]`."""
    for place in range(KEY):
        if place == _C_TIME:
            mine = rows[row, _T]
        elif place == AT:
            mine = keys[row, 0]
        elif place == _C_STEP:
            mine = rows[row, _S]
        elif place == _C_FROM_TIME:
            mine = rows[row, _FT]
        elif place == FROM:
            mine = keys[row, 1]
        else:
            mine = rows[row, _FS]
        if mine < wanted[other, place]:
            return -1
        if mine > wanted[other, place]:
            return 1
    return 0


@compiled
def _position(rows: np.ndarray, keys: np.ndarray, order: np.ndarray, wanted: np.ndarray, other: int) -> int:
    """The first place in the order whose row does not stand before the move."""
    low, high = 0, len(order)
    while low < high:
        middle = (low + high) // 2
        if _compare(rows, keys, order[middle], wanted, other) < 0:
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
        columns[place, _C_TIME], columns[place, AT], columns[place, _C_STEP] = (
            rows[row, _T],
            keys[row, 0],
            rows[row, _S],
        )
        columns[place, _C_FROM_TIME], columns[place, FROM] = rows[row, _FT], keys[row, 1]
        columns[place, _C_FROM_STEP] = rows[row, _FS]
        columns[place, COUNT], columns[place, HIGHEST] = rows[row, _EPCS], rows[row, _SERIAL]
    return columns


@compiled
def change_rows(
    rows: np.ndarray,
    keys: np.ndarray,
    order: np.ndarray,
    count: int,
    sizes: np.ndarray,
    table: np.ndarray,
    pairs_batch: np.ndarray,
    pairs_place: np.ndarray,
    changes: np.ndarray,
) -> tuple[int, bool, bool]:
    """(how many rows there are now, whether all numbers still hold, whether all that was taken away was there)."""
    whole = True
    for change in range(len(changes)):
        at = _position(rows, keys, order[:count], changes, change)
        row = order[at] if at < count else -1
        if row >= 0 and _compare(rows, keys, row, changes, change) == 0:
            rows[row, _EPCS] += changes[change, COUNT]
            rows[row, _SERIAL] = max(rows[row, _SERIAL], changes[change, HIGHEST])
            if rows[row, _EPCS] < 0:
                return count, False, False
            if rows[row, _EPCS] == 0:
                batch, time = rows[row, _BATCH], rows[row, _T]
                from_batch, from_time = rows[row, _FROM_BATCH], rows[row, _FT]
                _take_out(rows, keys, order, count, at)
                count -= 1
                whole = whole and _holds(rows, count, batch, time) and _holds(rows, count, from_batch, from_time)
            continue
        if changes[change, COUNT] < 0:
            return count, False, False
        if changes[change, COUNT] == 0:
            continue
        for later in range(count, at, -1):
            order[later] = order[later - 1]
        order[at] = row = count
        count += 1
        rows[row, shipments._LOT] = 0
        rows[row, _T], rows[row, _S], rows[row, _FT], rows[row, _FS], rows[row, _EPCS], rows[row, _SERIAL] = (
            changes[change, _C_TIME], changes[change, _C_STEP], changes[change, _C_FROM_TIME],
            changes[change, _C_FROM_STEP], changes[change, COUNT], changes[change, HIGHEST],
        )  # fmt: skip
        keys[row, 0], keys[row, 1] = changes[change, AT], changes[change, FROM]
        whole = whole and _number_one(rows, keys, order[:count], row, sizes, table, pairs_batch, pairs_place)
    return count, whole, True


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
def _number_one(
    rows: np.ndarray,
    keys: np.ndarray,
    order: np.ndarray,
    at: int,
    sizes: np.ndarray,
    table: np.ndarray,
    pairs_batch: np.ndarray,
    pairs_place: np.ndarray,
) -> bool:
    """Number a new row by those before it; False where that changes the numbers of others."""
    key, step, time = keys[at, 0], rows[at, _S], rows[at, _T]
    from_key, from_step, from_time = keys[at, 1], rows[at, _FS], rows[at, _FT]
    here = _nothing_met()
    edge, way, link, place_level = -1, -1, -1, -1
    for row in range(at):
        # Most rows are of other places: of those nothing else is read.
        other, other_from = keys[row, 0], keys[row, 1]
        if other == key:
            _meet(here, rows, row, _PLACE, _SITE, _BATCH, rows[row, _S] == step, rows[row, _T] - time)
            if place_level < 0 and rows[row, _S] // DIRECTIONS == step // DIRECTIONS:
                place_level = rows[row, _PLACE_LEVEL]
            if edge < 0 and other_from == from_key and (rows[row, _FS] == NOWHERE) == (from_step == NOWHERE):
                way = rows[row, _WAY]
                if rows[row, _S] == step and rows[row, _FS] == from_step:
                    edge = rows[row, _EDGE]
        if other_from == key and rows[row, _FS] != NOWHERE:
            _meet(here, rows, row, _FROM_PLACE, _FROM_SITE, _FROM_BATCH, rows[row, _FS] == step, rows[row, _FT] - time)
    from_place, from_site, from_batch = _numbers_of_previous(rows, keys, order, at)
    if from_batch < 0:
        # What is not known of the previous event may be the very pass of this one.
        return False
    place, site, batch = here[_M_PLACE], here[_M_SITE], _batch_met(here)
    if batch == _TWO:
        return False
    if key == from_key and step == from_step:
        site = from_site
        if abs(time - from_time) <= BATCH_SECONDS:
            if batch >= 0 and batch != from_batch:
                return False
            batch = from_batch
    if place < 0 and key == from_key and from_step != NOWHERE:
        place = from_place
    if edge >= 0 and batch >= 0:
        link = _link_of(rows, at, from_batch, batch)
    place, site = _or_new(place, sizes, _N_PLACES), _or_new(site, sizes, _N_SITES)
    batch = _or_new(batch, sizes, _N_BATCHES)
    rows[at, _PLACE], rows[at, _FROM_PLACE], rows[at, _SITE], rows[at, _FROM_SITE] = place, from_place, site, from_site
    rows[at, _BATCH], rows[at, _FROM_BATCH] = batch, from_batch
    rows[at, _EDGE], rows[at, _WAY] = _or_new(edge, sizes, _N_EDGES), _or_new(way, sizes, _N_WAYS)
    rows[at, _LINK], rows[at, _PLACE_LEVEL] = (
        _or_new(link, sizes, _N_LINKS),
        _or_new(place_level, sizes, _N_PLACE_LEVELS),
    )
    rows[at, _ONWARD] = number_pair(table, pairs_batch, pairs_place, sizes[PAIRS], from_batch, place)
    sizes[PAIRS] = max(sizes[PAIRS], rows[at, _ONWARD] + 1)
    rows[at, _UNITS] = 0 if from_step == NOWHERE else shipments.log_units(time - from_time)
    return True


@compiled
def _numbers_of_previous(rows: np.ndarray, keys: np.ndarray, order: np.ndarray, at: int) -> tuple[int, int, int]:
    """Numbers of place, site and batch of a new row's previous event, -1 for a batch that is not known."""
    key, step, time = keys[at, 1], rows[at, _FS], rows[at, _FT]
    if step != NOWHERE:
        # The previous event made a move too, which is found by its second.
        low, high = 0, len(order)
        while low < high:
            middle = (low + high) // 2
            if rows[order[middle], _T] < time:
                low = middle + 1
            else:
                high = middle
        while low < len(order) and rows[order[low], _T] == time:
            row = order[low]
            if row != at and keys[row, 0] == key and rows[row, _S] == step:
                return rows[row, _PLACE], rows[row, _SITE], rows[row, _BATCH]
            low += 1
    met = _nothing_met()
    for row in range(at):
        if keys[row, 0] == key and step != NOWHERE:
            _meet(met, rows, row, _PLACE, _SITE, _BATCH, rows[row, _S] == step, rows[row, _T] - time)
        if keys[row, 1] == key and (rows[row, _FS] == NOWHERE) == (step == NOWHERE):
            _meet(met, rows, row, _FROM_PLACE, _FROM_SITE, _FROM_BATCH, rows[row, _FS] == step, rows[row, _FT] - time)
    return met[_M_PLACE], met[_M_SITE], _batch_met(met)


@inlined
def _or_new(number: int, sizes: np.ndarray, kind: int) -> int:
    """A number, or the next one of its kind where it is -1."""
    if number < 0:
        number = sizes[kind]
        sizes[kind] += 1
    return number


@compiled
def _nothing_met() -> np.ndarray:
    met = np.full(6, -1, dtype=np.int64)
    met[_M_BEFORE] = met[_M_AFTER] = BATCH_SECONDS + 1
    return met


@inlined
def _meet(
    met: np.ndarray, rows: np.ndarray, row: int, place: int, site: int, batch: int, same_step: bool, apart: int
) -> None:
    """Note what a pass of its place says of a new one. place, site, batch: the columns of its numbers. apart: seconds
    after the new one."""
    # Numbers are the same in every row that is met: one is read, since rows that are not are cheap.
    if met[_M_PLACE] < 0:
        met[_M_PLACE] = rows[row, place]
    if same_step:
        if met[_M_SITE] < 0:
            met[_M_SITE] = rows[row, site]
        if apart <= 0 and -apart < met[_M_BEFORE]:
            met[_M_BEFORE], met[_M_BATCH_BEFORE] = -apart, rows[row, batch]
        if apart >= 0 and apart < met[_M_AFTER]:
            met[_M_AFTER], met[_M_BATCH_AFTER] = apart, rows[row, batch]


@inlined
def _batch_met(met: np.ndarray) -> int:
    """The batch that a pass belongs to, -1 for one of its own, `_TWO` where it joins two batches into one."""
    batch = max(met[_M_BATCH_BEFORE], met[_M_BATCH_AFTER])
    if met[_M_BATCH_BEFORE] >= 0 and met[_M_BATCH_AFTER] >= 0 and met[_M_BATCH_BEFORE] != met[_M_BATCH_AFTER]:
        batch = _TWO
    return batch


@compiled
def _link_of(rows: np.ndarray, count: int, from_batch: int, batch: int) -> int:
    """The number of a pair of batches among the first rows, -1 where none has it."""
    for row in range(count):
        if rows[row, _BATCH] == batch and rows[row, _FROM_BATCH] == from_batch:
            return rows[row, _LINK]
    return -1


@compiled
def index_onward(rows: np.ndarray, count: int, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number the pairs of previous batch and place anew; a table of them with room for those of as many rows as there
    is room for: the kernel looks up pairs that no move has made."""
    size = 16
    while size < 2 * len(rows):
        size *= 2
    table = np.full(size, -1, dtype=np.int32)
    batch, place = np.empty(len(rows), dtype=np.int64), np.empty(len(rows), dtype=np.int64)
    found = 0
    for row in range(count):
        rows[row, _ONWARD] = number_pair(table, batch, place, found, rows[row, _FROM_BATCH], rows[row, _PLACE])
        found += rows[row, _ONWARD] == found
    sizes[PAIRS] = found
    return table, batch, place


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
        at = _position(rows, keys, order, asked, row)
        if at == len(order) or _compare(rows, keys, order[at], asked, row) != 0:
            return False
        wanted[row] = rows[order[at]]
    lots = np.zeros((1, 2), dtype=np.int64)
    lots[0, shipments._LOT_HIGHEST] = -1
    sites = np.zeros((sizes[_N_SITES], 5), dtype=np.int64)
    sites[:, shipments._LAST_BATCH] = -1
    batches = np.zeros((sizes[_N_BATCHES], 9), dtype=np.int64)
    batches[:, shipments._AT_PLACE] = -1
    batches[:, shipments._AT_STEP] = -1
    batches[:, shipments._NEXT] = -1
    shipments._go_through(
        rows, order, wanted, table, pairs_batch, pairs_place, lots,
        np.zeros((shipments._KINDS, 2), dtype=np.int64), sites, np.zeros((sizes[_N_EDGES], 3), dtype=np.int64), batches,
        np.zeros(sizes[_N_PLACES], dtype=np.int64), np.zeros(sizes[_N_WAYS], dtype=np.int64),
        np.zeros(sizes[PAIRS], dtype=np.int64), np.zeros(sizes[_N_LINKS], dtype=np.int64),
        np.zeros(sizes[_N_PLACE_LEVELS], dtype=np.int64), values, highest,
    )  # fmt: skip
    return True
