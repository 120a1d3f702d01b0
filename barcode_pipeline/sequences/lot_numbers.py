"""Numbering one move of a lot by those of its places, in place: compiled loops alone.

A lot's moves are kept as `shipments` numbers them, and beside each its key: who looks for a move, or for those of a
place, reads keys alone.
"""

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
TIME, AT, STEP, FROM_TIME, FROM, FROM_STEP, COUNT, HIGHEST = range(8)
NEXT_AT, NEXT_FROM = KEY, KEY + 1
"""Columns of keys after the first six of `COLUMNS`, 64 bytes a move with them: the next row at the same place, and from
it, -1 for none."""

N_PLACES, N_PLACE_LEVELS, N_SITES, N_EDGES, N_WAYS, N_BATCHES, PAIRS, N_LINKS = range(8)
"""How many numbers of each kind there are."""
_P_KEY, _P_NOWHERE, _P_AT, _P_FROM = range(4)
"""Columns of places, by number: the key, whether it is that of no previous event, its first row at it and from it."""
_M_SITE, _M_BEFORE, _M_BATCH_BEFORE, _M_AFTER, _M_BATCH_AFTER = range(5)
"""What a new pass meets: the number of its site, and the nearest passes of its site with their batches."""

_PLACE, _FROM_PLACE, _SITE, _FROM_SITE = (
    shipments._PLACE,
    shipments._FROM_PLACE,
    shipments._SITE_OF,
    shipments._FROM_SITE,
)
_EDGE, _WAY, _LINK, _PLACE_LEVEL = shipments._EDGE, shipments._WAY, shipments._LINK, shipments._PLACE_LEVEL
_BATCH, _FROM_BATCH, _ONWARD, _UNITS = (
    shipments._BATCH,
    shipments._FROM_BATCH,
    shipments._ONWARD_TO,
    shipments._UNITS,
)


