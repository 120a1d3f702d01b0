"""The invented network: 58 sites, 82 routes and their history of transport times.

Place names, coordinates and numbers are made up; their number, pattern and ranges are those of the real
network (four regions; wholesalers serve the retailers of their whole region; in two regions a group of
retailers has no wholesaler of its own; nine routes have been driven faster than distance / 100 km/h).
Both tables are the same in every world that does not name another network (`other_networks`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

FACTORIES = (
    # file code, name, latitude, longitude
    ("icn", "Songdo Plant", 37.382, 126.642),
    ("hws", "Hyangnam Plant", 37.131, 126.923),
    ("ygs", "Mulgeum Plant", 35.311, 128.987),
    ("kum", "Okgye Plant", 36.142, 128.423),
)
_HUBS = (
    ("Hangang", "HAN", 37.30, 127.35),
    ("Geumgang", "GEU", 36.02, 127.12),
    ("Yeongsan", "YEO", 35.02, 126.78),
    ("Nakdong", "NAK", 35.93, 128.70),
)
# Group of a region -> centre. The wholesaler stands there, its retailers around it.
_GROUPS = (
    ("Hangang", 1, 37.53, 127.10),
    ("Hangang", 2, 37.45, 126.98),
    ("Hangang", 3, 37.20, 127.05),
    ("Geumgang", 1, 36.20, 127.00),
    ("Geumgang", 2, 35.88, 127.35),
    ("Geumgang", 3, 35.80, 127.05),
    ("Yeongsan", 1, 35.20, 126.65),
    ("Yeongsan", 2, 34.85, 126.55),
    ("Yeongsan", 3, 35.25, 126.98),
    ("Nakdong", 1, 35.75, 128.52),
    ("Nakdong", 2, 36.10, 128.50),
    ("Nakdong", 3, 35.70, 128.95),
)
_GROUPS_WITHOUT_WHOLESALER = {("Yeongsan", 2), ("Nakdong", 3)}
_SHOP_OFFSETS = ((0.041, 0.052), (-0.048, 0.031), (0.019, -0.061))  # degrees, about 6 km

# origin, destination -> EPCs that have gone there, and the fastest transport in hours (None: 1.0 to 1.5 h)
_TO_HUBS: dict[tuple[str, str], tuple[int, float | None]] = {
    ("Songdo Plant Warehouse", "Hangang Hub"): (31_000, None),
    ("Songdo Plant Warehouse", "Geumgang Hub"): (19_000, 1.25),
    ("Songdo Plant Warehouse", "Yeongsan Hub"): (11_000, 1.5),
    ("Hyangnam Plant Warehouse", "Geumgang Hub"): (19_600, 1.1),
    ("Hyangnam Plant Warehouse", "Yeongsan Hub"): (4_300, 1.55),
    ("Hyangnam Plant Warehouse", "Nakdong Hub"): (10_100, 1.4),
    ("Mulgeum Plant Warehouse", "Yeongsan Hub"): (15_500, 1.2),
    ("Okgye Plant Warehouse", "Nakdong Hub"): (19_500, None),
}
_TO_WHOLESALERS: dict[tuple[str, str], tuple[int, float | None]] = {
    ("Hangang Hub", "Hangang Wholesale 1"): (9_000, None),
    ("Hangang Hub", "Hangang Wholesale 2"): (5_200, None),
    ("Hangang Hub", "Hangang Wholesale 3"): (2_100, None),
    ("Hangang Hub", "Nakdong Wholesale 2"): (4_700, 1.2),
    ("Geumgang Hub", "Geumgang Wholesale 1"): (9_300, None),
    ("Geumgang Hub", "Geumgang Wholesale 3"): (4_600, None),
    ("Geumgang Hub", "Yeongsan Wholesale 3"): (5_100, None),
    ("Geumgang Hub", "Nakdong Wholesale 1"): (4_900, 1.05),
    ("Yeongsan Hub", "Yeongsan Wholesale 1"): (12_000, None),
    ("Nakdong Hub", "Nakdong Wholesale 1"): (10_400, None),
    ("Nakdong Hub", "Geumgang Wholesale 2"): (1_900, 1.05),
}
_FROM_WHOLESALERS = {  # EPCs sent on to the nine retailers of the region
    "Hangang Wholesale 1": 8_800,
    "Hangang Wholesale 2": 5_000,
    "Geumgang Wholesale 1": 9_000,
    "Yeongsan Wholesale 1": 8_900,
    "Yeongsan Wholesale 3": 1_200,
    "Nakdong Wholesale 1": 12_000,
    "Nakdong Wholesale 2": 4_500,
}


def site_codes() -> dict[str, str]:
    """Return the code of each invented place, by name, that its `hub_type` begins with."""
    codes = {}
    for code, name, _, _ in FACTORIES:
        codes[name] = codes[f"{name} Warehouse"] = code.upper()
    region_codes = {region: code for region, code, _, _ in _HUBS}
    for region, code in region_codes.items():
        codes[f"{region} Hub"] = f"{code}_Logi"
    for region, number, _, _ in _GROUPS:
        group = f"{region_codes[region]}_WS{number}"
        codes[f"{region} Wholesale {number}"] = group
        for shop in range(1, len(_SHOP_OFFSETS) + 1):
            codes[f"{region} {number} Shop {shop}"] = f"{group}_Rsell{shop}"
    return codes


def location_table() -> pd.DataFrame:
    """Return the 58 places: seq, location_id, scan_location, Latitude, Longitude, factory_locations (empty)."""
    rows: list[tuple[int, str, float, float]] = []
    rows += [(2 + 3 * i, name, lat, lon) for i, (_, name, lat, lon) in enumerate(FACTORIES)]
    rows += [
        (16 + 3 * i, f"{name} Warehouse", lat + 0.013, lon + 0.014) for i, (_, name, lat, lon) in enumerate(FACTORIES)
    ]
    rows += [(32 + 3 * i, f"{region} Hub", lat, lon) for i, (region, _, lat, lon) in enumerate(_HUBS)]
    rows += [
        (51 + 2 * i, f"{region} Wholesale {number}", lat, lon)
        for i, (region, number, lat, lon) in enumerate(_GROUPS)
        if (region, number) not in _GROUPS_WITHOUT_WHOLESALER
    ]
    rows += [
        (100 + 10 * i + 3 * shop, f"{region} {number} Shop {shop + 1}", lat + north, lon + east)
        for i, (region, number, lat, lon) in enumerate(_GROUPS)
        for shop, (north, east) in enumerate(_SHOP_OFFSETS)
    ]
    return site_frame(rows)


def site_frame(rows: list[tuple[int, str, float, float]]) -> pd.DataFrame:
    """Return places (id, name, latitude, longitude) in the form of the location table."""
    return pd.DataFrame(
        {
            "seq": np.arange(1, len(rows) + 1),
            "location_id": [row[0] for row in rows],
            "scan_location": [row[1] for row in rows],
            "Latitude": [round(row[2], 3) for row in rows],
            "Longitude": [round(row[3], 3) for row in rows],
            "factory_locations": pd.array([None] * len(rows), dtype="string"),
        }
    )


def transition_table() -> pd.DataFrame:
    """Return the history of the 82 routes, sorted by names: hours (mean, std, min, max) and EPCs counted.

    Times of a route follow a beta distribution between its fastest and its slowest transport, so that no
    ordinary transport lies more than two standard deviations from the mean.
    """
    random = np.random.default_rng(20250701)  # the network's own: the same in every world
    rows: list[dict[str, object]] = []
    for (origin, destination), (count, fastest) in (_TO_HUBS | _TO_WHOLESALERS).items():
        low = fastest if fastest is not None else round(60 * random.uniform(1.0, 1.5)) / 60
        high = round(60 * random.uniform(9.4, 10.0)) / 60
        first, second = beta_shape(random)
        rows.append(route_row(origin, destination, low, high, first, second, count))
    for origin, total in _FROM_WHOLESALERS.items():
        low = round(60 * random.uniform(1.0, 1.3)) / 60
        high = round(60 * random.uniform(9.4, 10.0)) / 60
        first, second = beta_shape(random)
        region = origin.split()[0]
        shops = [
            f"{region} {number} Shop {shop + 1}"
            for group_region, number, _, _ in _GROUPS
            if group_region == region
            for shop in range(len(_SHOP_OFFSETS))
        ]
        counts = random.multinomial(total, np.full(len(shops), 1 / len(shops)))
        for shop_name, count in zip(shops, counts, strict=True):
            # One truck serves all retailers of a wholesaler: their histories are nearly the same.
            near_first, near_second = random.uniform(0.97, 1.03, 2) * (first, second)
            rows.append(route_row(origin, shop_name, low, high, near_first, near_second, int(count)))
    table = pd.DataFrame(rows)
    return table.sort_values(["from_scan_location", "to_scan_location"], ignore_index=True)


def beta_shape(random: np.random.Generator) -> tuple[float, float]:
    """Return the two shape parameters of a route: mean at 0.44 to 0.52 of the range, wide."""
    centre, weight = random.uniform(0.44, 0.52), random.uniform(1.7, 2.1)
    return centre * weight, (1 - centre) * weight


def route_row(
    origin: str, destination: str, low: float, high: float, first: float, second: float, count: int
) -> dict[str, object]:
    """Return one row of the transition table: moments of a beta distribution on [low, high] hours."""
    weight = first + second
    spread = float(np.sqrt(first * second / (weight**2 * (weight + 1))))
    return {
        "from_scan_location": origin,
        "to_scan_location": destination,
        "time_taken_hours_mean": low + (high - low) * first / weight,
        "time_taken_hours_std": (high - low) * spread,
        "time_taken_hours_min": low,
        "time_taken_hours_max": high,
        "time_taken_hours_count": count,
    }
