"""Each feature of a journey by example, and what holds of all: finite, causal, and the same whatever order the rows
came in. Examples of shipment features stand in `test_shipments`."""

from __future__ import annotations

import re
from dataclasses import replace
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barcode_pipeline.compiled import compiled
from barcode_pipeline.events.formats import LABELS, SCORES
from barcode_pipeline.events.merging import read_events
from barcode_pipeline.sequences.features import FEATURE_NAMES, FEATURES, compute_features, half_bits
from barcode_pipeline.sequences.shipments import SHIPMENT_FEATURES
from barcode_pipeline_tests.rules import reference_rules, strategies
from barcode_pipeline_tests.rules.reference_rules import Route, Row, Site
from barcode_pipeline_tests.sequences.reference_shipments import lot_of
from barcode_pipeline_tests.worlds import events_table, reference

NORTH = strategies.DEGREES_PER_KM
SITES = [
    Site(1, "factory one", 37.0, 127.0),
    Site(2, "warehouse", 37.0 + 4 * NORTH, 127.0),
    Site(3, "hub", 37.0 + 320 * NORTH, 127.0),
    Site(4, "nowhere", None, None),
    Site(5, "shop", 37.0 + 350 * NORTH, 127.0),
    Site(6, "other shop", 37.0 + 400 * NORTH, 127.0),
]
ROUTES = [
    Route("warehouse", "hub", 5.0, 2.0, 2.0),
    Route("factory one", "shop", 5.0, 0.0, 9.0),
]
CODE = "001.8804823.1203199.150002.20250620.000000001"


def scan(place=1, step="Factory", kind="Inbound", hours=0.0, code=CODE, event_id=None):
    """A row at a place, some hours after 10:00 on 1 July 2025."""
    time = str(np.datetime64("2025-07-01T10:00:00") + np.timedelta64(round(hours * 3600), "s")).replace("T", " ")
    return Row(code, time, place, None, step, kind, event_id)


def made(date):
    return CODE.replace("20250620", date)


def hub(kind="Logistics_HUB_Inbound", hours=0.0, **more):
    return scan(3, "Logistics_HUB", kind, hours, **more)


def leaves_warehouse(hours=0.0):
    return scan(2, "WMS", "WMS_Outbound", hours)


def at_level(step, kind):
    return [scan(1, step, kind)]


