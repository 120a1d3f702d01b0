"""The features of an event: each named, causal, with a unit and a meaning in one table.

An event's features look at the event, at what came before it in its journey, at the rest of its second, at what
was sent before it, and at what its lot did in earlier seconds (`shipments`): never at what only the future knows,
and never at a rule's score or label. All are scaled by fixed transforms to about -3 to 3 and kept as float16: rows
of one shipment that differ by less than a thousandth are the same to a model, which lets training count them once.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from barcode_pipeline.compiled import compiled, inlined
from barcode_pipeline.events.codes import DATE_UNREADABLE, ParsedCodes
from barcode_pipeline.events.followed import Followed, follow_codes
from barcode_pipeline.events.journeys import Events
from barcode_pipeline.events.places import Reference, distance_between, route_between
from barcode_pipeline.events.steps import IN, LEVEL_UNKNOWN, OUT
from barcode_pipeline.events.times import SECONDS_PER_DAY
from barcode_pipeline.rules.kernel import count_sites_of_second, is_same_site
from barcode_pipeline.sequences.lot_moves import ReadyLots
from barcode_pipeline.sequences.moves import Moves, find_moves
from barcode_pipeline.sequences.shipments import SHIPMENT_FEATURES, serial_beyond, shipment_features

_PIECE = 4096
_THREADS = 2

FEATURE_VERSION = 2
"""Raised when a feature's meaning changes: a model of another version is refused."""


class Feature(NamedTuple):
    name: str
    unit: str
    meaning: str


FEATURES = (
    Feature("code_missing", "0/1", "the row has no EPC code"),
    Feature("code_six_parts", "0/1", "the code has six parts"),
    Feature("code_header_001", "0/1", "its header is 001"),
    Feature("code_company_registered", "0/1", "its company is registered"),
    Feature("code_product_7_digits", "0/1", "its product has seven digits"),
    Feature("code_lot_6_digits", "0/1", "its lot has six digits"),
    Feature("code_serial_9_digits", "0/1", "its serial has nine digits"),
    Feature("code_date_readable", "0/1", "its manufacture date is a calendar day"),
    Feature("days_since_manufacture", "days / 2, -2 to 2", "event's day after the manufacture date, near day 0"),
    Feature("years_since_manufacture", "years / 2, -3 to 3", "event's day after the manufacture date"),
    Feature("days_past_five_years", "days / 2, -2 to 2", "event's day after the same day five years on"),
    Feature("level_factory", "0/1", "the step is of level 0"),
    Feature("level_wms", "0/1", "level 1"),
    Feature("level_hub", "0/1", "level 2"),
    Feature("level_wholesaler", "0/1", "level 3"),
    Feature("level_retailer", "0/1", "level 4"),
    Feature("level_sale", "0/1", "level 5"),
    Feature("level_unknown", "0/1", "the step is not known"),
    Feature("direction_in", "0/1", "the event type is an arrival"),
    Feature("direction_out", "0/1", "a departure"),
    Feature("direction_sale", "0/1", "a sale"),
    Feature("direction_other", "0/1", "another word"),
    Feature("direction_missing", "0/1", "missing"),
    Feature("place_known", "0/1", "the place is in the sites table"),
    Feature("sites_in_second", "sites - 1, 0 to 3", "sites at which the EPC was scanned in this second"),
    Feature("overtaken_levels", "levels / 2, 0 to 2.5", "levels above the lowest event sent before and dated later"),
    Feature("is_first", "0/1", "no event before it: the EPC's first, one sent too late, or a row without a code"),
    Feature("same_place", "0/1", "at the place of the previous event"),
    Feature("same_site", "0/1", "at its site: the same place, or factory and warehouse at most 5 km apart"),
    Feature("level_change", "levels / 2, -2.5 to 2.5", "level after the previous event's, 0 where either is unknown"),
    Feature("levels_comparable", "0/1", "both levels are known"),
    Feature("previous_level", "level / 2", "level of the previous event, 3 where unknown"),
    Feature("previous_in", "0/1", "the previous event is an arrival"),
    Feature("previous_out", "0/1", "a departure"),
    Feature("previous_sale", "0/1", "a sale"),
    Feature("previous_missing", "0/1", "its event type is missing"),
    Feature("same_step", "0/1", "level, direction and place of the previous event"),
    Feature("minutes_since_previous", "minutes, 0 to 3", "time since the previous event, near 0"),
    Feature("log_hours_since_previous", "log(1 + hours) / 2", "time since the previous event"),
    Feature("log_distance", "log(1 + km) / 2", "distance from the previous event, 0 where not known"),
    Feature("distance_known", "0/1", "both coordinates are known"),
    Feature("log_time_over_fastest", "log ratio × 2, -3 to 3", "time since the previous event over the fastest truck"),
    Feature("route_known", "0/1", "departure and arrival on a route of the transition table"),
    Feature("transit_deviation", "σ, -6 to 6, halved", "time since the departure against the route's mean"),
    Feature("log_position", "log(1 + events)", "events of the EPC before this one"),
    Feature("log_hours_since_first", "log(1 + hours) / 3", "time since the EPC's first event"),
    *(Feature(*words) for words in SHIPMENT_FEATURES),
)  # fmt: skip
FEATURE_NAMES = tuple(feature.name for feature in FEATURES)
_COLUMN = {name: column for column, name in enumerate(FEATURE_NAMES)}

