"""What is ordinary for a route: mean, deviation and bounds of its transports, whatever outliers are among them.

Transports are tallied date by date and tallies added up, all in whole numbers: what comes out does not hang on how
the history was cut up, and memory holds distinct travel times, not events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from barcode_pipeline.events.transports import Transports

FENCE = 1.5
"""Quartile ranges beyond the quartiles from which on a transport is an outlier (Tukey's fences)."""
_SAME_SHIPMENT_SECONDS = 30 * 60
"""EPCs of a lot that come in on a route with no longer gap between them came together."""


class Tally(NamedTuple):
    """Transports by route and travel time, sorted, (K,) each, int64. epcs: how many. together: of each of them how many
    came with it, itself too, summed up."""

    origin: np.ndarray
    destination: np.ndarray
    seconds: np.ndarray
    epcs: np.ndarray
    together: np.ndarray


class RouteStatistics(NamedTuple):
    """By route, sorted by origin and destination, (R,) each. mean, std, minimum, maximum: hours, without outliers.
    epcs: how many. shipments: how many independent transports they are worth. outliers: EPCs left out."""

    origin: np.ndarray
    destination: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray
    epcs: np.ndarray
    shipments: np.ndarray
    outliers: np.ndarray


def tally(transports: Transports) -> Tally:
    """Count transports. What came in together has to be in one call: a date at a time is right."""
    order = np.lexsort((transports.arrival, transports.lot, transports.destination, transports.origin))
    origin, destination, lot, arrival, seconds = (column[order] for column in transports)
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(origin) != 0) | (np.diff(destination) != 0) | (lot[1:] != lot[:-1])
    new[1:] |= np.diff(arrival) > _SAME_SHIPMENT_SECONDS
    shipment = np.cumsum(new) - 1
    together = np.bincount(shipment)[shipment] if len(order) else np.zeros(0, dtype=np.int64)
    return _summed(origin, destination, seconds, np.ones(len(order), dtype=np.int64), together)


def add_up(tallies: Sequence[Tally]) -> Tally:
    """One tally of several; their order does not matter."""
    nothing = Tally(*[np.zeros(0, dtype=np.int64)] * len(Tally._fields))
    return _summed(*(np.concatenate(columns) for columns in zip(nothing, *tallies, strict=True)))


def _summed(
    origin: np.ndarray, destination: np.ndarray, seconds: np.ndarray, epcs: np.ndarray, together: np.ndarray
) -> Tally:
    columns = zip(Tally._fields, (origin, destination, seconds, epcs, together), strict=True)
    rows = pd.DataFrame({name: column.astype(np.int64) for name, column in columns})
    summed = rows.groupby(["origin", "destination", "seconds"]).sum().reset_index()
    return Tally(*(summed[name].to_numpy(np.int64) for name in Tally._fields))


def route_statistics(tally: Tally) -> RouteStatistics:
    """Mean and deviation of each route within fences that its own quartiles set, every EPC counting once.

    Quartiles do not know what the table said before: left out by the table's own mean and deviation, the tail would be
    cut a little shorter by each refresh, and a route that has become slower never be learnt.

    EPCs that came together are one observation, not many. A route's n EPCs, w of a shipment, are worth n² / Σ w²
    independent ones (Kish's effective sample size); the deviation is corrected for that number.
    """
    start = np.flatnonzero(np.append(True, (np.diff(tally.origin) != 0) | (np.diff(tally.destination) != 0)))
    if not len(tally.epcs):
        start = start[:0]
    route = np.repeat(np.arange(len(start)), np.diff(np.append(start, len(tally.epcs))))
    lower, upper = _fences(tally, start)
    inside = (tally.seconds >= lower[route]) & (tally.seconds <= upper[route])
    kept, of_route = Tally(*(column[inside] for column in tally)), route[inside]

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(of_route, values, minlength=len(start))

    epcs = total(kept.epcs)
    shipments = epcs**2 / total(kept.together)
    mean = total(kept.epcs * kept.seconds) / epcs
    variance = total(kept.epcs * (kept.seconds - mean[of_route]) ** 2) / epcs
    # Of one shipment alone nothing is known of how they differ.
    corrected = np.where(shipments > 1 + 1e-9, variance * shipments / np.maximum(shipments - 1, 1e-9), np.nan)
    first = np.searchsorted(of_route, np.arange(len(start)))
    last = np.searchsorted(of_route, np.arange(len(start)), side="right") - 1
    return RouteStatistics(
        tally.origin[start],
        tally.destination[start],
        mean / 3600,
        np.sqrt(corrected) / 3600,
        kept.seconds[first] / 3600,
        kept.seconds[last] / 3600,
        epcs.astype(np.int64),
        shipments,
        np.bincount(route, tally.epcs, minlength=len(start)).astype(np.int64) - epcs.astype(np.int64),
    )


def _fences(tally: Tally, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The seconds, (R,) each, outside of which a route's transports are outliers. start: where each route begins."""
    reached = np.cumsum(tally.epcs)
    before = np.append(0, reached)[start]
    count = np.append(before[1:], reached[-1:]) - before

    def quantile(share: float) -> np.ndarray:
        # The first travel time at which this share of the route's EPCs has come in.
        return tally.seconds[np.searchsorted(reached, before + np.ceil(share * count).astype(np.int64))]

    low, high = quantile(0.25), quantile(0.75)
    return low - FENCE * (high - low), high + FENCE * (high - low)
