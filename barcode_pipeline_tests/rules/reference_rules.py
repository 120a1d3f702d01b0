"""A second, slow reading of the rules' contract (rules.md), one row at a time, in plain Python.

It exists to disagree with the production kernel: it imports nothing from ``barcode_pipeline``, works on one
object per row, and says above each piece of code which sentence of the contract it carries out. What belongs
here is the five rules and the exact duplicates (data.md); how a row is read is in ``reference_reading``, and
speed, files and columns are nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from .reference_reading import (
    LABELS,
    Event,
    Place,
    Route,
    Row,
    Settings,
    Site,
    distance_km,
    is_same_place,
    is_same_site,
    level_of_word,
    number_missing_last,
    order_key,
    read_row,
    text_missing_last,
)

__all__ = [
    "LABELS",
    "Route",
    "Row",
    "Scores",
    "Settings",
    "Site",
    "is_same_scan",
    "label_rows",
    "labels_of",
    "read_row",
    "surviving_rows",
]

Scores = dict[str, float]


def label_rows(
    rows: Sequence[Row],
    sites: Sequence[Site],
    routes: Sequence[Route],
    settings: Settings | None = None,
) -> list[Scores]:
    """The five scores (0 to 100) of every row, in the order of ``rows``; exact duplicates are not removed.

    Rows that are the same in everything the order looks at keep their order in ``rows``.

    Raises:
        ValueError: an event time cannot be read (such a row is quarantined before any rule sees it).
    """
    settings = settings or Settings()
    events = [read_row(row, sites, settings) for row in rows]
    scores: list[Scores] = [dict.fromkeys(LABELS, 0) for _ in events]
    journeys: dict[str, list[int]] = {}
    for position, event in enumerate(events):
        if event.epc is None:
            # "Missing: epcFake 100 and nothing else (no journey)."
            scores[position]["epcFake"] = 100
        else:
            scores[position]["epcFake"] = epc_fake(event.epc, event.time.date(), settings)
            journeys.setdefault(event.epc, []).append(position)
    for positions in journeys.values():
        ordered = sorted(positions, key=lambda position: order_key(events[position]))
        judged = judge_journey([events[position] for position in ordered], routes, settings)
        for position, found in zip(ordered, judged, strict=True):
            scores[position].update(found)
    return scores


# "The label is `score >= threshold` (default 1 for every rule, configurable per rule)."
def labels_of(scores: Scores, settings: Settings | None = None) -> list[str]:
    """The names of the labels that ``scores`` of one row amount to."""
    thresholds = (settings or Settings()).thresholds
    return [label for label in LABELS if scores[label] >= thresholds[label]]


def judge_journey(journey: list[Event], routes: Sequence[Route], settings: Settings) -> list[Scores]:
    """The four scores that depend on more than the code, of one EPC's events in order."""
    scores: list[Scores] = []
    previous: Event | None = None
    in_a_row = 0  # events of one place, level and direction that end with `previous`, re-reads not counted
    for event in journey:
        found: Scores = {"epcDup": epc_dup([other for other in journey if other.time == event.time])}
        if any(is_sent_too_late(event, other) for other in journey):
            # "It gets evtOrderErr 25 (30 if its event type is missing) and is taken out of the chain: it
            # keeps epcFake, epcDup and unknown place or step (locErr 20), and no more; all other events look
            # past it."
            found["evtOrderErr"] = 30 if event.direction == "missing" else 25
            found["locErr"] = unknown_place_or_step(event)
            found["jump"] = 0
        else:
            # "'Previous' below is the event just before in the chain. The first has none."
            in_a_row = count_in_a_row(previous, event, in_a_row)
            found["locErr"] = loc_err(previous, event)
            found["evtOrderErr"] = evt_order_err(previous, event, in_a_row)
            found["jump"] = jump(previous, event, routes, settings)
            previous = event
        scores.append(found)
    return scores


# "Digits are ASCII digits."
def is_digits(text: str, length: int) -> bool:
    return len(text) == length and all(character in "0123456789" for character in text)