# (feature, rows, its value at the last of them); kilometres and hours are those of SITES and ROUTES above.
EXAMPLES = [
    ("code_missing", [scan(code=None)], 1),
    ("code_missing", [scan()], 0),
    ("code_six_parts", [scan()], 1),
    ("code_six_parts", [scan(code="001.8804823.1203199")], 0),
    ("code_header_001", [scan()], 1),
    ("code_header_001", [scan(code="002" + CODE[3:])], 0),
    ("code_company_registered", [scan()], 1),
    ("code_company_registered", [scan(code=CODE.replace("8804823", "9999999"))], 0),
    ("code_product_7_digits", [scan()], 1),
    ("code_product_7_digits", [scan(code=CODE.replace("1203199", "120319"))], 0),
    ("code_lot_6_digits", [scan()], 1),
    ("code_lot_6_digits", [scan(code=CODE.replace("150002", "15000A"))], 0),
    ("code_serial_9_digits", [scan()], 1),
    ("code_serial_9_digits", [scan(code=CODE[:-9] + "1")], 0),
    ("code_date_readable", [scan()], 1),
    ("code_date_readable", [scan(code=made("20250231"))], 0),
    ("days_since_manufacture", [scan(code=made("20250630"))], 0.5),
    ("days_since_manufacture", [scan(code=made("20250702"))], -0.5),
    ("days_since_manufacture", [scan(code=made("20250501"))], 2),
    ("days_since_manufacture", [scan(code=made("20250231"))], 0),
    ("years_since_manufacture", [scan(code=made("20240701"))], 365 / 730.5),
    ("years_since_manufacture", [scan(code=made("19990101"))], 3),
    ("days_past_five_years", [scan(code=made("20200702"))], -0.5),
    ("days_past_five_years", [scan(code=made("20200630"))], 0.5),
    ("level_factory", at_level("Factory", "Inbound"), 1),
    ("level_factory", at_level("Mars", "Aggregation"), 1),
    ("level_factory", at_level("WMS", "WMS_Inbound"), 0),
    ("level_wms", at_level("warehouse", "Inbound"), 1),
    ("level_hub", at_level("Logistics_HUB", "Inbound"), 1),
    ("level_wholesaler", at_level("W_Stock", "Inbound"), 1),
    ("level_retailer", at_level("R_Stock", "Inbound"), 1),
    ("level_sale", at_level("POS_Sell", "POS_Sell"), 1),
    ("level_unknown", at_level("Mars", "Inbound"), 1),
    ("level_unknown", at_level("Factory", "Inbound"), 0),
    ("direction_in", at_level("WMS", "WMS_Inbound"), 1),
    ("direction_in", at_level("WMS", "WMS_Outbound"), 0),
    ("direction_out", at_level("WMS", "WMS_Outbound"), 1),
    ("direction_sale", at_level("POS_Sell", "POS_Sell"), 1),
    ("direction_other", at_level("WMS", "Mars"), 1),
    ("direction_missing", at_level("WMS", None), 1),
    ("place_known", [scan(1)], 1),
    ("place_known", [scan(999)], 0),
    ("sites_in_second", [scan()], 0),
    ("sites_in_second", [scan(1), scan(2, "WMS", "WMS_Inbound")], 0),
    ("sites_in_second", [hub(), scan(1)], 1),
    ("sites_in_second", [hub(), scan(1, hours=1)], 0),
    ("sites_in_second", [hub(), scan(1), scan(4), scan(5), scan(6)], 3),
    ("overtaken_levels", [scan(1, hours=2, event_id=1), hub(hours=1, event_id=2)], 1),
    ("overtaken_levels", [scan(1, hours=2, event_id=2), hub(hours=1, event_id=1)], 0),
    ("overtaken_levels", [scan(1, hours=2), hub(hours=1)], 0),
    ("is_first", [scan()], 1),
    ("is_first", [scan(), hub(hours=4)], 0),
    ("is_first", [scan(), scan(code=None, hours=1)], 1),
    ("is_first", [scan(event_id=1), scan(1, hours=2, event_id=2), hub(hours=1, event_id=3)], 1),
    ("same_place", [scan(), scan(hours=1)], 1),
    ("same_place", [scan(), scan(2, hours=1)], 0),
    ("same_site", [scan(), scan(2, "WMS", "WMS_Inbound", hours=1)], 1),
    ("same_site", [hub(), scan(2, "WMS", "WMS_Inbound", hours=1)], 0),
    ("level_change", [scan(), hub(hours=1)], 1),
    ("level_change", [hub(), scan(hours=1)], -1),
    ("level_change", [scan(), scan(3, "Mars", "Mars", hours=1)], 0),
    ("levels_comparable", [scan(), hub(hours=1)], 1),
    ("levels_comparable", [scan(), scan(3, "Mars", "Mars", hours=1)], 0),
    ("previous_level", [hub(), scan(hours=1)], 1),
    ("previous_level", [scan(1, "Mars", "Mars"), scan(hours=1)], 3),
    ("previous_level", [scan()], 0),
    ("previous_in", [hub(), scan(hours=1)], 1),
    ("previous_in", [leaves_warehouse(), scan(hours=1)], 0),
    ("previous_out", [leaves_warehouse(), scan(hours=1)], 1),
    ("previous_sale", [scan(5, "POS_Sell", "POS_Sell"), scan(hours=1)], 1),
    ("previous_missing", [scan(5, "Retailer", None), scan(hours=1)], 1),
    ("previous_missing", [scan(5, "Retailer", "Mars"), scan(hours=1)], 0),
    ("same_step", [scan(), scan(hours=1)], 1),
    ("same_step", [scan(), scan(kind="Outbound", hours=1)], 0),
    ("same_step", [scan(), scan(2, hours=1)], 0),
    ("minutes_since_previous", [scan(), scan(hours=90 / 3600)], 1.5),
    ("minutes_since_previous", [scan(), scan(hours=5)], 3),
    ("log_hours_since_previous", [scan(), scan(hours=3)], log(4) / 2),
    ("log_distance", [scan(), hub(hours=3)], log(321) / 2),
    ("log_distance", [scan(), scan(4, hours=3)], 0),
    ("log_distance", [scan(), scan(999, hours=3)], 0),
    ("distance_known", [scan(), hub(hours=3)], 1),
    ("distance_known", [scan(), scan(4, hours=3)], 0),
    # No route: 320 km at 100 km/h. A route whose fastest trip was faster. One that was slower does not count.
    ("log_time_over_fastest", [scan(), hub(hours=6.4)], 2 * log((6.4 + 1 / 60) / (3.2 + 1 / 60))),
    ("log_time_over_fastest", [leaves_warehouse(), hub(hours=1)], 2 * log((1 + 1 / 60) / (2 + 1 / 60))),
    ("log_time_over_fastest", [scan(), scan(5, hours=3)], 2 * log((3 + 1 / 60) / (3.5 + 1 / 60))),
    ("log_time_over_fastest", [scan(), hub(hours=0)], -3),
    ("log_time_over_fastest", [scan(), scan(2, "WMS", "WMS_Inbound", hours=1)], 0),
    ("route_known", [leaves_warehouse(), hub(hours=5)], 1),
    ("route_known", [scan(2, "WMS", "WMS_Inbound"), hub(hours=5)], 0),
    ("route_known", [leaves_warehouse(), hub("Logistics_HUB_Outbound", hours=5)], 0),
    ("route_known", [scan(kind="Outbound"), scan(5, hours=5)], 0),  # its σ is 0
    ("transit_deviation", [leaves_warehouse(), hub(hours=8)], 0.75),
    ("transit_deviation", [leaves_warehouse(), hub(hours=4)], -0.25),
    ("transit_deviation", [leaves_warehouse(), hub(hours=100)], 3),
    ("log_position", [scan(), scan(hours=1), scan(hours=2)], log(3)),
    ("log_position", [scan()], 0),
    ("log_hours_since_first", [scan(), scan(hours=1), scan(hours=7)], log(8) / 3),
    ("log_hours_since_first", [scan()], 0),
]  # fmt: skip


