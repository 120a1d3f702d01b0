from __future__ import annotations

import datetime
from pathlib import Path

import pandas as pd
import pytest

from barcode_pipeline.models.registry import ModelEntry, ModelRegistry
from barcode_pipeline.news import alert_messages, tell_alerts, tell_failed_night, tell_late_night, tell_stopped_models
from barcode_pipeline.workspace import Workspace
from barcode_pipeline_tests.conftest import CONFIGURATION

PAGE = Path("/reports/alerts/2025-07-01.html")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path, CONFIGURATION)


def alerts(*severities: str, new: bool = True) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "alert_id": [f"id{number}" for number in range(len(severities))],
            "rank": range(1, len(severities) + 1),
            "is_new": new,
            "severity": severities,
            "label": "jump",
            "step": "Retailer in",
            "place": "Shop",
            "epc_count": 2,
            "reason": "arrived too soon",
            "normal": "a truck needs 3 h",
            "epc_code": "001.2",
            "journey": "07-01 10:00 Retailer in, Shop [jump]",
        }
    )


def test_each_new_high_alert_is_a_message() -> None:
    first, second = alert_messages(alerts("HIGH", "LOW", "HIGH"), "2025-07-01", PAGE, 20)
    assert (first.key, second.key) == ("high_alert id0", "high_alert id2")
    assert first.subject == "HIGH alert of 2025-07-01: jump, Retailer in, Shop, 2 EPCs"
    for said in ("arrived too soon", "a truck needs 3 h", "001.2", "[jump]", f"{PAGE}#id0"):
        assert said in first.text


def test_what_is_not_high_or_not_new_is_no_message() -> None:
    assert alert_messages(alerts("MEDIUM", "LOW", "NORMAL"), "2025-07-01", PAGE, 20) == []
    assert alert_messages(alerts("HIGH", new=False), "2025-07-01", PAGE, 20) == []


def test_many_are_counted() -> None:
    told = alert_messages(alerts(*["HIGH"] * 9), "2025-07-01", PAGE, 3)
    assert len(told) == 4 and told[-1].subject == "6 more new HIGH alerts of 2025-07-01"


def test_alerts_of_recent_dates_are_told_once(workspace: Workspace) -> None:
    import numpy as np
    import pyarrow as pa

    from barcode_pipeline.alerts.tables import ALERTS_SCHEMA

    def written(day: int, name: str) -> None:
        row = alerts("HIGH").assign(alert_id=name).reindex(columns=ALERTS_SCHEMA.names).astype(object)
        row = row.where(row.notna(), None)
        columns = {field.name: pa.array(row[field.name], field.type) for field in ALERTS_SCHEMA}
        workspace.alerts.write(pa.table(columns, schema=ALERTS_SCHEMA), np.array([day]), [day])

    written(20_000, "new")
    written(19_900, "old")
    said: list[str] = []
    assert [one.key for one in tell_alerts(workspace, [19_900, 20_000], said.append)] == ["high_alert new"]
    assert tell_alerts(workspace, [19_900, 20_000], said.append) == []
    assert len(said) == 1


def test_a_night_fails_once_and_is_late_once(workspace: Workspace) -> None:
    said: list[str] = []
    for _ in range(2):
        tell_failed_night(workspace, "2025-07-01", ["rule_labels: too many labels"], said.append)
        tell_late_night(workspace, "2025-07-01", "not yet", said.append)
    tell_failed_night(workspace, "2025-07-02", ["again"], said.append)
    assert len(said) == 3 and "too many labels" in said[0] and "late" in said[1]


def test_a_model_that_was_not_let_in_is_told_of(workspace: Workspace) -> None:
    registry = ModelRegistry(workspace.models)
    registry.folder.mkdir(parents=True)
    for name, status, added in (
        ("lstm_model_20250701.pt", "promoted", "2025-07-01 03:00:00"),
        ("lstm_model_20250702.pt", "kept", "2025-07-02 03:00:00"),
        ("lstm_model_20250601.pt", "kept", "2025-06-01 03:00:00"),
    ):
        (registry.folder / name).touch()
        registry.record(ModelEntry(model_file=name, status=status, added_at=added, reason="worse by 0.1"))  # type: ignore[arg-type]
    said: list[str] = []
    today = datetime.date(2025, 7, 3)
    told = tell_stopped_models(workspace, today, said.append)
    assert [one.key for one in told] == ["stopped_model lstm_model_20250702.pt"] and "worse by 0.1" in said[0]
    assert tell_stopped_models(workspace, today, said.append) == []
