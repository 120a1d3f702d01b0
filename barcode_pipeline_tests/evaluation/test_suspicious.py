"""The list of the most suspicious EPCs: label by label in turn, each once, with its whole journey."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from barcode_pipeline.evaluation.suspicious import most_suspicious
from barcode_pipeline.events.date_store import DateStore
from barcode_pipeline.events.enrichment import ENRICHED_SCHEMA
from barcode_pipeline.events.formats import ALERTS, KEY_COLUMNS, LABELS, PROBABILITIES
from barcode_pipeline.events.times import day_number
from barcode_pipeline.models.tables import SCORES_SCHEMA

DAYS = [day_number("2025-07-01"), day_number("2025-07-02")]


def event(epc, day, hour, probabilities=(), alerts=(), reason=None, place="hub", location_id=3, step="WMS"):
    """A row of both tables. probabilities: of labels by name; alerts: names of labels."""
    time = np.datetime64(DAYS[day], "D").astype("datetime64[s]") + np.timedelta64(hour, "h")
    return {
        "epc_code": epc, "event_time": time.item(), "location_id": location_id, "scan_location": None,
        "business_step": step, "event_type": "Inbound", "event_id": None, "site_name": place,
        **{f"{label}Probability": dict(probabilities).get(label, 0.0) for label in LABELS},
        **{f"{label}Alert": label in alerts for label in LABELS},
        "method": "lstm", "model_file": "model.pt", "reason": reason,
    }  # fmt: skip


def table_of(rows, schema):
    return pa.table([pa.array([row.get(field.name) for row in rows], field.type) for field in schema], schema=schema)


@pytest.fixture
def stores(tmp_path):
    """Write events into both stores."""

    def write(rows):
        made = []
        for name, schema in (("scores", SCORES_SCHEMA), ("enriched_events", ENRICHED_SCHEMA)):
            store = DateStore(tmp_path / name, schema)
            day = np.array([day_number(str(row["event_time"])[:10]) for row in rows], dtype=np.int64)
            store.write(table_of(rows, schema), day, DAYS)
            made.append(store)
        return made

    return write


def alert(epc, label, probability, day=0, hour=0, **more):
    return event(epc, day, hour, {label: probability}, [label], f"{label}: why {epc}; what is normal", **more)


def test_an_epc_comes_with_its_whole_journey(stores):
    scores, enriched = stores(
        [
            event("a", 0, 1, {"jump": 0.1}),
            event("b", 0, 2),
            event("a", 1, 3, {"jump": 0.9, "locErr": 0.8}, ["jump", "locErr"], "locErr: x; y | jump: too fast; slower"),
        ]
    )
    (found,) = most_suspicious(scores, enriched, DAYS[1:], 5)
    # Both of its labels would do; the one that comes first has its turn first.
    assert {key: found[key] for key in ("epc", "label", "reason", "normal")} == {
        "epc": "a", "label": "locErr", "reason": "x", "normal": "y",
    }  # fmt: skip
    assert found["score"] == pytest.approx(0.8)
    assert [step["time"] for step in found["journey"]] == ["2025-07-01 01:00:00", "2025-07-02 03:00:00"]
    assert found["journey"][1] == {
        "time": "2025-07-02 03:00:00", "place": "hub", "step": "WMS", "type": "Inbound",
        "probability": pytest.approx(0.9), "labels": ["locErr", "jump"],
    }  # fmt: skip


def test_only_the_days_asked_for_alarm(stores):
    scores, enriched = stores([alert("a", "jump", 0.9), alert("b", "jump", 0.5, day=1)])
    assert [item["epc"] for item in most_suspicious(scores, enriched, DAYS[1:], 5)] == ["b"]
    assert most_suspicious(scores, enriched, [], 5) == []


def test_labels_take_turns_and_the_most_probable_comes_first(stores):
    rows = [alert(f"jump{n}", "jump", 0.9 - n / 100, hour=n) for n in range(6)]
    rows += [alert(f"fake{n}", "epcFake", 0.2 + n / 100, hour=n) for n in range(3)]
    found = most_suspicious(*stores(rows), DAYS, 5)
    assert [item["epc"] for item in found] == ["fake2", "jump0", "fake1", "jump1", "fake0"]
    assert [item["label"] for item in found] == ["epcFake", "jump"] * 2 + ["epcFake"]
    assert all(item["journey"] for item in found)


def test_no_epc_stands_twice_however_often_it_alarms(stores):
    rows = [alert("long", "jump", 0.9, hour=n // 60) for n in range(300)]
    rows += [alert("short", "jump", 0.5, hour=9), alert("short", "epcFake", 0.6, hour=10)]
    found = most_suspicious(*stores(rows), DAYS, 3)
    assert [item["epc"] for item in found] == ["short", "long"]
    assert len(found[1]["journey"]) == 300
    found = most_suspicious(*stores([*rows, alert("third", "jump", 0.4, hour=11)]), DAYS, 3)
    assert sorted(item["epc"] for item in found) == ["long", "short", "third"], "a long journey crowds out the others"


def test_a_probability_without_an_alert_is_none(stores):
    rows = [event("a", 0, 1, {"jump": 0.99}, ["locErr"], "locErr: x; y"), alert("b", "jump", 0.3)]
    found = most_suspicious(*stores(rows), DAYS, 5)
    assert [(item["epc"], item["label"]) for item in found] == [("a", "locErr"), ("b", "jump")]


def test_rows_without_an_epc_are_no_journey(stores):
    assert most_suspicious(*stores([alert(None, "epcFake", 1.0)]), DAYS, 5) == []
    assert most_suspicious(*stores([event("a", 0, 1)]), DAYS, 5) == []


def test_places_without_a_name_are_words(stores):
    rows = [
        alert("a", "jump", 0.9, place=None, location_id=42),
        event("a", 0, 1, place=None, location_id=None),
    ]
    (found,) = most_suspicious(*stores(rows), DAYS, 1)
    assert [step["place"] for step in found["journey"]] == ["place 42", "place without a name"]


def test_signs_in_names_of_places_do_not_cut_the_reason(stores):
    said = "locErr: place a; b | c: d is not known; every place is known | jump: too fast; slower"
    rows = [event("a", 0, 1, {"locErr": 0.9}, ["locErr", "jump"], said)]
    (found,) = most_suspicious(*stores(rows), DAYS, 1)
    assert (found["reason"], found["normal"]) == ("place a; b | c: d is not known", "every place is known")


def test_the_columns_are_those_of_the_stores():
    """The events of these tests fill every column that the list reads."""
    assert set(event("a", 0, 0)) >= {*KEY_COLUMNS, *PROBABILITIES, *ALERTS, "reason"}