def features_of(rows, sites, routes, judge=None):
    """(F,) features of each row by its number."""
    judge = judge or reference_rules.Settings()
    table, numbers = events_table(rows, judge.zone)
    tables = reference(sites, routes)
    found = compute_features(read_events(table, tables.sites), tables, tuple(judge.companies), judge.v_max)
    out = np.empty((len(rows), len(FEATURE_NAMES)), dtype=np.float16)
    out[numbers] = found.values
    return out


@pytest.mark.parametrize(
    ("feature", "rows", "expected"), EXAMPLES, ids=[f"{name}-{i}" for i, (name, _, _) in enumerate(EXAMPLES)]
)
def test_feature_by_example(feature, rows, expected):
    value = features_of(rows, SITES, ROUTES)[-1, FEATURE_NAMES.index(feature)]
    assert float(value) == pytest.approx(expected, abs=2e-3)


def test_every_feature_has_an_example_where_it_speaks():
    speaking = {name for name, _, expected in EXAMPLES if expected != 0}
    assert speaking == set(FEATURE_NAMES) - {name for name, _, _ in SHIPMENT_FEATURES}


def test_features_are_named_once_and_explained():
    assert len(set(FEATURE_NAMES)) == len(FEATURES)
    assert all(feature.meaning and feature.unit and re.fullmatch(r"[a-z0-9_]+", feature.name) for feature in FEATURES)


def test_no_rule_score_or_label_is_a_feature():
    words = {word.lower() for word in (*LABELS, *SCORES)}
    assert not [name for name in FEATURE_NAMES if name.replace("_", "") in words or "score" in name]


@settings(max_examples=60, deadline=None)
@given(strategies.cases())
def test_features_are_finite_and_within_their_range(case):
    values = features_of(case.rows, case.world.sites, case.world.routes, case.settings)
    assert values.dtype == np.float16
    assert np.isfinite(values).all()
    units = {feature.name: feature.unit for feature in FEATURES}
    flags = [place for place, name in enumerate(FEATURE_NAMES) if units[name] == "0/1"]
    assert np.isin(values[:, flags], (0, 1)).all()
    assert np.abs(values).max(initial=0) <= 8


def with_ids(case, way):
    """The case's rows without ids, or with ids in the order of their time, as a sender without delays gives."""
    rows = case.rows
    if way == "none":
        return [replace(row, event_id=None) for row in rows], times_of(case)
    time = times_of(case)
    ids = np.empty(len(rows), dtype=int)
    ids[np.argsort(time, kind="stable")] = np.arange(len(rows))
    return [replace(row, event_id=int(number)) for row, number in zip(rows, ids, strict=True)], time


def times_of(case):
    read = (reference_rules.read_row(row, case.world.sites, case.settings) for row in case.rows)
    return np.array([np.datetime64(event.time.replace(tzinfo=None), "s") for event in read], dtype="datetime64[s]")