# "epcFake, malformed or impossible code. Not six parts: 100. Else the sum, at most 100, of: header not
# `001` 20, plus company not registered 25 (configurable [...]), plus product not 7 digits 15, plus lot not 6
# digits 15, plus serial not 9 digits 10, plus manufacture date: [...]. Header, company and date all wrong in
# any of these ways: 100."
def epc_fake(epc: str, event_day: date, settings: Settings) -> float:
    parts = epc.split(".")
    if len(parts) != 6:
        return 100
    header, company, product, lot, manufactured, serial = parts
    header_score = 0 if header == "001" else 20
    company_score = 0 if company in settings.companies else 25
    date_score = manufacture_date_score(manufactured, event_day)
    if header_score and company_score and date_score:
        return 100
    total = header_score + company_score + date_score
    total += 0 if is_digits(product, 7) else 15
    total += 0 if is_digits(lot, 6) else 15
    total += 0 if is_digits(serial, 9) else 10
    return min(100, total)


# "Manufacture date: unreadable 20 (not 8 digits or no calendar day of the years 0001 to 9999), later than the
# event's day 20, or too old 15 (the event's day lies after the same day five years on; 29 February counts as
# 1 March)."
def manufacture_date_score(text: str, event_day: date) -> float:
    if not is_digits(text, 8):
        return 20
    try:
        made = date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return 20
    if made > event_day:
        return 20
    month_and_day = (3, 1) if (made.month, made.day) == (2, 29) else (made.month, made.day)
    too_old_after = (made.year + 5, *month_and_day)
    return 15 if (event_day.year, event_day.month, event_day.day) > too_old_after else 0


# "epcDup, one EPC at several sites at one instant. Rows of an EPC in the same second, taken in order, each
# joining the first site it is the same site as (compared with the row that opened it), else opening a new
# one; n >= 2 sites: min(100, 80 + 10·(n - 1)) on every row of that second."
def epc_dup(same_second: list[Event]) -> float:
    openers: list[Event] = []
    for event in same_second:
        if not any(is_same_site(opener, event) for opener in openers):
            openers.append(event)
    sites = len(openers)
    return min(100, 80 + 10 * (sites - 1)) if sites >= 2 else 0


# "Sent too late (only where rows carry the sender's event ids): an event with a higher id, yet an earlier
# time, than an event of the same EPC at a lower level, a step that must come first."
def is_sent_too_late(event: Event, other: Event) -> bool:
    if event.event_id is None or other.event_id is None or event.level is None or other.level is None:
        return False
    return event.event_id > other.event_id and event.time < other.time and other.level < event.level


# "locErr, impossible place. Unknown place or unknown step 20."
def unknown_place_or_step(event: Event) -> float:
    return 20 if not event.place.is_known or event.level is None else 0


# "Against the previous event, if at another place and both levels known: backward (lower level) 30; skipping
# the warehouse or the wholesaler (from level 0 to >= 2, or from <= 2 to >= 4) 30. Skipping only the hub
# (1 -> 3) is direct delivery and normal."
def loc_err(previous: Event | None, event: Event) -> float:
    score = unknown_place_or_step(event)
    if previous is None or is_same_place(previous, event):
        return score
    if previous.level is None or event.level is None:
        return score
    backward = event.level < previous.level
    skips_warehouse = previous.level == 0 and event.level >= 2
    skips_wholesaler = previous.level <= 2 and event.level >= 4
    # "Within one rule the highest part counts."
    return 30 if backward or skips_warehouse or skips_wholesaler else score


# "... the same level (unknown equals unknown here) and direction in a row ..."
def repeats(previous: Event, event: Event) -> bool:
    return is_same_place(previous, event) and previous.level == event.level and previous.direction == event.direction


# "A row of the same level and direction as the previous, at most 60 s after it, is a re-read: no error, and
# it neither counts as nor ends a repetition."
def is_reread(previous: Event, event: Event) -> bool:
    return repeats(previous, event) and (event.time - previous.time).total_seconds() <= 60


def count_in_a_row(previous: Event | None, event: Event, before: int) -> int:
    """How many in a row ``event`` makes, where ``previous`` made ``before``; a re-read adds none."""
    if previous is None or not repeats(previous, event):
        return 1
    return before if is_reread(previous, event) else before + 1


