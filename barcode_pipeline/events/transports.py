"""Transports: what left one site and came in at the next, and how long it took.

The transition table speaks of these alone. Columns in, columns out; which EPCs are clean is the caller's business.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from barcode_pipeline.events.hashes import lot_hashes
from barcode_pipeline.events.journeys import Events, follow
from barcode_pipeline.events.places import Reference, Routes
from barcode_pipeline.events.steps import IN, LEVEL_UNKNOWN, OUT
from barcode_pipeline.events.times import SECONDS_PER_DAY

LONGEST_SECONDS = 7 * SECONDS_PER_DAY
"""What takes longer is no transport: scans in between were missed."""


class Transports(NamedTuple):
    """One per EPC that came in, (T,) each. origin, destination: int32 rows of the sites table. lot: uint64, its hash.
    arrival: int64 s. seconds: int64, since the departure."""

    origin: np.ndarray
    destination: np.ndarray
    lot: np.ndarray
    arrival: np.ndarray
    seconds: np.ndarray


class Found(NamedTuple):
    """impossible: how many more were faster than any truck. waiting: (W,) rows of the events, departures that nothing
    has followed yet."""

    transports: Transports
    impossible: int
    waiting: np.ndarray


def find_transports(events: Events, reference: Reference, fastest_km_per_hour: float) -> Found:
    """The transports among some events: an out event and the in event that follows it in the chain, elsewhere, one
    level on or on a route that the transition table has. (Over two levels a missed stop may lie in between.)

    What the rules would call faster than any truck is left out: the fastest transport that the table holds is
    what they go by, and one error would blind them on its route.
    """
    travel = follow(events)
    site = events.places.site[travel.place]
    row = np.flatnonzero((travel.previous >= 0) & (travel.direction == IN) & (site >= 0))
    before = travel.previous[row]
    seconds = travel.time[row] - travel.time[before]
    origin, destination = site[before], site[row]
    level = travel.level[row].astype(np.int64)
    route = _routes_of(reference.routes, origin, destination)
    one_level_on = (level == travel.level[before] + 1) & (level < LEVEL_UNKNOWN)
    chosen = (travel.direction[before] == OUT) & (origin >= 0) & (origin != destination) & (seconds <= LONGEST_SECONDS)
    chosen &= one_level_on | (route >= 0)
    # A site that is not known (-1) is left out above, whatever stands here for it.
    distance = reference.sites.distances[origin, destination]
    needed = np.fmin(distance / fastest_km_per_hour, np.append(reference.routes.minimum, np.nan)[route])
    too_fast = chosen & ~np.isnan(distance) & (seconds / 3600.0 < needed)
    chosen &= ~too_fast
    lot = np.append(lot_hashes(events.codes), np.uint64(0))[travel.epc[row[chosen]]]
    transports = Transports(origin[chosen], destination[chosen], lot, travel.time[row[chosen]], seconds[chosen])
    last = (travel.epc >= 0) & ~travel.late
    last[travel.previous[travel.previous >= 0]] = False
    waiting = travel.journeys.order[np.flatnonzero(last & (travel.direction == OUT))]
    return Found(transports, int(np.count_nonzero(too_fast)), waiting)


def _routes_of(routes: Routes, origin: np.ndarray, destination: np.ndarray) -> np.ndarray:
    """The route of each pair of sites, -1 where the table has none."""
    sites = len(routes.start) - 1
    known = np.repeat(np.arange(sites, dtype=np.int64), np.diff(routes.start)) * sites + routes.destination
    order = np.append(np.argsort(known), -1)
    wanted = np.where(origin >= 0, origin.astype(np.int64) * sites + destination, -1)
    place = np.searchsorted(known[order[:-1]], wanted)
    route = order[place]
    return np.where(np.append(known, -2)[route] == wanted, route, -1)
