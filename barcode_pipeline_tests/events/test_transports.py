"""Which pairs of scans are a transport, by example."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from barcode_pipeline.events.hashes import lot_hashes
from barcode_pipeline.events.merging import read_events
from barcode_pipeline.events.transports import Found, find_transports
from barcode_pipeline_tests.rules.reference_rules import Route, Row, Site
from barcode_pipeline_tests.worlds import events_table, reference

# About 38 km from the warehouse to the hub, 270 km from there to the wholesaler; the shop has no coordinates.
SITES = [Site(16, "Warehouse", 37.395, 126.956), Site(32, "Hub", 37.3, 127.35), Site(51, "Wholesaler", 35.2, 128.95),
         Site(70, "Shop", None, None), Site(80, "Other shop", 35.2, 128.96)]  # fmt: skip
WAREHOUSE, HUB, WHOLESALER, SHOP, OTHER_SHOP = range(5)
EPC = "001.8804823.1203199.150002.20250701.000000001"
KNOWN = reference(SITES, [Route("Warehouse", "Hub", 5.3, 2.4, 0.3), Route("Shop", "Other shop", 2.0, 0.5, 0.1)])


def scan(time: str, place: Any, kind: str, epc: str = EPC, **more: Any) -> Row:
    step = kind.removesuffix("_Inbound").removesuffix("_Outbound")
    values = {"business_step": step, "scan_location": None} | more
    return Row(epc_code=epc, event_time=f"2025-07-0{time}", location_id=place, event_type=kind, **values)


def found(*rows: Row) -> Found:
    return find_transports(read_events(events_table(rows)[0], KNOWN.sites), KNOWN, 100.0)


def pairs(*rows: Row) -> list[tuple[int, int, int]]:
    """(origin, destination, seconds) of each transport."""
    transports = found(*rows).transports
    columns = (transports.origin.tolist(), transports.destination.tolist(), transports.seconds.tolist())
    return list(zip(*columns, strict=True))


OUT_OF_WAREHOUSE = scan("1 09:00:00", 16, "WMS_Outbound")


def test_out_of_one_site_and_in_at_the_next() -> None:
    rows = [
        scan("1 08:00:00", 16, "WMS_Inbound"),
        OUT_OF_WAREHOUSE,
        scan("1 14:00:30", 32, "HUB_Inbound"),
        scan("3 10:00:00", 32, "HUB_Outbound"),
        scan("3 16:00:00", 51, "W_Stock_Inbound"),
        scan("4 10:00:00", 51, "W_Stock_Outbound"),
    ]
    for order in (rows, rows[::-1]):
        assert pairs(*order) == [(WAREHOUSE, HUB, 5 * 3600 + 30), (HUB, WHOLESALER, 6 * 3600)]
    made = found(*rows)
    assert made.transports.arrival.tolist() == [
        np.datetime64("2025-07-01T14:00:30", "s").astype(np.int64),
        np.datetime64("2025-07-03T16:00:00", "s").astype(np.int64),
    ]
    lot = lot_hashes(read_events(events_table(rows)[0], KNOWN.sites).codes)[0]
    assert made.transports.lot.tolist() == [lot, lot]
    assert made.waiting.tolist() == [5] and made.impossible == 0


NO_TRANSPORT = {
    "the departure was missed": scan("1 09:00:00", 16, "WMS_Inbound"),
    "the departure says no direction": scan("1 09:00:00", 16, "Outgoing", business_step="WMS"),
    "the departure's place is not known": scan("1 09:00:00", 999, "WMS_Outbound"),
    "it left from the same place": scan("1 09:00:00", 32, "WMS_Outbound"),
    "a level lies between, and no route is known": scan("1 09:00:00", 80, "Factory_Outbound"),
    "it came back, and no route is known": scan("1 09:00:00", 51, "W_Stock_Outbound"),
    "the departure's step is not known": scan("1 09:00:00", 51, "Outbound", business_step="Mars"),
    "too long ago for a transport": scan("1 09:00:00", 16, "WMS_Outbound"),
}


@pytest.mark.parametrize("reason", NO_TRANSPORT)
def test_no_transport(reason: str) -> None:
    arrival = scan("8 09:00:01" if reason.startswith("too long") else "1 15:00:00", 32, "HUB_Inbound")
    assert pairs(NO_TRANSPORT[reason], arrival) == []
    assert pairs(OUT_OF_WAREHOUSE, scan("1 15:00:00", 32, "HUB_Inbound")) == [(WAREHOUSE, HUB, 6 * 3600)]


def test_a_known_route_counts_whatever_its_levels() -> None:
    leaves = scan("1 09:00:00", 70, "R_Stock_Outbound")
    assert pairs(leaves, scan("1 11:00:00", 80, "R_Stock_Inbound")) == [(SHOP, OTHER_SHOP, 7200)]
    assert pairs(scan("1 09:00:00", 80, "R_Stock_Outbound"), scan("1 11:00:00", 70, "R_Stock_Inbound")) == []


def test_what_no_truck_can_have_travelled_is_left_out_and_counted() -> None:
    # 270 km: 2.7 hours. The warehouse's route was once driven in 0.3 hours, less than its distance asks for.
    slow, fast = scan("1 09:00:00", 32, "HUB_Outbound"), scan("1 11:30:00", 51, "W_Stock_Inbound")
    made = found(slow, fast)
    assert len(made.transports.seconds) == 0 and made.impossible == 1
    assert pairs(OUT_OF_WAREHOUSE, scan("1 09:18:00", 32, "HUB_Inbound")) == [(WAREHOUSE, HUB, 1080)]
    assert found(OUT_OF_WAREHOUSE, scan("1 09:17:59", 32, "HUB_Inbound")).impossible == 1
    # Without coordinates nothing is impossible.
    assert pairs(scan("1 09:00:00", 51, "W_Stock_Outbound"), scan("1 09:01:00", 70, "R_Stock_Inbound")) != []


def test_only_departures_at_the_end_wait() -> None:
    other = EPC.replace("000000001", "000000002")
    made = found(
        OUT_OF_WAREHOUSE,
        scan("1 09:00:30", 16, "WMS_Outbound"),
        scan("1 09:00:00", 16, "WMS_Outbound", other),
        scan("1 09:30:00", 16, "WMS_Inbound", other),
        scan("1 09:00:00", 16, "WMS_Outbound", ""),
    )
    assert made.waiting.tolist() == [1]
    assert found().waiting.tolist() == []


def test_what_was_sent_too_late_neither_leaves_nor_waits() -> None:
    rows = [
        scan("2 09:00:00", 16, "WMS_Outbound", event_id=1),
        scan("1 09:00:00", 51, "W_Stock_Outbound", event_id=2),
        scan("2 15:00:00", 32, "HUB_Inbound", event_id=3),
    ]
    assert pairs(*rows) == [(WAREHOUSE, HUB, 6 * 3600)]
    assert found(*rows[:2]).waiting.tolist() == [0]
