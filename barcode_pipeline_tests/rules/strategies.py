"""Hypothesis strategies for small worlds and the untidy rows that senders could send about them.

Pools are small on purpose (a few sites, seconds and words per case), so that rows meet: same seconds, same
places, repetitions, re-reads, exact duplicates. What belongs here is data as senders give it; no rule is
applied and nothing is resolved.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from .reference_rules import Route, Row, Settings, Site
from .spellings import (
    COMPANIES,
    LEVEL_NAMES,
    UNKNOWN_NAMES,
    UNREADABLE_IDS,
    any_event_type,
    any_step,
    epc_codes,
    epc_spellings,
    known_places,
    one_in,
    time_spellings,
    unknown_places,
    usual_words,
)

DEGREES_PER_KM = 1 / 111.194927  # of latitude, on a sphere of radius 6371 km

# Cities of the worlds, a few hundred kilometres apart (one far south and west of all others); the sites of a
# city lie within some kilometres.
CITIES = (*((37.45, 126.65), (35.10, 129.04), (36.35, 127.38)) * 3, (33.50, 126.53), (-33.90, 18.42))

# Kilometres north of the city's centre: pairs at one spot, just within the 5 km of one site, just beyond.
KM_NORTH = (0.0, 4.9, 5.1, 1.7, 12.0)

# 0 is an id like any other; 17 shows `17.0`.
LOCATION_IDS = (0, 1, 5, 13, 17, 42, 58, 101, 170, 1000)

# Names that differ by case alone, look like an id or a step, or hold more than ASCII.
SITE_NAMES = (
    "Factory",
    "own warehouse",
    "Own Warehouse",
    "17",
    "hub-east",
    "도매 창고",
    "Retailer",
    "POS_Sell",
    "store 9",
    "store  9",
)

# Seconds after a case's first instant: one second, the 60 s of a re-read and what is just beyond, the minima,
# means and z boundaries of the routes, days, and the 34 days of two missed reads.
SECONDS = (
    *(0, 0, 1, 30, 60, 61, 90, 120, 121, 899, 900, 1800, 3780, 7200, 14400, 18000, 28800),
    *(32400, 32401, 39600, 39601, 46800, 46801, 54000, 86399, 86400, 172800, 34 * 86400),
)

# First instants, in Korean time: an ordinary morning, just before a midnight, the end of February in and out
# of a leap year, and the hours in which Korea and UTC have different days.
FIRST_INSTANTS = (
    datetime(2025, 7, 1, 10, 0, 0),
    datetime(2025, 7, 1, 23, 59, 30),
    datetime(2025, 2, 28, 12, 0, 0),
    datetime(2025, 3, 1, 9, 0, 0),
    datetime(2024, 2, 28, 23, 59, 59),
    datetime(2025, 12, 31, 5, 0, 0),
)


# The minimum of a route once travelled in 903 s, in hours; turned back into seconds it is a little more.
MINIMUM_OF_WHOLE_SECONDS = 903 / 3600

# Words that are alike to the rules or nearly so: known ones of one level, unknown ones, none.
TIE_STEPS = ("WMS", "Warehouse", "wms", "Mars", "mars", None, "Factory", "Inbound")
TIE_TYPES = ("WMS_Inbound", "Inbound", "HUB_Outbound", "WMS", "HUB", "Mars", "mars", None, "POS_Sell")


@dataclass
class World:
    """Sites and routes, and the level each site is usually scanned at."""

    sites: list[Site]
    routes: list[Route]
    usual_levels: list[int]


@dataclass
class Case:
    """One world, rows about it, and the settings to judge them by."""

    world: World
    rows: list[Row]
    settings: Settings = field(default_factory=Settings)


# --- worlds ---------------------------------------------------------------------------------------------


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """4 to 10 sites in a few cities, one or two of them without coordinates, and some routes between them."""
    count = draw(st.integers(4, 10))
    ids = draw(st.lists(st.sampled_from(LOCATION_IDS), min_size=count, max_size=count, unique=True))
    names = draw(st.permutations(SITE_NAMES))
    levels = [0, 1, *(draw(st.integers(0, 5)) for _ in range(count - 2))]
    sites = []
    for position in range(count):
        # The first two share a city: a factory and a warehouse that may be one site.
        city = CITIES[0] if position < 2 else draw(st.sampled_from(CITIES))
        north = draw(st.sampled_from(KM_NORTH if position else (0.0,))) * DEGREES_PER_KM
        sites.append(Site(ids[position], names[position], city[0] + north, city[1]))
    nowhere = sites[draw(st.integers(0, count - 1))]
    nowhere.longitude = None
    if not draw(one_in(4)):  # now and then one coordinate alone is missing
        nowhere.latitude = None
    return World(sites, draw(routes_between(sites)), levels)


@st.composite
def routes_between(draw: st.DrawFn, sites: list[Site]) -> list[Route]:
    """One to eight routes: σ of 0, minima faster and slower than any truck, z boundaries that are exact."""
    positions = st.integers(0, len(sites) - 1)
    pairs = draw(st.lists(st.tuples(positions, positions), min_size=1, max_size=8, unique=True))
    routes = []
    for origin, destination in pairs:
        mean, std = draw(st.sampled_from(((5.0, 2.0), (4.0, 2.0), (5.0, 0.0), (5.5, 2.5), (6.0, 0.5))))
        minimum = draw(st.sampled_from((0.25, MINIMUM_OF_WHOLE_SECONDS, MINIMUM_OF_WHOLE_SECONDS, 0.0, 2.0, 9.0)))
        routes.append(Route(sites[origin].name, sites[destination].name, mean, std, minimum))
    return routes


@dataclass
class Stop:
    """What the rows of a case repeat: a place and what is done there."""

    site: Site | None
    location_id: Any
    scan_location: str | None
    business_step: str | None
    event_type: str | None


@st.composite
def stops(draw: st.DrawFn, world: World) -> Stop:
    if draw(one_in(6)):
        site, (location_id, name), level = None, draw(unknown_places()), draw(st.integers(0, 5))
    else:
        position = draw(st.integers(0, len(world.sites) - 1))
        site, level = world.sites[position], world.usual_levels[position]
        location_id, name = draw(known_places(site, world.sites))
    step, event_type = draw(usual_words(level))
    if draw(one_in(5)):
        step = draw(any_step())
    if draw(one_in(5)):
        event_type = draw(any_event_type())
    return Stop(site, location_id, name, step, event_type)


# --- rows -----------------------------------------------------------------------------------------------


@st.composite
def scattered_rows(draw: st.DrawFn, world: World, max_rows: int) -> list[Row]:
    """Rows of 1 to 4 EPCs at a few stops and moments, each combined with any other."""
    first = draw(st.sampled_from(FIRST_INSTANTS))
    codes = draw(st.lists(epc_codes(first), min_size=1, max_size=4))
    offsets = draw(st.lists(st.sampled_from(SECONDS), min_size=1, max_size=8))
    pool = draw(st.lists(stops(world), min_size=1, max_size=6))
    rows = []
    for _ in range(draw(st.integers(0, max_rows))):
        moment = first + timedelta(seconds=draw(st.sampled_from(offsets)))
        stop, code = draw(st.sampled_from(pool)), draw(st.sampled_from(codes))
        rows.append((moment, draw(row_at(world, stop, code, moment, untidy=True))))
    return draw(with_event_ids(rows))


@st.composite
def rows_of_scenes(draw: st.DrawFn, world: World, max_rows: int) -> list[Row]:
    """One or two scenes of each of 1 to 4 EPCs, in the order the scenes have or in none."""
    first = FIRST_INSTANTS[0]
    rows: list[tuple[datetime, Row]] = []
    for serial in range(draw(st.integers(1, 4))):
        code = f"001.8804823.1203199.150002.20250620.{serial:09d}"
        untidy = draw(one_in(4))
        start = first
        for scene in draw(st.lists(scenes(world), min_size=1, max_size=2)):
            for stop, seconds in scene:
                moment = start + timedelta(seconds=seconds)
                rows.append((moment, draw(row_at(world, stop, code, moment, untidy=untidy))))
            start += timedelta(seconds=draw(st.sampled_from((0, 60, 86400))))
    return draw(with_event_ids(rows[:max_rows]))


# What chance alone seldom brings together: stops, and the seconds at which a row is scanned there.
Scene = list[tuple[Stop, float]]


def scenes(world: World) -> st.SearchStrategy[Scene]:
    return st.one_of(journeys_on_a_route(world), repetitions(world), repetitions(world), meetings(world))


@st.composite
def repetitions(draw: st.DrawFn, world: World) -> Scene:
    """One stop again and again, some of it within the 60 s of a re-read, perhaps with another between."""
    stop = draw(stops(world))
    gaps = draw(st.lists(st.sampled_from((30, 60, 61, 61, 7200)), min_size=2, max_size=7))
    scene: Scene = [(stop, sum(gaps[:count])) for count in range(len(gaps) + 1)]
    if draw(st.booleans()):
        elsewhere = world.sites[draw(st.integers(0, len(world.sites) - 1))]
        between = draw(st.integers(1, len(gaps)))
        place, name = draw(known_places(elsewhere, world.sites))
        scene[between] = (
            Stop(elsewhere, place, name, stop.business_step, stop.event_type),
            scene[between][1],
        )
    return scene


@st.composite
def journeys_on_a_route(draw: st.DrawFn, world: World) -> Scene:
    """Out of one end of a route and in at the other, in about the time the table gives at some z."""
    route = draw(st.sampled_from(world.routes))
    origin = draw(stops_at(world, route.origin, "_Outbound"))
    destination = draw(stops_at(world, route.destination, "_Inbound"))
    z = draw(st.sampled_from((0.0, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, -2.3)))
    by_z = max(0.0, route.mean + z * route.std)
    hours = draw(st.sampled_from((by_z, by_z, route.minimum)))
    return [(origin, 0), (destination, max(0, round(hours * 3600) + draw(st.sampled_from((0, 0, 1, -1)))))]


@st.composite
def meetings(draw: st.DrawFn, world: World) -> Scene:
    """Rows of one second or nearly, at a factory and its warehouse or at one site, in all sorts of words."""
    positions = draw(st.sampled_from(((0, 1), (0, 1), (0,), (1,), (2,))))
    scene: Scene = []
    for _ in range(draw(st.integers(2, 5))):
        position = draw(st.sampled_from(positions))
        site = world.sites[position]
        location_id, name = draw(known_places(site, world.sites))
        step, event_type = draw(usual_words(world.usual_levels[position]))
        if draw(one_in(3)):
            step, event_type = draw(any_step()), draw(any_event_type())
        stop = Stop(site, location_id, name, step, event_type)
        scene.append((stop, draw(st.sampled_from((0, 0, 0, 60)))))
    return scene


@st.composite
def stops_at(draw: st.DrawFn, world: World, name: str, suffix: str) -> Stop:
    """A stop at the site of that name, with the event type that a route begins or ends with."""
    position = next(position for position, site in enumerate(world.sites) if site.name == name)
    site, level = world.sites[position], world.usual_levels[position]
    location_id, given_name = draw(known_places(site, world.sites))
    step, _ = draw(usual_words(level))
    return Stop(site, location_id, given_name, step, draw(st.sampled_from(LEVEL_NAMES[level])) + suffix)


@st.composite
def row_at(draw: st.DrawFn, world: World, stop: Stop, code: str, moment: datetime, *, untidy: bool) -> Row:
    """One row at ``stop``, its place at times given in another way; if ``untidy``, its words changed too."""
    location_id, name = stop.location_id, stop.scan_location
    step, event_type = stop.business_step, stop.event_type
    if stop.site is not None and draw(one_in(4)):
        location_id, name = draw(known_places(stop.site, world.sites))
    if untidy and draw(one_in(6)):
        step = draw(any_step())
    if untidy and draw(one_in(5)):
        event_type = draw(any_event_type())
    spelling = draw(epc_spellings(code))
    return Row(spelling, draw(time_spellings(moment)), location_id, name, step, event_type, None)


@st.composite
def with_event_ids(draw: st.DrawFn, timed: list[tuple[datetime, Row]]) -> list[Row]:
    """The rows with ids: none, in the order of time, nearly so, in no order, or small with repetitions."""
    rows = [row for _, row in timed]
    count = len(rows)
    way = draw(st.sampled_from(("none", "in order", "nearly in order", "shuffled", "small", "some")))
    numbers: list[int | None] = [None] * count
    if way in ("in order", "nearly in order"):
        for number, position in enumerate(sorted(range(count), key=lambda position: timed[position][0])):
            numbers[position] = 301 + number
        if way == "nearly in order" and count:
            numbers[draw(st.integers(0, count - 1))] = draw(st.sampled_from((-7, 0, 300, 10**12)))
    elif way == "shuffled":
        numbers = list(draw(st.permutations(range(1, count + 1))))
    elif way != "none":
        small = st.integers(-2, 4)
        numbers = [draw(small if way == "small" else st.none() | small) for _ in rows]
    return [replace(row, event_id=number) for row, number in zip(rows, numbers, strict=True)]


@st.composite
def perhaps_unreadable_ids(draw: st.DrawFn, rows: list[Row]) -> list[Row]:
    """The rows, some of them with a location id that is no whole number, and a name."""
    ids, names = st.sampled_from(UNREADABLE_IDS), st.sampled_from(UNKNOWN_NAMES)
    return [replace(row, location_id=draw(ids), scan_location=draw(names)) if draw(one_in(8)) else row for row in rows]


# --- settings and cases ---------------------------------------------------------------------------------


def settings_to_judge_by() -> st.SearchStrategy[Settings]:
    """The defaults, or other companies, speeds and zones (zones whose clocks never change)."""
    others = st.builds(
        Settings,
        companies=st.sampled_from((COMPANIES, COMPANIES[1:], (*COMPANIES, "9999999"), ())),
        v_max=st.sampled_from((100.0, 80.0, 50.0, 1000.0)),
        zone=st.sampled_from(("Asia/Seoul", "UTC", "Asia/Kolkata")),
    )
    return st.one_of(st.just(Settings()), others)


@st.composite
def world_cases(draw: st.DrawFn, max_rows: int = 25, unreadable_ids: bool = False) -> Case:
    """Rows all over a world: scattered ones, or scenes."""
    world = draw(worlds())
    rows = draw(st.one_of(scattered_rows(world, max_rows), rows_of_scenes(world, max_rows)))
    if unreadable_ids:
        rows = draw(perhaps_unreadable_ids(rows))
    return Case(world, rows, draw(settings_to_judge_by()))


@st.composite
def code_cases(draw: st.DrawFn, max_rows: int = 25) -> Case:
    """Many codes, of most only one row, so that epcFake meets every kind of code and day."""
    first = draw(st.sampled_from(FIRST_INSTANTS))
    rows = []
    for _ in range(draw(st.integers(1, max(1, max_rows)))):
        moment = first + timedelta(days=draw(st.sampled_from((0, 1, -1))))
        spelling, time = draw(epc_codes(first).flatmap(epc_spellings)), draw(time_spellings(moment))
        rows.append(Row(spelling, time, 17, None, "WMS", "WMS_Inbound", None))
    world = World([Site(17, "17", *CITIES[0])], [], [1])
    return Case(world, rows[:max_rows], draw(settings_to_judge_by()))


@st.composite
def route_cases(draw: st.DrawFn, max_rows: int = 25) -> Case:
    """Journeys on routes, each of an EPC of its own: the speeds, minima and z that jump hangs on."""
    world = draw(worlds())
    first = FIRST_INSTANTS[0]
    rows = []
    for serial in range(draw(st.integers(1, 8))):
        code = f"001.8804823.1203199.150002.20250620.{serial:09d}"
        for stop, seconds in draw(journeys_on_a_route(world)):
            time = (first + timedelta(seconds=seconds)).isoformat(sep=" ")
            rows.append(Row(code, time, stop.location_id, stop.scan_location, stop.business_step, stop.event_type))
    return Case(world, rows[:max_rows], draw(settings_to_judge_by()))


@st.composite
def tie_cases(draw: st.DrawFn, max_rows: int = 25) -> Case:
    """One EPC at few places in few seconds and words: what the order, re-reads and duplicates hang on."""
    world = draw(worlds())
    first, code = FIRST_INSTANTS[0], "001.8804823.1203199.150002.20250620.000000001"
    somewhere = st.one_of(*(known_places(world.sites[i], world.sites) for i in (0, 1)), unknown_places())
    places = draw(st.lists(somewhere, min_size=1, max_size=3))
    steps = draw(st.lists(st.sampled_from(TIE_STEPS), min_size=1, max_size=3))
    types = draw(st.lists(st.sampled_from(TIE_TYPES), min_size=1, max_size=4))
    seconds = draw(st.sampled_from(((0,), (0, 60), (0, 30, 90), (0, 61, 7200))))
    numbers = draw(st.sampled_from(((None,), (1, 2, 3), (None, 1, 2, -1))))
    rows = []
    for _ in range(draw(st.integers(min(2, max_rows), min(12, max_rows)))):
        moment = first + timedelta(seconds=draw(st.sampled_from(seconds)))
        location_id, name = draw(st.sampled_from(places))
        step, event_type = draw(st.sampled_from(steps)), draw(st.sampled_from(types))
        event_id = draw(st.sampled_from(numbers))
        rows.append(Row(code, moment.isoformat(sep=" "), location_id, name, step, event_type, event_id))
    return Case(world, rows, Settings())


def cases(max_rows: int = 25, unreadable_ids: bool = False) -> st.SearchStrategy[Case]:
    """A world, 0 to ``max_rows`` rows about it, and settings.

    ``unreadable_ids`` adds location ids that are no whole number, whose place in the order the contract leaves open.
    """
    # Three objects, since `one_of` takes one strategy given thrice for one.
    everywhere = [world_cases(max_rows, unreadable_ids) for _ in range(3)]
    return st.one_of(*everywhere, route_cases(max_rows), tie_cases(max_rows), code_cases(max_rows))
