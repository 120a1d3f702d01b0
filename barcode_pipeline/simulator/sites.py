"""Sites, routes and their roles, read from the two reference tables: the invented ones or given ones.

What happens on the routes belongs in `journeys`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from barcode_pipeline.errors import UserError
from barcode_pipeline.events.formats import SITE_COLUMNS, TRANSITION_COLUMNS
from barcode_pipeline.simulator.network import FACTORIES, location_table, site_codes, transition_table
from barcode_pipeline.simulator.other_networks import other_network

FACTORY, WAREHOUSE, HUB, WHOLESALER, RETAILER, NO_ROLE = 0, 1, 2, 3, 4, -1

_EARTH_RADIUS_KM = 6371.0
_YARD_KM = 5.0
"""A factory lies this near to its warehouse (the rules call them the same site)."""
_ORDINARY_Z = 1.9
"""Ordinary transports stay this many standard deviations from the mean, below the two that rules allow."""
_CLOCKS_HOURS = 8 / 60
"""And this much above the fastest: two wrong clocks, a re-read and pallets apart take 6 minutes at most."""


@dataclass(frozen=True)
class Sites:
    """The network as arrays. A site is its row in the location table; a route its row among known routes."""

    location_id: np.ndarray
    name: list[str]
    code: list[str]
    role: np.ndarray
    distance_km: np.ndarray
    """(sites, sites), great circle."""
    factory: np.ndarray
    """Sites of the factories, in the order of the factory files."""
    warehouse: np.ndarray
    """Warehouse of each factory."""
    route: np.ndarray
    """(sites, sites): the route from one to the other, -1 where the table knows none."""
    origin: np.ndarray
    destination: np.ndarray
    count: np.ndarray
    hours: np.ndarray
    """(routes, 4): mean, standard deviation, minimum, maximum."""
    retailers: list[np.ndarray]
    """Per site, the retailers a wholesaler serves (or would serve: see `_retailers`); empty for others."""
    locations: pd.DataFrame
    transitions: pd.DataFrame

    def destinations(self, site: int) -> tuple[np.ndarray, np.ndarray]:
        """Return where known routes lead from a site, and each one's share of the EPCs counted."""
        routes = np.flatnonzero(self.origin == site)
        weight = np.maximum(self.count[routes], 1).astype(float)
        return self.destination[routes], weight / weight.sum() if len(routes) else weight

    def factory_codes(self) -> list[str]:
        """Return the codes of the factory files, in the order of `factory`."""
        return [FACTORIES[i][0] for i in range(len(self.factory))]


def invented_sites(network: int = 0) -> Sites:
    """Return the network of `network`, or one of `other_networks` by its number."""
    return read_sites(*other_network(network)) if network else read_sites(location_table(), transition_table())


