from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from barcode_pipeline.alerts.tables import SEVERITIES
from barcode_pipeline.events.formats import ALERTS
from barcode_pipeline.events.times import date_text, day_number
from barcode_pipeline.stale_dates import stale_dates
from barcode_pipeline_tests.orchestration.conftest import Made
from barcode_pipeline_tests.orchestration.project import DATES, copied, run, workspace


@pytest.fixture
def project(made: Made, tmp_path: Path) -> Path:
    return copied(made.root, tmp_path / "project")


def busy_day(root: Path) -> int:
    alerts = workspace(root).alerts
    return max(alerts.days(), key=lambda day: alerts.rows(day) or 0)


def told(root: Path) -> list[str]:
    path = workspace(root).messages
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as file:
        return [kind for (kind,) in file.execute("SELECT kind FROM message")]


def test_the_page_shows_counts_and_the_first_alerts(project: Path) -> None:
    place, day = workspace(project), busy_day(project)
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(project, ["alerts"], instance, date_text(day))
    assert result.success
    (event,) = result.asset_materializations_for_node("alerts")
    alerts = place.alerts.read([day]).to_pandas()
    assert len(alerts) and event.metadata["dagster/row_count"].value == len(alerts)
    assert event.metadata["new_alerts"].value == alerts["is_new"].sum()
    high = ((alerts["severity"] == SEVERITIES[0]) & alerts["is_new"]).sum()
    assert event.metadata["new_HIGH"].value == high
    assert alerts["reason"][0].replace("|", "\\|") in event.metadata["top"].value  # type: ignore[operator]
    assert Path(str(event.metadata["page"].value)).is_file() and Path(str(event.metadata["csv"].value)).is_file()
    assert told(project).count("high_alert") == high


def test_a_range_by_hand_is_history_and_tells_nobody(made: Made) -> None:
    assert sum(workspace(made.root).alerts.rows(day) or 0 for day in workspace(made.root).alerts.days()) > 0
    assert told(made.root) == []


def stale_up_to_the_last(root: Path) -> dict[str, list[int]]:
    found = {
        asset: [day for day in days if day <= day_number(DATES[1])]
        for asset, days in stale_dates(workspace(root)).items()
    }
    return {asset: days for asset, days in found.items() if days}


def test_other_scores_make_alerts_stale_and_alerts_alone(project: Path) -> None:
    day = busy_day(project)
    assert stale_up_to_the_last(project) == {}
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(project, ["event_scores"], instance, date_text(day)).success
        assert stale_up_to_the_last(project) == {"alerts": [day]}
        assert run(project, ["alerts"], instance, date_text(day)).success
    assert stale_up_to_the_last(project) == {}


def test_drift_warns_and_stops_nothing(project: Path) -> None:
    path = project / "configuration.toml"
    path.write_text(path.read_text() + "\n[drift]\nlowest_rows = 5\nfewest_shipments = 5\n")
    place = workspace(project)
    judged = [day for day in place.scores.days() if (place.scores.rows(day) or 0) >= 5]
    first, day = date_text(judged[0]), judged[-1]
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(project, ["event_scores", "alerts"], instance, (first, date_text(judged[-2]))).success
        table = place.labels.read([day])
        for name in ("epcFake", "epcDup", "locErr", "evtOrderErr", "jump"):
            column = table.schema.get_field_index(name)
            table = table.set_column(column, name, [np.ones(len(table), bool)])
        range_result = run(project, ["epc_sequences", "event_scores"], instance, (first, date_text(judged[-2])))
        place.labels.write(table, np.full(len(table), day), [day])
        result = run(project, ["epc_sequences", "event_scores", "alerts"], instance, date_text(day))
    assert range_result.success and result.success
    found = {
        one.asset_key.to_user_string(): one for one in result.get_asset_check_evaluations() if one.check_name == "drift"
    }
    check = found["epc_sequences"]
    assert not check.passed and check.severity == dg.AssetCheckSeverity.ERROR and check.partition == date_text(day)
    assert "locErr_rate is 1.0000" in str(check.description)
    assert check.metadata["locErr_rate"].value == 1.0
    assert f"{ALERTS[0]}_rate" in found["event_scores"].metadata
