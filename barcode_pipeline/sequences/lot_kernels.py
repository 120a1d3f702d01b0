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
AT_KEY, FROM_KEY, _NEXT_AT, _NEXT_FROM = range(4)
"""Columns beside the rows: the places as `Places.keys` has them, and the next row at the same place, and from it, -1
for none."""
_P_KEY, _P_NOWHERE, _P_AT, _P_FROM = range(4)
"""Columns of places, by number: the key, whether it is that of no previous event, and its first row at it and from it."""
_M_SITE, _M_BEFORE, _M_BATCH_BEFORE, _M_AFTER, _M_BATCH_AFTER = range(5)
"""What a new pass meets: the number of its site, and the nearest passes of its site with their batches."""

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
            mine = keys[row, AT_KEY]
        elif place == _C_STEP:
            mine = rows[row, _S]
        elif place == _C_FROM_TIME:
            mine = rows[row, _FT]
        elif place == FROM:
            mine = keys[row, FROM_KEY]
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
            keys[row, AT_KEY],
            rows[row, _S],
        )
        columns[place, _C_FROM_TIME], columns[place, FROM] = rows[row, _FT], keys[row, FROM_KEY]
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
    places: np.ndarray,
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
        rows[row, shipments._LOT] = 0
        rows[row, _T], rows[row, _S], rows[row, _FT], rows[row, _FS], rows[row, _EPCS], rows[row, _SERIAL] = (
            changes[change, _C_TIME], changes[change, _C_STEP], changes[change, _C_FROM_TIME],
            changes[change, _C_FROM_STEP], changes[change, COUNT], changes[change, HIGHEST],
        )  # fmt: skip
        keys[row, AT_KEY], keys[row, FROM_KEY] = changes[change, AT], changes[change, FROM]
        whole = whole and _number_one(rows, keys, order[:count], row, sizes, places, table, pairs_batch, pairs_place)
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
    places: np.ndarray,
    table: np.ndarray,
    pairs_batch: np.ndarray,
    pairs_place: np.ndarray,
) -> bool:
    """Number a new row by those of its places; False where that changes the numbers of others."""
    step, time, from_step, from_time = rows[at, _S], rows[at, _T], rows[at, _FS], rows[at, _FT]
    place = _place_of(places, sizes, keys[at, AT_KEY], False)
    from_place, from_site, from_batch = _numbers_of_previous(rows, keys, order, at, sizes, places)
    if from_batch < 0:
        # What is not known of the previous event may be the very pass of this one.
        return False
    met = _nothing_met()
    _meet_all(met, rows, keys, places, place, step, time)
    site, batch = met[_M_SITE], max(met[_M_BATCH_BEFORE], met[_M_BATCH_AFTER])
    if not _joined(rows, keys, sizes, places, table, pairs_batch, pairs_place, place, met[_M_BATCH_BEFORE], batch):
        return False
    if not _joined(rows, keys, sizes, places, table, pairs_batch, pairs_place, place, met[_M_BATCH_AFTER], batch):
        return False
    same_batch = from_batch == met[_M_BATCH_BEFORE] or from_batch == met[_M_BATCH_AFTER]
    if place == from_place and step == from_step:
        site = from_site
        if abs(time - from_time) <= BATCH_SECONDS:
            same_batch = True
            if batch < 0:
                batch = from_batch
            if not _joined(rows, keys, sizes, places, table, pairs_batch, pairs_place, place, from_batch, batch):
                return False
    if same_batch:
        from_batch = batch
    edge, way, link, place_level = _numbers_at_place(rows, keys, places, at, place, from_place, from_batch, batch)
    place, site = _or_new(place, sizes, _N_PLACES), _or_new(site, sizes, _N_SITES)
    batch = _or_new(batch, sizes, _N_BATCHES)
    rows[at, _PLACE], rows[at, _FROM_PLACE], rows[at, _SITE], rows[at, _FROM_SITE] = place, from_place, site, from_site
    rows[at, _BATCH], rows[at, _FROM_BATCH] = batch, from_batch
    rows[at, _EDGE], rows[at, _WAY] = _or_new(edge, sizes, _N_EDGES), _or_new(way, sizes, _N_WAYS)
    rows[at, _LINK], rows[at, _PLACE_LEVEL] = (
        _or_new(link, sizes, _N_LINKS),
        _or_new(place_level, sizes, _N_PLACE_LEVELS),
    )
    rows[at, _UNITS] = 0 if from_step == NOWHERE else shipments.log_units(time - from_time)
    _put_at_places(rows, keys, places, at)
    return _number_onward(rows, at, sizes, table, pairs_batch, pairs_place)