def read_sites(locations: pd.DataFrame, transitions: pd.DataFrame) -> Sites:
    """Return the network that two reference tables describe.

    Warehouses are where routes begin and none ends; hubs, wholesalers and retailers are one, two and three
    routes from there; a factory is the place without a route nearest to its warehouse.

    Raises UserError where columns are missing or the routes do not give every role a site.
    """
    _require(locations, SITE_COLUMNS[1:5], "location table")
    _require(transitions, TRANSITION_COLUMNS, "transition table")
    location_id = pd.to_numeric(locations["location_id"], errors="coerce").to_numpy(dtype=float)
    degrees = locations[["Latitude", "Longitude"]].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    usable = np.isfinite(location_id) & np.isfinite(degrees).all(axis=1)
    # A name stands for one place: the first, as a reader of the table would take it.
    usable &= ~locations["scan_location"].astype("string").str.strip().duplicated().to_numpy()
    names = locations["scan_location"].astype("string").str.strip()[usable].tolist()
    location_id, degrees = location_id[usable].astype(np.int64), degrees[usable]
    distance = _distances_km(degrees)
    place = {name: i for i, name in enumerate(names)}
    ends = transitions[["from_scan_location", "to_scan_location"]].astype("string")
    origin = ends["from_scan_location"].str.strip().map(place)
    destination = ends["to_scan_location"].str.strip().map(place)
    numbers = transitions[list(TRANSITION_COLUMNS[2:])].apply(pd.to_numeric, errors="coerce")
    known = (origin.notna() & destination.notna() & numbers.notna().all(axis=1)).to_numpy()
    start, stop = origin[known].to_numpy(dtype=np.int64), destination[known].to_numpy(dtype=np.int64)
    role = _roles(len(names), start, stop)
    factory, warehouse = _factories(role, distance, location_id)
    role[factory] = FACTORY
    route = np.full((len(names), len(names)), -1, dtype=np.int32)
    route[start, stop] = np.arange(len(start))
    codes = site_codes()
    return Sites(
        location_id=location_id,
        name=names,
        code=[codes.get(name, f"S{number}") for name, number in zip(names, location_id, strict=True)],
        role=role,
        distance_km=distance,
        factory=factory,
        warehouse=warehouse,
        route=route,
        origin=start,
        destination=stop,
        count=numbers["time_taken_hours_count"][known].to_numpy(dtype=float),
        hours=numbers.iloc[:, :4][known].to_numpy(dtype=float),
        retailers=_retailers(role, distance, start, stop),
        locations=locations,
        transitions=transitions,
    )


def transport_seconds(
    random: np.random.Generator, sites: Sites, origin: np.ndarray, destination: np.ndarray
) -> np.ndarray:
    """Return an ordinary transport time for each pair of sites, int64 seconds in whole minutes.

    On a known route it follows the table's moments within its bounds and ±1.9 standard deviations; elsewhere
    it is 2 to 9.5 hours, and no faster than 70 km/h.
    """
    route = sites.route[origin, destination]
    draw = random.random((2, len(route)))
    distance = sites.distance_km[origin, destination]
    hours = np.maximum(2 + 7.5 * draw[0], distance / 70 + 0.3)
    known = route >= 0
    if known.any():
        hours[known] = _on_known_routes(random, sites.hours[route[known]])
    return np.rint(hours * 60).astype(np.int64) * 60


def delivery_seconds(random: np.random.Generator, sites: Sites, wholesaler: np.ndarray) -> np.ndarray:
    """Return a transport time for each wholesaler's truck that is ordinary for all its retailers, seconds."""
    result = np.empty(len(wholesaler), dtype=np.int64)
    for site in np.unique(wholesaler):
        here = wholesaler == site
        routes = sites.route[site, sites.retailers[site]]
        if (routes < 0).any():
            farthest = sites.retailers[site][np.argmax(sites.distance_km[site, sites.retailers[site]])]
            ends = np.full(int(here.sum()), farthest)
            result[here] = transport_seconds(random, sites, np.full(len(ends), site), ends)
            continue
        hours = sites.hours[routes]
        low, high = _ordinary_bounds(hours)
        shared = hours.mean(axis=0)
        shared[2:] = low.max(), max(high.min(), low.max())
        spread = _beta(random, np.broadcast_to(shared, (int(here.sum()), 4)))
        result[here] = np.rint((shared[2] + (shared[3] - shared[2]) * spread) * 60).astype(np.int64) * 60
    return result


def _on_known_routes(random: np.random.Generator, hours: np.ndarray) -> np.ndarray:
    """Return ordinary hours for rows of (mean, standard deviation, minimum, maximum)."""
    low, high = _ordinary_bounds(hours)
    return low + (high - low) * _beta(random, hours)