@settings(max_examples=35, deadline=None)
@given(strategies.cases(), st.sampled_from(("none", "in order")))
def test_the_future_changes_nothing(case, way):
    rows, time = with_ids(case, way)
    world, judge = case.world, case.settings
    whole = features_of(rows, world.sites, world.routes, judge)
    for now in np.unique(time)[:-1]:
        known = np.flatnonzero(time <= now)
        live = features_of([rows[number] for number in known], world.sites, world.routes, judge)
        np.testing.assert_array_equal(live, whole[known])


@settings(max_examples=35, deadline=None)
@given(strategies.cases())
def test_one_journey_alone_has_the_features_it_has_among_others(case):
    """Those of the journey; those of the shipment are the same where the whole lot is there."""
    world, judge, rows = case.world, case.settings, case.rows
    whole = features_of(rows, world.sites, world.routes, judge)
    codes = [reference_rules.read_row(row, world.sites, judge).epc for row in rows]
    lots = [code and lot_of(code) for code in codes]
    for names, features in ((codes, slice(0, len(FEATURES) - len(SHIPMENT_FEATURES))), (lots, slice(None))):
        for name in {name for name in names if name is not None}:
            own = [number for number in range(len(rows)) if names[number] == name]
            alone = features_of([rows[number] for number in own], world.sites, world.routes, judge)
            np.testing.assert_array_equal(alone[:, features], whole[own, features])


@settings(max_examples=35, deadline=None)
@given(strategies.cases(), st.randoms(use_true_random=False))
def test_order_of_rows_changes_nothing(case, random):
    world, judge = case.world, case.settings
    shuffled = list(range(len(case.rows)))
    random.shuffle(shuffled)
    # Rows that agree in everything may change places with each other, so scans are compared with their features.
    seen = []
    for numbers in (range(len(case.rows)), shuffled):
        rows = [case.rows[number] for number in numbers]
        values = features_of(rows, world.sites, world.routes, judge)
        scans = [
            (repr((reference_rules.read_row(row, world.sites, judge), row.event_id)), row_values.tobytes())
            for row, row_values in zip(rows, values, strict=True)
        ]
        seen.append(sorted(scans))
    assert [scan for scan, _ in seen[0]] == [scan for scan, _ in seen[1]]
    assert seen[0] == seen[1]


def test_position_counts_the_events_before():
    rows = [scan(hours=2), scan(), scan(code=None), scan(hours=1), scan(code=CODE[:-1] + "2")]
    table, numbers = events_table(rows)
    tables = reference(SITES, ROUTES)
    found = compute_features(read_events(table, tables.sites), tables, ("8804823",), 100.0)
    position = np.empty(len(rows), dtype=int)
    position[numbers] = found.position
    assert position.tolist() == [2, 0, 0, 1, 0]


def test_no_events_have_no_features():
    table, _ = events_table([])
    tables = reference(SITES, ROUTES)
    found = compute_features(read_events(table, tables.sites), tables, ("8804823",), 100.0)
    assert found.values.shape == (0, len(FEATURES))


@compiled
def half_bits_of(bits, out):
    for place in range(len(bits)):
        out[place] = half_bits(bits[place])


def test_numbers_are_kept_as_numpy_would_keep_them():
    """Every number of float16, what lies just between two of them and just beside that, and any bits at all."""
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    halves = np.sort(halves[np.isfinite(halves)])
    middles = ((halves[1:].astype(np.float64) + halves[:-1]) / 2).astype(np.float32)
    beside = [np.nextafter(middles, np.float32(side)) for side in (-np.inf, np.inf)]
    ends = np.array([0, -0.0, np.inf, -np.inf, 65519.99, 65520, 1e30, -1e-30], dtype=np.float32)
    any_bits = np.random.default_rng(0).integers(0, 1 << 32, 100_000, dtype=np.uint64).astype(np.uint32)
    values = np.concatenate([halves, middles, *beside, ends, any_bits.view(np.float32)])
    found = np.empty(len(values), dtype=np.uint16)
    half_bits_of(values.view(np.uint32), found)
    with np.errstate(all="ignore"):
        expected = values.astype(np.float16)
    numbers = ~np.isnan(values)
    np.testing.assert_array_equal(found[numbers], expected.view(np.uint16)[numbers])
    assert np.isnan(found.view(np.float16)[~numbers]).all()
