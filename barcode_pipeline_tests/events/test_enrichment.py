"""Enrichment: coordinates, level, direction, and what lies between an event and the one before, by example."""

from __future__ import annotations

from typing import Any

import pytest

from barcode_pipeline.events.enrichment import ENRICHED_SCHEMA, enrich
from barcode_pipeline.events.merging import read_events
from barcode_pipeline_tests.rules.reference_rules import Route, Row, Site
from barcode_pipeline_tests.worlds import events_table, reference

SITES = [Site(2, "Plant", 37.382, 126.642), Site(16, "Warehouse A", 37.395, 126.656), Site(32, "Hub", 37.3, 127.35),
         Site(50, "Shop", None, None)]  # fmt: skip
KNOWN = reference(SITES, [Route("Warehouse A", "Hub", 5.3, 2.4, 1.5), Route("Hub", "Shop", 4.0, 0.0, 1.0)])
EPC = "001.8804823.1203199.150002.20250701.000000001"


def scan(time: str, place: Any, step: str = "WMS", kind: str = "WMS_Inbound", **more: Any) -> Row:
    values = {"epc_code": EPC, "scan_location": None} | more
    return Row(event_time=f"2025-07-0{time}", location_id=place, business_step=step, event_type=kind, **values)


def enriched(*rows: Row) -> list[dict[str, Any]]:
    table, _ = events_table(rows)
    return enrich(table, read_events(table, KNOWN.sites), KNOWN).to_pylist()


def test_journey() -> None:
    first, second, third, fourth = enriched(
        scan("1 09:00:00", 2, "Factory", "Aggregation"),
        scan("1 09:30:00", "16.0"),
        scan("2 10:00:00", 32, "Logistics_HUB", "hub_inbound"),
        scan("3 10:00:36", None, "Retailer", "POS_Sell", scan_location="Shop"),
    )
    assert (first["level"], first["direction"], first["site_name"]) == ("Factory", "in", "Plant")
    assert (first["latitude"], first["longitude"]) == (37.382, 126.642)
    looking_back = ["previous_location", "hours_since_previous", "distance_km", "transition_hours_mean"]
    assert [first[name] for name in looking_back] == [None] * 4
    assert (second["location_id"], second["previous_location"]) == (16, "Plant")
    assert second["hours_since_previous"] == 0.5 and second["distance_km"] == pytest.approx(1.9, abs=0.1)
    assert second["transition_hours_mean"] is None
    assert (third["level"], third["direction"]) == ("Logistics_HUB", "in")
    assert (third["transition_hours_mean"], third["transition_hours_std"]) == (5.3, 2.4)
    assert (third["transition_hours_min"], third["transition_hours_max"], third["transition_count"]) == (
        1.5,
        None,
        None,
    )
    assert (fourth["location_id"], fourth["site_name"], fourth["direction"]) == (50, "Shop", "sale")
    assert fourth["level"] == "Retailer" and fourth["hours_since_previous"] == 24.01
    assert (fourth["latitude"], fourth["distance_km"], fourth["transition_hours_std"]) == (None, None, 0.0)


def test_rows_stay_in_their_order_and_find_the_one_before_by_time() -> None:
    later, other, earlier = enriched(
        scan("2 10:00:00", 32), scan("1 09:00:00", 2, epc_code="X"), scan("1 09:00:00", 16, kind="WMS_Outbound")
    )
    assert (later["previous_location"], other["previous_location"], earlier["previous_location"]) == (
        "Warehouse A", None, None,
    )  # fmt: skip


def test_unknown_places_keep_what_they_gave() -> None:
    rows = enriched(
        scan("1 09:00:00", 999, scan_location="Mars"), scan("1 10:00:00", None, scan_location="Mars"),
        scan("1 11:00:00", "abc", "?", "?"), scan("1 12:00:00", 2),
    )  # fmt: skip
    assert [row["location_id"] for row in rows] == [999, None, None, 2]
    assert [row["location_text"] for row in rows] == [None, None, "abc", None]
    assert [row["site_name"] for row in rows] == [None, None, None, "Plant"]
    assert [row["previous_location"] for row in rows] == [None, "999", "Mars", "abc"]
    assert [row["distance_km"] for row in rows] == [None] * 4
    assert (rows[2]["level"], rows[2]["direction"]) == (None, "other")


def test_rows_without_an_epc_have_no_journey() -> None:
    rows = enriched(scan("1 09:00:00", 2, epc_code=""), scan("1 10:00:00", 16, epc_code="null"))
    assert [row["hours_since_previous"] for row in rows] == [None, None]
    assert [row["latitude"] for row in rows] == [37.382, 37.395]


def test_event_that_was_sent_too_late_is_looked_past() -> None:
    """Ids 1, 2, 3: the hub's scan has the highest id and the earliest time, which cannot be."""
    factory, warehouse, hub, last = enriched(
        scan("1 10:03:00", 2, "Factory", "Aggregation", event_id=1),
        scan("1 17:00:00", 16, event_id=2),
        scan("1 07:59:00", 32, "HUB", "Inbound", event_id=3),
        scan("2 17:00:00", 32, "HUB", "Inbound", event_id=4),
    )
    assert (factory["previous_location"], hub["previous_location"]) == (None, None)
    assert (warehouse["previous_location"], last["previous_location"]) == ("Plant", "Warehouse A")


def test_no_rows() -> None:
    table, _ = events_table([])
    made = enrich(table, read_events(table, KNOWN.sites), KNOWN)
    assert len(made) == 0 and made.schema.equals(ENRICHED_SCHEMA)
