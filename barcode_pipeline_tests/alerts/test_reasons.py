"""Reasons in words: every kind of evidence says something, and nothing says `nan` or `None`."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.alerts.reasons import explain
from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.events.merging import read_events
from barcode_pipeline.models.attribution import GROUPS, NO_GROUP, Attribution
from barcode_pipeline.rules import kernel
from barcode_pipeline.rules.labels import score_events
from barcode_pipeline.rules.settings import RuleSettings
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline_tests.rules import strategies
from barcode_pipeline_tests.rules.reference_rules import Route, Row, Site
from barcode_pipeline_tests.worlds import events_table, reference

NORTH = strategies.DEGREES_PER_KM
SITES = [
    Site(1, "factory one", 37.0, 127.0),
    Site(2, "warehouse", 37.0 + 4 * NORTH, 127.0),
    Site(3, "hub", 37.0 + 320 * NORTH, 127.0),
    Site(4, "nowhere", None, None),
    Site(5, "wholesaler", 37.0 + 350 * NORTH, 127.0),
    Site(6, "shop", 37.0 + 352 * NORTH, 127.0),
]
ROUTES = [Route("wholesaler", "shop", 50.0, 2.5, 0.02), Route("hub", "wholesaler", 30.0, 2.0, 0.1)]
CODE = "001.8804823.1203199.150002.20250620.000000001"
FAKE, DUPLICATE, LOCATION, ORDER, JUMP = range(5)


def scan(place, step, kind, hours=0.0, code=CODE, event_id=None, name=None):
    time = str(np.datetime64("2025-07-01T10:00:00") + np.timedelta64(round(hours * 3600), "s")).replace("T", " ")
    return Row(code, time, place, name, step, kind, event_id)


def said_of(rows, alerts=None, probability=0.93, sites=SITES, routes=ROUTES, attribution=None):
    """The reason of each row by its number; alerts: (row, label), those of the rules where None."""
    table, numbers = events_table(rows)
    tables = reference(sites, routes)
    events = read_events(table, tables.sites)
    judged = score_events(events, tables, RuleSettings())
    place_of = np.argsort(numbers)
    if alerts is None:
        wanted = judged.scores > 0
    else:
        wanted = np.zeros((len(rows), len(LABELS)), bool)
        for row, label in alerts:
            wanted[place_of[row], label] = True
    if attribution is not None:
        attribution = attribution.by_source(place_of)
    said = explain(events, judged, wanted, np.full(wanted.shape, probability), tables, 100.0, attribution)
    return pd.Series(said.to_pylist(), dtype=object)[place_of].tolist()


def code_with(**parts):
    values = {"header": "001", "company": "8804823", "product": "1203199", "lot": "150002", "date": "20250620",
              "serial": "000000001"} | parts  # fmt: skip
    return ".".join(values.values())


FACTORY = ("Factory", "Factory_Inbound")
WMS_IN, WMS_OUT = ("WMS", "WMS_Inbound"), ("WMS", "WMS_Outbound")
HUB_IN, HUB_OUT = ("Logistics_HUB", "HUB_Inbound"), ("Logistics_HUB", "HUB_Outbound")
SHOP_IN = ("R_Stock", "R_Stock_Inbound")
W_IN, W_OUT = ("W_Stock", "W_Stock_Inbound"), ("W_Stock", "W_Stock_Outbound")
NORMAL_CODE = "; a code is 001.company.product.lot.YYYYMMDD.serial, made before its scans"
NORMAL_ORDER = "; at one place an arrival is followed by a departure, a departure by a sale"

# (what is tried, rows, what is said of the last of them)
EXAMPLES = [
    ("no code", [scan(1, *FACTORY, code=None)], "epcFake: the row has no code" + NORMAL_CODE),
    ("parts", [scan(1, *FACTORY, code="001.2")], "epcFake: the code has not six parts" + NORMAL_CODE),
    ("header", [scan(1, *FACTORY, code=code_with(header="002"))], "epcFake: its header is not 001" + NORMAL_CODE),
    (
        "company",
        [scan(1, *FACTORY, code=code_with(company="9999999"))],
        "epcFake: its company is not registered" + NORMAL_CODE,
    ),
    (
        "product, lot and serial",
        [scan(1, *FACTORY, code=code_with(product="12", lot="1", serial="1"))],
        "epcFake: its product has not seven digits, its lot has not six digits, its serial has not nine digits"
        + NORMAL_CODE,
    ),
    (
        "date",
        [scan(1, *FACTORY, code=code_with(date="20250231"))],
        "epcFake: its manufacture date is no calendar day" + NORMAL_CODE,
    ),
    (
        "future",
        [scan(1, *FACTORY, code=code_with(date="20250702"))],
        "epcFake: it was made after it was scanned" + NORMAL_CODE,
    ),
    (
        "old",
        [scan(1, *FACTORY, code=code_with(date="20200620"))],
        "epcFake: it was made more than five years before" + NORMAL_CODE,
    ),
    (
        "two sites",
        [scan(5, *W_OUT), scan(4, *SHOP_IN)],
        "epcDup: scanned at 2 sites in one second; an item is at one site at a time",
    ),
    (
        "five sites",
        [*(scan(place, *SHOP_IN) for place in (1, 3, 5, 6)), scan(4, *SHOP_IN)],
        "epcDup: scanned at four or more sites in one second; an item is at one site at a time",
    ),
    (
        "unknown place by name",
        [scan(None, *FACTORY, name="Atlantis")],
        "locErr: place Atlantis is not in the sites table; every place is in the sites table",
    ),
    (
        "unknown place by id",
        [scan(999, *FACTORY)],
        "locErr: place 999 is not in the sites table; every place is in the sites table",
    ),
    (
        "unknown place by an id that is no number",
        [scan("A-17", *FACTORY)],
        "locErr: place without a name is not in the sites table; every place is in the sites table",
    ),
    (
        "unknown step",
        [scan(1, "Mars", "Inbound")],
        "locErr: its step is not known; a step is one of Factory to POS_Sell",
    ),
    (
        "backward",
        [scan(5, *W_OUT), scan(4, *HUB_IN, hours=9)],
        "locErr: went backward: Logistics_HUB in at nowhere after Wholesaler out at wholesaler; "
        "goods move from factory towards sale",
    ),
    (
        "no warehouse",
        [scan(1, *FACTORY), scan(4, *HUB_IN, hours=9)],
        "locErr: skipped the warehouse: Logistics_HUB in at nowhere after Factory in at factory one; "
        "goods pass the warehouse",
    ),
    (
        "no wholesaler",
        [scan(3, *HUB_OUT), scan(4, *SHOP_IN, hours=9)],
        "locErr: skipped the wholesaler: Retailer in at nowhere after Logistics_HUB out at hub; "
        "goods pass the wholesaler",
    ),
    (
        "no event type",
        [scan(1, "Factory", None)],
        "evtOrderErr: its event type is missing; every scan says in, out or sale",
    ),
    (
        "repeated",
        [scan(2, *WMS_IN), scan(2, *WMS_IN, hours=2)],
        "evtOrderErr: repeated: WMS in after WMS in at the same place, 2 h apart" + NORMAL_ORDER,
    ),
    (
        "in after out",
        [scan(2, *WMS_OUT), scan(2, *WMS_IN, hours=0.5)],
        "evtOrderErr: WMS in after WMS out at the same place, 30 min apart" + NORMAL_ORDER,
    ),
    (
        "sent too late",
        [scan(2, *WMS_IN, hours=2, event_id=1), scan(4, *HUB_IN, hours=1, event_id=2)],
        "evtOrderErr: was sent after a step that must come later; scans are sent in the order they happen",
    ),
    (
        "too fast",
        [scan(1, *WMS_OUT), scan(3, *HUB_IN, hours=2)],
        "jump: arrived 320 km away after 2 h; the fastest truck needs 3.2 h",
    ),
    (
        "too fast for the fastest trip",
        [scan(5, *W_OUT), scan(6, *SHOP_IN)],
        "epcDup: scanned at 2 sites in one second; an item is at one site at a time | "
        "jump: arrived 2 km away after 0 min; the fastest truck needs 1 min",
    ),
    (
        "too slow",
        [scan(5, *W_OUT), scan(6, *SHOP_IN, hours=100)],
        "jump: took 4 d from wholesaler to shop; the route usually takes 50 h ± 2.5 h",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "expected"), [e[1:] for e in EXAMPLES], ids=[e[0] for e in EXAMPLES])
def test_rules_in_words(rows, expected):
    assert said_of(rows)[-1] == expected


def test_every_evidence_has_an_example():
    """Each (label, evidence) that the kernel knows speaks in one of the examples."""
    found = set()
    for _, rows, _ in EXAMPLES:
        table, _ = events_table(rows)
        tables = reference(SITES, ROUTES)
        evidence = score_events(read_events(table, tables.sites), tables, RuleSettings()).evidence
        for label in (DUPLICATE, LOCATION, ORDER, JUMP):
            found |= {(label, int(one)) for one in np.unique(evidence[:, label])}
        found |= {(FAKE, bit) for bit in (1 << n for n in range(10)) if (evidence[:, FAKE] & bit).any()}
    known = {
        *((FAKE, 1 << bit) for bit in range(10)),
        *((LOCATION, one) for one in range(kernel.UNKNOWN_PLACE, kernel.WHOLESALER_SKIPPED + 1)),
        *((ORDER, one) for one in range(kernel.TYPE_MISSING, kernel.SENT_TOO_LATE + 1)),
        *((JUMP, one) for one in range(kernel.FASTER_THAN_TRUCK, kernel.UNUSUAL_FOR_ROUTE + 1)),
        (DUPLICATE, 2),
        (DUPLICATE, 4),
    }
    assert known <= found


ALONE = [
    ("first", [scan(2, *WMS_IN)], "WMS in at warehouse, with no scan before it to compare; no rule is broken"),
    ("no EPC", [scan(2, *WMS_IN), scan(2, *WMS_IN, hours=1, code=None)],
     "WMS in at warehouse, with no scan before it to compare; no rule is broken"),
    ("same place", [scan(2, *WMS_IN), scan(2, *WMS_OUT, hours=0.1)],
     "WMS out at warehouse 6 min after WMS in at warehouse; no rule is broken"),
    ("far away", [scan(2, *WMS_OUT), scan(3, *HUB_IN, hours=24)],
     "Logistics_HUB in at hub 24 h after WMS out at warehouse, 316 km away; no rule is broken"),
    ("without coordinates", [scan(2, *WMS_OUT), scan(4, *HUB_IN, hours=24)],
     "Logistics_HUB in at nowhere 24 h after WMS out at warehouse; no rule is broken"),
    ("on a route", [scan(3, *HUB_OUT), scan(5, *W_IN, hours=29)],
     "Wholesaler in at wholesaler 29 h after Logistics_HUB out at hub, 30 km away; the route usually takes 30 h"),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "expected"), [e[1:] for e in ALONE], ids=[e[0] for e in ALONE])
def test_the_model_alone_in_words(rows, expected):
    said = said_of(rows, alerts=[(len(rows) - 1, LOCATION)])
    assert said[-1] == "locErr: the model alone (93 %): " + expected
    assert said[:-1] == [None] * (len(rows) - 1)


def test_several_labels_are_joined_in_their_order():
    rows = [scan(1, *FACTORY), scan(999, *HUB_IN, hours=1)]
    said = said_of(rows, alerts=[(1, JUMP), (1, LOCATION)])[1]
    assert re.fullmatch(r"locErr: skipped the warehouse: [^|]* \| jump: the model alone \(93 %\): [^|]*", said)


def test_an_alert_of_another_label_than_the_rule_spoke_on_is_the_models():
    said = said_of([scan(999, *FACTORY)], alerts=[(0, JUMP)])[0]
    assert said.startswith("jump: the model alone")
    assert "sites table" not in said


def test_no_alert_no_words():
    assert said_of([scan(1, *FACTORY), scan(999, *HUB_IN)], alerts=[]) == [None, None]
    assert said_of([], alerts=[]) == []


@pytest.mark.parametrize(
    ("hours", "words"),
    [(0, "0 min"), (90 / 3600, "2 min"), (0.5, "30 min"), (1, "1 h"), (3.25, "3.2 h"), (10, "10 h"), (71.9, "71.9 h"),
     (72, "3 d"), (24 * 28, "28 d"), (3599 / 3600, "1 h"), (71.99, "3 d")],
)  # fmt: skip
def test_lengths_of_time_in_words(hours, words):
    said = said_of([scan(2, *WMS_IN), scan(2, *WMS_OUT, hours=hours)], alerts=[(1, ORDER)])[1]
    assert f"at warehouse {words} after" in said


WORDLESS = re.compile(r"\b(nan|none|nat|null|<na>)\b", re.IGNORECASE)


@settings(max_examples=50, deadline=None)
@given(strategies.cases())
def test_whatever_comes_words_are_whole(case):
    every = [(row, label) for row in range(len(case.rows)) for label in range(len(LABELS))]
    for alerts in (None, every):
        for said in said_of(case.rows, alerts, 0.5, case.world.sites, case.world.routes):
            assert said is not None or alerts is None
            if said is not None:
                assert not WORDLESS.search(said), said
                for part in said.split(" | "):
                    assert re.match(rf"({'|'.join(LABELS)}): .+; .+", part), said


# What moved the model, in words.

NAMED = {name: column for column, name in enumerate(FEATURE_NAMES)}


def moved_by(rows, groups, own, ordinary, label=LOCATION, parts=(2.0, 1.0), earlier=-1):
    """An attribution of the last row: groups by name; own and ordinary (low, middle, high) by feature."""
    group = np.array([[GROUPS.index(name) for name in groups] + [NO_GROUP] * (2 - len(groups))], dtype=np.int16)
    values, usual = np.zeros((1, len(FEATURE_NAMES))), np.zeros((1, 3, len(FEATURE_NAMES)))
    for name, value in own.items():
        values[0, NAMED[name]] = value
    for name, three in ordinary.items():
        usual[0, :, NAMED[name]] = three
    return Attribution(
        np.array([len(rows) - 1]), np.array([label]), group, np.array([parts]), np.array([earlier]), values, usual
    )


def hours(*values):
    return [np.log1p(value) / 2 for value in values]


def grown(scale, *values):
    found = [np.log1p(value) / scale for value in values]
    return found if len(found) > 1 else found[0]


STAY = [scan(2, *WMS_IN), scan(2, *WMS_OUT, hours=0.1)]
LEFT = [scan(2, *WMS_OUT), scan(5, *W_IN, hours=50)]
MOVED = [
    ("time", STAY, ["time"], {}, {"log_hours_since_previous": hours(20, 24, 40)},
     "the time since the scan before, 6 min; this step usually takes 20 h to 40 h"),
    ("time, first", STAY[:1], ["time"], {}, {"log_hours_since_previous": hours(2, 2, 2)},
     "having no scan before it to measure time from; this step usually takes 2 h"),
    ("site of the shipment", LEFT, ["lot_site"],
     {"lot_log_events": grown(3, 1240), "lot_log_share_of_site": -2.5},
     {"lot_log_share_of_site": np.log([0.4, 0.9, 1]) / 2},
     "a site unusual for its shipment, where about under 1 % of its lot's Wholesaler in scans were so far (about "
     "1,240 scans of the lot in all); usually 40 % to 100 % of them are at one site"),
    ("first of its lot", LEFT, ["lot_site"], {}, {"lot_log_share_of_site": np.log([0.5, 0.5, 0.5]) / 2},
     "being the first scan of its lot; usually 50 % of them are at one site"),
    ("way", LEFT, ["lot_way"], {}, {"lot_log_moves_alike": grown(3, 10, 60, 90)},
     "a way unusual for its shipment, which about 0 of its lot took before it; usually about 60 did"),
    ("lag", LEFT, ["lot_pace"], {"lot_hours_since_last": grown(3, 400)}, {"lot_hours_since_last": [0, 0, 3]},
     "its lag behind its shipment, last seen at this step here about 17 d before; usually 0 min to never before"),
    ("never here", LEFT, ["lot_pace"], {"lot_hours_since_last": 3}, {"lot_hours_since_last": [0, 0, 0]},
     "its shipment never having been seen at this step here; usually 0 min before"),
    ("companions", LEFT, ["companions"],
     {"companions_log_count": grown(2, 19), "companions_log_elsewhere": grown(2, 15),
      "companions_log_waiting": grown(2, 4)}, {"companions_log_here": grown(2, 10, 20, 30)},
     "the way of the items that were with it (about 0 came here, 15 went elsewhere, 4 were not seen since); usually "
     "about 20 come along"),
    ("alone", LEFT, ["companions"], {}, {"companions_log_here": grown(2, 10, 20, 30)},
     "no other item having been with it at the scan before; usually about 20 come along"),
    ("serial", LEFT, ["made"], {"serial_beyond": grown(2, 500)}, {},
     "its serial, about 500 beyond the highest of its lot that was seen to be made; goods were seen at the factory or "
     "warehouse before"),
    ("lot never made", LEFT, ["made"], {"lot_never_made": 1}, {},
     "its lot, of which nothing was seen to be made; goods were seen at the factory or warehouse before"),
    ("step before", LEFT, ["step_before"], {},
     {"previous_level": [1, 1, 1], "previous_out": [1, 1, 1], "same_place": [0, 0, 0]},
     "what it follows, WMS out at warehouse; this step usually follows Logistics_HUB out at another place"),
    ("first of all", STAY[:1], ["step_before"], {},
     {"previous_level": [0.5, 0.5, 0.5], "previous_in": [1, 1, 1], "same_place": [1, 1, 1]},
     "having no scan before it; this step usually follows WMS in at the same place"),
    ("not the first", STAY, ["step_before"], {}, {"is_first": [1, 1, 1]},
     "what it follows, WMS in at warehouse; this step usually is the first scan"),
    ("distance", LEFT, ["distance"], {"distance_known": 1, "log_distance": grown(2, 346)},
     {"log_distance": grown(2, 5, 20, 80)},
     "the distance, about 346 km; this step usually is 5 km to 80 km from the one before"),
    ("distance not known", LEFT, ["distance"], {}, {"log_distance": grown(2, 5, 20, 80)},
     "a distance that is not known; this step usually is 5 km to 80 km from the one before"),
    ("age", STAY, ["age"], {"code_date_readable": 1, "years_since_manufacture": 400 / 730.5},
     {"years_since_manufacture": np.array([2, 3, 9]) / 730.5},
     "its age, about 400 d after manufacture; this step usually comes 2 d to 9 d after manufacture"),
    ("age not told", STAY, ["age"], {}, {"years_since_manufacture": [0, 0, 0]},
     "an age that its code does not tell; this step usually comes 0 d after manufacture"),
    ("journey", LEFT, ["journey"], {"log_position": grown(1, 11), "log_hours_since_first": grown(3, 240)},
     {"log_position": grown(1, 2, 2, 4), "log_hours_since_first": grown(3, 30, 48, 240)},
     "being scan 12 of its journey, about 10 d after the first; this step usually is scan 3 to 5, 30 h to 10 d after "
     "the first"),
    ("history", LEFT, ["history"], {}, {},
     "what came before in its journey; by itself it would be less suspicious"),
    ("code", STAY, ["code"], {}, {}, "the form of its code" + NORMAL_CODE),
    ("place", STAY, ["place"], {}, {}, "a place that is not known; places are in the sites table"),
    ("second", STAY, ["second"], {"sites_in_second": 1}, {},
     "its sites in one second, 2; an item is at one site at a time"),
    ("sending", STAY, ["sending"], {"overtaken_levels": 1}, {},
     "having been sent after a step that must come later; scans are sent in the order they happen"),
]  # fmt: skip


def said_with(rows, attribution, alerts=((-1, LOCATION),)):
    return said_of(rows, alerts=[(len(rows) + row, label) for row, label in alerts], attribution=attribution)[-1]


@pytest.mark.parametrize(
    ("rows", "groups", "own", "ordinary", "expected"), [m[1:] for m in MOVED], ids=[m[0] for m in MOVED]
)
def test_what_moved_the_model_in_words(rows, groups, own, ordinary, expected):
    said = said_with(rows, moved_by(rows, groups, own, ordinary))
    assert said.startswith("locErr: the model alone (93 %): ")
    assert said.endswith(", most of all for " + expected)


def test_every_group_has_an_example():
    assert {groups[0] for _, _, groups, *_ in MOVED} == set(GROUPS)


def test_two_groups_are_said_where_the_second_matters():
    usual = {"log_hours_since_previous": hours(20, 24, 40)}
    both = said_with(STAY, moved_by(STAY, ["time", "history"], {}, usual, parts=(2.0, 0.6)))
    assert both.endswith(
        "WMS out at warehouse 6 min after WMS in at warehouse, most of all for the time since the scan before, 6 min, "
        "then for what came before in its journey; this step usually takes 20 h to 40 h, and by itself it would be "
        "less suspicious"
    )
    one = said_with(STAY, moved_by(STAY, ["time", "history"], {}, usual, parts=(2.0, 0.4)))
    assert one.endswith("most of all for the time since the scan before, 6 min; this step usually takes 20 h to 40 h")


def test_what_moved_the_model_is_said_of_its_own_alert_alone():
    rows = [scan(2, *WMS_IN), scan(2, *WMS_OUT, hours=0.1), scan(999, *HUB_IN, hours=9)]
    attribution = moved_by(rows[:2], ["history"], {}, {})
    said = said_of(rows, alerts=[(1, LOCATION), (1, JUMP), (2, LOCATION)], attribution=attribution)
    of_location, of_jump = said[1].split(" | ")
    assert "most of all for what came before in its journey; by itself" in of_location
    assert of_jump.endswith("; no rule is broken")
    # Where a rule speaks, it is the rule that is heard.
    assert said[2].startswith("locErr: place 999 is not in the sites table")


def test_the_earlier_event_that_moved_the_model_is_named():
    rows = [scan(2, *WMS_IN), scan(4, *HUB_IN, hours=2), scan(5, *W_IN, hours=50)]
    said = said_with(rows, moved_by(rows, ["history"], {}, {}, earlier=1))
    assert said.endswith(
        "most of all for what came before in its journey, above all Logistics_HUB in at nowhere 48 h before; with an "
        "ordinary Logistics_HUB in there it would be less suspicious"
    )


def test_no_group_no_claim():
    said = said_with(STAY, moved_by(STAY, [], {}, {}))
    assert (
        said
        == "locErr: the model alone (93 %): WMS out at warehouse 6 min after WMS in at warehouse; no rule is broken"
    )


@settings(max_examples=30, deadline=None)
@given(strategies.cases(), st.integers(0, 2**32 - 1))
def test_whatever_moved_the_model_words_are_whole(case, seed):
    random = np.random.default_rng(seed)
    count = len(case.rows) * len(LABELS)
    attribution = Attribution(
        np.repeat(np.arange(len(case.rows)), len(LABELS)),
        np.tile(np.arange(len(LABELS)), len(case.rows)),
        random.integers(NO_GROUP, len(GROUPS), (count, 2)).astype(np.int16),
        np.ones((count, 2)),
        random.integers(-1, max(len(case.rows), 1), count),
        random.choice([-3, 0, 1, 3, 0.37], (count, len(FEATURE_NAMES))),
        np.sort(random.choice([-3, 0, 1, 3, 0.37], (count, 3, len(FEATURE_NAMES))), axis=1),
    )
    every = [(row, label) for row in range(len(case.rows)) for label in range(len(LABELS))]
    for said in said_of(case.rows, every, 0.5, case.world.sites, case.world.routes, attribution):
        assert not WORDLESS.search(said), said
        for part in said.split(" | "):
            assert re.match(rf"({'|'.join(LABELS)}): .+; .+", part), said
