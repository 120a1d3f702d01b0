"""The same month through the sensor, the schedule and runs: what comes during the day, and at 02:00."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from barcode_pipeline.definitions import build_definitions
from barcode_pipeline.events.date_store import DateStore
from barcode_pipeline.orchestration.night_run import failures_of
from barcode_pipeline.orchestration.resources import WorkspaceResource
from barcode_pipeline.orchestration.schedules import nightly_retrain
from barcode_pipeline.orchestration.sensors import raw_files
from barcode_pipeline.stale_dates import stale_dates
from barcode_pipeline.workspace import Workspace
from barcode_pipeline_tests.events.projects import assert_nothing_is_lost, interim_bytes, make_project
from barcode_pipeline_tests.nightly.nights import MAKERS, eventful_month
from barcode_pipeline_tests.nightly.test_month import clean_backfill

SEOUL = ZoneInfo("Asia/Seoul")


class Machine:
    """A daemon's part: it looks, ticks, and runs what is asked for. Of a night it makes the data, no model."""

    def __init__(self, root: Path, instance: dg.DagsterInstance) -> None:
        self.resource = WorkspaceResource(root=str(root))
        self.definitions = build_definitions(self.resource)
        self.instance = instance
        self.cursor: str | None = None
        self.runs = 0

    def look(self) -> None:
        with dg.build_sensor_context(cursor=self.cursor, resources={"workspace": self.resource}) as context:
            result = raw_files(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        for request in result.run_requests or []:
            self.run("arrivals", request)

    def tick(self, day: str) -> None:
        moment = datetime.datetime.combine(
            datetime.date.fromisoformat(day) + datetime.timedelta(days=1), datetime.time(2), SEOUL
        )
        with dg.build_schedule_context(
            scheduled_execution_time=moment, resources={"workspace": self.resource}
        ) as context:
            result = nightly_retrain(context)
        assert isinstance(result, dg.RunRequest) and result.partition_key == day
        self.run("nightly", result)

    def run(self, job: str, request: dg.RunRequest) -> None:
        assets: Sequence[dg.AssetKey] = [key for key in request.asset_selection or [] if key.to_user_string() in MAKERS]
        result = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            tags=dict(request.tags),
            asset_selection=assets,
            raise_on_error=False,
        )
        self.runs += 1
        assert result.success, failures_of(result)


def run_month(root: Path, events: int, nights: int, monkeypatch: pytest.MonkeyPatch) -> None:
    month = eventful_month(events, nights, seed=6, event_ids=True)
    place = make_project(root / "nights")
    killed = nights - 3
    with dg.DagsterInstance.ephemeral() as instance:
        machine = Machine(place.root, instance)
        for night, day in enumerate(month.days):
            month.deliver(place.raw, night)
            if night in month.missed:
                continue  # The machine is off: nobody looks, nothing ticks.
            if night == killed:
                # Dagster notes an interrupted step; that a killed process heals, too, is tested where nothing is noted.
                machine.look()
                with monkeypatch.context() as patch, pytest.raises(AssertionError, match="KeyboardInterrupt"):
                    patch.setattr(DateStore, "write", killing(DateStore.write, "enriched_events"))
                    machine.look()
            else:
                # Every third night the sensor is too late: the night itself takes in.
                for _ in range(2 if night % 3 else 0):
                    machine.look()
            machine.tick(day)
        assert machine.runs > nights
        # One look more at what the last night took in asks for nothing.
        before = machine.runs
        machine.look()
        assert machine.runs == before
    workspace = Workspace.open(place.root)
    assert stale_dates(workspace, list(MAKERS)) == {asset: [] for asset in MAKERS}
    found, expected = interim_bytes(workspace), clean_backfill(workspace, root / "clean")
    assert {name for name in expected if found.get(name) != expected[name]} == set()
    assert_nothing_is_lost(workspace)


def killing(write: object, asset: str) -> object:
    """A `DateStore.write` that the process does not survive, for one asset."""

    def write_or_die(store: DateStore, *arguments: object) -> object:
        if store.folder.name == asset:
            raise KeyboardInterrupt
        return write(store, *arguments)  # type: ignore[operator]

    return write_or_die


def test_a_short_month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_month(tmp_path, 2_500, 7, monkeypatch)


@pytest.mark.slow
def test_thirty_nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_month(tmp_path, 20_000, 30, monkeypatch)
