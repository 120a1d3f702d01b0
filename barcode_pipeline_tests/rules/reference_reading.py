"""How a row is read, before any rule: the first part of the rules' contract (rules.md), in plain Python.

Here stand the rows, tables and settings of the reference, and time, text, code, level, direction, place, site
and order as the contract defines them, each under the sentence it carries out. The rules themselves are in
``reference_rules``. Like that, it imports nothing from ``barcode_pipeline``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

LABELS = ("epcFake", "epcDup", "locErr", "evtOrderErr", "jump")


@dataclass(frozen=True)
class Row:
    """One scan as a sender gives it: nothing stripped, converted or resolved."""

    epc_code: str | None
    event_time: str
    location_id: str | int | float | None
    scan_location: str | None
    business_step: str | None
    event_type: str | None
    event_id: int | None = None


@dataclass
class Site:
    """One line of the location table; coordinates in degrees, None where the table has none."""

    location_id: int
    name: str
    latitude: float | None
    longitude: float | None


@dataclass
class Route:
    """One line of the transition table, from name to name; times in hours."""

    origin: str
    destination: str
    mean: float
    std: float
    minimum: float


@dataclass
class Settings:
    """What the contract calls configurable, with the contract's defaults."""

    companies: tuple[str, ...] = ("8804823", "8805843", "8809437")
    v_max: float = 100.0  # km/h
    thresholds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(LABELS, 1.0))
    zone: str = "Asia/Seoul"


@dataclass(frozen=True)
class Place:
    """Where a row was scanned; ``identity`` is what places are told apart by."""

    identity: tuple[str, object]
    location_id: int | str | None  # as resolved; text where it is no whole number
    name: str | None  # the table's name, for a known place only
    latitude: float | None
    longitude: float | None

    @property
    def is_known(self) -> bool:
        return self.identity[0] == "site"


@dataclass(frozen=True)
class Event:
    """One row as the rules read it."""

    epc: str | None
    time: datetime  # naive, in the pipeline's zone, to the second
    place: Place
    given_name: str | None
    step: str | None
    event_type: str | None
    event_id: int | None
    level: int | None
    direction: str  # in, out, sale, missing, other


# "Every field is stripped; empty, `null` and `nan` (in any case) are missing."
def read_text(value: object) -> str | None:
    if value is None:
        return None
    text = str(value).strip()
    return None if text.lower() in ("", "null", "nan") else text


# "Aware times are converted to the pipeline's zone (default Asia/Seoul), naive ones are in it; fractions of a
# second are cut off. All before keys, dates and rules."
def read_time(value: str, zone: str) -> datetime:
    moment = datetime.fromisoformat(value.strip())
    if moment.tzinfo is not None:
        moment = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    return moment.replace(microsecond=0, fold=0)


# "EPC: upper-cased, `-` read as `.`."
def read_epc(value: str | None) -> str | None:
    text = read_text(value)
    return None if text is None else text.upper().replace("-", ".")


# "Level of a step: Factory 0, WMS 1, Logistics_HUB 2, Wholesaler 3, Retailer 4, POS_Sell 5. Names,
# case-insensitive and whole, each alone or followed by `_Inbound` or `_Outbound`: 0 `Factory`, `Aggregation`;
# 1 `WMS`, `Warehouse`; 2 `Logistics_HUB`, `HUB`; 3 `W_Stock`, `Wholesaler`, `Distribution`; 4 `R_Stock`,
# `Retailer`, `Retail`; 5 `POS_Sell`."
LEVEL_NAMES: dict[int, tuple[str, ...]] = {
    0: ("Factory", "Aggregation"),
    1: ("WMS", "Warehouse"),
    2: ("Logistics_HUB", "HUB"),
    3: ("W_Stock", "Wholesaler", "Distribution"),
    4: ("R_Stock", "Retailer", "Retail"),
    5: ("POS_Sell",),
}


def level_of_word(word: str | None) -> int | None:
    if word is None:
        return None
    for level, names in LEVEL_NAMES.items():
        for name in names:
            for whole in (name, name + "_Inbound", name + "_Outbound"):
                if word.lower() == whole.lower():
                    return level
    return None


# "From `business_step`; where that is not known, from `event_type`; never from a location's name. Else
# unknown."
def level_of_row(step: str | None, event_type: str | None) -> int | None:
    level = level_of_word(step)
    return level if level is not None else level_of_word(event_type)