(_MISSING, _SIX, _HEADER, _COMPANY, _PRODUCT, _LOT, _SERIAL, _READABLE, _DAYS, _YEARS, _PAST) = range(11)
_LEVEL = _COLUMN["level_factory"]
_DIRECTION = _COLUMN["direction_in"]
_PLACE_KNOWN = _COLUMN["place_known"]
_SITES = _COLUMN["sites_in_second"]
_OVERTAKEN = _COLUMN["overtaken_levels"]
_FIRST = _COLUMN["is_first"]
_SAME_PLACE = _COLUMN["same_place"]
_SAME_SITE = _COLUMN["same_site"]
_CHANGE = _COLUMN["level_change"]
_COMPARABLE = _COLUMN["levels_comparable"]
_PREVIOUS_LEVEL = _COLUMN["previous_level"]
_PREVIOUS_DIRECTION = _COLUMN["previous_in"]
_PREVIOUS_MISSING = _COLUMN["previous_missing"]
_SAME_STEP = _COLUMN["same_step"]
_MINUTES = _COLUMN["minutes_since_previous"]
_LOG_HOURS = _COLUMN["log_hours_since_previous"]
_LOG_DISTANCE = _COLUMN["log_distance"]
_DISTANCE_KNOWN = _COLUMN["distance_known"]
_FASTEST = _COLUMN["log_time_over_fastest"]
_ROUTE = _COLUMN["route_known"]
_DEVIATION = _COLUMN["transit_deviation"]
_POSITION = _COLUMN["log_position"]
_SINCE_FIRST = _COLUMN["log_hours_since_first"]
_SHIPMENT = _COLUMN[SHIPMENT_FEATURES[0][0]]
_BEYOND = _COLUMN["serial_beyond"]


class EventFeatures(NamedTuple):
    """values: (N, F) float16 by row of `Events`. position: (N,) int32, events of the EPC before it."""

    values: np.ndarray
    position: np.ndarray


def compute_features(
    events: Events,
    reference: Reference,
    companies: tuple[str, ...],
    fastest_km_per_hour: float,
    moves: Moves | ReadyLots | None = None,
) -> EventFeatures:
    """Features of every event, one or millions, in any order.

    `events` hold whole journeys. `companies`: the registered ones. `moves`: of the lots of these events, their own
    included (what comes later among them is not looked at); without it `events` hold the whole lots.
    """
    return features_of(follow_codes(events, companies), reference, fastest_km_per_hour, moves)


def features_of(
    followed: Followed, reference: Reference, fastest_km_per_hour: float, moves: Moves | ReadyLots | None = None
) -> EventFeatures:
    """`compute_features` of events whose codes were read and journeys followed."""
    events, travel = followed.events, followed.travel
    codes = _code_columns(followed.codes)
    of_lots = _shipments(followed, moves)
    site, routes = events.places.site, reference.routes
    offsets, order = travel.journeys.offsets, travel.journeys.order
    out = np.empty((len(events), len(FEATURES)), dtype=np.float16)
    position = np.empty(len(events), dtype=np.int32)

    # Piece by piece: what is computed as float32 then never leaves the processor's cache.
    def compute(bounds: tuple[int, int]) -> None:
        begin, end = bounds
        piece = slice(begin, end)
        inside = offsets[np.searchsorted(offsets, begin) : np.searchsorted(offsets, end, side="right")] - begin
        values = np.zeros((end - begin, _SHIPMENT), dtype=np.float32)
        places = np.zeros(end - begin, dtype=np.int32)
        time, level, direction, place = (
            column[piece] for column in (travel.time, travel.level, travel.direction, travel.place)
        )
        _code_features(travel.epc[piece], time // SECONDS_PER_DAY, *codes, values)
        _row_features(level, direction, site[place], values)
        _journey_features(
            inside, travel.previous[piece] - np.int32(begin), time, level, direction, place, travel.overtaken[piece],
            site, reference.sites.distances, fastest_km_per_hour, routes.start, routes.destination,
            routes.mean, routes.std, routes.minimum, values, places,
        )  # fmt: skip
        shipments, move_of_event, beyond = of_lots
        _put(
            order[piece], values.view(np.uint32), shipments, move_of_event[piece], beyond[piece], _BEYOND,
            out.view(np.uint16),
        )  # fmt: skip
        position[order[piece]] = places

    pieces = list(_pieces(offsets, len(events)))
    if len(pieces) > 1:
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(compute, pieces))
    else:
        for bounds in pieces:
            compute(bounds)
    return EventFeatures(out, position)


