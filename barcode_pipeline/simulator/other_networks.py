"""Other invented networks: sites, routes and times that whoever knows network 0 has never seen.

A number stands for one network, the same in every world. What all have in common: four factories with a warehouse
each (so that files keep their names), hubs, wholesalers that serve the retailers of their whole region, and routes
whose ordinary transports lie within two standard deviations.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from barcode_pipeline.simulator.network import FACTORIES, beta_shape, route_row, site_frame

_FIRST = (
    "Bel",
    "Cor",
    "Dan",
    "Fer",
    "Gal",
    "Hol",
    "Ister",
    "Kar",
    "Lum",
    "Mor",
    "Nor",
    "Pel",
    "Ros",
    "Sav",
    "Tor",
    "Val",
)
_LAST = ("anta", "berg", "dale", "esti", "grad", "holm", "ica", "mont", "ova", "stad", "ula", "vik")
_KM_PER_DEGREE = 111.2


@dataclass
class _Region:
    name: str
    hub: np.ndarray
    """(2,): kilometres north and east of the network's middle."""
    wholesalers: dict[str, np.ndarray] = field(default_factory=dict)
    shops: dict[str, np.ndarray] = field(default_factory=dict)
    shipping: list[str] = field(default_factory=list)
    """The wholesalers that send to the region's shops."""


def other_network(number: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the location table and the transition table of network `number` (1, 2, …)."""
    random = np.random.default_rng([number, 20250702])
    names = random.permutation([first + last for first in _FIRST for last in _LAST]).tolist()
    regions = _regions(random, names)
    plants, warehouses = _plants(random, names)
    hubs = {f"{region.name} Hub": region.hub for region in regions}
    places = plants | warehouses | hubs
    for region in regions:
        places |= region.wholesalers
    for region in regions:
        places |= region.shops
    middle = random.uniform((34, -4), (48, 36))
    numbers = np.sort(random.choice(np.arange(300, 3_000), size=len(places), replace=False))
    return (
        site_frame(
            [
                (int(location_id), name, *_degrees(middle, place))
                for location_id, (name, place) in zip(numbers, places.items(), strict=True)
            ]
        ),
        _transitions(random, places, _routes(random, regions, warehouses), regions),
    )


def _regions(random: np.random.Generator, names: list[str]) -> list[_Region]:
    """Return 3 to 5 regions around a ring, with 2 to 4 groups of 2 to 5 shops each."""
    count = int(random.integers(3, 6))
    turn = 2 * np.pi * (np.arange(count) + random.uniform(-0.2, 0.2, count)) / count
    regions = []
    for angle in turn:
        region = _Region(names.pop(), random.uniform(100, 190) * np.array([np.sin(angle), np.cos(angle)]))
        groups = int(random.integers(2, 5))
        spokes = 2 * np.pi * (np.arange(groups) + random.uniform(-0.2, 0.2, groups)) / groups
        for group, spoke in enumerate(spokes):
            centre = region.hub + random.uniform(20, 55) * np.array([np.sin(spoke), np.cos(spoke)])
            if group == 0 or random.random() < 0.8:
                wholesaler = f"{region.name} Wholesale {group + 1}"
                region.wholesalers[wholesaler] = centre
                if group == 0 or random.random() < 0.6:
                    region.shipping.append(wholesaler)
            for shop in range(int(random.integers(2, 6))):
                away = random.uniform(4, 9) * np.array([np.sin(2.4 * shop), np.cos(2.4 * shop)])
                region.shops[f"{region.name} {group + 1} Shop {shop + 1}"] = centre + away
        regions.append(region)
    return regions


def _plants(random: np.random.Generator, names: list[str]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return four factories within the ring of regions, and beside each its warehouse."""
    plants, warehouses = {}, {}
    for number in range(len(FACTORIES)):
        name = names.pop()
        angle = 2 * np.pi * (number + random.uniform(-0.2, 0.2)) / len(FACTORIES)
        place = random.uniform(30, 80) * np.array([np.sin(angle), np.cos(angle)])
        plants[f"{name} Plant"] = place
        warehouses[f"{name} Plant Warehouse"] = place + random.uniform(0.8, 1.8, 2)
    return plants, warehouses


def _routes(
    random: np.random.Generator, regions: list[_Region], warehouses: dict[str, np.ndarray]
) -> dict[tuple[str, str], int]:
    """Return the routes to hubs and wholesalers, and how many EPCs have gone there."""
    routes: dict[tuple[str, str], int] = {}
    for number, warehouse in enumerate(warehouses):
        # The first serves what the others do not need to: no hub is without a warehouse.
        own = {number, *range(len(warehouses), len(regions))} if number == 0 else {number % len(regions)}
        for place in sorted(own | set(random.choice(len(regions), size=2).tolist())):
            routes[warehouse, f"{regions[place].name} Hub"] = int(random.integers(3_000, 30_000))
    for number, region in enumerate(regions):
        hub = f"{region.name} Hub"
        for wholesaler in region.wholesalers:
            routes[hub, wholesaler] = int(random.integers(2_000, 12_000))
        neighbour = regions[(number + 1) % len(regions)]
        routes[hub, neighbour.shipping[0]] = int(random.integers(1_000, 5_000))
    return routes


def _transitions(
    random: np.random.Generator,
    places: dict[str, np.ndarray],
    routes: dict[tuple[str, str], int],
    regions: list[_Region],
) -> pd.DataFrame:
    """Return the transition table: times grow with distance, a few routes are driven faster than 100 km/h."""
    rows: list[dict[str, object]] = []
    for (origin, destination), count in routes.items():
        low, high = _bounds(random, float(np.hypot(*(places[origin] - places[destination]))))
        rows.append(route_row(origin, destination, low, high, *beta_shape(random), count))
    for region in regions:
        for origin in region.shipping:
            farthest = max(float(np.hypot(*(places[origin] - place))) for place in region.shops.values())
            low, high = _bounds(random, farthest)
            first, second = beta_shape(random)
            for shop in region.shops:
                # One truck serves all retailers of a wholesaler: their histories are nearly the same.
                near_first, near_second = random.uniform(0.97, 1.03, 2) * (first, second)
                count = int(random.integers(200, 1_500))
                rows.append(route_row(origin, shop, low, high, near_first, near_second, count))
    table = pd.DataFrame(rows)
    return table.sort_values(["from_scan_location", "to_scan_location"], ignore_index=True)


def _bounds(random: np.random.Generator, distance_km: float) -> tuple[float, float]:
    """Return the fastest and the slowest transport of a route, hours in whole minutes."""
    speed = 112 if random.random() < 0.1 else 85
    low = max(distance_km / speed, random.uniform(0.7, 1.6))
    return round(60 * low) / 60, round(60 * (low + random.uniform(6, 12))) / 60


def _degrees(middle: np.ndarray, place: np.ndarray) -> tuple[float, float]:
    """Return latitude and longitude of a place given in kilometres from a network's middle."""
    latitude = middle[0] + place[0] / _KM_PER_DEGREE
    return float(latitude), float(middle[1] + place[1] / (_KM_PER_DEGREE * np.cos(np.radians(middle[0]))))