# "Direction, from `event_type` alone: in (`Inbound`, any of the names with `_Inbound`, `Aggregation`), out
# (`Outbound`, any of the names with `_Outbound`), sale (`POS_Sell`), missing, or other (anything else)."
def direction_of_row(event_type: str | None) -> str:
    if event_type is None:
        return "missing"
    word = event_type.lower()
    is_a_name = level_of_word(event_type) is not None
    if word in ("inbound", "aggregation") or (is_a_name and word.endswith("_inbound")):
        return "in"
    if word == "outbound" or (is_a_name and word.endswith("_outbound")):
        return "out"
    return "sale" if word == "pos_sell" else "other"


# "`17.0` is 17". What is no whole number is in no table, and tells places apart as the text it is.
def read_location_id(value: str | int | float | None) -> int | str | None:
    text = read_text(value)
    if text is None or re.fullmatch(r"[+-]?[0-9]+(\.0*)?", text) is None:
        return text
    return int(text.partition(".")[0])


# "Place: `location_id` where it is in the table (`17.0` is 17); else `scan_location` by exact name; else
# unknown, and then known apart by the id, or the name."
def read_place(location_id: int | str | None, name: str | None, sites: Sequence[Site]) -> Place:
    for site in sites:
        if location_id is not None and site.location_id == location_id:
            return place_of_site(site)
    for site in sites:
        if name is not None and site.name == name:
            return place_of_site(site)
    identity: tuple[str, object] = ("id", location_id) if location_id is not None else ("name", name)
    return Place(identity, location_id, None, None, None)


def place_of_site(site: Site) -> Place:
    return Place(("site", site.location_id), site.location_id, site.name, site.latitude, site.longitude)


def read_row(row: Row, sites: Sequence[Site], settings: Settings) -> Event:
    step = read_text(row.business_step)
    event_type = read_text(row.event_type)
    given_name = read_text(row.scan_location)
    return Event(
        epc=read_epc(row.epc_code),
        time=read_time(row.event_time, settings.zone),
        place=read_place(read_location_id(row.location_id), given_name, sites),
        given_name=given_name,
        step=step,
        event_type=event_type,
        event_id=row.event_id,
        level=level_of_row(step, event_type),
        direction=direction_of_row(event_type),
    )


# "haversine, Earth radius 6371 km"
def distance_km(a: Place, b: Place) -> float | None:
    """Great-circle distance, None where a coordinate of either place is not known."""
    if a.latitude is None or a.longitude is None or b.latitude is None or b.longitude is None:
        return None
    half_north = math.radians(b.latitude - a.latitude) / 2
    half_east = math.radians(b.longitude - a.longitude) / 2
    cosines = math.cos(math.radians(a.latitude)) * math.cos(math.radians(b.latitude))
    chord = math.sin(half_north) ** 2 + cosines * math.sin(half_east) ** 2
    return 2 * 6371.0 * math.asin(min(1.0, math.sqrt(chord)))


def is_same_place(a: Event, b: Event) -> bool:
    return a.place.identity == b.place.identity


# "Same site: the same place, or a row of level 0 and a row of level 1 at most 5 km apart."
def is_same_site(a: Event, b: Event) -> bool:
    if is_same_place(a, b):
        return True
    if {a.level, b.level} != {0, 1}:
        return False
    distance = distance_km(a.place, b.place)
    return distance is not None and distance <= 5.0


DIRECTION_ORDER = {"in": 0, "out": 1, "sale": 2, "other": 3, "missing": 3}


# "Order of an EPC's events: time to the second; level 0 to 5, unknown last; in, out, sale, other or missing;
# event id as an integer, missing last; location id as resolved, missing last; name; step, then event type, as
# given. The order of rows in files never matters."
def order_key(event: Event) -> tuple[object, ...]:
    return (
        event.time,
        6 if event.level is None else event.level,
        DIRECTION_ORDER[event.direction],
        *number_missing_last(event.event_id),
        *location_id_missing_last(event.place.location_id),
        *text_missing_last(event.given_name),
        *text_missing_last(event.step),
        *text_missing_last(event.event_type),
    )


def number_missing_last(number: int | None) -> tuple[bool, int]:
    return (True, 0) if number is None else (False, number)


# Where an id that is no whole number stands, the contract does not say: behind the numbers, by its text.
def location_id_missing_last(location_id: int | str | None) -> tuple[int, int, str]:
    if location_id is None:
        return (2, 0, "")
    return (0, location_id, "") if isinstance(location_id, int) else (1, 0, location_id)


# The contract does not say where a missing name, step or type stands: last, as everywhere else in the order.
def text_missing_last(text: str | None) -> tuple[bool, str]:
    return (True, "") if text is None else (False, text)
