"""Places: the two reference tables, which site a row was scanned at, and what lies between sites.

A *site* is a row of the sites table; a *place* is what a row names: a site, or something unknown that is
known apart by the id or the name it gave.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from barcode_pipeline.compiled import compiled, inlined
from barcode_pipeline.events.pairs import first_rows, number_pairs
from barcode_pipeline.events.text import dictionary_codes

EARTH_RADIUS_KM = 6371.0
NO_LOCATION_ID = np.iinfo(np.int64).max
"""Stands for a missing location id; sorts last."""


@dataclass(frozen=True)
class Sites:
    """The sites table, in the order of `location_id`; every array is (S,). Degrees; NaN where not given."""

    location_id: np.ndarray
    name: tuple[str, ...]
    latitude: np.ndarray
    longitude: np.ndarray

    def __len__(self) -> int:
        return len(self.location_id)

    @cached_property
    def distances(self) -> np.ndarray:
        """(S, S) float64 km between all sites, NaN where a coordinate is missing. Made once, looked up often."""
        return _all_distances(self.latitude, self.longitude)


@dataclass(frozen=True)
class Routes:
    """The transition table by origin: the routes of site s are `start[s]` to `start[s + 1]`. Hours."""

    start: np.ndarray
    destination: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    minimum: np.ndarray
    maximum: np.ndarray
    count: np.ndarray

    def __len__(self) -> int:
        return len(self.destination)


@dataclass(frozen=True)
class Reference:
    """Both reference tables, ready for the kernels."""

    sites: Sites
    routes: Routes


@dataclass(frozen=True)
class Places:
    """The distinct places of some rows; every array is (P,), in the order in which places sort.

    site: int32, the row of the sites table, -1 for an unknown place.
    location_id: int64, the table's id, or the id as given, or `NO_LOCATION_ID`.
    name: the table's name, or the name as given, or None.
    """

    site: np.ndarray
    location_id: np.ndarray
    name: pa.Array

    def __len__(self) -> int:
        return len(self.site)

    @cached_property
    def keys(self) -> np.ndarray:
        """A number for each place that is the same whatever other rows were read with it, (P,) int64.

        A site's row in the sites table; below 0, and a hash of the id or name, for an unknown place. Unknown places
        whose ids are no integers count as one: they are not told apart here.
        """
        keys = self.site.astype(np.int64)
        for unknown in np.flatnonzero(keys < 0):
            words = f"{self.location_id[unknown]} {self.name[int(unknown)]}".encode()
            keys[unknown] = -1 - (int.from_bytes(hashlib.blake2b(words, digest_size=8).digest(), "big") >> 2)
        return keys

    @cached_property
    def number_of_key(self) -> np.ndarray:
        """`keys` numbered from 0, (P,) int64: places with one key have one number."""
        return np.unique(self.keys, return_inverse=True)[1]


def resolve_places(
    location_id: np.ndarray, location_text: pa.DictionaryArray, name: pa.DictionaryArray, sites: Sites
) -> tuple[np.ndarray, Places]:
    """Which place each row names: (place (N,) int32, the distinct places in sorting order).

    location_id: (N,) int64, `NO_LOCATION_ID` where missing. location_text: ids that are no integers. By
    `location_id` where it is in the table, else by exact name, else unknown and known apart by the id, or
    the name. Places sort by resolved id (integers, then texts, missing last), then name (missing last).
    """
    texts, names = location_text.dictionary.to_pylist(), name.dictionary.to_pylist()
    text_codes, name_codes = dictionary_codes(location_text), dictionary_codes(name)
    codes = number_pairs(location_id, name_codes)
    if (text_codes >= 0).any():
        codes = number_pairs(codes, text_codes)
    first = first_rows(codes)
    distinct = zip(location_id[first].tolist(), text_codes[first].tolist(), name_codes[first].tolist(), strict=True)

    site_of_id = {int(number): row for row, number in enumerate(sites.location_id)}
    site_of_name = {word: row for row, word in enumerate(sites.name)}
    identities: list[tuple[int, int, str, bool, str]] = []
    site_of: dict[tuple[int, int, str, bool, str], int] = {}
    for number, text_code, name_code in distinct:
        text = texts[text_code] if text_code >= 0 else None
        word = names[name_code] if name_code >= 0 else None
        site = site_of_id.get(int(number), -1) if number != NO_LOCATION_ID else -1
        if site < 0 and word is not None:
            site = site_of_name.get(word, -1)
        if site >= 0:
            number, text, word = int(sites.location_id[site]), None, sites.name[site]
        elif number != NO_LOCATION_ID or text is not None:
            word = None  # known apart by the id alone
        kind = 2 if number == NO_LOCATION_ID and text is None else int(text is not None)
        identity = (kind, int(number), text or "", word is None, word or "")
        identities.append(identity)
        site_of[identity] = site
    ordered = sorted(site_of)
    rank = {identity: place for place, identity in enumerate(ordered)}
    place_of_distinct = np.array([rank[identity] for identity in identities], dtype=np.int32)
    places = Places(
        np.array([site_of[identity] for identity in ordered], dtype=np.int32),
        np.array([identity[1] for identity in ordered], dtype=np.int64),
        pa.array([None if identity[3] else identity[4] for identity in ordered], pa.string()),
    )
    return (place_of_distinct[codes] if len(codes) else np.zeros(0, np.int32)), places


@compiled
def haversine_km(latitude_a: float, longitude_a: float, latitude_b: float, longitude_b: float) -> float:
    """Great-circle distance in km of two points in degrees (haversine, Earth radius 6371 km)."""
    phi_a, phi_b = np.radians(latitude_a), np.radians(latitude_b)
    half_phi = np.radians(latitude_b - latitude_a) / 2
    half_lambda = np.radians(longitude_b - longitude_a) / 2
    chord = np.sin(half_phi) ** 2 + np.cos(phi_a) * np.cos(phi_b) * np.sin(half_lambda) ** 2
    return 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(min(1.0, chord)))


@compiled
def distance_km(latitude: np.ndarray, longitude: np.ndarray, site_a: int, site_b: int) -> float:
    """Distance between two sites, NaN where either is unknown or has no coordinates."""
    if site_a < 0 or site_b < 0:
        return np.nan
    # Asked here, since the minimum inside the formula would swallow a NaN.
    if np.isnan(latitude[site_a] + longitude[site_a] + latitude[site_b] + longitude[site_b]):
        return np.nan
    return haversine_km(latitude[site_a], longitude[site_a], latitude[site_b], longitude[site_b])


@inlined
def route_between(start: np.ndarray, destination: np.ndarray, origin: int, target: int) -> int:
    """The route from one site to another, -1 where the transition table has none."""
    if origin < 0 or target < 0:
        return -1
    for route in range(start[origin], start[origin + 1]):
        if destination[route] == target:
            return route
    return -1


@compiled
def _all_distances(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    out = np.empty((len(latitude), len(latitude)))
    for site_a in range(len(latitude)):
        for site_b in range(len(latitude)):
            out[site_a, site_b] = distance_km(latitude, longitude, site_a, site_b)
    return out


@inlined
def distance_between(distances: np.ndarray, site_a: int, site_b: int) -> float:
    """km out of `Sites.distances`, NaN where either site is unknown (-1)."""
    return distances[site_a, site_b] if site_a >= 0 and site_b >= 0 else np.nan