def _ordinary_bounds(hours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, deviation, minimum, maximum = hours.T
    low = np.maximum(minimum + _CLOCKS_HOURS, mean - _ORDINARY_Z * deviation)
    high = np.minimum(maximum, mean + _ORDINARY_Z * deviation)
    # A route driven once (deviation 0) has no range: its mean is what there is.
    narrow = high <= low
    return np.where(narrow, np.maximum(mean, low), low), np.where(narrow, np.maximum(mean, low), high)


def _beta(random: np.random.Generator, hours: np.ndarray) -> np.ndarray:
    """Return draws in 0..1 with the place and width that mean and deviation have between the bounds."""
    mean, deviation, minimum, maximum = hours.T
    width = np.maximum(maximum - minimum, 1e-6)
    centre = np.clip((mean - minimum) / width, 0.05, 0.95)
    variance = np.clip((deviation / width) ** 2, 1e-4, 0.9 * centre * (1 - centre))
    weight = centre * (1 - centre) / variance - 1
    return random.beta(np.maximum(centre * weight, 0.1), np.maximum((1 - centre) * weight, 0.1))


def _require(table: pd.DataFrame, columns: tuple[str, ...], what: str) -> None:
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise UserError(f"The {what} lacks the columns {', '.join(missing)}, so no world can be simulated on it.")


def _roles(sites: int, origin: np.ndarray, destination: np.ndarray) -> np.ndarray:
    """Return each site's role by its distance, in routes, from where routes begin."""
    role = np.full(sites, NO_ROLE, dtype=np.int8)
    role[np.setdiff1d(origin, destination)] = WAREHOUSE
    for next_role in (HUB, WHOLESALER, RETAILER):
        reached = destination[role[origin] == next_role - 1]
        if not len(reached):
            names = {HUB: "hub", WHOLESALER: "wholesaler", RETAILER: "retailer"}
            raise UserError(
                "The transition table cannot carry a simulation: it must lead from warehouses over hubs and "
                f"wholesalers to retailers, and no {names[next_role]} is reached. Put a complete table into "
                "data/processed, or remove both reference tables there to simulate on an invented network."
            )
        if (role[reached] != NO_ROLE).any():
            raise UserError(
                "The transition table cannot carry a simulation: a place in it is reached at two levels (as a "
                "hub and as a wholesaler, say). Remove both reference tables from data/processed to simulate "
                "on an invented network."
            )
        role[reached] = next_role
    return role


def _factories(role: np.ndarray, distance: np.ndarray, location_id: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the factories, by location id, and the warehouse of each."""
    warehouse = np.flatnonzero(role == WAREHOUSE)
    idle = np.flatnonzero(role == NO_ROLE)
    near = distance[np.ix_(warehouse, idle)] if len(idle) else np.full((len(warehouse), 1), np.inf)
    if (near.min(axis=1) > _YARD_KM).any() or len(warehouse) > len(FACTORIES):
        raise UserError(
            f"The reference tables cannot carry a simulation: each of 1 to {len(FACTORIES)} warehouses (places "
            f"where routes begin and none ends) needs a factory without routes within {_YARD_KM:.0f} km, and "
            f"{len(warehouse)} warehouses were found. Remove both tables from data/processed to simulate on an "
            "invented network."
        )
    factory = idle[near.argmin(axis=1)]
    order = np.argsort(location_id[factory])
    return factory[order], warehouse[order]


def _retailers(role: np.ndarray, distance: np.ndarray, origin: np.ndarray, destination: np.ndarray) -> list[np.ndarray]:
    """Return the retailers of each wholesaler.

    One without routes has those of the nearest wholesaler that ships: goods sent there by mistake or by
    intent are still sold somewhere.
    """
    shipping = np.unique(origin[role[origin] == WHOLESALER])
    result = [np.array([], dtype=np.int64)] * len(role)
    for site in np.flatnonzero(role == WHOLESALER):
        nearest = shipping[np.argmin(distance[site, shipping])]
        result[site] = np.sort(destination[origin == nearest])
    return result


def _distances_km(degrees: np.ndarray) -> np.ndarray:
    """Return the great-circle distance between all pairs of (latitude, longitude) in degrees."""
    latitude, longitude = np.radians(degrees).T
    half = (
        np.sin((latitude[:, None] - latitude) / 2) ** 2
        + np.cos(latitude[:, None]) * np.cos(latitude) * np.sin((longitude[:, None] - longitude) / 2) ** 2
    )
    return 2 * _EARTH_RADIUS_KM * np.arcsin(np.sqrt(half))
