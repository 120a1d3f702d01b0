"""The five rules, as compiled loops over one journey that read like the rules' own text.

Only the rules themselves stand here; ordering events and finding the chain is `events.journeys`. Scores are 0
to 100. Beside each score stands its evidence: which part of the rule spoke, for the reason in words.
"""

from __future__ import annotations

import numpy as np

from barcode_pipeline.compiled import compiled, inlined
from barcode_pipeline.events.codes import DATE_UNREADABLE
from barcode_pipeline.events.places import distance_between, route_between
from barcode_pipeline.events.steps import IN, LEVEL_UNKNOWN, MISSING, OUT, SALE

FAKE, DUPLICATE, LOCATION, ORDER, JUMP = range(5)
"""Columns of scores and evidence, in the order of `formats.LABELS`."""

# Evidence of epcFake: the parts that were found wrong, as bits.
NO_CODE, NOT_SIX_PARTS, HEADER, COMPANY, PRODUCT, LOT, SERIAL, DATE_WRONG, IN_FUTURE, TOO_OLD = (
    1 << bit for bit in range(10)
)
# Evidence of locErr, evtOrderErr and jump: the part that counted. That of epcDup is the number of sites.
UNKNOWN_PLACE, UNKNOWN_STEP, BACKWARD, WAREHOUSE_SKIPPED, WHOLESALER_SKIPPED = range(1, 6)
TYPE_MISSING, NOT_ALLOWED, REPEATED, SENT_TOO_LATE = range(1, 5)
FASTER_THAN_TRUCK, UNUSUAL_FOR_ROUTE = range(1, 3)

SAME_SITE_KM = 5.0
"""A factory and its warehouse this close are one site."""
REREAD_SECONDS = 60


@inlined
def is_same_site(a: int, b: int, place: np.ndarray, level: np.ndarray, site: np.ndarray, distances: np.ndarray) -> bool:
    """The same place, or a row of level 0 and a row of level 1 at most 5 km apart."""
    if place[a] == place[b]:
        return True
    if level[a] + level[b] != 1:  # levels 0 and 1 are the only pair that adds up to 1
        return False
    return distance_between(distances, site[place[a]], site[place[b]]) <= SAME_SITE_KM


@compiled
def epc_fake(
    code: int,
    day: int,
    six_parts: np.ndarray,
    header_is_001: np.ndarray,
    company: np.ndarray,
    product_digits_7: np.ndarray,
    lot_digits_6: np.ndarray,
    serial_digits_9: np.ndarray,
    manufacture_day: np.ndarray,
    too_old_after_day: np.ndarray,
) -> tuple[int, int]:
    """Malformed or impossible code: (score, evidence)."""
    if code < 0:
        return 100, NO_CODE
    if not six_parts[code]:
        return 100, NOT_SIX_PARTS
    score, found = 0, 0
    if not header_is_001[code]:
        score, found = score + 20, found | HEADER
    if company[code] < 0:
        score, found = score + 25, found | COMPANY
    if not product_digits_7[code]:
        score, found = score + 15, found | PRODUCT
    if not lot_digits_6[code]:
        score, found = score + 15, found | LOT
    if not serial_digits_9[code]:
        score, found = score + 10, found | SERIAL
    if manufacture_day[code] == DATE_UNREADABLE:
        score, found = score + 20, found | DATE_WRONG
    elif manufacture_day[code] > day:
        score, found = score + 20, found | IN_FUTURE
    elif day > too_old_after_day[code]:
        score, found = score + 15, found | TOO_OLD
    if found & HEADER and found & COMPANY and found & (DATE_WRONG | IN_FUTURE | TOO_OLD):
        return 100, found
    return min(100, score), found


@compiled
def count_sites_of_second(
    start: int,
    stop: int,
    openers: np.ndarray,
    place: np.ndarray,
    level: np.ndarray,
    site: np.ndarray,
    distances: np.ndarray,
) -> int:
    """At how many sites the rows of one second were: each joins the first site it is the same site as,
    compared with the row that opened it, else it opens a new one."""
    sites = 0
    for row in range(start, stop):
        joined = False
        for opened in range(sites):
            if is_same_site(row, openers[opened], place, level, site, distances):
                joined = True
                break
        if not joined:
            openers[sites] = row
            sites += 1
            if sites == len(openers):  # the score has long reached 100
                break
    return sites


@inlined
def wrong_place(row: int, known_place: bool, level: np.ndarray) -> tuple[int, int]:
    """locErr of a row by itself: an unknown place or an unknown step."""
    if not known_place:
        return 20, UNKNOWN_PLACE
    if level[row] == LEVEL_UNKNOWN:
        return 20, UNKNOWN_STEP
    return 0, 0


@inlined
def wrong_way(row: int, before: int, place: np.ndarray, level: np.ndarray) -> tuple[int, int]:
    """locErr against the previous event: backward, or past the warehouse or the wholesaler."""
    if place[row] == place[before] or level[row] == LEVEL_UNKNOWN or level[before] == LEVEL_UNKNOWN:
        return 0, 0
    if level[row] < level[before]:
        return 30, BACKWARD
    if level[before] == 0 and level[row] >= 2:
        return 30, WAREHOUSE_SKIPPED
    if level[before] <= 2 and level[row] >= 4:
        return 30, WHOLESALER_SKIPPED
    return 0, 0


