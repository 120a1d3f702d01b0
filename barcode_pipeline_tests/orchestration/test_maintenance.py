"""What is tidied away, and what has to stay for the page to know what there is."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import dagster as dg

from barcode_pipeline.orchestration.maintenance import RemovedHistory, maintain, maintenance, tidy_history
from barcode_pipeline.orchestration.resources import WorkspaceResource
from barcode_pipeline.retention import Removed, tidy_files
from barcode_pipeline_tests.events.projects import GOOD_FILE, make_project, text

DAY = 86_400
DATES = dg.DailyPartitionsDefinition("2025-07-01")


@dg.asset(partitions_def=DATES)
def dated() -> None:
    print("a line for the compute log")


@dg.asset
def whole() -> None: ...


def later() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)


def make(instance: dg.DagsterInstance, asset: dg.AssetsDefinition, date: str | None = None) -> str:
    return dg.materialize([asset], instance=instance, partition_key=date).run_id


def test_runs_that_made_the_newest_stay_without_their_logs() -> None:
    with dg.instance_for_test() as instance:
        old = [make(instance, dated, "2025-07-01"), make(instance, whole)]
        newest = [make(instance, dated, "2025-07-01"), make(instance, dated, "2025-07-02"), make(instance, whole)]
        before = {key: instance.get_materialized_partitions(key) for key in instance.all_asset_keys()}
        assert tidy_history(instance, later() - datetime.timedelta(hours=2)) == RemovedHistory(0, 0)
        assert tidy_history(instance, later()) == RemovedHistory(runs=2, run_details=3)
        assert {run.run_id for run in instance.get_runs()} == set(newest) and not set(old) & set(newest)
        assert {key: instance.get_materialized_partitions(key) for key in instance.all_asset_keys()} == before
        assert before[dg.AssetKey("dated")] == {"2025-07-01", "2025-07-02"}
        assert instance.get_latest_materialization_event(dg.AssetKey("whole")) is not None
        assert instance.all_logs(newest[0]) == []
        assert tidy_history(instance, later()).runs == 0


def test_what_an_asset_without_dates_once_was_goes() -> None:
    with dg.instance_for_test() as instance:
        dates = ("2025-07-01", "2025-07-02")
        both = [dg.materialize([dated, whole], instance=instance, partition_key=date).run_id for date in dates]
        assert tidy_history(instance, later()) == RemovedHistory(runs=0, run_details=2)
        (left,) = instance.fetch_materializations(dg.AssetKey("whole"), limit=9).records
        assert left.run_id == both[1]
        assert instance.get_materialized_partitions(dg.AssetKey("dated")) == {"2025-07-01", "2025-07-02"}
        assert tidy_history(instance, later()) == RemovedHistory(0, 0)


def test_a_run_on_its_way_stays() -> None:
    with dg.instance_for_test() as instance:
        instance.create_run_for_job(maintenance, status=dg.DagsterRunStatus.STARTED)
        assert tidy_history(instance, later()) == RemovedHistory(0, 0)


def test_old_quarantine_goes(tmp_path: Path) -> None:
    workspace = make_project(tmp_path / "project")
    for name in ("old/a.csv", "new.csv"):
        (workspace.raw / name).parent.mkdir(exist_ok=True)
        (workspace.raw / name).write_bytes(text("only\tthree\tfields"))
    workspace.intake.take_in()
    old, new = workspace.quarantine / "old" / "a.csv.rejected.csv", workspace.quarantine / "new.csv.rejected.csv"
    assert old.exists() and new.exists()
    os.utime(old, (1, 1))
    assert tidy_files(workspace) == Removed(quarantine_files=1, reports=0)
    assert not old.parent.exists() and new.exists()
    # It is counted all the same.
    assert workspace.intake.files(0, 99_999)["rows_quarantined"].tolist() == [1, 1]


def test_the_newest_reports_stay_and_the_latest_always(tmp_path: Path) -> None:
    workspace = make_project(tmp_path / "project")
    for number in range(33):
        folder = workspace.reports / f"2025{number:04}"
        folder.mkdir(parents=True)
        (folder / "report.html").write_text("")
        os.utime(folder, (1_000 + number, 1_000 + number))
    (workspace.reports / "latest").symlink_to("20250001")
    assert tidy_files(workspace).reports == 3
    left = {path.name for path in workspace.reports.iterdir()}
    assert left == {"latest", "20250001", *(f"2025{number:04}" for number in range(4, 33))}
    assert (workspace.reports / "latest" / "report.html").exists()


def test_rows_of_replaced_files_go(tmp_path: Path) -> None:
    workspace = make_project(tmp_path / "project")
    (workspace.raw / "icn.csv").write_bytes(GOOD_FILE)
    workspace.intake.take_in()
    (workspace.raw / "icn.csv").write_bytes(GOOD_FILE[:-80])
    workspace.intake.take_in()
    assert len(list(workspace.intake.folder.glob("*.arrow"))) == 2
    tidy_files(workspace)
    assert len(list(workspace.intake.folder.glob("*.arrow"))) == 1


def test_the_job(tmp_path: Path) -> None:
    workspace = make_project(tmp_path / "project")
    with dg.instance_for_test() as instance:
        assert maintain(workspace, instance) == {"quarantine_files": 0, "reports": 0, "runs": 0, "run_details": 0}
        resources = {"workspace": WorkspaceResource(root=str(workspace.root))}
        assert maintenance.execute_in_process(instance=instance, resources=resources).success
