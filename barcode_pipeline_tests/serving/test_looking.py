"""Looking back: journeys and alerts with reasons in words, and verdicts of investigators."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from barcode_pipeline.events.verdicts import read_verdict_file
from barcode_pipeline.serving.feedback import FeedbackDesk
from barcode_pipeline.serving.memory_history import MemoryHistory
from barcode_pipeline_tests.serving.cases import EPC, EVENT
from barcode_pipeline_tests.serving.conftest import Opened
from barcode_pipeline_tests.serving.standins import models_named, post, serving

FACTORY = EVENT | {"event_id": 1}
RETAILER = EVENT | {
    "event_id": 2,
    "location_id": 31,
    "business_step": "Retailer",
    "event_type": "R_Stock_Inbound",
    "event_time": "2025-07-02T09:10:00",
}
WAREHOUSE = EVENT | {
    "event_id": 3,
    "location_id": 4,
    "business_step": "WMS",
    "event_type": "WMS_Inbound",
    "event_time": "2025-07-02T09:05:00",
}


def test_a_journey_with_reasons(opened: Opened) -> None:
    with serving(history=opened()) as client:
        post(client, "rule", [FACTORY, RETAILER])
        post(client, "lstm", [WAREHOUSE])  # it lies between them, and came later
        told = client.get(f"/api/v1/epcs/{EPC.lower().replace('.', '-')}").json()
    assert told["epc_code"] == EPC
    assert [event["event_id"] for event in told["events"]] == [1, 3, 2]
    first, between, last = told["events"]
    assert first["labels"] == between["labels"] == [] and first["reason"] is None
    assert last["labels"] == ["locErr", "jump"] and last["method"] == "rule"
    assert last["scores"] == {"epcFake": 0, "epcDup": 0, "locErr": 30, "evtOrderErr": 0, "jump": 95}
    # As it was known when the event came: past the warehouse, ten minutes after the factory.
    assert "skipped the warehouse" in last["reason"] and "10 min" in last["reason"]
    assert last["event_time"] == "2025-07-02T09:10:00" and last["location_id"] == 31 and last["received"]


def test_an_unknown_epc() -> None:
    with serving() as client:
        response = client.get("/api/v1/epcs/NOBODY")
    assert response.status_code == 404 and response.json()["error"] == "nothing is known of this EPC"


def test_reasons_where_the_model_speaks() -> None:
    with serving(models_named("lstm")) as client:
        post(client, "lstm", [FACTORY | {"location_id": 999}, WAREHOUSE])
        events = client.get(f"/api/v1/epcs/{EPC}").json()["events"]
    assert events[0]["labels"] == ["locErr"] and "place 999 is not in the sites table" in events[0]["reason"]
    assert events[1]["labels"] == ["jump"] and "the model alone (73 %)" in events[1]["reason"]
    assert events[1]["scores"]["jump"] == pytest.approx(73.1059, abs=1e-3)


def ids(page: Any) -> list[int]:
    return [alert["event_id"] for alert in page["alerts"]]


def test_alerts_in_pages(opened: Opened) -> None:
    with serving(models_named("lstm"), history=opened()) as client:
        for number in range(1, 6):
            code = EPC[:-1] + str(number)
            post(client, "rule", [FACTORY | {"event_id": number, "epc_code": code, "location_id": 999}])
        post(client, "lstm", [FACTORY | {"event_id": 6, "epc_code": None, "event_time": "2025-07-05T10:00:00"}])
        first = client.get("/api/v1/alerts", params={"limit": 2}).json()
        post(client, "rule", [FACTORY | {"event_id": 7, "epc_code": "X", "event_time": "2025-07-01T10:00:00"}])
        second = client.get("/api/v1/alerts", params={"limit": 3, "after": first["next"]}).json()
        third = client.get("/api/v1/alerts", params={"after": second["next"]}).json()
        assert (ids(first), ids(second), ids(third)) == ([1, 2], [3, 4, 5], [6, 7])
        nothing = client.get("/api/v1/alerts", params={"after": third["next"]}).json()
        assert nothing == {"alerts": [], "next": third["next"]}
        one = first["alerts"][0]
        assert one["labels"] == ["locErr"] and one["scores"]["locErr"] == pytest.approx(95.2574, abs=1e-3)
        assert one["reason"].startswith("locErr: place 999") and one["location_id"] == 999
        assert third["alerts"][0]["epc_code"] is None and "no code" in third["alerts"][0]["reason"]

        def filtered(**chosen: Any) -> list[int]:
            return ids(client.get("/api/v1/alerts", params=chosen).json())

        assert filtered(label="epcFake") == [6, 7]
        assert filtered(since="2025-07-02T09:00:01") == [6] == filtered(since="2025-07-03")
        assert filtered(since="2025-07-05T01:00:00Z") == [6]
        assert filtered(site="999") == [1, 2, 3, 4, 5]
        assert filtered(site="Incheon factory", min_score=95) == [6, 7]
        assert filtered(min_score=99) == []
        assert filtered(label="locErr", min_score=90) == [1, 2, 3, 4, 5]


def test_the_same_batch_again_makes_no_second_alert() -> None:
    with serving() as client:
        for endpoint in ("rule", "lstm", "svm", "rule"):
            post(client, endpoint, [FACTORY | {"location_id": 999}])
        assert len(client.get("/api/v1/alerts").json()["alerts"]) == 1


# ---------------------------------------------------------------------- verdicts

NOW = datetime.datetime(2025, 9, 1, 14, 30)


def desk(folder: Path) -> FeedbackDesk:
    return FeedbackDesk(folder, "Asia/Seoul", lambda: NOW)


def give(client: TestClient, *verdicts: dict[str, Any]) -> Any:
    return client.post("/api/v1/feedback", json={"verdicts": list(verdicts)})


VERDICT = {"epc_code": EPC, "event_id": 2, "label": "jump", "verdict": True, "who": "kim"}


def test_verdicts_reach_the_folder_of_the_chain(tmp_path: Path) -> None:
    with serving(history=MemoryHistory(), feedback=desk(tmp_path)) as client:
        post(client, "rule", [FACTORY, RETAILER])
        assert give(client, VERDICT).json() == {"stored": 1, "known": 0}
        assert give(client, VERDICT).json() == {"stored": 0, "known": 1}
        changed = VERDICT | {"verdict": False, "who": "lee", "when": "2025-09-02T10:00:00"}
        both = give(
            client, changed, VERDICT | {"label": "locErr", "event_id": None, "event_time": "2025-07-02 09:10:00"}
        )
        assert both.json() == {"stored": 2, "known": 0}
        assert give(client, changed).json() == {"stored": 0, "known": 1}
    files = list(tmp_path.glob("*.csv"))
    assert [path.name for path in files] == ["live-2025-09-01.csv"]
    read = read_verdict_file(files[0].read_bytes(), "Asia/Seoul")
    assert not len(read.rejected) and not read.unanswered
    rows = read.verdicts.to_pylist()
    assert [(row["label"], row["verdict"], row["who"], str(row["when"])) for row in rows] == [
        ("jump", True, "kim", "2025-09-01 14:30:00"),
        ("jump", False, "lee", "2025-09-02 10:00:00"),
        ("locErr", True, "kim", "2025-09-01 14:30:00"),
    ]
    assert {(row["epc_code"], str(row["event_time"]), row["location_id"], row["event_id"]) for row in rows} == {
        (EPC, "2025-07-02 09:10:00", 31, 2)
    }


def test_verdicts_on_what_is_not_known(tmp_path: Path) -> None:
    with serving(feedback=desk(tmp_path)) as client:
        post(client, "rule", [FACTORY])
        response = give(client, VERDICT | {"event_id": 1}, VERDICT | {"event_id": 77})
        assert response.status_code == 404
        assert [(told["row"], told["field"]) for told in response.json()["detail"]] == [(1, "event_id")]
        assert not list(tmp_path.glob("*.csv"))  # all or nothing


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"label": "fake"}, "label"),
        ({"verdict": "perhaps"}, "verdict"),
        ({"who": ""}, "who"),
        ({"when": "soon"}, "when"),
        ({"event_id": None}, "event_id"),
        ({"extra": 1}, "extra"),
        ({"epc_code": None}, "event_id"),
    ],
)
def test_malformed_verdicts(tmp_path: Path, change: dict[str, Any], field: str) -> None:
    with serving(feedback=desk(tmp_path)) as client:
        post(client, "rule", [FACTORY, RETAILER])
        response = give(client, VERDICT, VERDICT | change)
        assert response.status_code == 422
        assert [(told["row"], told["field"]) for told in response.json()["detail"]] == [(1, field)]
        assert not list(tmp_path.glob("*.csv"))


def test_a_verdict_on_an_event_without_an_epc(tmp_path: Path) -> None:
    with serving(feedback=desk(tmp_path)) as client:
        post(client, "rule", [FACTORY | {"epc_code": None}])
        verdict = {"event_time": EVENT["event_time"], "event_id": 1, "label": "epcFake", "verdict": True, "who": "kim"}
        assert give(client, verdict).json() == {"stored": 1, "known": 0}
