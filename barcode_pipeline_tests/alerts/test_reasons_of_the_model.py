"""Reasons in words: what moved the model."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.events.formats import LABELS
from barcode_pipeline.models.attribution import GROUPS, NO_GROUP, Attribution
from barcode_pipeline.sequences.features import FEATURE_NAMES
from barcode_pipeline_tests.alerts.scans_in_words import (
    HUB_IN,
    JUMP,
    LOCATION,
    NORMAL_CODE,
    W_IN,
    WMS_IN,
    WMS_OUT,
    WORDLESS,
    said_of,
    scan,
)
from barcode_pipeline_tests.rules import strategies

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
