"""Shipment features: an event against what the rest of its lot did before it.

One kernel for batch and live: it goes through the moves of each lot in the order of time, keeps running counts, and
looks at them once for each distinct move that is asked about. A feature at second t knows the moves of earlier
seconds alone, so neither the order of rows nor anything later can change it. Counts are integers: what is added up
in another order is the same to the bit. What a move is stands in `moves`; features of an EPC's own journey stand
in `features`.

Words used here. A *pass*: all of a lot at one place, step and second (a pallet). A *batch*: passes of one place and
step, each at most five minutes after the one before. *Companions*: the other EPCs of the previous event's batch.
The *stream*: the way that most companions took, from batch to batch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from barcode_pipeline.compiled import compiled, inlined
from barcode_pipeline.events.pairs import find_pair, index_pairs, number_pairs
from barcode_pipeline.events.steps import LEVEL_UNKNOWN
from barcode_pipeline.sequences.moves import DIRECTIONS, NOWHERE, Moves, rows_of_lots

BATCH_SECONDS = 300
"""Passes of one place and step that lie no farther apart belong to one batch."""
_HOPS = 6
_RESOLUTION = 16.0
"""Features are rounded to a sixteenth: rows that differ by less are alike to a model, and are counted once."""
_LOG_UNITS = 64.0
_NEVER = 3.0

SHIPMENT_FEATURES = (
    ("lot_log_events", "log(1 + events) / 3", "events of the lot so far"),
    ("lot_log_share_of_site", "log share / 2", "the lot's events of this level and direction: share at this place"),
    ("lot_places_of_level", "log(1 + places) / 2", "places of this level that the lot was seen at"),
    ("lot_hours_since_last", "log(1 + hours) / 3, 0 to 3", "time since the lot's last event like this, 3 if none"),
    ("lot_hours_since_first", "log(1 + hours) / 3", "time since the lot's first event like this, 0 if none"),
    ("lot_log_share_onward", "log share / 2", "the lot's ways from the previous place to another: share to this one"),
    ("lot_log_share_of_step", "log share / 2", "the lot's steps from the previous event's step: share to this one"),
    ("lot_log_share_of_origin", "log share / 2", "the lot's events like this: share that came from the same step"),
    ("lot_log_moves_alike", "log(1 + moves) / 3", "moves of the lot from the same step to this one"),
    ("lot_time_deviation", "σ, -6 to 6, halved", "log time since the previous event against those moves"),
    ("lot_log_arriving", "log(1 + EPCs) / 2", "EPCs of the lot that came here in the last minutes"),
    ("companions_log_count", "log(1 + EPCs) / 2", "companions: EPCs that were with this one at its previous event"),
    ("companions_share_moved", "0 to 1", "share of them that was seen again since"),
    ("companions_log_waiting", "log(1 + EPCs) / 2", "companions that were not seen since"),
    ("companions_log_here", "log(1 + EPCs) / 2", "companions that went from there to this place"),
    ("companions_log_elsewhere", "log(1 + EPCs) / 2", "companions that went from there to another place"),
    ("companions_hours_since_moved", "log(1 + hours) / 2", "time since the first of them was seen again, 0 if none"),
    ("stream_here", "0/1", "the stream of the companions has come to this place"),
    ("stream_elsewhere", "0/1", "it is at another place of this level or a later one"),
    ("stream_behind", "levels / 2, 0 to 3", "levels that it has yet to go"),
    ("stream_hours", "log(1 + hours) / 2", "time since the stream came here, or to where it is now"),
    ("lot_never_made", "0/1", "beyond the warehouse: the lot was never seen at factory or warehouse"),
    ("serial_beyond", "log(1 + serials) / 2", "beyond the warehouse: serials above the highest that was seen there"),
)  # fmt: skip
"""Name, unit and meaning of each, in their order. "Like this": of this place, level and direction."""
(
    _EVENTS, _SITE, _PLACES, _SINCE_LAST, _SINCE_FIRST, _ONWARD, _FROM_STEP_SHARE, _ORIGIN, _ALIKE, _DEVIATION,
    _ARRIVING, _COUNT, _MOVED, _WAITING, _HERE, _ELSEWHERE, _SINCE_MOVED, _STREAM, _STREAM_ELSEWHERE, _BEHIND,
    _STREAM_HOURS, _NEVER_MADE, _BEYOND,
) = range(len(SHIPMENT_FEATURES))  # fmt: skip

(
    _LOT, _TIME, _STEP, _FROM_TIME, _FROM_STEP, _EPCS, _SERIAL, _PLACE, _FROM_PLACE, _SITE_OF, _FROM_SITE, _EDGE, _WAY,
    _BATCH, _FROM_BATCH, _ONWARD_TO, _LINK, _PLACE_LEVEL, _UNITS,
) = range(19)  # fmt: skip
COLUMNS = 19
"""Columns of moves as the kernel reads them, by lot and second: (rows, 19) int64, a row in one piece of memory.
`_SITE_OF` is place and step together; `_ONWARD_TO` previous batch and place; `_LINK` both batches; all from `_PLACE` on
are numbers made by `_number`. `_UNITS` is the time since the previous event, in `log_units`, 0 without one."""


class _Onward(NamedTuple):
    """The pairs (batch, place) that `_ONWARD_TO` numbers, to look others up."""

    table: np.ndarray
    batch: np.ndarray
    place: np.ndarray


# Running counts of all lots side by side. What is counted of one thing lies in one row: these are their columns.
_LOT_EVENTS, _LOT_HIGHEST = range(2)
_KIND_EVENTS, _KIND_PLACES = range(2)
"""Of a lot's level and direction; of a lot's level, at the place of that number, the places it was seen at."""
_AT_SITE, _FIRST, _LAST, _LAST_BATCH, _LEFT = range(5)
_MADE, _SUM, _SQUARES = range(3)
_IN_BATCH, _AT_PLACE, _AT_STEP, _SINCE, _MOVED_ON, _MOVED_SINCE, _GONE, _NEXT_COUNT, _NEXT = range(9)
_KINDS = (LEVEL_UNKNOWN + 1) * DIRECTIONS


class _State(NamedTuple):
    """lots (L, 2), kinds (L * `_KINDS`, 2), sites (S, 5), edges (E, 3), batches (B, 9): columns as above. places,
    ways, onward, links: how often each was left or taken. seen: whether a place was seen at a level. All int64."""

    lots: np.ndarray
    kinds: np.ndarray
    sites: np.ndarray
    edges: np.ndarray
    batches: np.ndarray
    places: np.ndarray
    ways: np.ndarray
    onward: np.ndarray
    links: np.ndarray
    seen: np.ndarray


class ShipmentFeatures(NamedTuple):
    """values: (M, 23) float32 of each move asked about, `serial_beyond` left at 0. highest: (M,) int64, the highest
    serial that its lot was seen to be made with before it, -1 where none."""

    values: np.ndarray
    highest: np.ndarray


def shipment_features(asked: Moves, known: Moves) -> ShipmentFeatures:
    """Features of every move in `asked`, from the moves of its lot in `known` at seconds before it.

    `known` holds the moves of the whole lots, those of the EPCs asked about among them. In batch both are the same.
    """
    rows = _one_after_the_other(asked, known)
    values = np.zeros((len(asked), len(SHIPMENT_FEATURES)), dtype=np.float32)
    highest = np.full(len(asked), -1, dtype=np.int64)
    if not len(asked):
        return ShipmentFeatures(values, highest)
    numbered, onward, sizes = _number(*rows)
    begin = 0 if asked is known else len(numbered) - len(asked)
    until = len(numbered) if asked is known else begin
    state = _empty_state(len(asked.lots), sizes)
    _go_through(numbered, np.arange(until), numbered[begin:], *onward, *state, values, highest)
    return ShipmentFeatures(rounded(values), highest)


def rounded(values: np.ndarray) -> np.ndarray:
    """Features as they are kept."""
    return np.rint(values * _RESOLUTION) / _RESOLUTION


def serial_beyond(serial: np.ndarray, highest: np.ndarray, level: np.ndarray) -> np.ndarray:
    """`serial_beyond` of events, (N,) each. It tells items of one pallet apart only where a serial is beyond."""
    looked_at = (level >= 2) & (highest >= 0) & (serial > highest)
    beyond = np.log1p(np.where(looked_at, serial - highest, 0)) / 2
    return np.rint(np.minimum(beyond, 4.0) * _RESOLUTION) / _RESOLUTION


def _one_after_the_other(asked: Moves, known: Moves) -> tuple[np.ndarray, ...]:
    """Columns of what is known, then of what is asked, with lots numbered as in `asked`; once where both are one."""
    names = ("time", "place", "step", "from_time", "from_place", "from_step", "count", "serial")
    if asked is known:
        return (known.lot, *(getattr(known, name) for name in names))
    rows, lot = rows_of_lots(known, asked.lots)
    return (
        np.concatenate([lot, asked.lot]),
        *(np.concatenate([getattr(known, name)[rows], getattr(asked, name)]) for name in names),
    )


def _number(
    lot: np.ndarray,
    time: np.ndarray,
    place: np.ndarray,
    step: np.ndarray,
    from_time: np.ndarray,
    from_place: np.ndarray,
    from_step: np.ndarray,
    count: np.ndarray,
    serial: np.ndarray,
) -> tuple[np.ndarray, _Onward, tuple[int, ...]]:
    """Number places, sites, edges, ways and batches of all lots, so that the kernel's counts are plain arrays.

    Returns the rows, the pairs of batch and place, and how many there are of places, (place, level), sites, edges,
    ways, batches, onward pairs and pairs of batches.
    """
    rows = len(lot)
    both = np.concatenate([lot, lot]).astype(np.int64)
    steps = np.concatenate([step, from_step])
    # No previous event is a place, a site and a batch of its own, which nothing else shares.
    places = number_pairs(both * 2 + (steps == NOWHERE), np.concatenate([place, from_place]))
    sites = number_pairs(places.astype(np.int64), steps)
    passes, _, pass_site, pass_time = index_pairs(sites.astype(np.int64), np.concatenate([time, from_time]))
    batches = _batches(pass_site, pass_time)[passes]
    place_level = number_pairs(places[:rows].astype(np.int64), step // DIRECTIONS)
    edge = number_pairs(sites[rows:].astype(np.int64), sites[:rows].astype(np.int64))
    way = number_pairs(places[rows:].astype(np.int64), places[:rows].astype(np.int64))
    onward, *pairs = index_pairs(batches[rows:].astype(np.int64), places[:rows].astype(np.int64))
    link = number_pairs(batches[rows:].astype(np.int64), batches[:rows].astype(np.int64))
    sizes = tuple(int(column.max()) + 1 for column in (places, place_level, sites, edge, way, batches, onward, link))
    columns = (
        lot, time, step, from_time, from_step, count, serial, places[:rows], places[rows:], sites[:rows], sites[rows:],
        edge, way, batches[:rows], batches[rows:], onward, link, place_level, _units_since(time, from_time, from_step),
    )  # fmt: skip
    numbered = np.empty((rows, len(columns)), dtype=np.int64)
    for column, values in enumerate(columns):
        numbered[:, column] = values
    return numbered, _Onward(*pairs), sizes


def _batches(site: np.ndarray, time: np.ndarray) -> np.ndarray:
    """The batch of each pass, (P,) int64. Passes between two earlier ones are earlier: no later pass can join them."""
    order = np.lexsort((time, site))
    apart = np.ones(len(order), dtype=bool)
    apart[1:] = (np.diff(site[order]) != 0) | (np.diff(time[order]) > BATCH_SECONDS)
    batch = np.empty(len(order), dtype=np.int32)
    batch[order] = np.cumsum(apart) - 1
    return batch


def _empty_state(lots: int, sizes: tuple[int, ...]) -> _State:
    places, place_levels, sites, edges, ways, batches, onward, links = sizes

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, dtype=np.int64)

    state = _State(
        zeros(lots, 2), zeros(lots * _KINDS, 2), zeros(sites, 5), zeros(edges, 3), zeros(batches, 9), zeros(places),
        zeros(ways), zeros(onward), zeros(links), zeros(place_levels),
    )  # fmt: skip
    state.lots[:, _LOT_HIGHEST] = -1
    state.sites[:, _LAST_BATCH] = -1
    for column in (_AT_PLACE, _AT_STEP, _NEXT):
        state.batches[:, column] = -1
    return state


@compiled
def _go_through(
    moves: np.ndarray,
    order: np.ndarray,
    asked: np.ndarray,
    onward_table: np.ndarray,
    onward_batch: np.ndarray,
    onward_place: np.ndarray,
    lots: np.ndarray,
    kinds: np.ndarray,
    sites: np.ndarray,
    edges: np.ndarray,
    batches: np.ndarray,
    places: np.ndarray,
    ways: np.ndarray,
    onward: np.ndarray,
    links: np.ndarray,
    seen: np.ndarray,
    values: np.ndarray,
    highest: np.ndarray,
) -> None:
    """Both by lot and second, moves in their `order`: add those before each row that is asked about, then look.

    Loops stand in the functions that are called, not around them: with each call, and with what is taken out of a
    tuple, references to arrays are counted, which takes longer than adding a move.
    """
    move = 0
    for row in range(len(asked)):
        lot, time = asked[row, _LOT], asked[row, _TIME]
        move = _add_until(
            lot, time, move, moves, order, lots, kinds, sites, edges, batches, places, ways, onward, links, seen
        )
        _look_at_lot(row, asked, lots, kinds, sites, edges, batches, places, ways, values)
        _look_at_companions(row, asked, onward_table, onward_batch, onward_place, batches, onward, values)
        highest[row] = lots[lot, _LOT_HIGHEST]
        values[row, _NEVER_MADE] = asked[row, _STEP] // DIRECTIONS >= 2 and highest[row] == -1


@inlined
def log_units(seconds: int) -> np.int64:
    return np.int64(np.rint(_LOG_UNITS * np.log1p(max(seconds, 0) / 60.0)))


@compiled
def _units_since(time: np.ndarray, from_time: np.ndarray, from_step: np.ndarray) -> np.ndarray:
    """`_UNITS` of moves."""
    units = np.zeros(len(time), dtype=np.int64)
    for row in range(len(time)):
        if from_step[row] != NOWHERE:
            units[row] = log_units(time[row] - from_time[row])
    return units


@compiled
def _add_until(
    lot: int,
    time: int,
    begin: int,
    moves: np.ndarray,
    order: np.ndarray,
    lots: np.ndarray,
    kinds: np.ndarray,
    sites: np.ndarray,
    edges: np.ndarray,
    batches: np.ndarray,
    places: np.ndarray,
    ways: np.ndarray,
    onward: np.ndarray,
    links: np.ndarray,
    seen: np.ndarray,
) -> int:
    """Count the moves of earlier lots, and of this lot before this second, from move `begin` on; the first left out."""
    for move in range(begin, len(order)):
        row = order[move]
        of, when = moves[row, _LOT], moves[row, _TIME]
        if of > lot or (of == lot and when >= time):
            return move
        count, step = moves[row, _EPCS], moves[row, _STEP]
        level, site, edge = step // DIRECTIONS, moves[row, _SITE_OF], moves[row, _EDGE]
        lots[of, _LOT_EVENTS] += count
        kinds[of * _KINDS + step, _KIND_EVENTS] += count
        if seen[moves[row, _PLACE_LEVEL]] == 0:
            seen[moves[row, _PLACE_LEVEL]] = 1
            kinds[of * _KINDS + level, _KIND_PLACES] += 1
        if level <= 1:
            # A serial that is none still tells that the lot was made.
            lots[of, _LOT_HIGHEST] = max(lots[of, _LOT_HIGHEST], moves[row, _SERIAL], 0)
        if sites[site, _AT_SITE] == 0:
            sites[site, _FIRST] = when
        batch, before = moves[row, _BATCH], moves[row, _FROM_BATCH]
        sites[site, _AT_SITE] += count
        sites[site, _LAST] = when
        sites[site, _LAST_BATCH] = batch
        sites[moves[row, _FROM_SITE], _LEFT] += count
        edges[edge, _MADE] += count
        moved = moves[row, _PLACE] != moves[row, _FROM_PLACE]
        has_previous = moves[row, _FROM_STEP] != NOWHERE
        if has_previous:
            units = moves[row, _UNITS]
            edges[edge, _SUM] += count * units
            edges[edge, _SQUARES] += count * units * units
            if moved:
                places[moves[row, _FROM_PLACE]] += count
                ways[moves[row, _WAY]] += count
        if before == batch:
            continue  # read again: still the same EPC in the same batch
        if batches[batch, _IN_BATCH] == 0:
            batches[batch, _AT_PLACE] = moves[row, _PLACE]
            batches[batch, _AT_STEP] = step
            batches[batch, _SINCE] = when
        batches[batch, _IN_BATCH] += count
        if not has_previous:
            continue
        if batches[before, _MOVED_ON] == 0:
            batches[before, _MOVED_SINCE] = when
        batches[before, _MOVED_ON] += count
        if moved:
            batches[before, _GONE] += count
            onward[moves[row, _ONWARD_TO]] += count
        links[moves[row, _LINK]] += count
        if links[moves[row, _LINK]] > batches[before, _NEXT_COUNT]:
            batches[before, _NEXT_COUNT] = links[moves[row, _LINK]]
            batches[before, _NEXT] = batch
    return len(order)


@inlined
def _log_share(part: int, whole: int) -> float:
    """Of nothing 0.5 out of 1: how little a share of few tells is part of the number. -3 to 0."""
    return max(np.log((part + 0.5) / (whole + 1.0)) / 2, -3.0)


@inlined
def _log_hours(seconds: int) -> float:
    return np.log1p(max(seconds, 0) / 3600.0)


@inlined
def _look_at_lot(
    row: int,
    asked: np.ndarray,
    lots: np.ndarray,
    kinds: np.ndarray,
    sites: np.ndarray,
    edges: np.ndarray,
    batches: np.ndarray,
    places: np.ndarray,
    ways: np.ndarray,
    values: np.ndarray,
) -> None:
    lot, time, step, site = asked[row, _LOT], asked[row, _TIME], asked[row, _STEP], asked[row, _SITE_OF]
    at_site, count = sites[site, _AT_SITE], edges[asked[row, _EDGE], _MADE]
    values[row, _EVENTS] = np.log1p(lots[lot, _LOT_EVENTS]) / 3
    values[row, _SITE] = _log_share(at_site, kinds[lot * _KINDS + step, _KIND_EVENTS])
    values[row, _PLACES] = np.log1p(kinds[lot * _KINDS + step // DIRECTIONS, _KIND_PLACES]) / 2
    values[row, _SINCE_LAST] = _NEVER
    if at_site > 0:
        values[row, _SINCE_LAST] = min(_log_hours(time - sites[site, _LAST]) / 3, _NEVER)
        values[row, _SINCE_FIRST] = min(_log_hours(time - sites[site, _FIRST]) / 3, _NEVER)
        if time - sites[site, _LAST] <= BATCH_SECONDS:
            values[row, _ARRIVING] = np.log1p(batches[sites[site, _LAST_BATCH], _IN_BATCH]) / 2
    values[row, _FROM_STEP_SHARE] = _log_share(count, sites[asked[row, _FROM_SITE], _LEFT])
    values[row, _ORIGIN] = _log_share(count, at_site)
    values[row, _ALIKE] = np.log1p(count) / 3
    if asked[row, _FROM_STEP] == NOWHERE:
        return
    if asked[row, _PLACE] != asked[row, _FROM_PLACE]:
        values[row, _ONWARD] = _log_share(ways[asked[row, _WAY]], places[asked[row, _FROM_PLACE]])
    if count > 0:
        mean = edges[asked[row, _EDGE], _SUM] / count
        # A spread of a tenth at least: the first few moves of an edge may be all alike.
        variance = edges[asked[row, _EDGE], _SQUARES] / count - mean * mean
        spread = np.sqrt(max(variance, 0.0)) + 0.1 * _LOG_UNITS
        deviation = (asked[row, _UNITS] - mean) / spread
        values[row, _DEVIATION] = min(max(deviation, -6.0), 6.0) / 2


@inlined
def _look_at_companions(
    row: int,
    asked: np.ndarray,
    onward_table: np.ndarray,
    onward_batch: np.ndarray,
    onward_place: np.ndarray,
    batches: np.ndarray,
    onward: np.ndarray,
    values: np.ndarray,
) -> None:
    if asked[row, _FROM_STEP] == NOWHERE:
        return
    time, place, batch = asked[row, _TIME], asked[row, _PLACE], asked[row, _FROM_BATCH]
    own = 1 if asked[row, _FROM_TIME] < time else 0
    others = max(batches[batch, _IN_BATCH] - own, 0)
    moved = min(batches[batch, _MOVED_ON], others)
    values[row, _COUNT] = np.log1p(others) / 2
    values[row, _WAITING] = np.log1p(others - moved) / 2
    if others > 0:
        values[row, _MOVED] = moved / others
    if batches[batch, _MOVED_ON] > 0:
        values[row, _SINCE_MOVED] = min(_log_hours(time - batches[batch, _MOVED_SINCE]) / 2, _NEVER)
    if place != asked[row, _FROM_PLACE]:
        gone = batches[batch, _GONE]
        here = onward[asked[row, _ONWARD_TO]]
        after = batches[batch, _NEXT]
        if after >= 0 and batches[after, _AT_PLACE] == asked[row, _FROM_PLACE]:
            # Most were scanned once more before they left: this EPC's scan may have been missed.
            gone += batches[after, _GONE]
            pair = find_pair(onward_table, onward_batch, onward_place, after, place)
            if pair >= 0:
                here += onward[pair]
        values[row, _HERE] = np.log1p(here) / 2
        values[row, _ELSEWHERE] = np.log1p(gone - here) / 2
    _follow_stream(row, asked, batches, values)


@inlined
def _follow_stream(row: int, asked: np.ndarray, batches: np.ndarray, values: np.ndarray) -> None:
    batch = asked[row, _FROM_BATCH]
    for _ in range(_HOPS):
        if batches[batch, _NEXT] < 0:
            break
        batch = batches[batch, _NEXT]
        if batches[batch, _AT_PLACE] == asked[row, _PLACE]:
            values[row, _STREAM] = 1
            break
    if batches[asked[row, _FROM_BATCH], _NEXT] < 0:
        values[row, _BEHIND] = max(asked[row, _STEP] // DIRECTIONS - asked[row, _FROM_STEP] // DIRECTIONS, 0) / 2
        return
    values[row, _STREAM_HOURS] = min(_log_hours(asked[row, _TIME] - batches[batch, _SINCE]) / 2, _NEVER)
    if values[row, _STREAM] == 0:
        ahead = asked[row, _STEP] // DIRECTIONS - batches[batch, _AT_STEP] // DIRECTIONS
        values[row, _STREAM_ELSEWHERE] = ahead <= 0
        values[row, _BEHIND] = max(ahead, 0) / 2