@inlined
def wrong_order(
    row: int, before: int, repetitions: int, time: np.ndarray, level: np.ndarray, direction: np.ndarray
) -> tuple[int, int, int]:
    """evtOrderErr against the previous event at the same place: (score, evidence, repetitions).

    repetitions: how many rows of the previous row's level and direction stood in a row before it; what comes
    back is the same for this row.
    """
    if level[row] == level[before] and direction[row] == direction[before]:
        if time[row] - time[before] <= REREAD_SECONDS:
            return 0, 0, repetitions
        return min(100, 25 + 15 * repetitions), REPEATED, repetitions + 1
    goes_on = (direction[before] == IN and direction[row] == OUT) or (
        direction[before] == OUT and direction[row] == SALE
    )
    return (0, 0, 0) if goes_on else (25, NOT_ALLOWED, 0)


@inlined
def too_far(
    row: int,
    before: int,
    v_max: float,
    time: np.ndarray,
    direction: np.ndarray,
    place: np.ndarray,
    site: np.ndarray,
    distances: np.ndarray,
    route_start: np.ndarray,
    route_destination: np.ndarray,
    route_mean: np.ndarray,
    route_std: np.ndarray,
    route_minimum: np.ndarray,
) -> tuple[int, int]:
    """jump: travel from the previous event, at another site, that no truck can make, or unusual for its route."""
    hours = (time[row] - time[before]) / 3600.0
    origin, target = site[place[before]], site[place[row]]
    distance = distance_between(distances, origin, target)
    route = route_between(route_start, route_destination, origin, target)
    if not np.isnan(distance):
        needed = distance / v_max
        if route >= 0 and route_minimum[route] < needed:
            needed = route_minimum[route]
        if hours < needed:
            return 95, FASTER_THAN_TRUCK
    if route >= 0 and direction[before] == OUT and direction[row] == IN and route_std[route] > 0:
        deviations = abs(hours - route_mean[route]) / route_std[route]
        if deviations > 4:
            return 95, UNUSUAL_FOR_ROUTE
        if deviations > 3:
            return 80, UNUSUAL_FOR_ROUTE
        if deviations > 2:
            return 60, UNUSUAL_FOR_ROUTE
    return 0, 0


@inlined
def judge_journey(
    first: int,
    end: int,
    previous: np.ndarray,
    late: np.ndarray,
    v_max: float,
    time: np.ndarray,
    level: np.ndarray,
    direction: np.ndarray,
    place: np.ndarray,
    site: np.ndarray,
    distances: np.ndarray,
    route_start: np.ndarray,
    route_destination: np.ndarray,
    route_mean: np.ndarray,
    route_std: np.ndarray,
    route_minimum: np.ndarray,
    openers: np.ndarray,
    scores: np.ndarray,
    evidence: np.ndarray,
) -> None:
    """epcDup, locErr, evtOrderErr and jump of one journey, rows `first` to `end` - 1 in the order of travel.

    All columns are in that order. Fills scores and evidence.

    openers: room for a few rows, so that none has to be made for each journey.
    """
    start = first
    while start < end:
        stop = start + 1
        while stop < end and time[stop] == time[start]:
            stop += 1
        if stop - start > 1:
            sites = count_sites_of_second(start, stop, openers, place, level, site, distances)
            if sites >= 2:
                for row in range(start, stop):
                    scores[row, DUPLICATE] = min(100, 80 + 10 * (sites - 1))
                    evidence[row, DUPLICATE] = sites
        start = stop

    repetitions = 0
    for row in range(first, end):
        score, found = wrong_place(row, site[place[row]] >= 0, level)
        scores[row, LOCATION], evidence[row, LOCATION] = score, found
        if late[row]:
            scores[row, ORDER] = 30 if direction[row] == MISSING else 25
            evidence[row, ORDER] = SENT_TOO_LATE
            continue
        before = previous[row]
        if before >= 0:
            score, found = wrong_way(row, before, place, level)
            if score > scores[row, LOCATION]:
                scores[row, LOCATION], evidence[row, LOCATION] = score, found
            if not is_same_site(row, before, place, level, site, distances):
                scores[row, JUMP], evidence[row, JUMP] = too_far(
                    row, before, v_max, time, direction, place, site, distances,
                    route_start, route_destination, route_mean, route_std, route_minimum,
                )  # fmt: skip
        if direction[row] == MISSING:
            scores[row, ORDER], evidence[row, ORDER], repetitions = 30, TYPE_MISSING, 0
        elif before >= 0 and place[row] == place[before] and direction[before] != MISSING:
            score, found, repetitions = wrong_order(row, before, repetitions, time, level, direction)
            scores[row, ORDER], evidence[row, ORDER] = score, found
        else:
            repetitions = 0