@compiled
def number_one(
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
    """Number a new row by those of its places; False where too little is known of its previous event, or there is no
    room."""
    step, time, from_step, from_time = keys[at, STEP], keys[at, TIME], keys[at, FROM_STEP], keys[at, FROM_TIME]
    place = _place_of(places, sizes, keys[at, AT], False)
    from_place, from_site, from_batch = _numbers_of_previous(rows, keys, order, at, sizes, places)
    if from_batch < 0:
        # What is not known of the previous event may be the very pass of this one.
        return False
    if place < 0 and sizes[N_PLACES] == len(places):
        # Numbers of places that are no longer there are not given again.
        return False
    met = _nothing_met()
    _meet_all(met, rows, keys, places, place, step, time)
    site, before, after = met[_M_SITE], met[_M_BATCH_BEFORE], met[_M_BATCH_AFTER]
    # The previous event is one of those met, where it is of this site and near.
    batch = max(before, after)
    for part in (before, after):
        if part < 0 or part == batch:
            continue
        if not _join(rows, keys, sizes, places, table, pairs_batch, pairs_place, place, part, batch):
            return False
    if from_batch in (before, after):
        from_batch = batch
    edge, way, link, place_level = _numbers_at_place(rows, keys, places, at, place, from_batch, batch)
    place, site = _or_new(place, sizes, N_PLACES), _or_new(site, sizes, N_SITES)
    batch = _or_new(batch, sizes, N_BATCHES)
    rows[at, _PLACE], rows[at, _FROM_PLACE], rows[at, _SITE], rows[at, _FROM_SITE] = place, from_place, site, from_site
    rows[at, _BATCH], rows[at, _FROM_BATCH] = batch, from_batch
    rows[at, _EDGE], rows[at, _WAY] = _or_new(edge, sizes, N_EDGES), _or_new(way, sizes, N_WAYS)
    rows[at, _LINK] = _or_new(link, sizes, N_LINKS)
    rows[at, _PLACE_LEVEL] = _or_new(place_level, sizes, N_PLACE_LEVELS)
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
    place, before = rows[row, _PLACE], rows[row, _FROM_PLACE]
    places[place, _P_KEY], places[place, _P_NOWHERE] = keys[row, AT], 0
    places[before, _P_KEY], places[before, _P_NOWHERE] = keys[row, FROM], keys[row, FROM_STEP] == NOWHERE
    keys[row, NEXT_AT], places[place, _P_AT] = places[place, _P_AT], row
    keys[row, NEXT_FROM], places[before, _P_FROM] = places[before, _P_FROM], row


@inlined
def _place_of(places: np.ndarray, sizes: np.ndarray, key: int, nowhere: bool) -> int:
    """The number of a place, -1 where the lot has not been there."""
    for place in range(sizes[N_PLACES]):
        if places[place, _P_KEY] == key and places[place, _P_NOWHERE] == nowhere:
            return place
    return -1


@compiled
def _numbers_of_previous(
    rows: np.ndarray, keys: np.ndarray, order: np.ndarray, at: int, sizes: np.ndarray, places: np.ndarray
) -> tuple[int, int, int]:
    """Numbers of place, site and batch of a new row's previous event, -1 for a batch that is not known."""
    key, step, time = keys[at, FROM], keys[at, FROM_STEP], keys[at, FROM_TIME]
    if step != NOWHERE:
        # The previous event made a move too, which is found by its second.
        low, high = 0, len(order)
        while low < high:
            middle = (low + high) // 2
            if keys[order[middle], TIME] < time:
                low = middle + 1
            else:
                high = middle
        while low < len(order) and keys[order[low], TIME] == time:
            row = order[low]
            if row != at and keys[row, AT] == key and keys[row, STEP] == step:
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
        if keys[row, STEP] == step:
            _meet(met, rows, row, _SITE, _BATCH, keys[row, TIME] - time)
        row = keys[row, NEXT_AT]
    row = places[place, _P_FROM]
    while row >= 0:
        if keys[row, FROM_STEP] == step:
            _meet(met, rows, row, _FROM_SITE, _FROM_BATCH, keys[row, FROM_TIME] - time)
        row = keys[row, NEXT_FROM]


@inlined
def _meet(met: np.ndarray, rows: np.ndarray, row: int, site: int, batch: int, apart: int) -> None:
    """site, batch: columns. apart: seconds after the new pass."""
    if met[_M_SITE] < 0:
        met[_M_SITE] = rows[row, site]
    if apart <= 0 and -apart < met[_M_BEFORE]:
        met[_M_BEFORE], met[_M_BATCH_BEFORE] = -apart, rows[row, batch]
    if apart >= 0 and apart < met[_M_AFTER]:
        met[_M_AFTER], met[_M_BATCH_AFTER] = apart, rows[row, batch]


@compiled
def _numbers_at_place(
    rows: np.ndarray, keys: np.ndarray, places: np.ndarray, at: int, place: int, from_batch: int, batch: int
) -> tuple[int, int, int, int]:
    """Numbers of a new row's edge, way, pair of batches, and place and level, -1 where none of its place has them."""
    edge, way, link, place_level = -1, -1, -1, -1
    level, nowhere = keys[at, STEP] // DIRECTIONS, keys[at, FROM_STEP] == NOWHERE
    row = places[place, _P_AT] if place >= 0 else -1
    while row >= 0:
        if place_level < 0 and keys[row, STEP] // DIRECTIONS == level:
            place_level = rows[row, _PLACE_LEVEL]
        if keys[row, FROM] == keys[at, FROM] and (keys[row, FROM_STEP] == NOWHERE) == nowhere:
            if way < 0:
                way = rows[row, _WAY]
            if keys[row, STEP] == keys[at, STEP] and keys[row, FROM_STEP] == keys[at, FROM_STEP]:
                edge = rows[row, _EDGE]
                if rows[row, _BATCH] == batch and rows[row, _FROM_BATCH] == from_batch:
                    link = rows[row, _LINK]
        row = keys[row, NEXT_AT]
    return edge, way, link, place_level


@compiled
def _join(
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
    """Make one batch of a place part of another: nothing else is numbered anew but their pairs. False where there is no
    room for these."""
    row = places[place, _P_AT]
    while row >= 0:
        if rows[row, _BATCH] == part:
            rows[row, _BATCH] = whole
            rows[row, _LINK] = _link_of(rows, keys, places, row)
        row = keys[row, NEXT_AT]
    row = places[place, _P_FROM]
    while row >= 0:
        if rows[row, _FROM_BATCH] == part:
            rows[row, _FROM_BATCH] = whole
            rows[row, _LINK] = _link_of(rows, keys, places, row)
            if not _number_onward(rows, row, sizes, table, pairs_batch, pairs_place):
                return False
        row = keys[row, NEXT_FROM]
    return True


@compiled
def _link_of(rows: np.ndarray, keys: np.ndarray, places: np.ndarray, like: int) -> int:
    """The number that others give to the pair of batches of a row, else its own."""
    batch, from_batch = rows[like, _BATCH], rows[like, _FROM_BATCH]
    row = places[rows[like, _PLACE], _P_AT]
    while row >= 0:
        if row != like and rows[row, _BATCH] == batch and rows[row, _FROM_BATCH] == from_batch:
            return rows[row, _LINK]
        row = keys[row, NEXT_AT]
    return rows[like, _LINK]


@compiled
def _number_onward(
    rows: np.ndarray, row: int, sizes: np.ndarray, table: np.ndarray, pairs_batch: np.ndarray, pairs_place: np.ndarray
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
