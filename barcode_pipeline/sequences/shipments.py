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
from barcode_pipeline.events.steps import LEVEL_UNKNOWN
from barcode_pipeline.sequences.moves import (
    DIRECTIONS,
    NOWHERE,
    Moves,
    find_pair,
    index_pairs,
    number_pairs,
    rows_of_lots,
)

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
    _EVENTS, _SITE, _PLACES, _SINCE_LAST, _SINCE_FIRST, _ONWARD, _STEP, _ORIGIN, _ALIKE, _DEVIATION, _ARRIVING,
    _COUNT, _MOVED, _WAITING, _HERE, _ELSEWHERE, _SINCE_MOVED, _STREAM, _STREAM_ELSEWHERE, _BEHIND, _STREAM_HOURS,
    _NEVER_MADE, _BEYOND,
) = range(len(SHIPMENT_FEATURES))  # fmt: skip


class _Rows(NamedTuple):
    """Moves as the kernel reads them, by lot and second. All but `lot` to `step` are numbers made by `_number`."""

    lot: np.ndarray
    time: np.ndarray
    step: np.ndarray
    from_time: np.ndarray
    from_step: np.ndarray
    count: np.ndarray
    serial: np.ndarray
    place: np.ndarray
    from_place: np.ndarray
    site: np.ndarray
    """Place and step together."""
    from_site: np.ndarray
    edge: np.ndarray
    way: np.ndarray
    batch: np.ndarray
    from_batch: np.ndarray
    onward: np.ndarray
    """Previous batch and place."""


class _Onward(NamedTuple):
    """The pairs (batch, place) that `_Rows.onward` numbers, to look others up."""

    table: np.ndarray
    batch: np.ndarray
    place: np.ndarray


