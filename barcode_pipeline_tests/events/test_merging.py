"""Which rows are one scan, which of them stays, and in which order rows stand."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from barcode_pipeline.events import merging
from barcode_pipeline.events.merging import merge, read_events
from barcode_pipeline_tests.rules.reference_rules import Row, Site
from barcode_pipeline_tests.worlds import events_table, reference

SITES = reference([Site(2, "Plant", 37.4, 126.6), Site(16, "Warehouse A", 37.3, 126.7)], []).sites


def row(**more: Any) -> Row:
    values: dict[str, Any] = {
        "epc_code": "A", "event_time": "2025-07-01 09:00:00", "location_id": 2, "scan_location": "Plant",
        "business_step": "WMS", "event_type": "WMS_Inbound", "event_id": None,
    }  # fmt: skip
    return Row(**(values | more))


def surviving(*rows: Row) -> list[int]:
    """Places, among the rows given, of those that stay, in the order in which they stand."""
    table, numbers = events_table(rows)
    merged = merge(table, read_events(table, SITES))
    assert len(merged.rows) + merged.duplicate.sum() == len(rows)
    assert sorted(merged.rows) == np.flatnonzero(~merged.duplicate).tolist()
    return numbers[merged.rows].tolist()


SAME_SCAN = {
    "all of it": {},
    "another step of the level": {"business_step": "warehouse"},
    "step missing, level from the event type": {"business_step": ""},
    "event type in other letters": {"event_type": "wms_inbound"},
    "event type of the same direction": {"event_type": "Inbound"},
    "place by name": {"location_id": None},
    "place by id": {"scan_location": "Mars"},
    "time in UTC": {"event_time": "2025-07-01T00:00:00.7Z"},
    "EPC in small letters": {"epc_code": " a"},
}
OTHER_SCAN = {
    "a second later": {"event_time": "2025-07-01 09:00:01"},
    "another place": {"location_id": 16},
    "another EPC": {"epc_code": "B"},
    "no EPC": {"epc_code": ""},
    "another level": {"business_step": "HUB"},
    "unknown step": {"business_step": "Mars"},
    "other direction": {"event_type": "WMS_Outbound"},
    "event type missing": {"event_type": ""},
    "unknown event type": {"event_type": "Mars"},
}


@pytest.mark.parametrize("change", SAME_SCAN.values(), ids=SAME_SCAN.keys())
def test_same_scan(change: dict[str, Any]) -> None:
    assert len(surviving(row(), row(**change))) == 1


@pytest.mark.parametrize("change", OTHER_SCAN.values(), ids=OTHER_SCAN.keys())
def test_other_scan(change: dict[str, Any]) -> None:
    assert len(surviving(row(), row(**change))) == 2


def test_unknown_words_count_as_given() -> None:
    assert len(surviving(row(business_step="Mars"), row(business_step="mars"))) == 2
    assert len(surviving(row(business_step="Mars"), row(business_step=" Mars "))) == 1
    assert len(surviving(row(epc_code=""), row(epc_code="null"))) == 1


def test_lowest_event_id_stays_missing_last() -> None:
    assert surviving(row(), row(event_id=7), row(event_id=-3), row(event_id=12)) == [2]
    assert surviving(row(), row(event_id=7)) == [1]


def test_smallest_of_all_columns_stays() -> None:
    """Columns in the order of the schema, missing last: here the name of the place, then the step."""
    rows = [row(scan_location="Z"), row(scan_location=""), row(scan_location="B", business_step="wms"),
            row(scan_location="B", business_step="WMS")]  # fmt: skip
    assert surviving(*rows) == [3]


def test_other_scans_under_one_mixed_key_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(5)
    rows = [
        row(epc_code=chance.choice("AB"), location_id=chance.choice((2, 16)), event_id=chance.choice((None, 1, 2)),
            event_type=chance.choice(("Inbound", "Outbound", "WMS_Inbound")))
        for _ in range(60)
    ]  # fmt: skip
    expected = surviving(*rows)
    monkeypatch.setattr(merging, "_mix", lambda *columns: np.zeros(len(columns[0]), dtype=np.uint64))
    assert surviving(*rows) == expected
    assert len(expected) == 8


def test_order_by_epc_and_travel_without_epc_last() -> None:
    rows = [row(epc_code=""), row(epc_code="B"), row(epc_code="A", event_time="2025-07-01 08:00:00"), row(epc_code="A"),
            row(epc_code="", event_time="2025-06-30 09:00:00")]  # fmt: skip
    assert surviving(*rows) == [2, 3, 1, 4, 0]
    assert surviving() == []