def _shipments(followed: Followed, moves: Moves | ReadyLots | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(shipment features of every distinct move, the move of each event, `serial_beyond` of each event), events in
    the order of travel. What items of a pallet share is computed once."""
    asked, move_of_event = find_moves(followed)
    if moves is None or isinstance(moves, Moves):
        found = shipment_features(asked, asked if moves is None else moves)
    else:
        found = moves.features(asked)
    travel, serial = followed.travel, followed.codes.serial
    known = int(travel.journeys.offsets[-1])
    beyond = np.zeros(len(followed), dtype=np.float16)
    beyond[:known] = serial_beyond(
        serial[travel.epc[:known]], found.highest[move_of_event[:known]], travel.level[:known]
    )
    # Compiled loops know no float16: they move its bits.
    return found.values.astype(np.float16).view(np.uint16), move_of_event, beyond.view(np.uint16)


def _pieces(offsets: np.ndarray, count: int) -> Iterator[tuple[int, int]]:
    """Cut the order of travel into pieces of whole journeys, each of about `_PIECE` events or one journey."""
    begin = 0
    while begin < count:
        end = min(begin + _PIECE, count)
        if begin < offsets[-1]:
            # The last journey that ends in the piece, or the first one where it is longer than a piece.
            last = np.searchsorted(offsets, end, side="right") - 1
            end = int(offsets[last]) if offsets[last] > begin else int(offsets[np.searchsorted(offsets, begin) + 1])
        yield begin, end
        begin = end


def _code_columns(codes: ParsedCodes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = np.column_stack(
        [codes.six_parts, codes.header_is_001, codes.company >= 0, codes.product_digits_7, codes.lot_digits_6,
         codes.serial_digits_9, codes.manufacture_day != DATE_UNREADABLE]
    ).astype(np.float32)  # fmt: skip
    return parts, codes.manufacture_day, codes.too_old_after_day


@compiled
def _put(
    order: np.ndarray,
    own: np.ndarray,
    shipments: np.ndarray,
    move_of_event: np.ndarray,
    beyond: np.ndarray,
    beyond_column: int,
    out: np.ndarray,
) -> None:
    """Put the features of events (own: the bits of float32) and of their moves into their rows, as bits of float16;
    zeros where an event makes no move."""
    start = own.shape[1]
    for position in range(len(order)):
        row, move = order[position], move_of_event[position]
        for column in range(start):
            out[row, column] = half_bits(own[position, column])
        for column in range(shipments.shape[1]):
            out[row, start + column] = shipments[move, column] if move >= 0 else 0
        out[row, beyond_column] = beyond[position]


@inlined
def half_bits(bits: np.uint32) -> np.uint16:
    """The bits of a float32 as those of the nearest float16, of two the even one: compiled loops know no float16."""
    sign = (bits >> np.uint32(16)) & np.uint32(0x8000)
    size = bits & np.uint32(0x7FFFFFFF)
    if np.uint32(0x38800000) <= size < np.uint32(0x47800000):
        odd = (size >> np.uint32(13)) & np.uint32(1)
        half = (size + np.uint32(0xFFF) + odd - np.uint32(0x38000000)) >> np.uint32(13)
    elif size < np.uint32(0x33000000):
        half = np.uint32(0)
    elif size < np.uint32(0x38800000):
        # Too small for float16's exponents: a multiple of the smallest number.
        shift = np.uint32(126) - (size >> np.uint32(23))
        digits = (size & np.uint32(0x7FFFFF)) | np.uint32(0x800000)
        half = digits >> shift
        rest, middle = digits & ((np.uint32(1) << shift) - np.uint32(1)), np.uint32(1) << (shift - np.uint32(1))
        if rest > middle or (rest == middle and half & np.uint32(1)):
            half += np.uint32(1)
    elif size <= np.uint32(0x7F800000):
        half = np.uint32(0x7C00)
    else:
        half = np.uint32(0x7E00)
    return np.uint16(sign | half)


@compiled
def _clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


@compiled
def _code_features(
    epc: np.ndarray, day: np.ndarray, parts: np.ndarray, made: np.ndarray, five_years_on: np.ndarray, values: np.ndarray
) -> None:
    for row in range(len(epc)):
        code = epc[row]
        if code < 0:
            values[row, _MISSING] = 1
            continue
        for part in range(7):
            values[row, _SIX + part] = parts[code, part]
        if made[code] != DATE_UNREADABLE:
            values[row, _DAYS] = _clip((day[row] - made[code]) / 2, -2, 2)
            values[row, _YEARS] = _clip((day[row] - made[code]) / 730.5, -3, 3)
            values[row, _PAST] = _clip((day[row] - five_years_on[code]) / 2, -2, 2)


@compiled
def _row_features(level: np.ndarray, direction: np.ndarray, site: np.ndarray, values: np.ndarray) -> None:
    for row in range(len(level)):
        values[row, _LEVEL + level[row]] = 1
        values[row, _DIRECTION + direction[row]] = 1
        values[row, _PLACE_KNOWN] = site[row] >= 0
        values[row, _FIRST] = 1


@compiled
def _journey_features(
    offsets: np.ndarray,
    previous: np.ndarray,
    time: np.ndarray,
    level: np.ndarray,
    direction: np.ndarray,
    place: np.ndarray,
    overtaken: np.ndarray,
    site: np.ndarray,
    distances: np.ndarray,
    fastest: float,
    route_start: np.ndarray,
    route_destination: np.ndarray,
    route_mean: np.ndarray,
    route_std: np.ndarray,
    route_minimum: np.ndarray,
    values: np.ndarray,
    position: np.ndarray,
) -> None:
    openers = np.empty(4, dtype=np.int32)
    for journey in range(len(offsets) - 1):
        first, end = offsets[journey], offsets[journey + 1]
        start = first
        sites = 1
        for row in range(first, end):
            if row == first or time[row] != time[start]:
                start, stop, sites = row, row + 1, 1
                while stop < end and time[stop] == time[row]:
                    stop += 1
                if stop - start > 1:
                    sites = count_sites_of_second(start, stop, openers, place, level, site, distances)
            values[row, _SITES] = sites - 1
            values[row, _OVERTAKEN] = overtaken[row] / 2
            position[row] = row - first
            values[row, _POSITION] = np.log1p(row - first)
            values[row, _SINCE_FIRST] = np.log1p((time[row] - time[first]) / 3600.0) / 3
            before = previous[row]
            if before < 0:
                continue
            values[row, _FIRST] = 0
            values[row, _SAME_PLACE] = place[row] == place[before]
            near = is_same_site(row, before, place, level, site, distances)
            values[row, _SAME_SITE] = near
            values[row, _PREVIOUS_LEVEL] = level[before] / 2
            if level[row] != LEVEL_UNKNOWN and level[before] != LEVEL_UNKNOWN:
                values[row, _COMPARABLE] = 1
                values[row, _CHANGE] = (level[row] - level[before]) / 2
            if direction[before] < 3:
                values[row, _PREVIOUS_DIRECTION + direction[before]] = 1
            values[row, _PREVIOUS_MISSING] = direction[before] == 4
            values[row, _SAME_STEP] = (
                level[row] == level[before] and direction[row] == direction[before] and place[row] == place[before]
            )
            seconds = time[row] - time[before]
            hours = seconds / 3600.0
            values[row, _MINUTES] = _clip(seconds / 60.0, 0, 3)
            values[row, _LOG_HOURS] = np.log1p(hours) / 2
            origin, target = site[place[before]], site[place[row]]
            distance = distance_between(distances, origin, target)
            route = route_between(route_start, route_destination, origin, target)
            if not np.isnan(distance):
                values[row, _DISTANCE_KNOWN] = 1
                values[row, _LOG_DISTANCE] = np.log1p(distance) / 2
                if not near:
                    needed = distance / fastest
                    if route >= 0 and route_minimum[route] < needed:
                        needed = route_minimum[route]
                    # A minute keeps the ratio finite where two sites lie on one spot.
                    values[row, _FASTEST] = _clip(2 * np.log((hours + 1 / 60) / (needed + 1 / 60)), -3, 3)
            if route >= 0 and direction[before] == OUT and direction[row] == IN and route_std[route] > 0:
                values[row, _ROUTE] = 1
                values[row, _DEVIATION] = _clip((hours - route_mean[route]) / route_std[route], -6, 6) / 2