# "evtOrderErr, out of order within one place. Missing event type 30. Against the previous event, if at the
# same place and neither type is missing: allowed are in -> out and out -> sale; everything else 25, plus 15
# for each further repetition of the same level (unknown equals unknown here) and direction in a row (third in
# a row 40, fourth 55, … at most 100)."
def evt_order_err(previous: Event | None, event: Event, in_a_row: int) -> float:
    if event.direction == "missing":
        return 30
    if previous is None or not is_same_place(previous, event) or previous.direction == "missing":
        return 0
    if (previous.direction, event.direction) in (("in", "out"), ("out", "sale")):
        return 0
    if is_reread(previous, event):
        return 0
    further_repetitions = max(0, in_a_row - 2)
    return min(100, 25 + 15 * further_repetitions)


# "Routes are looked up by the names of known places."
def find_route(origin: Place, destination: Place, routes: Sequence[Route]) -> Route | None:
    if not origin.is_known or not destination.is_known:
        return None
    for route in routes:
        if route.origin == origin.name and route.destination == destination.name:
            return route
    return None


# "jump, travel that no truck can make, from the previous event to this one, not the same site. Both
# coordinates known and elapsed time below what the route needs: 95. The route needs distance / v_max
# (haversine, Earth radius 6371 km, v_max default 100 km/h), or its own observed minimum in the transition
# table where that is less."
def jump(previous: Event | None, event: Event, routes: Sequence[Route], settings: Settings) -> float:
    if previous is None or is_same_site(previous, event):
        return 0
    elapsed = (event.time - previous.time).total_seconds() / 3600
    route = find_route(previous.place, event.place, routes)
    distance = distance_km(previous.place, event.place)
    if distance is not None:
        needed = distance / settings.v_max
        if route is not None and route.minimum < needed:
            needed = route.minimum
        if elapsed < needed:
            return 95
    # "Otherwise, from an out to an in event whose route is in the table with σ > 0: z = |elapsed - mean| / σ;
    # z <= 2: 0, <= 3: 60, <= 4: 80, above: 95. Otherwise 0."
    if previous.direction == "out" and event.direction == "in" and route is not None and route.std > 0:
        z = abs(elapsed - route.mean) / route.std
        return 0 if z <= 2 else 60 if z <= 3 else 80 if z <= 4 else 95
    return 0


# "Two rows are the same scan (an exact duplicate) if EPC, time to the second, place, step and event type
# agree as rules.md reads them (level and direction; a word it does not know, as given; missing equals
# missing)."
def is_same_scan(a: Row, b: Row, sites: Sequence[Site], settings: Settings | None = None) -> bool:
    settings = settings or Settings()
    return scan_signature(read_row(a, sites, settings)) == scan_signature(read_row(b, sites, settings))


def scan_signature(event: Event) -> tuple[object, ...]:
    return (
        event.epc,
        event.time,
        event.place.identity,
        event.level,
        event.step if level_of_word(event.step) is None else None,
        event.direction,
        event.event_type if event.direction == "other" and level_of_word(event.event_type) is None else None,
    )


# "The one with the lowest event id (missing last), then the smallest by all its columns, stays."
def surviving_rows(rows: Sequence[Row], sites: Sequence[Site], settings: Settings | None = None) -> list[int]:
    """The positions in ``rows``, ascending, of the rows that stay once exact duplicates are removed.

    Of rows alike in every column as the rules read them, the first in ``rows`` stays.
    """
    settings = settings or Settings()
    events = [read_row(row, sites, settings) for row in rows]
    scans: dict[tuple[object, ...], list[int]] = {}
    for position, event in enumerate(events):
        scans.setdefault(scan_signature(event), []).append(position)
    return sorted(min(same, key=lambda position: survivor_key(events[position])) for same in scans.values())


def survivor_key(event: Event) -> tuple[object, ...]:
    # The columns in the order of the event's key; EPC, time and resolved place are equal in one scan.
    return (
        *number_missing_last(event.event_id),
        *text_missing_last(event.given_name),
        *text_missing_last(event.step),
        *text_missing_last(event.event_type),
    )
