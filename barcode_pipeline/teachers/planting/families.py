"""The families of planted anomalies: what investigators look for, each in many shapes; and what no one looks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.teachers.planting import codes, copies, corruptions, order, places, travel
from barcode_pipeline.teachers.planting.board import Anchors, Board


class Family(NamedTuple):
    """label: of `formats.LABELS`. rules_see: whether the rules are built for it. meaning: what happens. trace: which
    events bear the label, and which are mere consequences. candidates: the events at which it can be planted, (N,)
    bool. plant: does it. weight: how often, beside the others. grouped: share of the items planted in groups of one
    shipment, of at most `largest`."""

    name: str
    label: str
    rules_see: bool
    meaning: str
    trace: str
    candidates: Callable[[Board], np.ndarray]
    plant: Callable[[Board, Anchors], None]
    weight: float = 1.0
    grouped: float = 0.0
    largest: int = 1


def labels_of(families: Sequence[Family]) -> np.ndarray:
    """(families,) int8 into `formats.LABELS`."""
    return np.array([LABELS.index(family.label) for family in families], dtype=np.int8)


_JOURNEY = "every event of the EPC"
_INSERTED = "the inserted events"

FAMILIES: tuple[Family, ...] = (
    Family("code_shape", "epcFake", True, "a code that has not six parts", _JOURNEY,
           codes.whole_journeys, codes.plant_shape, 0.7),
    Family("code_header", "epcFake", True, "a header that is not 001", _JOURNEY,
           codes.whole_journeys, codes.plant_header, 0.7),
    Family("code_company", "epcFake", True, "a company that is not registered", _JOURNEY,
           codes.whole_journeys, codes.plant_company, 0.7),
    Family("code_product", "epcFake", True, "a product that is not seven digits", _JOURNEY,
           codes.whole_journeys, codes.plant_product, 0.7),
    Family("code_lot", "epcFake", True, "a lot that is not six digits", _JOURNEY,
           codes.whole_journeys, codes.plant_lot, 0.7),
    Family("code_serial", "epcFake", True, "a serial that is not nine digits", _JOURNEY,
           codes.whole_journeys, codes.plant_serial, 0.7),
    Family("code_date", "epcFake", True, "a manufacture date that is no day", _JOURNEY,
           codes.whole_journeys, codes.plant_unreadable_date, 0.7),
    Family("code_future", "epcFake", True, "made after it was seen", _JOURNEY,
           codes.whole_journeys, codes.plant_future_date, 0.7),
    Family("code_old", "epcFake", True, "made over five years before it was seen", _JOURNEY,
           codes.whole_journeys, codes.plant_too_old, 0.7),
    Family("code_missing", "epcFake", True, "a scan without a code",
           "that event; the EPC's next is a consequence", codes.any_event, codes.plant_missing, 0.7),
    Family("beyond_serials", "epcFake", False, "goods of a real lot, beyond its last serial, that come in midway",
           _JOURNEY, codes.enters_midway, codes.plant_beyond_serials, 1.5, 0.6, 25),
    Family("lot_nobody_made", "epcFake", False, "goods of a lot that nobody made, that come in midway",
           _JOURNEY, codes.enters_midway, codes.plant_lots_nobody_made, 1.5, 0.8, 25),
    Family("same_second", "epcDup", True, "scanned at two places in one second",
           "both events; the next is a consequence", copies.known_event, copies.plant_same_second, 1.5, 0.2, 6),
    Family("copy_while_waiting", "epcDup", False, "the item waits, its copy is scanned elsewhere, slowly",
           "the copy's events; the item's next is a consequence",
           copies.waits_long, copies.plant_while_waiting, 3.0, 0.25, 8),
    Family("copy_goes_on", "epcDup", False, "from some point on the copy goes a way of its own",
           "the copy's events; the genuine item's later ones are consequences",
           copies.goes_on, copies.plant_second_way, 1.5, 0.2, 6),
    Family("sold_again", "epcDup", False, "sold, and sold once more in another shop", _INSERTED,
           copies.is_sold, copies.plant_sold_again, 0.7, 0.2, 5),
    Family("backward", "locErr", True, "scanned at a lower level after it had come farther",
           "the inserted event; the next is a consequence", places.has_come_far, places.plant_backward, 1.2, 0.2, 10),
    Family("skipped", "locErr", True, "came within hours past the warehouse or the wholesaler",
           "the arrival", places.passes_a_level, places.plant_skipped, 1.5, 0.2, 10),
    Family("unknown_place", "locErr", True, "a place that is in no table",
           "that event; the next is a consequence", codes.any_event, places.plant_unknown_place, 0.8),
    Family("unknown_step", "locErr", True, "a step that nobody knows", "that event",
           codes.any_event, places.plant_unknown_step, 0.8),
    Family("diverted", "locErr", False, "goes to a hub or wholesaler where its lot never goes",
           "the arrival; all later events are consequences",
           places.could_leave_shipment, places.plant_diverted, 4.0, 0.5, 30),
    Family("diverted_to_shop", "locErr", False, "goes to a shop where its lot never goes, away from its shipment",
           "the arrival; all later events are consequences",
           places.could_leave_for_a_shop, places.plant_diverted, 1.0, 0.5, 20),
    Family("sold_early", "locErr", False, "sold to a customer at a wholesaler", "the inserted sale, the last event",
           places.at_wholesaler, places.plant_sold_early, 0.7, 0.3, 10),
    Family("repeated", "evtOrderErr", True, "the same step at the same place again, minutes to days later",
           _INSERTED, order.could_be_repeated, order.plant_repeated, 1.5, 0.1, 6),
    Family("swapped", "evtOrderErr", True, "the arrival is recorded after the departure",
           "the arrival; departure and next event are consequences",
           order.departs_with_room, order.plant_swapped, 1.2, 0.1, 6),
    Family("type_missing", "evtOrderErr", True, "an event without its type", "that event",
           codes.any_event, order.plant_type_missing, 0.8),
    Family("sent_late", "evtOrderErr", True, "an arrival dated before the departure it follows, sent after it",
           "the arrival", order.could_be_sent_late, order.plant_sent_late, 0.8),
    Family("left_soon", "evtOrderErr", False, "leaves within the hour where its shipment stays for days",
           "the departure; the next is a consequence", order.stays_for_long, order.plant_left_soon, 4.0, 0.5, 30),
    Family("too_fast", "jump", True, "arrives sooner than any truck could", "the arrival",
           travel.comes_from_afar, travel.plant_too_fast, 1.5, 0.15, 6),
    Family("too_slow", "jump", True, "arrives far later than its route ever takes", "the arrival",
           travel.comes_on_a_route, travel.plant_too_slow, 1.5, 0.15, 6),
    Family("ahead", "jump", False, "arrives hours before the shipment it left with", "the arrival",
           travel.travels_at_leisure, travel.plant_ahead, 1.0, 0.3, 10),
)  # fmt: skip

FAMILY_NAMES = tuple(family.name for family in FAMILIES)

CORRUPTIONS: tuple[Family, ...] = (
    Family("corrupted_code", "epcFake", False, "from some event on one part of the code is another",
           "that event and all later ones", corruptions.known_event, corruptions.corrupt_code, 1.0, 0.5, 20),
    Family("corrupted_count", "epcDup", False, "scans made once more, elsewhere, at another time",
           "the inserted events; the genuine ones are consequences",
           corruptions.known_event, corruptions.corrupt_count, 1.0, 0.3, 20),
    Family("corrupted_place", "locErr", False, "a stay at another place",
           "its first event; all later ones are consequences",
           corruptions.comes_to_a_place, corruptions.corrupt_place, 1.0, 0.5, 20),
    Family("corrupted_stay", "evtOrderErr", False, "a stay many times shorter or longer",
           "its end; the next event is a consequence", corruptions.ends_a_stay, corruptions.corrupt_stay, 1.0, 0.5, 20),
)  # fmt: skip
"""Changes at random, for a detector of what nobody has thought of. `planting.leave_out` does not name them."""