@compiled
def index_places(rows: np.ndarray, keys: np.ndarray, count: int, places: np.ndarray) -> None:
    """Lay the rows of each place one behind the other, so that a new one looks at no others."""
    places[:] = -1
    for row in range(count):
        _put_at_places(rows, keys, places, row)


@inlined
def _put_at_places(rows: np.ndarray, keys: np.ndarray, places: np.ndarray, row: int) -> None:
    for side in range(2):
        place = rows[row, _PLACE] if side == 0 else rows[row, _FROM_PLACE]
        nowhere = side == 1 and rows[row, _FS] == NOWHERE
        places[place, _P_KEY], places[place, _P_NOWHERE] = keys[row, side], nowhere
        keys[row, _NEXT_AT + side] = places[place, _P_AT + side]
        places[place, _P_AT + side] = row


@inlined
def _place_of(places: np.ndarray, sizes: np.ndarray, key: int, nowhere: bool) -> int:
    """The number of a place, -1 where the lot has not been there."""
    for place in range(sizes[_N_PLACES]):
        if places[place, _P_KEY] == key and places[place, _P_NOWHERE] == nowhere:
            return place
    return -1


@compiled
def _numbers_of_previous(
    rows: np.ndarray, keys: np.ndarray, order: np.ndarray, at: int, sizes: np.ndarray, places: np.ndarray
) -> tuple[int, int, int]:
    """Numbers of place, site and batch of a new row's previous event, -1 for a batch that is not known."""
    key, step, time = keys[at, FROM_KEY], rows[at, _FS], rows[at, _FT]
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
            if row != at and keys[row, AT_KEY] == key and rows[row, _S] == step:
                return rows[row, _PLACE], rows[row, _SITE], rows[row, _BATCH]
            low += 1
    place, met = _place_of(places, sizes, key, step == NOWHERE), _nothing_met()
    _meet_all(met, rows, keys, places, place, step, time)
    before, after = met[_M_BATCH_BEFORE], met[_M_BATCH_AFTER]
    if before >= 0 and after >= 0 and before != after:
        return place, met[_M_SITE], -1
    return place, met[_M_SITE], max(before, after)


@inlined
def _or_new(number: int, sizes: np.ndarray, kind: int) -> int:
    """A number, or the next one of its kind where it is -1."""
    if number < 0:
        number = sizes[kind]
        sizes[kind] += 1
    return number


@compiled
def _nothing_met() -> np.ndarray:
    met = np.full(5, -1, dtype=np.int64)
    met[_M_BEFORE] = met[_M_AFTER] = BATCH_SECONDS + 1
    return met


@compiled
def _meet_all(
    met: np.ndarray, rows: np.ndarray, keys: np.ndarray, places: np.ndarray, place: int, step: int, time: int
) -> None:
    """Note what the passes of a place say of one of them at a step and second: a pass is told of by the move to it and
    by those that lead on from it."""
    if place < 0:
        return
    row = places[place, _P_AT]
    while row >= 0:
        if rows[row, _S] == step:
            _meet(met, rows[row, _SITE], rows[row, _BATCH], rows[row, _T] - time)
        row = keys[row, _NEXT_AT]
    row = places[place, _P_FROM]
    while row >= 0:
        if rows[row, _FS] == step:
            _meet(met, rows[row, _FROM_SITE], rows[row, _FROM_BATCH], rows[row, _FT] - time)
        row = keys[row, _NEXT_FROM]