class _State(NamedTuple):
    """Running counts, of all lots side by side: of lots, sites, edges, ways, batches and onward pairs."""

    events: np.ndarray
    of_step: np.ndarray
    places: np.ndarray
    highest: np.ndarray
    used: np.ndarray
    at_site: np.ndarray
    first: np.ndarray
    last: np.ndarray
    last_batch: np.ndarray
    left_site: np.ndarray
    edge: np.ndarray
    edge_sum: np.ndarray
    edge_squares: np.ndarray
    left_place: np.ndarray
    way: np.ndarray
    batch: np.ndarray
    batch_place: np.ndarray
    batch_step: np.ndarray
    batch_since: np.ndarray
    moved: np.ndarray
    moved_since: np.ndarray
    gone: np.ndarray
    next_batch: np.ndarray
    next_count: np.ndarray
    onward: np.ndarray
    link: np.ndarray


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
    numbered, onward, link, sizes = _number(*rows)
    begin = 0 if asked is known else len(numbered.lot) - len(asked)
    queries = _Rows(*(column[begin:] for column in numbered))
    state = _empty_state(len(asked.lots), sizes)
    until = len(numbered.lot) if asked is known else begin
    _go_through(_Rows(*(column[:until] for column in numbered)), link, queries, onward, state, values, highest)
    return ShipmentFeatures(np.rint(values * _RESOLUTION) / _RESOLUTION, highest)


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
) -> tuple[_Rows, _Onward, np.ndarray, tuple[int, ...]]:
    """Number places, sites, edges, ways and batches of all lots, so that the kernel's counts are plain arrays.

    Returns the rows, the pairs of batch and place, the number of each row's pair of batches, and how many there are
    of places, (place, level), sites, edges, ways, batches, onward pairs and pairs of batches.
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
    sizes = tuple(
        int(column.max()) + 1 for column in (places, place_level, sites, edge, way, batches, onward, link)
    )
    numbered = _Rows(
        lot, time, step, from_time, from_step, count, serial, places[:rows], places[rows:], sites[:rows],
        sites[rows:], edge, way, batches[:rows], batches[rows:], onward,
    )  # fmt: skip
    return numbered, _Onward(*pairs), np.stack([link, place_level], axis=1), sizes


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

    def zeros(count: int) -> np.ndarray:
        return np.zeros(count, dtype=np.int64)

    def none(count: int) -> np.ndarray:
        return np.full(count, -1, dtype=np.int64)

    kinds = (LEVEL_UNKNOWN + 1) * DIRECTIONS
    return _State(
        zeros(lots), zeros(lots * kinds), zeros(lots * kinds), none(lots), zeros(place_levels),
        zeros(sites), zeros(sites), zeros(sites), none(sites), zeros(sites),
        zeros(edges), zeros(edges), zeros(edges), zeros(places), zeros(ways),
        zeros(batches), none(batches), none(batches), zeros(batches), zeros(batches), zeros(batches), zeros(batches),
        none(batches), zeros(batches), zeros(onward), zeros(links),
    )  # fmt: skip


@compiled
def _go_through(
    moves: _Rows,
    links: np.ndarray,
    asked: _Rows,
    onward: _Onward,
    state: _State,
    values: np.ndarray,
    highest: np.ndarray,
) -> None:
    """Both by lot and second: add the moves before each row that is asked about, then look."""
    move = 0
    for row in range(len(asked.lot)):
        while move < len(moves.lot) and (
            moves.lot[move] < asked.lot[row]
            or (moves.lot[move] == asked.lot[row] and moves.time[move] < asked.time[row])
        ):
            _add(moves, move, links[move, 0], links[move, 1], state)
            move += 1
        _look_at_lot(asked, row, state, values[row])
        _look_at_companions(asked, row, onward, state, values[row])
        lot, level = asked.lot[row], asked.step[row] // DIRECTIONS
        highest[row] = state.highest[lot]
        values[row, _NEVER_MADE] = level >= 2 and state.highest[lot] == -1


@inlined
def _log_units(seconds: int) -> int:
    return np.int64(np.rint(_LOG_UNITS * np.log1p(max(seconds, 0) / 60.0)))


@inlined
def _add(moves: _Rows, row: int, link: int, place_level: int, state: _State) -> None:
    """Count one move."""
    count, time, step, lot, site = moves.count[row], moves.time[row], moves.step[row], moves.lot[row], moves.site[row]
    level = step // DIRECTIONS
    kinds = (LEVEL_UNKNOWN + 1) * DIRECTIONS
    state.events[lot] += count
    state.of_step[lot * kinds + step] += count
    if state.used[place_level] == 0:
        state.used[place_level] = 1
        state.places[lot * kinds + level] += 1
    if level <= 1:
        # A serial that is none still tells that the lot was made.
        state.highest[lot] = max(state.highest[lot], max(moves.serial[row], 0))
    if state.at_site[site] == 0:
        state.first[site] = time
    state.at_site[site] += count
    state.last[site] = time
    batch, before = moves.batch[row], moves.from_batch[row]
    state.last_batch[site] = batch
    state.left_site[moves.from_site[row]] += count
    state.edge[moves.edge[row]] += count
    if moves.from_step[row] != NOWHERE:
        units = _log_units(time - moves.from_time[row])
        state.edge_sum[moves.edge[row]] += count * units
        state.edge_squares[moves.edge[row]] += count * units * units
        if moves.place[row] != moves.from_place[row]:
            state.left_place[moves.from_place[row]] += count
            state.way[moves.way[row]] += count
    if before == batch:
        return  # read again: still the same EPC in the same batch
    if state.batch[batch] == 0:
        state.batch_place[batch] = moves.place[row]
        state.batch_step[batch] = step
        state.batch_since[batch] = time
    state.batch[batch] += count
    if moves.from_step[row] == NOWHERE:
        return
    if state.moved[before] == 0:
        state.moved_since[before] = time
    state.moved[before] += count
    if moves.place[row] != moves.from_place[row]:
        state.gone[before] += count
        state.onward[moves.onward[row]] += count
    state.link[link] += count
    if state.link[link] > state.next_count[before]:
        state.next_count[before] = state.link[link]
        state.next_batch[before] = batch


@inlined
def _log_share(part: int, whole: int) -> float:
    """Of nothing 0.5 out of 1: how little a share of few tells is part of the number. -3 to 0."""
    return max(np.log((part + 0.5) / (whole + 1.0)) / 2, -3.0)


@inlined
def _log_hours(seconds: int) -> float:
    return np.log1p(max(seconds, 0) / 3600.0)


@inlined
def _look_at_lot(asked: _Rows, row: int, state: _State, values: np.ndarray) -> None:
    lot, time, step, site, edge = asked.lot[row], asked.time[row], asked.step[row], asked.site[row], asked.edge[row]
    kinds = (LEVEL_UNKNOWN + 1) * DIRECTIONS
    values[_EVENTS] = np.log1p(state.events[lot]) / 3
    values[_SITE] = _log_share(state.at_site[site], state.of_step[lot * kinds + step])
    values[_PLACES] = np.log1p(state.places[lot * kinds + step // DIRECTIONS]) / 2
    values[_SINCE_LAST] = _NEVER
    if state.at_site[site] > 0:
        values[_SINCE_LAST] = min(_log_hours(time - state.last[site]) / 3, _NEVER)
        values[_SINCE_FIRST] = min(_log_hours(time - state.first[site]) / 3, _NEVER)
        if time - state.last[site] <= BATCH_SECONDS:
            values[_ARRIVING] = np.log1p(state.batch[state.last_batch[site]]) / 2
    values[_STEP] = _log_share(state.edge[edge], state.left_site[asked.from_site[row]])
    values[_ORIGIN] = _log_share(state.edge[edge], state.at_site[site])
    count = state.edge[edge]
    values[_ALIKE] = np.log1p(count) / 3
    if asked.from_step[row] == NOWHERE:
        return
    if asked.place[row] != asked.from_place[row]:
        values[_ONWARD] = _log_share(state.way[asked.way[row]], state.left_place[asked.from_place[row]])
    if count > 0:
        mean = state.edge_sum[edge] / count
        # A spread of a tenth at least: the first few moves of an edge may be all alike.
        spread = np.sqrt(max(state.edge_squares[edge] / count - mean * mean, 0.0)) + 0.1 * _LOG_UNITS
        deviation = (_log_units(time - asked.from_time[row]) - mean) / spread
        values[_DEVIATION] = min(max(deviation, -6.0), 6.0) / 2


@inlined
def _look_at_companions(asked: _Rows, row: int, onward: _Onward, state: _State, values: np.ndarray) -> None:
    if asked.from_step[row] == NOWHERE:
        return
    time, place, batch = asked.time[row], asked.place[row], asked.from_batch[row]
    own = 1 if asked.from_time[row] < time else 0
    others = max(state.batch[batch] - own, 0)
    moved = min(state.moved[batch], others)
    values[_COUNT] = np.log1p(others) / 2
    values[_WAITING] = np.log1p(others - moved) / 2
    if others > 0:
        values[_MOVED] = moved / others
    if state.moved[batch] > 0:
        values[_SINCE_MOVED] = min(_log_hours(time - state.moved_since[batch]) / 2, _NEVER)
    if place != asked.from_place[row]:
        gone = state.gone[batch]
        here = state.onward[asked.onward[row]]
        after = state.next_batch[batch]
        if after >= 0 and state.batch_place[after] == asked.from_place[row]:
            # Most were scanned once more before they left: this EPC's scan may have been missed.
            gone += state.gone[after]
            pair = find_pair(onward.table, onward.batch, onward.place, after, place)
            if pair >= 0:
                here += state.onward[pair]
        values[_HERE] = np.log1p(here) / 2
        values[_ELSEWHERE] = np.log1p(gone - here) / 2
    _follow_stream(asked, row, state, values)


@inlined
def _follow_stream(asked: _Rows, row: int, state: _State, values: np.ndarray) -> None:
    batch = asked.from_batch[row]
    for _ in range(_HOPS):
        if state.next_batch[batch] < 0:
            break
        batch = state.next_batch[batch]
        if state.batch_place[batch] == asked.place[row]:
            values[_STREAM] = 1
            break
    if state.next_batch[asked.from_batch[row]] < 0:
        values[_BEHIND] = max(asked.step[row] // DIRECTIONS - asked.from_step[row] // DIRECTIONS, 0) / 2
        return
    values[_STREAM_HOURS] = min(_log_hours(asked.time[row] - state.batch_since[batch]) / 2, _NEVER)
    if values[_STREAM] == 0:
        ahead = asked.step[row] // DIRECTIONS - state.batch_step[batch] // DIRECTIONS
        values[_STREAM_ELSEWHERE] = ahead <= 0
        values[_BEHIND] = max(ahead, 0) / 2
