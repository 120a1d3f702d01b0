"""Reasons in words: every kind of evidence says something, and nothing says `nan` or `None`."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings

from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.events.merging import read_events
from barcode_pipeline.rules import kernel
from barcode_pipeline.rules.labels import score_events
from barcode_pipeline.rules.settings import RuleSettings
from barcode_pipeline_tests.alerts.scans_in_words import (
    DUPLICATE,
    FACTORY,
    FAKE,
    HUB_IN,
    HUB_OUT,
    JUMP,
    LOCATION,
    NORMAL_CODE,
    ORDER,
    ROUTES,
    SHOP_IN,
    SITES,
    W_IN,
    W_OUT,
    WMS_IN,
    WMS_OUT,
    WORDLESS,
    said_of,
    scan,
)
from barcode_pipeline_tests.rules import strategies
from barcode_pipeline_tests.worlds import events_table, reference


def code_with(**parts):
    values = {"header": "001", "company": "8804823", "product": "1203199", "lot": "150002", "date": "20250620",
              "serial": "000000001"} | parts  # fmt: skip
    return ".".join(values.values())


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