@inlined
def _meet(met: np.ndarray, site: int, batch: int, apart: int) -> None:
    """apart: seconds after the new pass."""
    met[_M_SITE] = site
    if apart <= 0 and -apart < met[_M_BEFORE]:
        met[_M_BEFORE], met[_M_BATCH_BEFORE] = -apart, batch
    if apart >= 0 and apart < met[_M_AFTER]:
        met[_M_AFTER], met[_M_BATCH_AFTER] = apart, batch


@compiled
def _numbers_at_place(
    rows: np.ndarray,
    keys: np.ndarray,
    places: np.ndarray,
    at: int,
    place: int,
    from_place: int,
    from_batch: int,
    batch: int,
) -> tuple[int, int, int, int]:
    """Numbers of a new row's edge, way, pair of batches, and place and level, -1 where none of its place has them."""
    edge, way, link, place_level = -1, -1, -1, -1
    row = places[place, _P_AT] if place >= 0 else -1
    while row >= 0:
        if rows[row, _S] // DIRECTIONS == rows[at, _S] // DIRECTIONS:
            place_level = rows[row, _PLACE_LEVEL]
        if rows[row, _FROM_PLACE] == from_place:
            way = rows[row, _WAY]
            if rows[row, _S] == rows[at, _S] and rows[row, _FS] == rows[at, _FS]:
                edge = rows[row, _EDGE]
        if rows[row, _BATCH] == batch and rows[row, _FROM_BATCH] == from_batch:
            link = rows[row, _LINK]
        row = keys[row, _NEXT_AT]
    return edge, way, link, place_level


@compiled
def _joined(
    rows: np.ndarray,
    keys: np.ndarray,
    sizes: np.ndarray,
    places: np.ndarray,
    table: np.ndarray,
    pairs_batch: np.ndarray,
    pairs_place: np.ndarray,
    place: int,
    part: int,
    whole: int,
) -> bool:
    """Make a batch of a place part of another of the same: nothing else is numbered anew but its pairs. False where
    there is no room for them. part: -1 for none."""
    if part < 0 or part == whole:
        return True
    row = places[place, _P_AT]
    while row >= 0:
        if rows[row, _BATCH] == part:
            rows[row, _BATCH] = whole
            rows[row, _LINK] = _link_of(rows, keys, places, rows[row, _PLACE], row)
        row = keys[row, _NEXT_AT]
    row = places[place, _P_FROM]
    while row >= 0:
        if rows[row, _FROM_BATCH] == part:
            rows[row, _FROM_BATCH] = whole
            rows[row, _LINK] = _link_of(rows, keys, places, rows[row, _PLACE], row)
            if not _number_onward(rows, row, sizes, table, pairs_batch, pairs_place):
                return False
        row = keys[row, _NEXT_FROM]
    return True


@compiled
def _link_of(rows: np.ndarray, keys: np.ndarray, places: np.ndarray, place: int, like: int) -> int:
    """The number that others give to the pair of batches of a row of a place, else its own."""
    row = places[place, _P_AT]
    while row >= 0:
        if (
            row != like
            and rows[row, _BATCH] == rows[like, _BATCH]
            and rows[row, _FROM_BATCH] == rows[like, _FROM_BATCH]
        ):
            return rows[row, _LINK]
        row = keys[row, _NEXT_AT]
    return rows[like, _LINK]


@compiled
def _number_onward(
    rows: np.ndarray,
    row: int,
    sizes: np.ndarray,
    table: np.ndarray,
    pairs_batch: np.ndarray,
    pairs_place: np.ndarray,
) -> bool:
    """Number the pair of a row's previous batch and its place; False where there is no room for another."""
    if sizes[PAIRS] == len(pairs_batch):
        return False
    number = number_pair(table, pairs_batch, pairs_place, sizes[PAIRS], rows[row, _FROM_BATCH], rows[row, _PLACE])
    rows[row, _ONWARD], sizes[PAIRS] = number, max(sizes[PAIRS], number + 1)
    return True


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
