"""Places against the rules' reference in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.events.places import (
    NO_LOCATION_ID,
    Sites,
    distance_between,
    distance_km,
    haversine_km,
    resolve_places,
    route_between,
)
from barcode_pipeline_tests.rules import reference_reading as slow
from barcode_pipeline_tests.rules.reference_rules import Route, Site
from barcode_pipeline_tests.worlds import reference

SITES = [
    Site(7, "Plant", 37.382, 126.642),
    Site(3, "Hub", 37.3, 127.35),
    Site(5, "Shop", None, None),
    Site(9, "depot", 35.0, 129.0),
]
SITE_TABLE = reference(SITES, []).sites

GIVEN = st.lists(
    st.tuples(
        st.sampled_from((None, 3, 5, 7, 9, -1, 999, "depot", "abc", "2.5")),
        st.sampled_from((None, "Plant", "Hub", "plant", "Mars", "7", "depot", "")),
    ),
    max_size=40,
)


def resolve(given: list[tuple[int | str | None, str | None]]) -> tuple[np.ndarray, object]:
    ids = [number if isinstance(number, int) else NO_LOCATION_ID for number, _ in given]
    words = [number if isinstance(number, str) else None for number, _ in given]
    return resolve_places(
        np.array(ids, dtype=np.int64),
        pa.array(words, pa.string()).dictionary_encode(),
        pa.array([name or None for _, name in given], pa.string()).dictionary_encode(),
        SITE_TABLE,
    )


@settings(deadline=None, max_examples=200)
@given(GIVEN)
def test_places(given: list[tuple[int | str | None, str | None]]) -> None:
    place, places = resolve_of = resolve(given)
    assert len(resolve_of) == 2
    expected = [slow.read_place(number, name or None, SITES) for number, name in given]
    for row, (found, known) in enumerate(zip(place, expected, strict=True)):
        site = places.site[found]
        assert (SITE_TABLE.name[site] if site >= 0 else None) == known.name
        number = known.location_id if isinstance(known.location_id, int) else NO_LOCATION_ID
        assert places.location_id[found] == number, row
    assert len(places) == len({known.identity for known in expected})
    for first, known in zip(place, expected, strict=True):
        for second, other in zip(place, expected, strict=True):
            assert (first == second) == (known.identity == other.identity)
            if known.location_id != other.location_id:
                order = slow.location_id_missing_last(known.location_id) < slow.location_id_missing_last(
                    other.location_id
                )
                assert (first < second) == order


def test_unknown_place_keeps_its_name_only_without_an_id() -> None:
    place, places = resolve([(999, "Mars"), (None, "Mars"), (None, None), ("abc", "Mars"), (999, "Venus")])
    assert places.name.take(pa.array(place)).to_pylist() == [None, "Mars", None, None, None]
    assert place[0] == place[4] and len(set(place.tolist())) == 4


DEGREES = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@settings(deadline=None)
@given(DEGREES, DEGREES)
def test_haversine(a: tuple[float, float], b: tuple[float, float]) -> None:
    expected = slow.distance_km(*(slow.Place(("site", 1), 1, "x", *point) for point in (a, b)))
    assert haversine_km(*a, *b) == pytest.approx(expected, rel=1e-12, abs=1e-6)


def test_distance_of_opposite_points_is_half_the_globe() -> None:
    assert haversine_km(0.0, 0.0, 0.0, 180.0) == pytest.approx(math.pi * 6371.0)
    assert haversine_km(90.0, 0.0, -90.0, 33.0) == pytest.approx(math.pi * 6371.0)


def test_distances_of_sites() -> None:
    """By row of the sorted table: Hub 3, Shop 5 (no coordinates), Plant 7, depot 9."""
    table = SITE_TABLE.distances
    assert table.shape == (4, 4)
    for a in range(-1, 4):
        for b in range(-1, 4):
            km = distance_km(SITE_TABLE.latitude, SITE_TABLE.longitude, a, b)
            np.testing.assert_equal(distance_between(table, a, b), km)
            assert np.isnan(km) == (min(a, b) < 0 or 1 in (a, b))
    assert table[0, 0] == 0 and table[0, 2] == table[2, 0] == pytest.approx(63.2, abs=0.5)


@settings(deadline=None)
@given(st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3))))
def test_routes(pairs: set[tuple[int, int]]) -> None:
    names = SITE_TABLE.name
    routes = reference(
        SITES, [Route(names[a], names[b], a + b / 10, 1.0, 0.5) for a, b in sorted(pairs, reverse=True)]
    ).routes
    for a in range(-1, 4):
        for b in range(-1, 4):
            route = route_between(routes.start, routes.destination, a, b)
            assert (route >= 0) == ((a, b) in pairs)
            assert route < 0 or routes.mean[route] == a + b / 10


def test_no_sites_at_all() -> None:
    nothing = Sites(np.array([], np.int64), (), np.array([]), np.array([]))
    place, places = resolve_places(
        np.array([1], np.int64), pa.array([None], pa.string()).dictionary_encode(),
        pa.array(["a"]).dictionary_encode(), nothing,
    )  # fmt: skip
    assert place.tolist() == [0] and places.site.tolist() == [-1] and nothing.distances.shape == (0, 0)
