from __future__ import annotations

import datetime
import json
import subprocess
import sys
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from barcode_pipeline.configuration import TimeSection
from barcode_pipeline.definitions import build_definitions, defs
from barcode_pipeline.errors import UserError
from barcode_pipeline.orchestration.executors import EXECUTOR_VARIABLE, executor
from barcode_pipeline.orchestration.partitions import daily_partitions, days_of

GRAPH = {
    "merged_events": set(),
    "enriched_events": {"merged_events"},
    "rule_labels": {"enriched_events"},
    "epc_sequences": {"enriched_events", "rule_labels"},
    "train_eval_split": {"epc_sequences", "rule_labels"},
    "verdicts": {"enriched_events"},
    "lstm_model": {"train_eval_split", "verdicts"},
    "baseline_models": {"train_eval_split", "verdicts"},
    "event_scores": {"epc_sequences", "lstm_model"},
    "alerts": {"event_scores"},
    "evaluation_report": {"lstm_model", "baseline_models", "event_scores", "verdicts"},
}
BY_DATE = {"merged_events", "enriched_events", "rule_labels", "epc_sequences", "event_scores", "alerts"}


def specs() -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def test_the_graph_is_the_contract() -> None:
    found = {name: {dep.asset_key.to_user_string() for dep in spec.deps} for name, spec in specs().items()}
    assert found == GRAPH


def test_the_dated_assets_and_no_others_are_partitioned() -> None:
    assert {name for name, spec in specs().items() if spec.partitions_def is not None} == BY_DATE


def test_everything_loads() -> None:
    dg.Definitions.validate_loadable(defs)


def test_a_range_with_all_that_follows_is_one_run() -> None:
    graph = defs.resolve_asset_graph()
    policies = {graph.get(spec.key).backfill_policy for spec in specs().values()}
    assert policies == {dg.BackfillPolicy.single_run()}


@pytest.mark.parametrize("name", GRAPH)
def test_the_page_says_what_an_asset_is(name: str) -> None:
    spec = specs()[name]
    assert spec.description and spec.owners and spec.kinds and spec.code_version and spec.tags
    assert spec.group_name in ("data", "learning")
    assert ("dagster/column_schema" in spec.metadata) == (name in BY_DATE | {"verdicts"})
    assert "dagster/code_references" in spec.metadata


def test_trainings_share_the_pool() -> None:
    pools = {asset.key.to_user_string(): asset.node_def.pool for asset in defs.assets or []}  # type: ignore[union-attr]
    assert {name for name, pool in pools.items() if pool} == {"lstm_model", "baseline_models"}
    assert pools["lstm_model"] == "gpu"


def test_checks_block_and_are_partitioned_as_their_asset() -> None:
    found = {
        (spec.asset_key.to_user_string(), spec.name): spec
        for check in defs.asset_checks or []
        for spec in check.check_specs
    }
    assert set(found) == {
        ("merged_events", "rows_conserved"),
        ("merged_events", "files_accounted"),
        ("enriched_events", "same_rows"),
        ("rule_labels", "same_rows"),
        ("rule_labels", "unique_keys"),
        ("rule_labels", "label_rates"),
        ("epc_sequences", "same_rows"),
        ("epc_sequences", "features_vary"),
        ("event_scores", "same_rows"),
        ("verdicts", "rows_accounted"),
        ("epc_sequences", "drift"),
        ("event_scores", "drift"),
        ("event_scores", "live_answers"),
    }
    assert {name for name, spec in found.items() if not spec.blocking} == {
        ("epc_sequences", "drift"),
        ("event_scores", "drift"),
        ("event_scores", "live_answers"),
    }
    # Files span dates: their check has none.
    assert {name for name, spec in found.items() if spec.partitions_def is None} == {
        ("merged_events", "files_accounted"),
        ("verdicts", "rows_accounted"),
    }


def test_jobs() -> None:
    def chosen(job: str) -> set[str]:
        keys = defs.resolve_job_def(job).asset_layer.executable_asset_keys
        return {key.to_user_string() for key in keys}

    assert chosen("chain") == set(GRAPH)
    assert chosen("data") == BY_DATE - {"event_scores", "alerts"}
    assert chosen("arrivals") == BY_DATE
    assert chosen("nightly") == set(GRAPH)
    assert chosen("learn") == {"train_eval_split", "verdicts", "lstm_model", "baseline_models", "evaluation_report"}


def test_what_runs_by_itself() -> None:
    schedules = {schedule.name: schedule for schedule in defs.schedules or []}
    assert schedules["nightly_retrain"].cron_schedule == "0 2 * * *"  # type: ignore[union-attr]
    assert {schedule.execution_timezone for schedule in schedules.values()} == {"Asia/Seoul"}  # type: ignore[union-attr]
    assert {schedule.default_status for schedule in schedules.values()} == {dg.DefaultScheduleStatus.RUNNING}
    sensors = {sensor.name: sensor.default_status for sensor in defs.sensors or []}
    assert set(sensors) == {"raw_files", "failed_nights", "messages"}
    assert set(sensors.values()) == {dg.DefaultSensorStatus.RUNNING}


def test_the_page_says_when_the_model_or_the_scores_are_late() -> None:
    late = {name for name, spec in specs().items() if spec.freshness_policy is not None}
    assert late == {"lstm_model", "event_scores"}


def test_loading_the_definitions_imports_neither_torch_nor_scikit_learn() -> None:
    program = "import barcode_pipeline.definitions, json, sys; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout)
    assert "barcode_pipeline.orchestration.assets" in loaded
    assert not {"torch", "sklearn", "matplotlib"} & set(loaded)


def test_loading_the_definitions_warns_of_nothing() -> None:
    program = "import barcode_pipeline.definitions"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stderr == b""


def test_the_newest_partition_is_yesterday_in_the_zone() -> None:
    daily = daily_partitions(TimeSection(zone="Asia/Seoul", first_date=datetime.date(2025, 6, 1)))
    before = datetime.datetime(2025, 6, 3, 23, 59, tzinfo=ZoneInfo("Asia/Seoul"))
    assert daily.get_partition_keys(current_time=before) == ["2025-06-01", "2025-06-02"]
    midnight = before + datetime.timedelta(minutes=1)
    assert daily.get_partition_keys(current_time=midnight) == ["2025-06-01", "2025-06-02", "2025-06-03"]
    assert days_of(["1970-01-01", "1970-01-11"]) == [0, 10]


def test_the_executor_is_chosen_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(EXECUTOR_VARIABLE, raising=False)
    assert executor().name == dg.in_process_executor.name
    monkeypatch.setenv(EXECUTOR_VARIABLE, "multiprocess")
    assert build_definitions().executor.name == "multiprocess"  # type: ignore[union-attr]
    monkeypatch.setenv(EXECUTOR_VARIABLE, "threads")
    with pytest.raises(UserError, match="in_process or multiprocess"):
        executor()
